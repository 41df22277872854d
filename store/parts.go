package store

import (
	"context"
	"errors"
	"sync"
	"time"
)

// Parts are files of mails that lie beside the records for a while, for whoever is
// given a link to one. They are under the prefix of the records, so that no notice
// of one is ever taken for a mail, and the same lifecycle rule expires them; one of
// its own may do so earlier.
type Parts struct {
	records *Records

	mu      sync.Mutex
	written map[string]bool // keys that this process knows to be there
}

// NewParts returns the parts beside the records.
func NewParts(records *Records) *Parts {
	return &Parts{records: records, written: map[string]bool{}}
}

// mostWritten is how many keys are remembered at most.
const mostWritten = 10_000

// Link returns a link to a part of a mail that reads it until it expires. name is
// unique within the mail, and read gives the octets, which are the same each time.
// What is there already is not written again: whoever wrote it wrote the same. Who
// follows the link gets application/octet-stream, whatever the sender called it.
func (p *Parts) Link(ctx context.Context, mail, name string, read func() ([]byte, error), ttl time.Duration) (link string, expires time.Time, err error) {
	r := p.records
	key := r.config.Prefix + "parts/" + mail[:min(2, len(mail))] + "/" + mail + "/" + name
	if !p.knows(key) {
		content, err := read()
		if err != nil {
			return "", time.Time{}, err
		}
		_, err = r.store.PutNew(ctx, r.config.Bucket, key, "application/octet-stream", content)
		if err != nil && !errors.Is(err, ErrExists) {
			return "", time.Time{}, err
		}
		p.learn(key)
	}
	return r.store.Presign(ctx, r.config.Bucket, key, "", ttl)
}

func (p *Parts) knows(key string) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.written[key]
}

func (p *Parts) learn(key string) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if len(p.written) >= mostWritten {
		clear(p.written)
	}
	p.written[key] = true
}
