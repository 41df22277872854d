package local

import (
	"context"
	"errors"
	"fmt"

	"inreply/local/ses"
	"inreply/local/smtp"
)

// Mail is a mail that comes in from outside.
type Mail struct {
	ses.Envelope
	// Raw is the mail as the sender wrote it.
	Raw []byte
	// Verdicts are what SES's checks say; the zero value passes them all.
	Verdicts ses.Verdicts
}

// Stored is a mail as an object in S3.
type Stored struct {
	// ID is SES's id of the mail, the last part of the key.
	ID, Bucket, Key string
}

// undeliverable is a mail that no receipt rule takes.
type undeliverable struct{ recipients []string }

func (e *undeliverable) Error() string {
	return fmt.Sprintf("no receipt rule takes mail for %v", e.recipients)
}

// Permanent says that sending the mail again is useless.
func (e *undeliverable) Permanent() bool { return true }

// Receive takes a mail in as SES does: every receipt rule that matches one of
// its recipients stores it, with SES's headers on top, and tells the rule's topic,
// if it has one; S3 announces the object. It returns when all that is done. A mail that no rule takes is refused by an
// error with Permanent() true, as is one without recipients.
func (w *World) Receive(m Mail) ([]Stored, error) {
	byRule := map[string][]string{}
	var rules []ses.Rule // in the order in which they match
	for _, recipient := range m.Recipients {
		for _, rule := range w.SES.Matching(recipient) {
			if _, known := byRule[rule.Name]; !known {
				rules = append(rules, rule)
			}
			byRule[rule.Name] = append(byRule[rule.Name], recipient)
		}
	}
	if len(rules) == 0 {
		return nil, &undeliverable{m.Recipients}
	}
	var stored []Stored
	for _, rule := range rules {
		m.Recipients = byRule[rule.Name]
		received := w.SES.Receive(m.Envelope, m.Raw, m.Verdicts)
		at := Stored{ID: received.ID, Bucket: rule.Bucket, Key: rule.KeyPrefix + received.ID}
		if err := w.S3.Put(at.Bucket, at.Key, "", received.Raw); err != nil {
			return stored, fmt.Errorf("store mail as %s/%s: %w", at.Bucket, at.Key, err)
		}
		stored = append(stored, at)
		if rule.Topic == "" {
			continue
		}
		if err := w.notify(rule, m, received); err != nil {
			return stored, fmt.Errorf("announce mail %s: %w", at.ID, err)
		}
	}
	return stored, nil
}

// ListenSMTP opens a door at address through which any mail program may send
// mail to Receive, with the verdicts given, until the World is closed; ctx bounds
// only the start. It returns the address with the port that was chosen. Only this
// machine can come in.
func (w *World) ListenSMTP(ctx context.Context, address string, verdicts ses.Verdicts) (string, error) {
	door, err := smtp.Listen(ctx, address, smtp.Config{
		Logger: w.log.Named("smtp"),
		Deliver: func(_ context.Context, e smtp.Envelope, raw []byte) error {
			_, err := w.Receive(Mail{Envelope: ses.Envelope(e), Raw: raw, Verdicts: verdicts})
			return err
		},
	})
	if err != nil {
		return "", err
	}
	stop := func() { //nolint:contextcheck // the door closes long after the context of its start
		ctx, cancel := context.WithTimeout(context.Background(), stopPatience)
		defer cancel()
		_ = door.Close(ctx) // What it did not wait for is cut.
	}
	if !w.atClose(stop) {
		stop()
		return "", errors.New("listen for mail: the world is closed")
	}
	return door.Address(), nil
}
