package consumer_test

import (
	"context"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"

	"inreply/consumer"
	"inreply/queue"
)

// endless is a queue without SQS: what is left is what the engine itself costs.
type endless struct {
	next    atomic.Int64
	deleted atomic.Int64
	n       int64
	done    chan struct{}
}

func (q *endless) Receive(ctx context.Context, _ queue.Receive) ([]queue.Message, error) {
	first := q.next.Add(10) - 10
	if first >= q.n {
		<-ctx.Done()
		return nil, ctx.Err()
	}
	messages := make([]queue.Message, 10)
	group := fmt.Sprint("g", first/10%1000)
	for i := range messages {
		id := fmt.Sprint(first + int64(i))
		messages[i] = queue.Message{ID: id, Handle: id, Group: group, Sequence: id}
	}
	return messages, nil
}

func (q *endless) Delete(_ context.Context, handles []string) []error {
	if q.deleted.Add(int64(len(handles))) >= q.n {
		close(q.done)
	}
	return make([]error, len(handles))
}

func (q *endless) Extend(_ context.Context, extensions []queue.Extension) []error {
	return make([]error, len(extensions))
}

// BenchmarkEngine is one message through the engine, in runs of ten.
func BenchmarkEngine(b *testing.B) {
	q := &endless{n: int64(b.N+9) / 10 * 10, done: make(chan struct{})}
	config := consumer.Defaults()
	config.Queue = "mail.fifo"
	config.Stop.PollGrace = 0
	var ids atomic.Int64
	c, err := consumer.New(config, time.Minute, consumer.Parts{
		Queue: q, Logger: zap.NewNop(), Meter: noop.NewMeterProvider().Meter(""),
		Worker: work(func(context.Context, queue.Message, int) error { return nil }),
		Random: func() float64 { return 0.5 },
		NewID:  func() string { return fmt.Sprint(ids.Add(1)) },
	})
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	b.ReportAllocs()
	b.ResetTimer()
	go func() { ended <- c.Run(ctx) }()
	<-q.done
	b.StopTimer()
	stop()
	if err := <-ended; err != nil {
		b.Fatal(err)
	}
}
