package local

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"
)

// stopPatience is how long Close waits for calls that are being answered.
const stopPatience = 5 * time.Second

// Listen serves the World on address, a host and a port such as
// "127.0.0.1:4570" or "localhost:0" (any free port), until the World is closed;
// ctx bounds only the start. It returns the endpoint for clients, such as
// "http://127.0.0.1:4570". The first Listen also decides what queue URLs begin
// with. Addresses that other machines could reach are refused: the World trusts
// whoever calls it.
func (w *World) Listen(ctx context.Context, address string) (endpoint string, err error) {
	listener, err := listenLoopback(ctx, address)
	if err != nil {
		return "", err
	}
	endpoint = "http://" + listener.Addr().String()
	server := &http.Server{
		Handler:           w,
		ReadHeaderTimeout: 10 * time.Second,
		ErrorLog:          zap.NewStdLog(w.log),
	}
	served := make(chan struct{})
	//nolint:contextcheck // the world ends long after the context of its start
	if !w.atClose(func() { shutDown(server); <-served }) {
		_ = listener.Close() // It never served anybody.
		return "", fmt.Errorf("listen on %q: the world is closed", address)
	}
	w.firstEndpoint(endpoint)
	go func() {
		defer close(served)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			w.log.Error("stopped serving", zap.String("endpoint", endpoint), zap.Error(err))
		}
	}()
	return endpoint, nil
}

// firstEndpoint notes where the World listens, unless it did already.
func (w *World) firstEndpoint(endpoint string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.listens {
		w.endpoint, w.listens = endpoint, true
	}
}

// shutDown lets calls end that are being answered, but not for long.
func shutDown(server *http.Server) {
	ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
	defer cancel()
	if server.Shutdown(ctx) != nil {
		_ = server.Close() // What is still open then is cut.
	}
}

func listenLoopback(ctx context.Context, address string) (net.Listener, error) {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return nil, fmt.Errorf("listen on %q: %w", address, err)
	}
	if err := loopback(ctx, host); err != nil {
		return nil, fmt.Errorf("listen on %q: %w", address, err)
	}
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	return listener, nil
}

// loopback says whether host is this machine and nothing else.
func loopback(ctx context.Context, host string) error {
	if host == "" {
		return errors.New("no host means every network; name 127.0.0.1 or localhost")
	}
	addresses, err := new(net.Resolver).LookupIPAddr(ctx, host)
	if err != nil {
		return fmt.Errorf("look up host: %w", err)
	}
	for _, a := range addresses {
		if !a.IP.IsLoopback() {
			return fmt.Errorf("%s is not a loopback address; name 127.0.0.1 or localhost", a.IP)
		}
	}
	return nil
}
