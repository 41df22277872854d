package local

import (
	"bytes"
	"encoding/xml"
	"hash/fnv"
	"maps"
	"math/rand/v2"
	"net/http"
	"strings"
	"sync"
	"time"

	"inreply/local/query"
)

// Faults says what goes wrong in a World. The zero value is nothing.
type Faults struct {
	// Seed decides who is hit. What happens to the n-th call of an operation
	// depends on the seed, the operation and n alone, not on what other
	// operations do at the time.
	Seed uint64
	// Operations names faults by operation ("sqs.ReceiveMessage"), by service
	// ("s3.*") or for all ("*"). The most specific one applies, alone.
	Operations map[string]Fault
}

// EventOperation is the operation under which faults of S3 events are named;
// only Fault.Duplicated applies to it.
const EventOperation = "s3.Event"

// Fault is what may happen to the calls of an operation. The shares are
// probabilities from 0 to 1; at most one of them hits a call, so that they
// should add up to at most 1. The zero value spares every call.
type Fault struct {
	// Latency is added to every call, half of it before the call takes effect
	// and half after; Jitter is the most that is added to it at random.
	Latency, Jitter time.Duration
	// Throttled is the share of calls that are refused as the service refuses
	// who calls too fast, Failed the share that get an error 500. Neither takes
	// effect.
	Throttled, Failed float64
	// Denied is the share of calls that are refused as if a policy forbade them.
	Denied float64
	// LostRequest is the share of calls whose connection dies before they took
	// effect, LostResponse of those whose connection dies after.
	LostRequest, LostResponse float64
	// Duplicated is the share of S3 events that are delivered twice.
	Duplicated float64
	// Skip spares the first calls. Limit, unless 0, is how many calls may be hit
	// by a share.
	Skip, Limit int
}

// fate is what becomes of one call.
type fate struct {
	before, after time.Duration
	mishap        mishap
}

// mishap is what hits a call.
type mishap int

const (
	spared mishap = iota
	throttled
	failed
	denied
	lostRequest
	lostResponse
	duplicated
)

// injector decides the fate of calls, and counts them.
type injector struct {
	mu     sync.Mutex
	faults Faults
	since  map[string]int // calls by operation since the faults were set
	hits   map[string]int // of those, the ones that were hit
	counts map[string]int // calls by operation, ever
}

func newInjector(f Faults) *injector {
	i := &injector{counts: map[string]int{}}
	i.set(f)
	return i
}

func (i *injector) set(f Faults) {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.faults, i.since, i.hits = f, map[string]int{}, map[string]int{}
}

// next counts a call and decides its fate.
func (i *injector) next(operation string) fate {
	i.mu.Lock()
	defer i.mu.Unlock()
	i.counts[operation]++
	f, ok := i.faults.of(operation)
	if !ok {
		return fate{}
	}
	n := i.since[operation]
	i.since[operation]++
	draw := i.faults.draw(operation, n)
	out := f.latency(draw)
	mishap := f.mishap(draw)
	if (mishap == duplicated) != (operation == EventOperation) {
		return out
	}
	if mishap == spared || n < f.Skip || f.Limit > 0 && i.hits[operation] >= f.Limit {
		return out
	}
	i.hits[operation]++
	out.mishap = mishap
	return out
}

// of finds the fault for an operation.
func (f Faults) of(operation string) (Fault, bool) {
	service, _, _ := strings.Cut(operation, ".")
	for _, name := range []string{operation, service + ".*", "*"} {
		if fault, ok := f.Operations[name]; ok {
			return fault, true
		}
	}
	return Fault{}, false
}

// draw is the source of chance for the n-th call of an operation.
func (f Faults) draw(operation string, n int) *rand.Rand {
	h := fnv.New64a()
	_, _ = h.Write([]byte(operation))                         // A hash does not fail.
	return rand.New(rand.NewPCG(f.Seed^h.Sum64(), uint64(n))) //nolint:gosec // Chance that must repeat.
}

func (f Fault) latency(draw *rand.Rand) fate {
	total := f.Latency + time.Duration(draw.Float64()*float64(f.Jitter))
	return fate{before: total / 2, after: total - total/2}
}

func (f Fault) mishap(draw *rand.Rand) mishap {
	at := draw.Float64()
	for _, share := range []struct {
		of     float64
		mishap mishap
	}{
		{f.Throttled, throttled},
		{f.Failed, failed},
		{f.Denied, denied},
		{f.LostRequest, lostRequest},
		{f.LostResponse, lostResponse},
		{f.Duplicated, duplicated},
	} {
		if at < share.of {
			return share.mishap
		}
		at -= share.of
	}
	return spared
}

// suffer answers r through c as its fate has it. A connection dies by the
// panic that net/http ends a connection on, as does the in-process client.
func (c call) suffer(f fate, rw http.ResponseWriter, r *http.Request) {
	if !pause(r, f.before) {
		panic(http.ErrAbortHandler)
	}
	switch f.mishap {
	case throttled:
		refuseThrottled(c.service, rw)
	case failed:
		refuseFailed(c.service, rw)
	case denied:
		refuseDenied(c, rw)
	case lostRequest:
		panic(http.ErrAbortHandler)
	case lostResponse:
		c.handler.ServeHTTP(&record{header: http.Header{}}, r)
		panic(http.ErrAbortHandler)
	case spared, duplicated:
		c.late(f.after, rw, r)
	}
}

// late answers r and holds the answer back.
func (c call) late(by time.Duration, rw http.ResponseWriter, r *http.Request) {
	if by == 0 {
		c.handler.ServeHTTP(rw, r)
		return
	}
	held := &record{header: http.Header{}}
	c.handler.ServeHTTP(held, r)
	if !pause(r, by) {
		panic(http.ErrAbortHandler)
	}
	held.replay(rw)
}

// pause waits, and says whether the caller did too.
func pause(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

// record is a response that is kept instead of sent.
type record struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the header.
func (r *record) Header() http.Header { return r.header }

// WriteHeader notes the status.
func (r *record) WriteHeader(status int) {
	if r.status == 0 {
		r.status = status
	}
}

// Write keeps b.
func (r *record) Write(b []byte) (int, error) {
	r.WriteHeader(http.StatusOK)
	return r.body.Write(b)
}

func (r *record) replay(rw http.ResponseWriter) {
	maps.Copy(rw.Header(), r.header)
	r.WriteHeader(http.StatusOK)
	rw.WriteHeader(r.status)
	// The caller may have gone; there is nobody left to tell.
	_, _ = rw.Write(r.body.Bytes())
}

// The namespaces of the XML in which SNS and SES answer.
const (
	namespaceSNS = "http://sns.amazonaws.com/doc/2010-03-31/"
	namespaceSES = "http://ses.amazonaws.com/doc/2010-12-01/"
)

// refuseThrottled answers as each service answers who calls it too fast.
func refuseThrottled(service string, rw http.ResponseWriter) {
	switch service {
	case serviceSQS:
		answerJSON(rw, http.StatusForbidden, "RequestThrottled", "Request is throttled.")
	case serviceSNS:
		answerQuery(rw, namespaceSNS, http.StatusTooManyRequests, "Throttled", "Rate exceeded")
	case serviceSES:
		answerQuery(rw, namespaceSES, http.StatusBadRequest, "Throttling", "Maximum sending rate exceeded.")
	default:
		answerS3(rw, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	}
}

// refuseFailed answers as each service answers when it breaks.
func refuseFailed(service string, rw http.ResponseWriter) {
	const message = "We encountered an internal error. Please try again."
	switch service {
	case serviceSQS:
		answerJSON(rw, http.StatusInternalServerError, "InternalFailure", message)
	case serviceSNS:
		answerQuery(rw, namespaceSNS, http.StatusInternalServerError, "InternalFailure", message)
	case serviceSES:
		answerQuery(rw, namespaceSES, http.StatusInternalServerError, "InternalFailure", message)
	default:
		answerS3(rw, http.StatusInternalServerError, "InternalError", message)
	}
}

// refuseDenied answers as each service answers whom no policy lets in.
func refuseDenied(c call, rw http.ResponseWriter) {
	message := "User: arn:aws:iam::000000000000:user/local is not authorized to perform: " + c.service + ":" + c.operation
	switch c.service {
	case serviceSQS:
		answerJSON(rw, http.StatusForbidden, "AccessDeniedException", message)
	case serviceSNS:
		answerQuery(rw, namespaceSNS, http.StatusForbidden, "AuthorizationError", message)
	case serviceSES:
		answerQuery(rw, namespaceSES, http.StatusForbidden, "AccessDenied", message)
	case serviceSTS:
		answerQuery(rw, namespaceSTS, http.StatusForbidden, "AccessDenied", message)
	default:
		answerS3(rw, http.StatusForbidden, "AccessDenied", "Access Denied")
	}
}

const faultRequestID = "00000000-0000-4000-8000-00000000fa17"

func answerJSON(rw http.ResponseWriter, status int, code, message string) {
	fault := "Receiver"
	if status < http.StatusInternalServerError {
		fault = "Sender"
	}
	rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
	rw.Header().Set("X-Amzn-Requestid", faultRequestID)
	rw.Header().Set("X-Amzn-Query-Error", code+";"+fault)
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte(`{"__type":"com.amazonaws.sqs#` + code + `","message":"` + message + `"}`)) // The caller may have gone.
}

func answerQuery(rw http.ResponseWriter, namespace string, status int, code, message string) {
	_ = query.Refuse(rw, namespace, faultRequestID, &query.Error{Status: status, Code: code, Message: message}) // As above.
}

func answerS3(rw http.ResponseWriter, status int, code, message string) {
	rw.Header().Set("Content-Type", "application/xml")
	rw.Header().Set("X-Amz-Request-Id", faultRequestID)
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte(xml.Header)) // As above.
	_ = xml.NewEncoder(rw).Encode(struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}{Code: code, Message: message, RequestID: faultRequestID})
}
