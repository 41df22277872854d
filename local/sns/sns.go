// Package sns is Amazon SNS in one process: standard and FIFO topics that fan out to SQS
// queues and to HTTP endpoints, behind the Query protocol that the SDKs and the CLI speak.
//
// What it is careful about is what a program behind a topic notices:
//
//   - The envelope is written as AWS writes it, down to its line breaks and spaces. On a
//     standard topic it carries a real signature, whose certificate [Server.ServeCertificate]
//     shows; on a FIFO topic a sequence number and no signature. Raw delivery leaves the
//     envelope out and makes SQS attributes of the message's attributes.
//   - A FIFO topic numbers its messages, delivers them in that order, remembers deduplication
//     ids for five minutes, and passes them and the groups on to its queues.
//     A FIFO queue cannot hang on a standard topic, a standard queue can hang on a FIFO one.
//   - Filter policies read a message's attributes or its body.
//   - An HTTP endpoint confirms its subscription before it gets anything. A delivery that fails
//     is repeated a bounded number of times, then goes to the subscription's dead-letter queue.
//     Only endpoints on this machine are called.
//
// The tour: this file holds the Server and the calls that the rest of the local world makes in
// process. operations.go speaks the wire and knows every operation by name; topics.go and
// subscriptions.go keep what it sets up. publish.go takes a message in and fans it out;
// envelope.go and signature.go write what arrives, push.go carries it to HTTP endpoints,
// filter.go decides who gets it.
//
// A publish reaches its queues before it is answered, so nothing runs while nothing happens;
// only HTTP deliveries go on in the background, until they are done or Close ends them. Time
// comes from package time alone: a Server may live in a testing/synctest bubble. Permissions,
// encryption and quotas of requests are not here, and signatures of requests are not checked.
package sns

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/hex"
	"io"
	"net/http"
	"sync"

	"go.uber.org/zap"
)

// CertificatePath is where [Server.ServeCertificate] has to be reachable, beneath Config.URL:
// the envelopes of standard topics point there.
const CertificatePath = "/_local/sns/cert.pem"

// Config says where a Server pretends to be and whom it delivers to. Only Queues is needed.
type Config struct {
	// Region and Account are part of every ARN; "us-east-1" and "000000000000" when empty.
	Region, Account string
	// URL returns the base of the links in envelopes, without a trailing slash, such as
	// "http://127.0.0.1:4570". It is asked anew every time, since the port may be chosen late.
	URL func() string
	// Logger gets a warning per failed delivery and a debug line per refused call; nil logs
	// nothing.
	Logger *zap.Logger
	// Queues takes what is delivered to SQS.
	Queues Queues
	// HTTP calls the endpoints of HTTP subscriptions, following no redirect; nil means a client
	// with AWS's timeout of 15 s and no proxy.
	HTTP *http.Client
	// Key signs the envelopes of standard topics; nil means a new one, made when first needed.
	// A signature takes about a millisecond: who wants many messages a second subscribes with
	// raw delivery, which has none.
	Key *rsa.PrivateKey
	// Rand is the source of ids and tokens, read under a lock; crypto/rand when nil.
	Rand io.Reader
}

// Queues is what a Server needs of SQS.
type Queues interface {
	// Deliver puts a message into the queue with this ARN. An error means that the queue
	// refused it for good.
	Deliver(queueARN string, d Delivery) error
}

// Delivery is a message on its way into a queue.
type Delivery struct {
	Body string
	// GroupID and DeduplicationID are empty where the topic or queue has none.
	GroupID, DeduplicationID string
	// Attributes is nil unless the subscription has raw delivery.
	Attributes map[string]Attribute
}

// Attribute is one attribute of a message.
type Attribute struct {
	// Type is String, String.Array, Number or Binary, or one of these with a label behind a dot.
	Type string
	// String is the value, but of Binary.
	String string
	// Binary is the value of Binary, nil otherwise.
	Binary []byte
}

// Server is a set of topics and their subscriptions. Its methods are safe for concurrent use.
type Server struct {
	region, account string
	url             func() string
	log             *zap.Logger
	queues          Queues
	signer          *signer
	push            *pusher
	operations      map[string]operation

	mu            sync.Mutex
	rand          io.Reader
	topics        map[string]*topic        // by ARN
	subscriptions map[string]*subscription // by ARN
}

// New returns a Server without topics. Close it when done.
func New(c Config) *Server {
	s := &Server{
		region:        c.Region,
		account:       c.Account,
		url:           c.URL,
		log:           c.Logger,
		queues:        c.Queues,
		rand:          c.Rand,
		topics:        make(map[string]*topic),
		subscriptions: make(map[string]*subscription),
	}
	if s.region == "" {
		s.region = "us-east-1"
	}
	if s.account == "" {
		s.account = "000000000000"
	}
	if s.url == nil {
		s.url = func() string { return "http://sns." + s.region + ".amazonaws.com" }
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	s.signer = &signer{key: c.Key}
	s.push = newPusher(c.HTTP, s.log)
	s.operations = s.offered()
	return s
}

// Close ends deliveries to HTTP endpoints and waits for them. What they had not delivered is
// lost. Calls that come later are still answered, but nothing is delivered over HTTP any more.
func (s *Server) Close() {
	s.push.close()
}

// Publish publishes to a standard topic, as S3 does; the subject may be empty. The error is a
// [*query.Error] when the topic refuses the message.
func (s *Server) Publish(topicARN, subject, message string) error {
	_, err := s.publish(topicARN, publication{subject: subject, message: message})
	return err
}

// Fifo tells whether a topic exists, and whether it is a FIFO topic.
func (s *Server) Fifo(topicARN string) (fifo, exists bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	t, exists := s.topics[topicARN]
	return exists && t.fifo(), exists
}

// uuid returns a new random id in AWS's form. The caller holds the lock.
func (s *Server) uuid() string {
	id := s.random(16)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	text := hex.EncodeToString(id)
	return text[:8] + "-" + text[8:12] + "-" + text[12:16] + "-" + text[16:20] + "-" + text[20:]
}

// random returns n random bytes. The caller holds the lock.
func (s *Server) random(n int) []byte {
	b := make([]byte, n)
	if _, err := io.ReadFull(s.rand, b); err != nil {
		// Config.Rand ran dry; crypto/rand never fails.
		rand.Read(b)
	}
	return b
}
