package ses

import "time"

// meter counts what was sent. It needs no timer: it looks at the clock when it is asked. The
// Server's lock guards it.
type meter struct {
	Quota
	allowance float64 // how many may be sent at once
	measured  time.Time
	sends     []sends // within the last 24 hours, oldest first
	total     int     // of sends
}

// sends are the recipients of one mail.
type sends struct {
	at         time.Time
	recipients int
}

func newMeter(q Quota) *meter {
	return &meter{Quota: q, allowance: max(q.Rate, 1)}
}

// take counts a mail, or refuses it with AWS's words for a quota that is used up.
// https://docs.aws.amazon.com/ses/latest/dg/manage-sending-quotas-errors.html.
func (m *meter) take(now time.Time, recipients int) error {
	if m.Daily >= 0 && m.sent(now)+recipients > m.Daily {
		return refuse("Throttling", "Daily message quota exceeded.")
	}
	if m.Rate >= 0 {
		m.refill(now)
		if m.allowance < 1 {
			return refuse("Throttling", "Maximum sending rate exceeded.")
		}
		// A mail to many may go below zero, else it could never be sent: what it took too
		// much, the next ones wait for.
		m.allowance -= float64(recipients)
	}
	m.sends = append(m.sends, sends{now, recipients})
	m.total += recipients
	return nil
}

// refill adds what the time since the last look allows, up to a second's worth.
func (m *meter) refill(now time.Time) {
	if !m.measured.IsZero() {
		m.allowance += now.Sub(m.measured).Seconds() * m.Rate
	}
	m.allowance = min(m.allowance, max(m.Rate, 1))
	m.measured = now
}

// sent is how many were sent in the last 24 hours.
func (m *meter) sent(now time.Time) int {
	for len(m.sends) > 0 && now.Sub(m.sends[0].at) >= 24*time.Hour {
		m.total -= m.sends[0].recipients
		m.sends = m.sends[1:]
	}
	return m.total
}
