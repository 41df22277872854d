package mailer

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"inreply/mailer/compose"
	"inreply/store"
)

// Senders are the sender records. [store.Records] are.
type Senders interface {
	Sender(ctx context.Context, address string) (store.SenderRecord, string, error)
	CreateSender(ctx context.Context, address string, record store.SenderRecord) (string, error)
	ReplaceSender(ctx context.Context, address, etag string, record store.SenderRecord) (string, error)
}

// Recall is what is remembered of an address: whom it got replies from, and
// whether it may get more. The zero record, with no ETag, is of one that nobody
// has written to.
func (m *Mailer) Recall(ctx context.Context, address string) (store.SenderRecord, string, error) {
	address = canonical(address)
	record, etag, err := m.records.Sender(ctx, address)
	if errors.Is(err, store.ErrMissing) {
		return store.SenderRecord{}, "", nil
	}
	if err != nil {
		return record, "", fmt.Errorf("read the sender's record: %w", err)
	}
	return record, etag, nil
}

// Remember writes what is to be remembered of an address over what Recall
// returned with this ETag. The error is store.ErrChanged if that is another by
// now, or if the SDK has met its own write.
func (m *Mailer) Remember(ctx context.Context, address, etag string, record store.SenderRecord) error {
	address = canonical(address)
	var err error
	if etag == "" {
		_, err = m.records.CreateSender(ctx, address, record)
	} else {
		_, err = m.records.ReplaceSender(ctx, address, etag, record)
	}
	if errors.Is(err, store.ErrExists) {
		err = store.ErrChanged
	}
	if err != nil {
		return fmt.Errorf("write the sender's record: %w", err)
	}
	return nil
}

// Owns reports whether a mailbox is one of those that replies come from.
func (m *Mailer) Owns(mailbox string) bool {
	for _, i := range append([]Identity{{From: m.config.From}}, m.config.Identities...) {
		if same(mailbox, i.From) {
			return true
		}
	}
	return false
}

// same reports whether two mailboxes are one, however their domain is written.
func same(a, b string) bool { return strings.EqualFold(canonical(a), canonical(b)) }

// canonical is a mailbox with its domain as it is on the wire, in ASCII: so SES names
// it in its events, and so it stands in From of what we have sent.
func canonical(mailbox string) string {
	if ascii, err := compose.Mailbox(mailbox); err == nil {
		return ascii
	}
	return mailbox
}

// Largest is how many octets a whole reply may have, encoded.
func (m *Mailer) Largest() int64 { return longestMail }

// Suppress has nobody write to an address for a time that the settings give for
// the reason: "bounced" or "complained". A suppression that lasts longer stays.
func (m *Mailer) Suppress(ctx context.Context, address, reason string) error {
	lasts := m.config.Bounced
	if reason == Complained {
		lasts = m.config.Complained
	}
	until := time.Now().Add(lasts).UTC()
	for {
		record, etag, err := m.Recall(ctx, address)
		if err != nil {
			return err
		}
		if !record.SuppressedUntil.Before(until) {
			return nil
		}
		record.SuppressedUntil, record.Reason = until, reason
		if err = m.Remember(ctx, address, etag, record); !errors.Is(err, store.ErrChanged) {
			return err
		}
	}
}

// The reasons of a suppression.
const (
	Bounced    = "bounced"
	Complained = "complained"
)
