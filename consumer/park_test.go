package consumer_test

import (
	"context"
	"testing"
	"time"

	"inreply/queue"
)

// A service that is out for hours: each time that its mail is received again is one of
// the 1,000 after which SQS dead-letters by itself, so they become rarer. None is a try
// of the mail's own, and when the service is back the mail does not wait for long.
func TestAParkedMailOutlastsAnOutageOfHours(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.parts.Random = func() float64 { return 0 } // the shortest waits
		const out = 5 * time.Hour                    // at 15 s each, 1,200 receives
		back := time.Now().Add(out)
		receives, tries := 0, 0
		r.handle(func(_ context.Context, m queue.Message, try int) error {
			receives, tries = m.ReceiveCount, try
			if time.Now().Before(back) {
				return failing{outage: "service:orders"}
			}
			return nil
		})
		r.send("a", "a1", "a2")
		r.run(out + 10*time.Minute)
		r.handled("a1", "a2")
		r.empty()
		if tries != 1 || len(r.letters()) != 0 {
			t.Errorf("try %d, %d dead letters", tries, len(r.letters()))
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if n := len(r.starts); n < 150 || n > 400 {
			t.Errorf("it was asked %d times in five hours (receive count of the last: %d)", n, receives)
		}
	})
}
