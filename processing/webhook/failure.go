package webhook

import (
	"errors"
	"time"
)

// failure is why a service could not be asked, or what was wrong with its answer.
// What it wraps may describe itself too: an outage of S3 stays one.
type failure struct {
	err       error
	permanent bool
	after     time.Duration // to be tried again then, uncounted
	outage    string
	ours      bool // it says nothing about the service
	alive     bool // the service has answered, so it is not out
}

func (f *failure) Error() string { return f.err.Error() }
func (f *failure) Unwrap() error { return f.err }

// Permanent reports whether the same request would fail the same way tomorrow.
func (f *failure) Permanent() bool {
	if f.permanent || !f.ours {
		return f.permanent
	}
	p, ok := errors.AsType[interface {
		error
		Permanent() bool
	}](f.err)
	return ok && p.Permanent()
}

// RetryAfter is when to try again without counting a try; 0: as usual.
func (f *failure) RetryAfter() time.Duration { return f.after }

// Outage names what is out; empty if nothing is.
func (f *failure) Outage() string {
	if f.outage != "" || !f.ours {
		return f.outage
	}
	o, ok := errors.AsType[interface {
		error
		Outage() string
	}](f.err)
	if !ok {
		return ""
	}
	return o.Outage()
}
