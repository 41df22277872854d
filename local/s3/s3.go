// Package s3 is Amazon S3 in one process: buckets and objects in memory, behind the REST
// protocol that the SDKs and the CLI speak.
//
// It stands on github.com/johannesboyne/gofakes3, which keeps the objects and answers for
// buckets, lists and versions. What a program that relies on S3 needs beyond that is here:
//
//   - Event notifications to SNS and SQS as AWS writes them: one record a message, form-encoded
//     keys, sequencers that increase, the test event when a notification is configured, filters
//     by prefix and suffix, and the refusal of FIFO topics and queues.
//   - Conditions on reading and writing that hold when many write at once: of sixteen PUTs with
//     If-None-Match: * one wins.
//   - Checksums in all five algorithms, in headers and behind aws-chunked bodies: checked, kept
//     and returned.
//   - Multipart uploads with their own ETags, checksums and conditions.
//
// The tour: this file holds the Server and the calls that the rest of the local world makes in
// process. routes.go finds the operation of a request and words the refusals; objects.go and
// uploads.go answer for objects and multipart uploads; checksums.go and chunked.go read bodies.
// store.go wraps the storage of gofakes3: every write passes there, one at a time.
// notifications.go keeps what is announced to whom, events.go announces it.
//
// An event is delivered before the request that caused it is answered, so nothing runs while
// nothing happens; on AWS it comes later and more than once, which [Config.DuplicateEvent] can
// bring about. Time comes from package time alone: a Server may live in a testing/synctest
// bubble. Signatures, permissions and storage classes are not here, nor are the sub-resources of
// buckets and objects (ACL, policy, tagging, ...): they are answered with 501 and
// their name, and so is what the storage would do wrong: suspending versioning, and deleting the
// current version while older ones exist.
package s3

import (
	"crypto/rand"
	"encoding/base64"
	"fmt"
	"io"
	"net/http"
	"sync"

	"github.com/johannesboyne/gofakes3"
	"go.uber.org/zap"
)

// Config says where a Server pretends to be and whom it notifies. The zero value works, but
// configures no notification.
type Config struct {
	// Region and Account are part of ARNs and events; "us-east-1" and "000000000000" when empty.
	Region, Account string
	// Logger gets a warning per event that was not delivered and a debug line per refused
	// request; nil logs nothing.
	Logger *zap.Logger
	// Topics and Queues are notified; nil means that none exists.
	Topics Topics
	Queues Queues
	// DuplicateEvent is asked before an event about a key is delivered; true has it delivered
	// twice, as AWS does now and then. Nil never does.
	DuplicateEvent func(key string) bool
	// Rand is the source of ids, read under a lock; crypto/rand when nil.
	Rand io.Reader
}

// Topics is what a Server needs of SNS.
type Topics interface {
	Publish(topicARN, subject, message string) error
	Fifo(topicARN string) (fifo, exists bool)
}

// Queues is what a Server needs of SQS.
type Queues interface {
	Deliver(queueARN, body string) error
	Fifo(queueARN string) (fifo, exists bool)
}

// Server is a set of buckets. Its methods are safe for concurrent use.
type Server struct {
	region, account string
	log             *zap.Logger
	topics          Topics
	queues          Queues
	duplicate       func(key string) bool
	store           *store
	rest            http.Handler // gofakes3, for what is not done here
	uploads         uploads

	mu            sync.Mutex
	rand          io.Reader
	notifications map[string]Notification // by bucket
	lifecycles    map[string][]byte       // documents, by bucket
}

// New returns a Server without buckets.
func New(c Config) *Server {
	s := &Server{
		region:        c.Region,
		account:       c.Account,
		log:           c.Logger,
		topics:        c.Topics,
		queues:        c.Queues,
		duplicate:     c.DuplicateEvent,
		rand:          c.Rand,
		notifications: make(map[string]Notification),
		lifecycles:    make(map[string][]byte),
		uploads:       uploads{open: make(map[string]*upload)},
	}
	if s.region == "" {
		s.region = "us-east-1"
	}
	if s.account == "" {
		s.account = "000000000000"
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.duplicate == nil {
		s.duplicate = func(string) bool { return false }
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	s.store = newStore(s.announce, func() request { return s.newRequest("127.0.0.1") })
	// Signatures are not checked, so a request's date is not either.
	s.rest = gofakes3.New(s.store, gofakes3.WithTimeSkewLimit(0)).Server()
	return s
}

// Close has nothing to end: a Server runs nothing in the background. It is there so that all
// services of the local world are closed alike.
func (s *Server) Close() {}

// CreateBucket creates a bucket; one that exists is left as it is.
func (s *Server) CreateBucket(name string) error {
	if err := gofakes3.ValidateBucketName(name); err != nil {
		return fmt.Errorf("create bucket %s: %w", name, err)
	}
	return s.store.CreateBucket(name)
}

// Notify replaces the notifications of a bucket and sends the test event to every target, as
// PutBucketNotificationConfiguration does. An invalid notification is refused with an [*Error].
func (s *Server) Notify(bucket string, n Notification) error {
	return s.notify(bucket, n, s.newRequest("127.0.0.1"), true)
}

// Put stores an object as a PUT over HTTP would, its events included. An empty content type
// means binary/octet-stream.
func (s *Server) Put(bucket, key, contentType string, body []byte) error {
	e := entry{ETag: etagOf(body), Header: make(map[string]string)}
	if contentType != "" {
		e.Header["Content-Type"] = contentType
	}
	e.Checksum = defaultChecksum(body)
	_, err := s.store.put(bucket, key, body, e, conditions{}, origin{"ObjectCreated:Put", s.newRequest("127.0.0.1")})
	return err
}

// request is what an event tells about the request that caused it.
type request struct {
	id, hostID string
	address    string
}

func (s *Server) newRequest(address string) request {
	const digits = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	s.mu.Lock()
	defer s.mu.Unlock()
	id := s.random(16)
	for i := range id {
		id[i] = digits[id[i]%32]
	}
	return request{id: string(id), hostID: base64.StdEncoding.EncodeToString(s.random(56)), address: address}
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
