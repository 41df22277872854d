package store_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/service/s3"

	"inreply/store"
)

func storeWith(options s3.Options) *store.Store { return store.New(s3.New(options)) }

// TestWrites is the life of an object that several write.
func TestWrites(t *testing.T) {
	s, c := world(t)
	ctx := t.Context()
	first, err := s.PutNew(ctx, bucket, "k", "application/json", []byte("one"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.PutNew(ctx, bucket, "k", "application/json", []byte("other")); !errors.Is(err, store.ErrExists) {
		t.Errorf("put over: %v", err)
	}
	content, etag, err := s.Get(ctx, bucket, "k")
	if err != nil || string(content) != "one" || etag != first {
		t.Errorf("got %q as %s, %v; put as %s", content, etag, err, first)
	}
	second, err := s.Replace(ctx, bucket, "k", first, "application/json", []byte("two"))
	if err != nil || second == first {
		t.Errorf("replaced as %s, %v", second, err)
	}
	if _, err := s.Replace(ctx, bucket, "k", first, "application/json", []byte("three")); !errors.Is(err, store.ErrChanged) {
		t.Errorf("replace what is no longer there: %v", err)
	}
	if content, _, _ := s.Get(ctx, bucket, "k"); string(content) != "two" {
		t.Errorf("a refused write left %q", content)
	}
	deleteObject(t, c, "k")
	if _, err := s.Replace(ctx, bucket, "k", second, "application/json", []byte("four")); !errors.Is(err, store.ErrChanged) {
		t.Errorf("replace what was deleted: %v", err)
	}
	if _, err := s.PutNew(ctx, bucket, "k", "application/json", []byte("again")); err != nil {
		t.Errorf("put after a delete: %v", err)
	}
}

// TestOneWins: of all who write at once, one does.
func TestOneWins(t *testing.T) {
	s, _ := world(t)
	race := func(write func(n int) error, lost error) {
		t.Helper()
		var won atomic.Int32
		var writers sync.WaitGroup
		for n := range 16 {
			writers.Go(func() {
				err := write(n)
				if err == nil {
					won.Add(1)
				} else if !errors.Is(err, lost) {
					t.Error(err)
				}
			})
		}
		writers.Wait()
		if won.Load() != 1 {
			t.Errorf("%d won", won.Load())
		}
	}
	race(func(n int) error {
		_, err := s.PutNew(t.Context(), bucket, "k", "text/plain", fmt.Append(nil, n))
		return err
	}, store.ErrExists)
	_, etag, err := s.Get(t.Context(), bucket, "k")
	if err != nil {
		t.Fatal(err)
	}
	race(func(n int) error {
		_, err := s.Replace(t.Context(), bucket, "k", etag, "text/plain", fmt.Append(nil, "r", n))
		return err
	}, store.ErrChanged)
}

// TestConflict: S3 asks to try again when another write of the key is under way.
func TestConflict(t *testing.T) {
	tests := map[string]struct {
		conflicts int
		then      func() *http.Response
		want      error // nil: written; errAny: any other
	}{
		"once":               {1, func() *http.Response { return answer(200, "") }, nil},
		"five times":         {5, func() *http.Response { return answer(200, "") }, nil},
		"and lost":           {2, said(412, "PreconditionFailed"), store.ErrExists},
		"and deleted":        {1, said(404, "NoSuchKey"), store.ErrChanged},
		"without an end":     {100, nil, errAny},
		"and then an outage": {1, said(503, "SlowDown"), errAny},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				asked := 0
				s := store.New(client(wire(func(r *http.Request) (*http.Response, error) {
					if r.ContentLength != 1 || r.Header.Get("If-None-Match") != "*" || r.Header.Get("Content-Type") != "text/plain" {
						t.Errorf("asked with %d octets, %v", r.ContentLength, r.Header)
					}
					if asked++; asked <= test.conflicts {
						return refusal(409, "ConditionalRequestConflict"), nil
					}
					return test.then(), nil
				})))
				etag, err := s.PutNew(t.Context(), bucket, "k", "text/plain", []byte("x"))
				switch {
				case test.want == nil && (err != nil || etag != `"e1"`):
					t.Errorf("%q, %v", etag, err)
				case errors.Is(test.want, errAny):
					if err == nil || errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrChanged) || classOf(err).permanent {
						t.Error(err)
					}
				case !errors.Is(err, test.want):
					t.Errorf("%v, want %v", err, test.want)
				}
				if want := min(test.conflicts, 5) + 1; asked != want {
					t.Errorf("asked %d times, want %d", asked, want)
				}
			})
		})
	}
}

var errAny = errors.New("any error but the known ones")

// TestConflictEndsWithItsCaller: nobody waits to try again for a caller who is gone.
func TestConflictEndsWithItsCaller(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, cancel := context.WithCancel(t.Context())
		asked := 0
		s := store.New(client(wire(func(*http.Request) (*http.Response, error) {
			asked++
			cancel()
			return refusal(409, "ConditionalRequestConflict"), nil
		})))
		began := time.Now()
		_, err := s.Replace(ctx, bucket, "k", `"e1"`, "text/plain", nil)
		if !errors.Is(err, context.Canceled) || classOf(err) != (class{}) || asked != 1 || time.Since(began) > time.Second {
			t.Errorf("asked %d times, %v after %s", asked, err, time.Since(began))
		}
	})
}
