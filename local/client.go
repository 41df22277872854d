package local

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"sync"
)

// Client calls a World without sockets: give it to the AWS SDK as its
// HTTPClient. Whatever host a request names, the World answers it. It is safe
// for concurrent use and works in a testing/synctest bubble.
type Client struct{ handler http.Handler }

// Client returns a client of this World.
func (w *World) Client() *Client { return &Client{w} }

// Do sends r and returns the response once its header is there; the body
// follows as it is written. It returns the context's error as soon as the
// context is done, and the World sees its request's context end then, as it does
// when the response's body is closed before its end. A connection that the World
// lets die is an error that wraps io.ErrUnexpectedEOF, from Do or from reading
// the body. The request's body is closed when the World is done with it.
func (c *Client) Do(r *http.Request) (*http.Response, error) {
	if err := r.Context().Err(); err != nil {
		closeBody(r)
		return nil, err
	}
	ctx, hangUp := context.WithCancel(r.Context())
	in, err := arriving(ctx, r)
	if err != nil {
		closeBody(r)
		hangUp()
		return nil, err
	}
	x := &exchange{request: r, header: http.Header{}, started: make(chan struct{}), hangUp: hangUp}
	x.grown.L = &x.mu
	go x.run(c.handler, in)
	select {
	case <-x.started:
	case <-r.Context().Done():
	}
	if err := r.Context().Err(); err != nil {
		hangUp()
		return nil, err
	}
	return x.response()
}

func closeBody(r *http.Request) {
	if r.Body != nil {
		_ = r.Body.Close() // Nobody reads it any more.
	}
}

// arriving is r as a server sees it.
func arriving(ctx context.Context, r *http.Request) (*http.Request, error) {
	in := r.Clone(ctx)
	in.RequestURI = r.URL.RequestURI()
	target, err := url.ParseRequestURI(in.RequestURI)
	if err != nil {
		return nil, fmt.Errorf("parse request URI: %w", err)
	}
	in.URL = target
	if in.Host == "" {
		in.Host = r.URL.Host
	}
	in.RemoteAddr = "127.0.0.1:1"
	in.Proto, in.ProtoMajor, in.ProtoMinor = "HTTP/1.1", 1, 1
	if in.Body == nil {
		in.Body = http.NoBody
	}
	return in, nil
}

// exchange is one call and its answer. It is the ResponseWriter of the World's
// side and the body of the client's side; between them the bytes wait in
// memory, so that neither side keeps the other from finishing.
type exchange struct {
	request *http.Request
	started chan struct{} // closed when the header is there, or when there is none
	hangUp  context.CancelFunc

	mu     sync.Mutex
	grown  sync.Cond // body, ended or closed changed
	header http.Header
	sent   http.Header // the header as it was when the status was written
	status int         // 0: no header yet
	body   []byte
	ended  bool // the World is done
	died   bool // it let the connection die
	closed bool // the client has hung up
}

// run answers the request. A panic with http.ErrAbortHandler is a connection
// that dies; any other goes on, since a World has no business to panic.
func (x *exchange) run(h http.Handler, in *http.Request) {
	defer func() {
		p := recover()
		_ = in.Body.Close() // Nobody reads it any more.
		x.end(p != nil)
		x.hangUp()
		if err, ok := p.(error); p != nil && (!ok || !errors.Is(err, http.ErrAbortHandler)) {
			panic(p)
		}
	}()
	h.ServeHTTP(x, in)
}

func (x *exchange) end(died bool) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if !died {
		x.begin(http.StatusOK)
	}
	x.ended, x.died = true, died
	if x.status == 0 {
		close(x.started)
	}
	x.grown.Broadcast()
}

// begin sends the header, once.
func (x *exchange) begin(status int) {
	if x.status != 0 {
		return
	}
	x.status, x.sent = status, x.header.Clone()
	close(x.started)
}

// Header returns the header that is to be sent.
func (x *exchange) Header() http.Header { return x.header }

// WriteHeader sends the header.
func (x *exchange) WriteHeader(status int) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if status >= http.StatusOK {
		x.begin(status)
	}
}

// Write sends b. It fails when the client has hung up.
func (x *exchange) Write(b []byte) (int, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	x.begin(http.StatusOK)
	if x.closed {
		return 0, io.ErrClosedPipe
	}
	if x.request.Method != http.MethodHead {
		x.body = append(x.body, b...)
		x.grown.Broadcast()
	}
	return len(b), nil
}

// Flush does nothing: what is written is there at once.
func (x *exchange) Flush() {}

// response is what Do returns once the header is there.
func (x *exchange) response() (*http.Response, error) {
	x.mu.Lock()
	defer x.mu.Unlock()
	if x.status == 0 {
		return nil, fmt.Errorf("%s %s: connection died: %w", x.request.Method, x.request.URL.Path, io.ErrUnexpectedEOF)
	}
	length := int64(-1)
	if n, err := strconv.ParseInt(x.sent.Get("Content-Length"), 10, 64); err == nil {
		length = n
	}
	return &http.Response{
		Status:        strconv.Itoa(x.status) + " " + http.StatusText(x.status),
		StatusCode:    x.status,
		Proto:         "HTTP/1.1",
		ProtoMajor:    1,
		ProtoMinor:    1,
		Header:        x.sent,
		Body:          &answer{x},
		ContentLength: length,
		Request:       x.request,
	}, nil
}

// answer is the body of a response.
type answer struct{ x *exchange }

// Read waits for bytes of the body.
func (a *answer) Read(b []byte) (int, error) {
	x := a.x
	stop := context.AfterFunc(x.request.Context(), func() {
		x.mu.Lock()
		defer x.mu.Unlock()
		x.grown.Broadcast()
	})
	defer stop()
	x.mu.Lock()
	defer x.mu.Unlock()
	for {
		switch {
		case x.closed:
			return 0, http.ErrBodyReadAfterClose
		case x.request.Context().Err() != nil:
			return 0, x.request.Context().Err()
		case len(x.body) > 0:
			n := copy(b, x.body)
			x.body = x.body[n:]
			return n, nil
		case x.died:
			return 0, io.ErrUnexpectedEOF
		case x.ended:
			return 0, io.EOF
		}
		x.grown.Wait()
	}
}

// Close hangs up.
func (a *answer) Close() error {
	a.x.mu.Lock()
	a.x.closed = true
	a.x.body = nil
	a.x.grown.Broadcast()
	a.x.mu.Unlock()
	a.x.hangUp()
	return nil
}
