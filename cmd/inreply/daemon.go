package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"time"

	"go.uber.org/zap"

	"inreply"
	"inreply/cmd/inreply/telemetry"
	"inreply/configs"
)

// daemon runs the daemon alone, until a signal ends it.
func (a app) daemon(ctx context.Context) error {
	config, err := configs.Load(a.config, a.environ)
	if err != nil {
		return err
	}
	log, err := newLogger(config.Log, a.stderr)
	if err != nil {
		return err
	}
	clients, err := inreply.NewClients(ctx, config.AWS)
	if err != nil {
		return err
	}
	measured, err := telemetry.New(config.Metrics, version, a.stdout)
	if err != nil {
		return err
	}
	defer func() {
		if err := measured.Close(ctx); err != nil {
			log.Warn("metrics", zap.Error(err))
		}
	}()
	traced, err := telemetry.NewTraces(ctx, config.Metrics, version, a.environ, log.Named("traces"))
	if err != nil {
		return err
	}
	defer traced.Close(ctx)
	// Before the queues are asked: a port in use must leave nothing half-started.
	listener, err := listenAdmin(ctx, config.Admin)
	if err != nil {
		return err
	}
	starting, cancel := context.WithTimeout(ctx, 30*time.Second)
	d, err := inreply.New(starting, config, clients, inreply.Parts{Logger: log, Meter: measured.Meter(), Tracer: traced.Tracer()})
	cancel()
	if err != nil {
		return errors.Join(err, closeListener(listener))
	}
	log.Info("started", zap.String("version", version), zap.String("queue", config.Consumer.Queue), zap.String("admin", addressOf(listener)))
	stopAdmin := serveAdmin(listener, adminHandler(d, measured.Handler()), log)
	defer stopAdmin()
	return d.Run(ctx)
}

// prober is what the admin port shows of a daemon.
type prober interface {
	Alive() error
	Ready() error
	State() inreply.State
}

// listenAdmin opens the admin port, or returns nil where the settings have none.
func listenAdmin(ctx context.Context, admin configs.Admin) (net.Listener, error) {
	if admin.Listen == "" {
		return nil, nil //nolint:nilnil // no listener is a setting, not a fault
	}
	listener, err := (&net.ListenConfig{}).Listen(ctx, "tcp", admin.Listen)
	if err != nil {
		return nil, fmt.Errorf("admin.listen: %s cannot be listened on: %w: choose another address, or leave it empty for none", admin.Listen, err)
	}
	return listener, nil
}

// addressOf is where a listener listens: the port may have been chosen by it.
func addressOf(l net.Listener) string {
	if l == nil {
		return ""
	}
	return l.Addr().String()
}

func closeListener(l net.Listener) error {
	if l == nil {
		return nil
	}
	return l.Close()
}

// serveAdmin serves the admin port. The function it returns ends that.
func serveAdmin(listener net.Listener, handler http.Handler, log *zap.Logger) (stop func()) {
	if listener == nil {
		return func() {}
	}
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 5 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(listener); !errors.Is(err, http.ErrServerClosed) {
			log.Error("the admin port failed", zap.Error(err))
		}
	}()
	return func() {
		_ = server.Close()
		<-done
	}
}

// adminHandler is health, and what Prometheus asks for.
func adminHandler(p prober, metrics http.Handler) http.Handler {
	mux := http.NewServeMux()
	probe := func(ask func() error) http.HandlerFunc {
		return func(w http.ResponseWriter, _ *http.Request) {
			if err := ask(); err != nil {
				http.Error(w, err.Error(), http.StatusServiceUnavailable)
				return
			}
			fmt.Fprintln(w, "ok")
		}
	}
	mux.HandleFunc("GET /livez", probe(p.Alive))
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) { answerReady(w, p) })
	mux.Handle("GET /metrics", metrics)
	return mux
}

// answerReady says whether mails are taken, and shows what the daemon does: an
// operator asks here first when mails are slow.
func answerReady(w http.ResponseWriter, p prober) {
	status := struct {
		Ready bool   `json:"ready"`
		Why   string `json:"why,omitempty"`
		inreply.State
	}{Ready: true, State: p.State()}
	if err := p.Ready(); err != nil {
		status.Ready, status.Why = false, err.Error()
	}
	w.Header().Set("Content-Type", "application/json")
	if !status.Ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	encoder := json.NewEncoder(w)
	encoder.SetIndent("", "  ")
	_ = encoder.Encode(status) // who asked is gone
}

// checkHealth asks a running daemon's /livez, so that a container without a
// shell can be its own health check.
func (a app) checkHealth(ctx context.Context) error {
	if a.config == "" {
		return errors.New("--healthcheck needs --config: it names the admin port")
	}
	config, err := configs.Load(a.config, a.environ)
	if err != nil {
		return err
	}
	if config.Admin.Listen == "" {
		return errors.New("admin.listen is empty: there is no port to ask")
	}
	host, port, err := net.SplitHostPort(config.Admin.Listen)
	if err != nil {
		return fmt.Errorf("read admin.listen: %w", err)
	}
	if host == "" || host == "0.0.0.0" || host == "::" {
		host = "127.0.0.1"
	}
	ctx, cancel := context.WithTimeout(ctx, 4*time.Second)
	defer cancel()
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://"+net.JoinHostPort(host, port)+"/livez", nil)
	if err != nil {
		return fmt.Errorf("make the request: %w", err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		return fmt.Errorf("ask %s: %w", request.URL, err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("%s answered %s", request.URL, response.Status)
	}
	return nil
}
