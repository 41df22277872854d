package mailer

import (
	"errors"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"inreply/store"
)

func TestASuppressionLastsAsTheSettingsSay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld()
		m, _ := w.newProcess(t, config())
		now := time.Now()
		for _, s := range []struct {
			reason string
			lasts  time.Duration
			kept   string
		}{
			{Bounced, 30 * 24 * time.Hour, Bounced},
			{Complained, 365 * 24 * time.Hour, Complained},
			{Bounced, 365 * 24 * time.Hour, Complained}, // the longer one stays
		} {
			if err := m.Suppress(t.Context(), "gone@example.com", s.reason); err != nil {
				t.Fatal(err)
			}
			record := w.senders["gone@example.com"].record
			if record.Reason != s.kept || !record.SuppressedUntil.Equal(now.Add(s.lasts)) {
				t.Errorf("%s: %+v", s.reason, record)
			}
		}
	})
}

// SES's events name a domain as it is on the wire, a mail may name it as it is read.
func TestADomainHasOneRecordHoweverItIsWritten(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	if err := m.Suppress(t.Context(), "ana@xn--mnchen-3ya.example", Bounced); err != nil {
		t.Fatal(err)
	}
	record, etag, err := m.Recall(t.Context(), "ana@münchen.example")
	if err != nil || record.Reason != Bounced {
		t.Errorf("%+v, %v", record, err)
	}
	if err := m.Remember(t.Context(), "ana@München.example", etag, record); err != nil || len(w.senders) != 1 {
		t.Errorf("%d records, %v", len(w.senders), err)
	}
}

// Many write the record of one sender at the same time, and nothing that one of
// them wrote is lost.
func TestASenderRecordIsWrittenByMany(t *testing.T) {
	w := newWorld()
	var wg sync.WaitGroup
	for range 16 {
		m, _ := w.newProcess(t, config())
		wg.Go(func() {
			for {
				record, etag, err := m.Recall(t.Context(), "ana@example.com")
				if err != nil {
					t.Error(err)
					return
				}
				record.Replies = append(record.Replies, store.Sent{Thread: "t"})
				if err := m.Remember(t.Context(), "ana@example.com", etag, record); err == nil {
					break
				} else if !errors.Is(err, store.ErrChanged) {
					t.Error(err)
					return
				}
			}
			if err := m.Suppress(t.Context(), "ana@example.com", Bounced); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	record := w.senders["ana@example.com"].record
	if len(record.Replies) != 16 || record.Reason != Bounced {
		t.Errorf("%d replies, %+v", len(record.Replies), record.Reason)
	}
}

func TestOwnMailboxes(t *testing.T) {
	c := config()
	c.Identities = []Identity{{From: "ask@inreply.example"}, {From: "frag@bücher.example"}}
	m, _ := newWorld().newProcess(t, c)
	for mailbox, want := range map[string]bool{
		"DATA@inreply.example": true, "ask@inreply.example": true, "ana@inreply.example": false, "": false,
		"frag@BÜCHER.example": true, "frag@xn--bcher-kva.example": true, "ana@xn--bcher-kva.example": false, "frag": false,
	} {
		if m.Owns(mailbox) != want {
			t.Errorf("%s: %v", mailbox, !want)
		}
	}
}

func TestSettingsThatCannotWork(t *testing.T) {
	for want, change := range map[string]func(*Config){
		"from: there is no mailbox":                   func(c *Config) { c.From = "" },
		"name: it has a line break":                   func(c *Config) { c.Name = "a\nb" },
		"configuration_set: \"a b\" is no name":       func(c *Config) { c.ConfigurationSet = "a b" },
		"identities[0].from: \"x\" is no mailbox":     func(c *Config) { c.Identities = []Identity{{From: "x"}} },
		"identities[0].from: DATA@inreply.example is": func(c *Config) { c.Identities = []Identity{{From: "DATA@inreply.example"}} },
		"claim: 10ms is less than 1s":                 func(c *Config) { c.Claim = 10 * time.Millisecond },
		"timeout: 0s is less than 1s":                 func(c *Config) { c.Timeout = 0 },
		"bounced: -1s is below 0":                     func(c *Config) { c.Bounced = -time.Second },
		"unknown: \"maybe\" is neither":               func(c *Config) { c.Unknown = "maybe" },
		"oversize: \"cut\" is neither":                func(c *Config) { c.Oversize = "cut" },
		"feedback_id: it has characters":              func(c *Config) { c.FeedbackID = "a\nb" },
		"unsubscribe: \"a b\" is no URL":              func(c *Config) { c.Unsubscribe = "a b" },
	} {
		c := config()
		change(&c)
		err := c.Validate()
		if err == nil || len(err.Error()) < len(want) || err.Error()[:len(want)] != want {
			t.Errorf("%v, want %s", err, want)
		}
	}
	if err := config().Validate(); err != nil {
		t.Error(err)
	}
}
