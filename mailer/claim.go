package mailer

import (
	"context"
	"errors"
	"fmt"
	"time"

	"inreply/email"
	"inreply/store"
)

// claim is the right to send the reply of a mail.
type claim struct {
	record store.MailRecord
	etag   string
}

// knowledge is what this process knows of an open claim of its own: that SES was
// never asked under it, or what SES answered.
type knowledge struct {
	claim
	sent email.Sent // zero: SES has surely not taken the reply
}

// longestKnown is how many mails are known of at most.
const longestKnown = 10_000

// remember keeps what is known of a mail. That its reply is out outweighs what
// another handler of the same mail knows of a claim that it never used.
func (m *Mailer) remember(mail string, k knowledge) {
	m.mu.Lock()
	defer m.mu.Unlock()
	before, ok := m.known[mail]
	if !ok {
		m.recent = append(m.recent, mail)
	}
	if before.sent.ID != "" && k.sent.ID == "" {
		return
	}
	m.known[mail] = k
	if len(m.recent) > longestKnown {
		delete(m.known, m.recent[0])
		m.recent = m.recent[1:]
	}
}

func (m *Mailer) recall(mail string) (knowledge, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	k, ok := m.known[mail]
	return k, ok
}

// forgetUnsent forgets a claim that was given up.
func (m *Mailer) forgetUnsent(mail string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.known[mail].sent.ID == "" {
		delete(m.known, mail)
	}
}

func (m *Mailer) forget(mail string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.known, mail)
}

// until is when a claim of now ends. It is told by the wall clock, as everybody
// else will read it: a machine that was suspended meanwhile must not think that
// there is time left.
func (m *Mailer) until() time.Time {
	return time.Now().Add(m.config.Claim).UTC().Round(0)
}

// over is when the owner of a claim cannot be asking SES any more.
func (m *Mailer) over(r store.MailRecord) time.Time {
	return r.Until.Add(m.config.Timeout)
}

// claim gets the right to send the reply, or returns the record of a reply that
// was sent.
func (m *Mailer) claim(ctx context.Context, mail, notice string) (claim, error) {
	mine := store.MailRecord{Token: m.newID(), Until: m.until()}
	etag, err := m.records.CreateMail(ctx, mail, mine)
	if err == nil {
		return claim{mine, etag}, nil
	}
	if !errors.Is(err, store.ErrExists) {
		// It may have been written all the same. SES was not asked under it.
		m.remember(mail, knowledge{claim: claim{record: mine}})
		return claim{}, fmt.Errorf("write the record: %w", err)
	}
	for {
		found, etag, err := m.records.Mail(ctx, mail)
		if errors.Is(err, store.ErrMissing) {
			return claim{}, errors.New("the record is there and gone again")
		}
		if err != nil {
			return claim{}, fmt.Errorf("read the record: %w", err)
		}
		// The SDK asks again when an answer is lost, and then meets its own write.
		if found.SES != "" || found.Token == mine.Token {
			return claim{found, etag}, nil
		}
		if found.GivenUp != "" && found.GivenUp == notice {
			return claim{}, &refusal{err: fmt.Errorf("another process has given this mail up: %s", found.LastError), permanent: true}
		}
		if mine, err = m.takeOver(mail, found); err != nil {
			return claim{}, err
		}
		etag, err = m.records.ReplaceMail(ctx, mail, etag, mine)
		if err == nil {
			return claim{mine, etag}, nil
		}
		if !errors.Is(err, store.ErrChanged) {
			m.remember(mail, knowledge{claim: claim{record: mine}})
			return claim{}, fmt.Errorf("write the record: %w", err)
		}
	}
}

// takeOver is the claim that may follow what was found, if any may.
func (m *Mailer) takeOver(mail string, found store.MailRecord) (store.MailRecord, error) {
	next := found
	next.Token, next.Until, next.GivenUp = m.newID(), m.until(), ""
	if m.unused(mail, found) {
		return next, nil
	}
	if err := m.wait(found); err != nil {
		return next, err
	}
	if m.config.Unknown == DeadLetter {
		return next, &refusal{err: errors.New("SES was asked to send the reply and its answer is not known"), permanent: true}
	}
	next.Unknown = true
	return next, nil
}

// unused reports whether SES has surely not been asked under the claim that was
// found, if it is one.
func (m *Mailer) unused(mail string, found store.MailRecord) bool {
	if found.Token == "" {
		return true
	}
	k, ok := m.recall(mail)
	return ok && k.record.Token == found.Token && k.sent.ID == ""
}

// wait says how long the owner of a foreign claim may still be asking SES.
func (m *Mailer) wait(found store.MailRecord) error {
	if wait := time.Until(m.over(found)); wait > 0 {
		return &refusal{err: errors.New("another process may be answering this mail"), after: wait}
	}
	return nil
}

// GiveUp has a mail go unanswered that is to be dead-lettered, and writes down why,
// before it is: two processes may be at the same mail, for SQS may end a lease
// early, and what the one answers the other must not dead-letter. Who holds a claim
// is waited for, as in [Mailer.Send]; and who wants one later does not get it, unless
// it is by another notice: then the mail was redriven. A reply that went out after
// all is returned instead.
func (m *Mailer) GiveUp(ctx context.Context, mail, notice, reason string) (email.Sent, error) {
	if k, ok := m.recall(mail); ok && k.sent.ID != "" {
		return m.commit(ctx, mail, k)
	}
	_, err := m.records.CreateMail(ctx, mail, store.MailRecord{GivenUp: notice, LastError: reason})
	for errors.Is(err, store.ErrExists) || errors.Is(err, store.ErrChanged) {
		var found store.MailRecord
		var etag string
		found, etag, err = m.records.Mail(ctx, mail)
		if err != nil {
			return email.Sent{}, fmt.Errorf("give the mail up: read the record: %w", err)
		}
		if found.SES != "" {
			return repeated(found), nil
		}
		if found.GivenUp == notice {
			return email.Sent{}, nil
		}
		if !m.unused(mail, found) {
			if err := m.wait(found); err != nil {
				return email.Sent{}, fmt.Errorf("give the mail up: %w", err)
			}
		}
		// An open claim stays: whoever answers the mail when it is redriven must know
		// that a reply may have gone out.
		found.GivenUp, found.LastError = notice, reason
		_, err = m.records.ReplaceMail(ctx, mail, etag, found)
	}
	if err != nil {
		return email.Sent{}, fmt.Errorf("give the mail up: write the record: %w", err)
	}
	return email.Sent{}, nil
}

// repeated is the reply that an earlier process had sent.
func repeated(r store.MailRecord) email.Sent {
	return email.Sent{ID: r.SES, To: r.To, At: r.SentAt, Repeated: true}
}

// abandon gives a claim up under which SES has taken nothing. If that cannot be
// written, this process knows it all the same.
func (m *Mailer) abandon(ctx context.Context, mail string, c claim) {
	m.remember(mail, knowledge{claim: c})
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	for {
		free := c.record
		free.Token, free.Until = "", time.Time{}
		_, err := m.records.ReplaceMail(ctx, mail, c.etag, free)
		if err == nil {
			m.forgetUnsent(mail)
			return
		}
		if !errors.Is(err, store.ErrChanged) {
			return
		}
		// Somebody counted a try meanwhile.
		found, etag, err := m.records.Mail(ctx, mail)
		if err != nil {
			return
		}
		if found.Token != c.record.Token {
			m.forgetUnsent(mail)
			return
		}
		c = claim{found, etag}
	}
}

// commit writes down that the reply was sent. It goes on when the mail's own
// time is over: the reply is out, and nobody else knows.
func (m *Mailer) commit(ctx context.Context, mail string, k knowledge) (email.Sent, error) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 20*time.Second)
	defer cancel()
	record, etag := k.record, k.etag
	record.Unknown = k.sent.Unknown
	for {
		record.SES, record.SentAt, record.To = k.sent.ID, k.sent.At, k.sent.To
		_, err := m.records.ReplaceMail(ctx, mail, etag, record)
		if err == nil {
			m.forget(mail)
			return k.sent, nil
		}
		if !errors.Is(err, store.ErrChanged) {
			return k.sent, uncommitted(err)
		}
		// Somebody counted a try, or our own write was answered twice, or the claim
		// ran out and another has taken it over.
		found, now, err := m.records.Mail(ctx, mail)
		if err != nil {
			return k.sent, uncommitted(err)
		}
		if found.SES != "" {
			m.forget(mail)
			return k.sent, nil
		}
		// Who has taken it over may be asking SES just now.
		unknown := record.Unknown || found.Token != "" && found.Token != record.Token
		found.Token, found.Until, found.Unknown = record.Token, record.Until, unknown
		record, etag = found, now
	}
}

// uncommitted is the error of a reply that is out and not committed. It is no
// fault of the mail's, so it counts no try: a mail that was answered must not end
// as a dead letter.
func uncommitted(err error) error {
	return &refusal{err: fmt.Errorf("commit the reply: %w", err), after: 2 * time.Second}
}
