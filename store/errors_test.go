package store_test

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"

	"inreply/store"
)

// TestGone: an object that is not there is permanent for whoever reads it.
func TestGone(t *testing.T) {
	s, c := world(t)
	versioning(t, c)
	put(t, c, "deleted", "x")
	deleteObject(t, c, "deleted")
	put(t, c, "there", "x")
	for name, at := range map[string][3]string{
		"no such key": {bucket, "nothing", ""}, "deleted": {bucket, "deleted", ""},
		"no such version": {bucket, "there", "3HL4kqtJlcpXroDTDmJrmSpXd3dIbrHY"}, "no such bucket": {"nowhere", "k", ""},
	} {
		_, opened := s.Open(t.Context(), at[0], at[1], at[2])
		_, read := s.Top(t.Context(), at[0], at[1], at[2], 10)
		_, asked := s.Head(t.Context(), at[0], at[1], at[2])
		for verb, err := range map[string]error{"open": opened, "top": read, "head": asked} {
			if err == nil || classOf(err) != (class{permanent: true}) {
				t.Errorf("%s, %s: %v is %+v", name, verb, err, classOf(err))
			}
			if err != nil && !strings.Contains(err.Error(), at[0]+"/"+at[1]) {
				t.Errorf("%s, %s: the error does not name the object: %v", name, verb, err)
			}
		}
	}
	if _, _, err := s.Get(t.Context(), bucket, "nothing"); !errors.Is(err, store.ErrMissing) {
		t.Errorf("get: %v", err)
	}
	// The bucket of the records is a setting: that it is not there is no mail's fault.
	if _, _, err := s.Get(t.Context(), "nowhere", "k"); err == nil || classOf(err) != (class{}) {
		t.Errorf("get: %v is %+v", err, classOf(err))
	}
	if _, err := s.PutNew(t.Context(), "nowhere", "k", "text/plain", nil); err == nil || classOf(err) != (class{}) {
		t.Errorf("put: %v is %+v", err, classOf(err))
	}
}

// TestAnswers: what S3 may answer, and what the error says of itself then.
func TestAnswers(t *testing.T) {
	out, transient, gone := class{outage: "s3"}, class{}, class{permanent: true}
	tests := map[string]struct {
		response func() *http.Response
		want     class
	}{
		"InternalError":         {said(500, "InternalError"), out},
		"ServiceUnavailable":    {said(503, "ServiceUnavailable"), out},
		"SlowDown":              {said(503, "SlowDown"), out},
		"bad gateway":           {func() *http.Response { return answer(502, "<html>") }, out},
		"too many":              {said(429, "TooManyRequests"), out},
		"throttled as a 400":    {said(400, "Throttling"), out},
		"RequestTimeout":        {said(400, "RequestTimeout"), out},
		"ExpiredToken":          {said(400, "ExpiredToken"), out},
		"InvalidAccessKeyId":    {said(403, "InvalidAccessKeyId"), out},
		"RequestTimeTooSkewed":  {said(403, "RequestTimeTooSkewed"), out},
		"AccessDenied":          {said(403, "AccessDenied"), transient},
		"InvalidRequest":        {said(400, "InvalidRequest"), transient},
		"moved":                 {said(301, "PermanentRedirect"), transient},
		"archived":              {said(403, "InvalidObjectState"), gone},
		"delete marker by name": {said(405, "MethodNotAllowed"), gone},
		"NoSuchVersion":         {said(404, "NoSuchVersion"), gone},
	}
	for name, test := range tests {
		s := store.New(client(wire(func(*http.Request) (*http.Response, error) { return test.response(), nil })))
		for verb, run := range verbs(s) {
			t.Run(name+"/"+verb, func(t *testing.T) {
				want := test.want
				if want.permanent && !readsObjects(verb) {
					want = transient
				}
				err := run(t.Context())
				if err == nil || classOf(err) != want {
					t.Errorf("%v is %+v, want %+v", err, classOf(err), want)
				}
			})
		}
	}
}

func said(status int, code string) func() *http.Response {
	return func() *http.Response { return refusal(status, code) }
}

// TestNoAnswer: the connection, the name, the credentials.
func TestNoAnswer(t *testing.T) {
	for name, fault := range map[string]error{
		"refused": &net.OpError{Op: "dial", Err: errors.New("connection refused")},
		"name":    &net.DNSError{Err: "no such host", IsNotFound: true},
		"dies":    io.ErrUnexpectedEOF,
	} {
		s := store.New(client(wire(func(*http.Request) (*http.Response, error) { return nil, fault })))
		for verb, run := range verbs(s) {
			if err := run(t.Context()); err == nil || classOf(err).outage != "s3" {
				t.Errorf("%s, %s: %v is %+v", name, verb, err, classOf(err))
			}
		}
	}
	options := client(wire(func(*http.Request) (*http.Response, error) { return answer(200, ""), nil })).Options()
	options.Credentials = aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("the role is gone")
	})
	for verb, run := range verbs(storeWith(options)) {
		if err := run(t.Context()); err == nil || classOf(err).outage != "s3" {
			t.Errorf("credentials, %s: %v is %+v", verb, err, classOf(err))
		}
	}
}

// TestNotAsked: what is wrong with the question is no outage.
func TestNotAsked(t *testing.T) {
	s := store.New(client(wire(func(*http.Request) (*http.Response, error) {
		t.Error("asked")
		return answer(200, ""), nil
	})))
	if _, err := s.Open(t.Context(), bucket, "", ""); err == nil || classOf(err) != (class{}) {
		t.Errorf("%v is %+v", err, classOf(err))
	}
}

// TestBodyBreaksOff: what was read is not taken for all of it.
func TestBodyBreaksOff(t *testing.T) {
	for name, rest := range map[string]io.Reader{
		"ends early":     strings.NewReader(""),
		"connection":     failing{&net.OpError{Op: "read", Err: errors.New("connection reset")}},
		"unexpected end": failing{io.ErrUnexpectedEOF},
	} {
		s := store.New(client(wire(func(*http.Request) (*http.Response, error) {
			r := answer(200, "0123456789")
			r.Body = io.NopCloser(io.MultiReader(strings.NewReader("0123"), rest))
			return r, nil
		})))
		o, err := s.Open(t.Context(), bucket, "k", "")
		if err != nil {
			t.Fatal(err)
		}
		content, err := io.ReadAll(o.Body)
		if string(content) != "0123" || classOf(err).outage != "s3" || !strings.Contains(err.Error(), bucket+"/k") {
			t.Errorf("%s: read %q, %v", name, content, err)
		}
		_ = o.Body.Close()
	}
}

type failing struct{ err error }

func (f failing) Read([]byte) (int, error) { return 0, f.err }

// TestNoLength: a size that is not known cannot be budgeted.
func TestNoLength(t *testing.T) {
	s := store.New(client(wire(func(*http.Request) (*http.Response, error) {
		r := answer(200, "0123456789")
		r.Header.Del("Content-Length")
		return r, nil
	})))
	if _, err := s.Open(t.Context(), bucket, "k", ""); err == nil || classOf(err) != (class{}) {
		t.Errorf("%v is %+v", err, classOf(err))
	}
	if _, err := s.Head(t.Context(), bucket, "k", ""); err == nil || classOf(err) != (class{}) {
		t.Errorf("%v is %+v", err, classOf(err))
	}
	if top, err := s.Top(t.Context(), bucket, "k", "", 5); err != nil || string(top) != "01234" {
		t.Errorf("top %q, %v", top, err)
	}
}

// hanging answers nothing until the call is given up.
func hanging(r *http.Request) (*http.Response, error) {
	<-r.Context().Done()
	return nil, r.Context().Err()
}

// TestLate: an S3 that does not answer is out, but not one for which the caller had
// no time.
func TestLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		for verb, run := range verbs(store.New(client(wire(hanging)))) {
			if verb == "list" {
				continue // goes on for as long as its caller likes
			}
			began := time.Now()
			err := run(t.Context())
			if took := time.Since(began); took != 20*time.Second || classOf(err).outage != "s3" {
				t.Errorf("%s: after %s, %v is %+v", verb, took, err, classOf(err))
			}
			ctx, cancel := context.WithTimeout(t.Context(), time.Second)
			if err := run(ctx); !errors.Is(err, context.DeadlineExceeded) || classOf(err) != (class{}) {
				t.Errorf("%s with one second: %v is %+v", verb, err, classOf(err))
			}
			cancel()
		}
	})
}

// dripping gives one octet at a time, each after a while, and stops after some.
type dripping struct {
	ctx   context.Context //nolint:containedctx // of the request, as in net/http
	every time.Duration
	left  int
}

func (d *dripping) Read(p []byte) (int, error) {
	wait := d.every
	if d.left == 0 {
		wait = time.Hour
	}
	select {
	case <-time.After(wait):
		d.left--
		p[0] = 'x'
		return 1, nil
	case <-d.ctx.Done():
		return 0, d.ctx.Err()
	}
}

// TestBodyStops: a slow body is read for as long as it comes; one that stops is an
// outage.
func TestBodyStops(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := store.New(client(wire(func(r *http.Request) (*http.Response, error) {
			a := answer(200, strings.Repeat("x", 100))
			a.Body = io.NopCloser(&dripping{r.Context(), 19 * time.Second, 20})
			return a, nil
		})))
		o, err := s.Open(t.Context(), bucket, "k", "")
		if err != nil {
			t.Fatal(err)
		}
		defer o.Body.Close()
		time.Sleep(time.Hour) // whoever opened it has other things to do first
		began := time.Now()
		content, err := io.ReadAll(o.Body)
		if took := time.Since(began); len(content) != 20 || took != 400*time.Second || classOf(err).outage != "s3" {
			t.Errorf("read %d octets in %s, %v is %+v", len(content), took, err, classOf(err))
		}
	})
}
