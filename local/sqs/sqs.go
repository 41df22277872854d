// Package sqs is Amazon SQS in one process: standard and FIFO queues behind
// the JSON protocol that today's SDKs and the CLI speak. It exists so that a
// laptop, a test or the simulation can run the whole way of a mail against
// queues that behave as AWS's do, above all where FIFO queues surprise:
//
//   - A group is locked by position. A receive gives out a group's visible
//     messages up to the first one that is in flight; what stands behind that
//     waits, what stands before it does not.
//   - Groups take turns. A receive gives all it can of the group whose turn it
//     is, then goes on to the next; a group whose messages come back queues up
//     behind the groups that were waiting already.
//   - A deduplication id is remembered for five minutes, also when its message
//     has long been deleted.
//   - A receipt handle ends with the visibility timeout. Deleting with an
//     expired one fails on a FIFO queue.
//   - A message that was received maxReceiveCount times is moved to the
//     dead-letter queue by the receive that would have given it out again. It
//     keeps its message id, which becomes its deduplication id there.
//   - A long poll wakes when a message arrives, is unlocked, or becomes visible
//     again. A poll whose caller has gone takes nothing with it.
//
// The tour: server.go speaks HTTP and words refusals. queues.go, send.go,
// receive.go and moves.go hold the operations, in the words of the API; polls.go
// is how a receive waits, and how messages die. queue.go has one queue, whose
// messages package groups keeps: the order, the locks and the turns are there.
// message.go says what a message may be, settings.go what a queue's attributes
// may be.
//
// One mutex guards all of a Server. Nothing runs while nothing happens: a queue
// looks at the clock when it is called, and has a timer only while a poll waits.
// Time comes from package time alone, so a Server may live in a
// testing/synctest bubble. The same calls in the same order give the same
// answers; with Config.Rand set, the same identifiers too.
//
// Not here: permissions, encryption, and the throughput quotas. Signatures are
// not checked. An operation that is not offered is answered with 501 and its
// name.
package sqs

import (
	"crypto/rand"
	"fmt"
	"io"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
)

// Config says where a Server pretends to be. The zero value works but for
// URL, which CreateQueue and its like need.
type Config struct {
	// Region and Account are part of every ARN; "us-east-1" and "000000000000"
	// when empty.
	Region, Account string
	// URL returns the base of queue URLs, without a trailing slash, such as
	// "http://127.0.0.1:4570". It is asked anew for every answer, since the
	// port may be chosen after New. Queues are found by the last element of
	// the URL whatever stands before it.
	URL func() string
	// Logger gets one debug line per refused call; nil logs nothing.
	Logger *zap.Logger
	// Rand is the source of message ids and receipt handles, read under the
	// Server's lock; crypto/rand when nil. A seeded source makes two equal
	// runs answer byte for byte alike.
	Rand io.Reader
}

// Server is a set of queues. Its methods may be called from many goroutines.
type Server struct {
	region, account string
	url             func() string
	log             *zap.Logger
	operations      map[string]operation
	requests        atomic.Uint64

	mu      sync.Mutex
	rand    io.Reader
	queues  map[string]*queue // by name
	deleted map[string]time.Time
	moves   []*move // in the order in which they were started
	changed []*queue
	closed  bool
	closing chan struct{}
}

// New returns a Server without queues. Close it when done.
func New(c Config) *Server {
	s := &Server{
		region:  c.Region,
		account: c.Account,
		url:     c.URL,
		log:     c.Logger,
		rand:    c.Rand,
		queues:  map[string]*queue{},
		deleted: map[string]time.Time{},
		closing: make(chan struct{}),
	}
	if s.region == "" {
		s.region = "us-east-1"
	}
	if s.account == "" {
		s.account = "000000000000"
	}
	if s.url == nil {
		s.url = func() string { return "http://sqs." + s.region + ".amazonaws.com" }
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	s.operations = s.offered()
	return s
}

// Close ends waiting polls with an empty answer and stops all timers. Calls
// that come later are still answered, but no poll waits any more.
func (s *Server) Close() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return
	}
	s.closed = true
	close(s.closing)
	for _, q := range s.queues {
		q.alarm.stop()
	}
	for _, m := range s.moves {
		m.alarm.stop()
	}
}

// Delivery is a message that another part of the world hands to a queue: what
// SNS and S3 deliver.
type Delivery struct {
	Body string
	// GroupID and DeduplicationID are needed as SendMessage needs them: on a
	// FIFO queue the group always, the id unless the queue deduplicates by
	// content.
	GroupID, DeduplicationID string
	Attributes               map[string]Attribute
}

// Deliver puts d into the queue named by its ARN, under the rules of
// SendMessage. The error is an *Error when the queue refuses it.
func (s *Server) Deliver(queueARN string, d Delivery) error {
	in := sendEntry{
		MessageBody:            d.Body,
		MessageGroupId:         d.GroupID,
		MessageDeduplicationId: d.DeduplicationID,
		MessageAttributes:      d.Attributes,
	}
	draft, err := in.draft()
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byARN(queueARN)
	if err != nil {
		return err
	}
	_, err = s.accept(q, draft)
	return err
}

// Fifo says whether the queue exists, and whether it is a FIFO queue.
func (s *Server) Fifo(queueARN string) (fifo, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byARN(queueARN)
	if err != nil {
		return false, false
	}
	return q.settings.fifo, true
}

// URL is the URL of the queue with this name, whether there is one or not.
func (s *Server) URL(name string) string { return s.url() + "/" + s.account + "/" + name }

// ARN is the ARN of the queue with this name, whether there is one or not.
func (s *Server) ARN(name string) string {
	return fmt.Sprintf("arn:aws:sqs:%s:%s:%s", s.region, s.account, name)
}

// CreateQueue creates a queue as the operation of that name does and returns
// its ARN. Attributes are those of the API, such as "FifoQueue": "true". An
// existing queue with the same attributes is returned as it is. The error is an
// *Error when a name or an attribute is refused.
func (s *Server) CreateQueue(name string, attributes map[string]string) (arn string, err error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.create(name, attributes, nil)
	if err != nil {
		return "", err
	}
	return q.arn, nil
}
