// Package ses is Amazon SES, version 1 of its API, in one process: what sends mail, and what a
// receipt rule does with mail that comes in. Nothing leaves the machine.
//
// Sending is behind the Query protocol that the SDKs and the CLI speak. It refuses what AWS
// refuses, in AWS's words: identities that are not verified, more than fifty recipients or 10 MB,
// headers that may stand only once, unknown configuration sets, a rate or a daily quota that is
// used up. A mail that was accepted gets SES's id, which becomes its Message-ID on the wire, and is
// kept: [Server.Sent] has every one byte for byte, and [Server.ServeSent] shows them over HTTP.
//
// Receiving has no protocol of its own: whoever plays the mail server calls [Server.Receive] and
// gets the bytes that SES would store in S3, its own headers on top of the sender's, with the
// name under which it would store them.
//
// A configuration set publishes events of its mails to SNS topics, as it was told. Every mail is
// delivered but those to the mailbox simulator: bounce@simulator.amazonses.com bounces for good,
// complaint@simulator.amazonses.com complains.
//
// The tour: this file holds the Server; operations.go speaks the wire and knows every operation
// by name. identities.go says who may send, quota.go how much, send.go takes mail in, compose.go
// writes the mail of SendEmail, wire.go shows what goes out, events.go tells what became of it.
// receive.go is the way in, rules.go what receipt rules do and what is said of them, rulesets.go
// how they are made.
//
// Identities are verified as soon as they are asked for. Nothing runs in the background, and
// time comes from package time alone: a Server may live in a testing/synctest bubble.
package ses

import (
	"crypto/rand"
	"encoding/hex"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Config says where a Server pretends to be and what it allows. The zero value works.
type Config struct {
	// Region shows in Message-IDs and refusals; "us-east-1" when empty.
	Region string
	// Logger gets a debug line per refused call; nil logs nothing.
	Logger *zap.Logger
	// Quota limits sending; its zero value is [DefaultQuota].
	Quota Quota
	// Sandbox also refuses recipients that are not verified, as AWS does until an account was
	// let out of the sandbox.
	Sandbox bool
	// Events takes the events that configuration sets publish; nil drops them.
	Events Publisher
	// Rand is the source of ids, read under a lock; crypto/rand when nil.
	Rand io.Reader
}

// Quota limits sending. Both count recipients, not mails.
type Quota struct {
	// Daily is the most within 24 hours; -1 is no limit.
	Daily int
	// Rate is the most per second in the long run; a second's worth may come at once. -1 is no
	// limit.
	Rate float64
}

// DefaultQuota is that of an account which AWS has just let out of the sandbox.
func DefaultQuota() Quota { return Quota{Daily: 50_000, Rate: 14} }

// Sent is a mail that was accepted for sending.
type Sent struct {
	// ID is what SendRawEmail answered, MessageID the header on the wire, with angle brackets.
	ID, MessageID string
	// Source is the envelope's sender, Destinations its recipients.
	Source       string
	Destinations []string
	// Raw is the mail as it was handed in, byte for byte.
	Raw []byte
	// At is when it was accepted.
	At time.Time
	// ConfigurationSet is empty when none was named; Tags is nil when there are none.
	ConfigurationSet string
	Tags             map[string]string
}

// Server sends for one account in one region. Its methods are safe for concurrent use.
type Server struct {
	region     string
	log        *zap.Logger
	sandbox    bool
	operations map[string]operation
	events     Publisher

	mu                sync.Mutex
	rand              io.Reader
	quota             *meter
	identities        map[string]string // verified ones, with the token of domains
	configurationSets map[string][]destination
	ruleSets          map[string][]Rule
	activeRules       string
	sent              []Sent
	rejected          int
}

// New returns a Server without identities.
func New(c Config) *Server {
	s := &Server{
		region:            c.Region,
		log:               c.Logger,
		sandbox:           c.Sandbox,
		rand:              c.Rand,
		events:            c.Events,
		identities:        make(map[string]string),
		configurationSets: make(map[string][]destination),
		ruleSets:          make(map[string][]Rule),
	}
	if s.region == "" {
		s.region = "us-east-1"
	}
	if s.log == nil {
		s.log = zap.NewNop()
	}
	if s.events == nil {
		s.events = func(string, string, string) error { return nil }
	}
	if s.rand == nil {
		s.rand = rand.Reader
	}
	if c.Quota == (Quota{}) {
		c.Quota = DefaultQuota()
	}
	s.quota = newMeter(c.Quota)
	s.operations = s.offered()
	return s
}

// Sent lists the accepted mails, the oldest first. The caller may keep the list, but must not
// change what is in it.
func (s *Server) Sent() []Sent {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.sent)
}

// newID returns an id for a mail: the region's prefix and the time in hexadecimal, then a
// random id and a counter that is always 0. The caller holds the lock.
func (s *Server) newID(now time.Time) string {
	prefix, ok := map[string]string{
		"us-east-1": "0100", "us-west-2": "0101", "eu-west-1": "0102", "ap-northeast-1": "0106",
		"eu-central-1": "0107", "ap-southeast-2": "0108", "ap-south-1": "0109", "ap-southeast-1": "010e",
	}[s.region]
	if !ok {
		prefix = "010f"
	}
	return fmt.Sprintf("%s%012x-%s-000000", prefix, now.UnixMilli(), s.uuid())
}

// messageID is the Message-ID that SES gives a mail on the wire.
func (s *Server) messageID(id string) string {
	if s.region == "us-east-1" {
		return "<" + id + "@email.amazonses.com>"
	}
	return "<" + id + "@" + s.region + ".amazonses.com>"
}

// uuid returns a random id. The caller holds the lock.
func (s *Server) uuid() string {
	id := s.random(16)
	id[6] = id[6]&0x0f | 0x40
	id[8] = id[8]&0x3f | 0x80
	text := hex.EncodeToString(id)
	return strings.Join([]string{text[:8], text[8:12], text[12:16], text[16:20], text[20:]}, "-")
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
