package relay_test

import (
	"context"
	"fmt"
	"testing"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
	"inreply/relay"
)

// endless is an intake that is never empty, a topic and a store, each of which takes
// 20 ms to answer.
type endless struct {
	messages []queue.Message
	deleted  chan int
	top      []byte
}

const latency = 20 * time.Millisecond

func (e *endless) Receive(ctx context.Context, _ queue.Receive) ([]queue.Message, error) {
	select {
	case <-time.After(latency):
		return e.messages, nil
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

func (e *endless) Delete(_ context.Context, handles []string) []error {
	time.Sleep(latency)
	e.deleted <- len(handles)
	return make([]error, len(handles))
}

func (e *endless) Extend(_ context.Context, extensions []queue.Extension) []error {
	return make([]error, len(extensions))
}

func (e *endless) Publish(_ context.Context, messages []queue.Outgoing) []queue.Result {
	time.Sleep(latency)
	return make([]queue.Result, len(messages))
}

func (e *endless) Send(_ context.Context, messages []queue.Outgoing) []queue.Result {
	return make([]queue.Result, len(messages))
}

func (e *endless) Top(context.Context, string, string, string, int64) ([]byte, error) {
	time.Sleep(latency)
	return e.top, nil
}

// BenchmarkRelay is events relayed a second, by how many batches at once.
func BenchmarkRelay(b *testing.B) {
	for _, concurrency := range []int{1, 8, 16, 32, 64} {
		b.Run(fmt.Sprint(concurrency), func(b *testing.B) {
			e := &endless{deleted: make(chan int, 1000), top: []byte(mail("jane@example.com", "dmarc=pass header.from=example.com"))}
			for i, body := range notices(10) {
				e.messages = append(e.messages, queue.Message{ID: fmt.Sprint(i), Handle: fmt.Sprint(i), Body: body})
			}
			c := relay.Defaults()
			c.Queue, c.Topic, c.Concurrency, c.PollGrace = "intake", "mail.fifo", concurrency, 0
			r, err := relay.New(c, relay.Parts{
				Intake: e, Topic: e, DeadLetters: e, Tops: e, Logger: zap.NewNop(),
				Own: func(string, string) bool { return false }, Random: func() float64 { return 0.5 },
			})
			if err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			ended := make(chan error, 1)
			go func() { ended <- r.Run(ctx) }()
			b.ResetTimer()
			relayed := 0
			for relayed < b.N {
				relayed += <-e.deleted
			}
			b.ReportMetric(float64(relayed)/b.Elapsed().Seconds(), "events/s")
			b.StopTimer()
			stop()
			for {
				select {
				case <-e.deleted:
					continue
				case <-ended:
				}
				break
			}
		})
	}
}
