// Package local is AWS in one process, as much of it as a mail meets: SQS, SNS,
// S3 and SES. The daemon knows it only as an endpoint and cannot tell it from
// AWS by what it is answered; a laptop, the tests and the simulation run against
// it without an account.
//
// A World is all services together:
//
//   - local/sqs: standard and FIFO queues
//   - local/sns: topics, subscriptions, filters
//   - local/s3: objects, conditional writes, event notifications
//   - local/ses: identities, quotas, sent mail; what a receipt rule does
//   - local/smtp: the door through which mail comes in
//
// The tour: this file puts them together, and joins what one delivers to what
// another takes, so that none of them knows the others. dispatch.go tells
// from a request which service it is for. client.go and listen.go are the two
// ways to a World, without sockets and with; receive.go is the way of a mail into
// it, notice.go what SES tells of it. provision.go sets up what a
// deployment of inreply has on AWS. faults.go makes things go wrong, on purpose
// and repeatably.
//
// Nothing is kept on disk, nothing is global, and any number of Worlds may live
// in one process. A World has no clock and no sockets of its own unless it is
// told to listen, so it may live in a testing/synctest bubble.
package local

import (
	"io"
	"maps"
	"net/http"
	"sync"

	"go.uber.org/zap"

	"inreply/local/s3"
	"inreply/local/ses"
	"inreply/local/sns"
	"inreply/local/sqs"
)

// Config says what World to make. The zero value is a good one.
type Config struct {
	// Region and Account are part of every ARN; "us-east-1" and "000000000000"
	// when empty.
	Region, Account string
	// Endpoint is what queue URLs begin with as long as the World does not
	// listen; "http://127.0.0.1:4570" when empty. Client ignores it.
	Endpoint string
	// Logger is handed to every service; nil logs nothing.
	Logger *zap.Logger
	// Rand is where ids come from; crypto/rand when nil. With a seeded source
	// and calls that come in the same order, two Worlds answer alike.
	Rand io.Reader
	// HTTP makes the calls to subscribed HTTP endpoints; nil means a client with
	// a timeout of its own.
	HTTP *http.Client
	// Quota limits what SES sends; the zero value is that of a new account outside
	// the sandbox.
	Quota ses.Quota
	// Faults go wrong from the start.
	Faults Faults
}

// World is AWS in one process. Its methods are safe for concurrent use. The
// services may be used directly as well; such calls are neither counted nor hit
// by faults.
type World struct {
	SQS *sqs.Server
	SNS *sns.Server
	S3  *s3.Server
	SES *ses.Server

	account  string
	log      *zap.Logger
	injector *injector
	pages    http.Handler

	mu       sync.Mutex
	endpoint string
	listens  bool     // somebody listens at endpoint
	stops    []func() // end what Listen and ListenSMTP began
	closed   bool
}

// New returns an empty World. Close it when done.
func New(c Config) *World {
	if c.Region == "" {
		c.Region = "us-east-1"
	}
	if c.Account == "" {
		c.Account = "000000000000"
	}
	if c.Endpoint == "" {
		c.Endpoint = "http://127.0.0.1:4570"
	}
	if c.Logger == nil {
		c.Logger = zap.NewNop()
	}
	w := &World{account: c.Account, log: c.Logger, injector: newInjector(c.Faults), endpoint: c.Endpoint}
	random := shared(c.Rand)
	w.SQS = sqs.New(sqs.Config{Region: c.Region, Account: c.Account, URL: w.Endpoint, Logger: c.Logger.Named("sqs"), Rand: random})
	w.SNS = sns.New(sns.Config{
		Region: c.Region, Account: c.Account, URL: w.Endpoint, Logger: c.Logger.Named("sns"), Rand: random,
		Queues: topicQueues{w.SQS}, HTTP: c.HTTP,
	})
	w.S3 = s3.New(s3.Config{
		Region: c.Region, Account: c.Account, Logger: c.Logger.Named("s3"), Rand: random,
		Topics: w.SNS, Queues: bucketQueues{w.SQS},
		DuplicateEvent: func(string) bool { return w.injector.next(EventOperation).mishap == duplicated },
	})
	w.SES = ses.New(ses.Config{Region: c.Region, Quota: c.Quota, Logger: c.Logger.Named("ses"), Events: w.SNS.Publish, Rand: random})
	w.pages = w.newPages()
	return w
}

// Close ends waiting polls, stops listening and drops everything. It returns
// when nothing of the World runs any more. Calls through Client that come later
// are still answered, but nothing waits in them.
func (w *World) Close() {
	w.mu.Lock()
	w.closed = true
	stops := w.stops
	w.stops = nil
	w.mu.Unlock()
	w.SQS.Close()
	for _, stop := range stops {
		stop()
	}
	w.SNS.Close()
	w.S3.Close()
}

// atClose has Close call stop; it says false when the World is closed already.
func (w *World) atClose(stop func()) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if !w.closed {
		w.stops = append(w.stops, stop)
	}
	return !w.closed
}

// ServeHTTP answers a request to whichever service it is for.
func (w *World) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	c, err := w.route(rw, r)
	if err != nil {
		refuse(rw, err)
		return
	}
	if c.service == "" {
		c.handler.ServeHTTP(rw, r)
		return
	}
	c.suffer(w.injector.next(c.name()), rw, r)
}

// Inject replaces the faults; the zero value ends them. Calls are counted anew
// for Fault.Skip and Fault.Limit.
func (w *World) Inject(f Faults) { w.injector.set(f) }

// CallCounts says how often each operation was called so far, by its name such
// as "sqs.ReceiveMessage"; calls that a fault hit count too. Under
// EventOperation it counts the events of S3.
func (w *World) CallCounts() map[string]int {
	w.injector.mu.Lock()
	defer w.injector.mu.Unlock()
	return maps.Clone(w.injector.counts)
}

// Endpoint is where the World was told to listen first, such as
// "http://127.0.0.1:4570"; Config.Endpoint before that.
func (w *World) Endpoint() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.endpoint
}

// shared lets services that lock for themselves read from one source.
func shared(source io.Reader) io.Reader {
	if source == nil {
		return nil
	}
	return &sharedReader{source: source}
}

type sharedReader struct {
	mu     sync.Mutex
	source io.Reader
}

// Read reads from the source.
func (r *sharedReader) Read(b []byte) (int, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.source.Read(b)
}

// topicQueues is SQS as SNS sees it.
type topicQueues struct{ *sqs.Server }

// Deliver puts what a topic delivers into a queue.
func (q topicQueues) Deliver(queueARN string, d sns.Delivery) error {
	var attributes map[string]sqs.Attribute
	if len(d.Attributes) > 0 {
		attributes = make(map[string]sqs.Attribute, len(d.Attributes))
	}
	for name, a := range d.Attributes {
		attributes[name] = sqs.Attribute{DataType: a.Type, StringValue: a.String, BinaryValue: a.Binary}
	}
	return q.Server.Deliver(queueARN, sqs.Delivery{
		Body:            d.Body,
		GroupID:         d.GroupID,
		DeduplicationID: d.DeduplicationID,
		Attributes:      attributes,
	})
}

// bucketQueues is SQS as S3 sees it.
type bucketQueues struct{ *sqs.Server }

// Deliver puts an event into a queue.
func (q bucketQueues) Deliver(queueARN, body string) error {
	return q.Server.Deliver(queueARN, sqs.Delivery{Body: body})
}
