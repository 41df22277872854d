package local_test

import (
	"bytes"
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

func request(t *testing.T, ctx context.Context, body io.Reader) *http.Request { //nolint:revive // t comes first in tests.
	t.Helper()
	r, err := http.NewRequestWithContext(ctx, http.MethodPost, "https://sqs.us-east-1.amazonaws.com/a%2Fb?x=1", body)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestClientCarriesRequestAndResponse(t *testing.T) {
	r := request(t, t.Context(), strings.NewReader("question"))
	r.Header.Set("X-Sent", "1")
	answer, err := do(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		w.Header().Set("Content-Length", "8")
		w.Header().Set("X-Seen", strings.Join([]string{r.Method, r.Host, r.RequestURI, r.URL.Path, r.URL.EscapedPath(), r.Header.Get("X-Sent"), string(body)}, " "))
		w.WriteHeader(http.StatusTeapot)
		w.Header().Set("X-Late", "1")
		_, _ = io.WriteString(w, "answered")
	}, r)
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if err != nil || string(body) != "answered" {
		t.Errorf("body %q, %v", body, err)
	}
	if err := answer.Body.Close(); err != nil {
		t.Error(err)
	}
	const seen = "POST sqs.us-east-1.amazonaws.com /a%2Fb?x=1 /a/b /a%2Fb 1 question"
	if got := answer.Header.Get("X-Seen"); got != seen {
		t.Errorf("seen %q, want %q", got, seen)
	}
	if answer.StatusCode != http.StatusTeapot || answer.ContentLength != 8 || answer.Header.Get("X-Late") != "" {
		t.Errorf("status %d, length %d, header %v", answer.StatusCode, answer.ContentLength, answer.Header)
	}
}

func TestClientStreams(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		answer, err := do(func(w http.ResponseWriter, _ *http.Request) {
			for range 3 {
				_, _ = io.WriteString(w, "x")
				time.Sleep(time.Second)
			}
		}, request(t, t.Context(), nil))
		if err != nil {
			t.Fatal(err)
		}
		start := time.Now()
		for i := range 3 {
			var b [8]byte
			n, err := answer.Body.Read(b[:])
			if n != 1 || err != nil || time.Since(start) != time.Duration(i)*time.Second {
				t.Errorf("read %d bytes after %v, %v", n, time.Since(start), err)
			}
		}
		if _, err := answer.Body.Read(make([]byte, 8)); err != io.EOF {
			t.Errorf("at the end: %v", err)
		}
	})
}

func TestClientHonoursTheCallersContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ended := make(chan error, 1)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		_, err := do(func(_ http.ResponseWriter, r *http.Request) {
			<-r.Context().Done()
			ended <- r.Context().Err()
		}, request(t, ctx, nil))
		if !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("Do: %v", err)
		}
		if err := <-ended; !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("the handler's context: %v", err)
		}
		called := false
		_, err = do(func(http.ResponseWriter, *http.Request) { called = true }, request(t, ctx, nil))
		synctest.Wait()
		if !errors.Is(err, context.DeadlineExceeded) || called {
			t.Errorf("Do after the end: %v, called: %v", err, called)
		}
	})
}

func TestClientHonoursTheCallersContextWhileReading(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		answer, err := do(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			<-r.Context().Done()
		}, request(t, ctx, nil))
		if err != nil {
			t.Fatal(err)
		}
		time.AfterFunc(time.Second, cancel)
		if _, err := io.ReadAll(answer.Body); !errors.Is(err, context.Canceled) {
			t.Errorf("read: %v", err)
		}
	})
}

func TestClientHangsUpByClosingTheBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		written := make(chan error, 1)
		answer, err := do(func(w http.ResponseWriter, r *http.Request) {
			w.WriteHeader(http.StatusOK)
			<-r.Context().Done()
			_, err := io.WriteString(w, "late")
			written <- err
		}, request(t, t.Context(), nil))
		if err != nil {
			t.Fatal(err)
		}
		if err := answer.Body.Close(); err != nil {
			t.Error(err)
		}
		if err := <-written; !errors.Is(err, io.ErrClosedPipe) {
			t.Errorf("write after the client has gone: %v", err)
		}
		if _, err := answer.Body.Read(make([]byte, 1)); !errors.Is(err, http.ErrBodyReadAfterClose) {
			t.Errorf("read after close: %v", err)
		}
	})
}

func TestClientSeesConnectionsDie(t *testing.T) {
	_, err := do(func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }, request(t, t.Context(), nil))
	if !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("before the header: %v", err)
	}
	answer, err := do(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, "half")
		panic(http.ErrAbortHandler)
	}, request(t, t.Context(), nil))
	if err != nil {
		t.Fatal(err)
	}
	body, err := io.ReadAll(answer.Body)
	if string(body) != "half" || !errors.Is(err, io.ErrUnexpectedEOF) {
		t.Errorf("in the body: %q, %v", body, err)
	}
}

type closing struct {
	io.Reader
	closed chan struct{}
}

func (c closing) Close() error {
	close(c.closed)
	return nil
}

func TestClientClosesTheRequestsBody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		body := closing{bytes.NewReader(nil), make(chan struct{})}
		answer, err := do(func(http.ResponseWriter, *http.Request) {}, request(t, t.Context(), body))
		if err != nil {
			t.Fatal(err)
		}
		<-body.closed
		_ = answer.Body.Close()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		body.closed = make(chan struct{})
		if _, err := do(nil, request(t, ctx, body)); err == nil {
			t.Error("Do succeeded")
		}
		<-body.closed
	})
}

func TestClientAnswersHeadWithoutBody(t *testing.T) {
	r := request(t, t.Context(), nil)
	r.Method = http.MethodHead
	answer, err := do(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4")
		_, _ = io.WriteString(w, "body")
	}, r)
	if err != nil {
		t.Fatal(err)
	}
	if body, err := io.ReadAll(answer.Body); len(body) != 0 || err != nil || answer.ContentLength != 4 {
		t.Errorf("body %q, %v, length %d", body, err, answer.ContentLength)
	}
}
