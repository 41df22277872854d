package store

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Config says where the records lie.
type Config struct {
	Bucket string `yaml:"bucket"` // of the records
	Prefix string `yaml:"prefix"` // of their keys; no notification may cover it
	Secret string `yaml:"secret"` // keys the names of sender records, so that nobody can look an address up; the same in every process
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{Prefix: "inreply/records/"}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	if c.Bucket == "" {
		faults = append(faults, errors.New("bucket: name the bucket for the records"))
	}
	if !strings.HasSuffix(c.Prefix, "/") || strings.HasPrefix(c.Prefix, "/") {
		faults = append(faults, fmt.Errorf("prefix: %q must end in / and not begin with it", c.Prefix))
	}
	return errors.Join(faults...)
}

// Records are the mail records and the sender records.
type Records struct {
	store  *Store
	config Config
}

// NewRecords returns the records that lie where config says.
func NewRecords(s *Store, config Config) *Records {
	return &Records{store: s, config: config}
}

// recordVersion is the version of the records' form.
const recordVersion = 1

// MailRecord is what is remembered of one mail. A record with a Token and no SES
// is an open claim.
type MailRecord struct {
	Version   int       `json:"version"`
	Token     string    `json:"token,omitzero"`      // of the claim: random, known to the claimer only
	Until     time.Time `json:"until,omitzero"`      // after this the claimer does not ask SES any more
	SES       string    `json:"ses,omitzero"`        // SES's id of the reply, once it was sent
	SentAt    time.Time `json:"sent_at,omitzero"`    // when SES took it
	To        string    `json:"to,omitzero"`         // who got it
	Unknown   bool      `json:"unknown,omitzero"`    // an earlier claim ended without an answer of SES
	Tries     int       `json:"tries,omitzero"`      // that failed
	TriesOf   string    `json:"tries_of,omitzero"`   // the message whose tries these are: a redriven mail has new ones
	GivenUp   string    `json:"given_up,omitzero"`   // the message by which it is dead-lettered: it is not answered by it any more
	LastError string    `json:"last_error,omitzero"` // why it was given up
	Asked     time.Time `json:"asked,omitzero"`      // when an application service first said: later

	// Begun are the tries that have begun and not ended, by the receive of the message, and since when.
	Begun map[int]time.Time `json:"begun,omitzero"`
}

// SenderRecord is what is remembered of one sender.
type SenderRecord struct {
	Version         int       `json:"version"`
	Replies         []Sent    `json:"replies,omitzero"` // the last ones, oldest first
	SuppressedUntil time.Time `json:"suppressed_until,omitzero"`
	Reason          string    `json:"reason,omitzero"` // of the suppression
}

// Sent is one reply to a sender.
type Sent struct {
	At      time.Time `json:"at"`
	Thread  string    `json:"thread"`  // hash
	Subject string    `json:"subject"` // hash
}

// Mail reads the record of a mail by its [email.Object] ID, with the ETag to
// replace it by. The error is ErrMissing if there is none.
func (r *Records) Mail(ctx context.Context, id string) (MailRecord, string, error) {
	return read[MailRecord](ctx, r, r.mailKey(id))
}

// CreateMail writes the first record of a mail. The error is ErrExists if there
// is one.
func (r *Records) CreateMail(ctx context.Context, id string, m MailRecord) (etag string, err error) {
	m.Version = recordVersion
	return r.create(ctx, r.mailKey(id), m)
}

// ReplaceMail writes the record of a mail over the one with this ETag. The error
// is ErrChanged if it is another by now.
func (r *Records) ReplaceMail(ctx context.Context, id, etag string, m MailRecord) (string, error) {
	m.Version = recordVersion
	return r.replace(ctx, r.mailKey(id), etag, m)
}

// Sender reads the record of a sender by his address. The error is ErrMissing if
// there is none.
func (r *Records) Sender(ctx context.Context, address string) (SenderRecord, string, error) {
	return read[SenderRecord](ctx, r, r.senderKey(address))
}

// CreateSender writes the first record of a sender. The error is ErrExists if
// there is one.
func (r *Records) CreateSender(ctx context.Context, address string, s SenderRecord) (etag string, err error) {
	s.Version = recordVersion
	return r.create(ctx, r.senderKey(address), s)
}

// ReplaceSender writes the record of a sender over the one with this ETag. The
// error is ErrChanged if it is another by now.
func (r *Records) ReplaceSender(ctx context.Context, address, etag string, s SenderRecord) (string, error) {
	s.Version = recordVersion
	return r.replace(ctx, r.senderKey(address), etag, s)
}

// Owns reports whether an object is one of the records, whatever announced it.
func (r *Records) Owns(bucket, key string) bool {
	return bucket == r.config.Bucket && strings.HasPrefix(key, r.config.Prefix)
}

// mailKey spreads the records over prefixes, as S3 scales by prefix.
func (r *Records) mailKey(id string) string {
	return r.config.Prefix + "mail/" + id[:min(2, len(id))] + "/" + id
}

func (r *Records) senderKey(address string) string {
	h := hmac.New(sha256.New, []byte(r.config.Secret))
	h.Write([]byte(strings.ToLower(address)))
	name := hex.EncodeToString(h.Sum(nil))
	return r.config.Prefix + "sender/" + name[:2] + "/" + name
}

func read[R any](ctx context.Context, r *Records, key string) (record R, etag string, err error) {
	content, etag, err := r.store.Get(ctx, r.config.Bucket, key)
	if err != nil {
		return record, "", err
	}
	// A newer process may have written more than this one would write back.
	var form struct {
		Version int `json:"version"`
	}
	if err := json.Unmarshal(content, &form); err != nil {
		return record, "", fmt.Errorf("read record %s/%s: %w", r.config.Bucket, key, err)
	}
	if form.Version != recordVersion {
		return record, "", fmt.Errorf("read record %s/%s: it is of version %d, and this program knows version %d", r.config.Bucket, key, form.Version, recordVersion)
	}
	if err := json.Unmarshal(content, &record); err != nil {
		return record, "", fmt.Errorf("read record %s/%s: %w", r.config.Bucket, key, err)
	}
	return record, etag, nil
}

const recordType = "application/json"

func (r *Records) create(ctx context.Context, key string, record any) (string, error) {
	content, err := json.Marshal(record)
	if err != nil {
		return "", fmt.Errorf("write record %s: %w", key, err)
	}
	return r.store.PutNew(ctx, r.config.Bucket, key, recordType, content)
}

func (r *Records) replace(ctx context.Context, key, etag string, record any) (string, error) {
	content, err := json.Marshal(record)
	if err != nil {
		return "", fmt.Errorf("write record %s: %w", key, err)
	}
	return r.store.Replace(ctx, r.config.Bucket, key, etag, recordType, content)
}
