package consumer_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"inreply/consumer"
	"inreply/local"
	"inreply/queue"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

// rig is a consumer on a queue of package local, in a bubble of virtual time.
type rig struct {
	t      *testing.T
	world  *local.World
	client *sqs.Client
	queue  *queue.Queue
	dead   *queue.Queue
	logs   *observer.ObservedLogs

	config consumer.Config
	parts  consumer.Parts

	mu     sync.Mutex
	starts []string // bodies in the order in which their tries began
	ends   []string // bodies in the order in which their tries succeeded
	calls  map[string]int
	now    map[string]int // running, by group
}

// visibility of the queue in all tests.
const visibility = 30 * time.Second

// inBubble runs test with a rig whose handler succeeds at once.
func inBubble(t *testing.T, test func(r *rig)) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		defer r.world.Close()
		test(r)
	})
}

func newRig(t *testing.T) *rig {
	t.Helper()
	r := &rig{t: t, world: local.New(local.Config{}), calls: map[string]int{}, now: map[string]int{}}
	deadARN, err := r.world.SQS.CreateQueue("dead.fifo", map[string]string{"FifoQueue": "true"})
	if err != nil {
		t.Fatal(err)
	}
	redrive := fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":1000}`, deadARN)
	if _, err := r.world.SQS.CreateQueue("mail.fifo", map[string]string{"FifoQueue": "true", "VisibilityTimeout": "30", "RedrivePolicy": redrive}); err != nil {
		t.Fatal(err)
	}
	r.client = sqs.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		HTTPClient: r.world.Client(), BaseEndpoint: aws.String("http://local"),
		Retryer: func() aws.Retryer { return aws.NopRetryer{} },
	})
	r.queue = queue.New(r.client, r.world.SQS.URL("mail.fifo"))
	r.dead = queue.New(r.client, r.world.SQS.URL("dead.fifo"))

	core, logs := observer.New(zap.InfoLevel)
	r.logs = logs
	random := rand.New(rand.NewPCG(1, 2))
	var ids int
	var mu sync.Mutex
	r.config = consumer.Defaults()
	r.config.Queue = "mail.fifo"
	r.config.Concurrency = 8
	r.parts = consumer.Parts{
		Queue: r.queue, DeadLetters: r.dead, Logger: zap.New(core), Meter: noop.NewMeterProvider().Meter(""),
		Worker: work(func(context.Context, queue.Message, int) error { return nil }),
		Random: func() float64 { mu.Lock(); defer mu.Unlock(); return random.Float64() },
		NewID:  func() string { mu.Lock(); defer mu.Unlock(); ids++; return fmt.Sprint("attempt-", ids) },
	}
	return r
}

// work is a Worker that is a function.
type work func(ctx context.Context, m queue.Message, try int) error

func (w work) Work(ctx context.Context, m queue.Message, try int) (consumer.Result, error) {
	return consumer.Result{}, w(ctx, m, try)
}

// handle makes f the handler, and watches its starts and ends, and that never
// two of a group run at once.
func (r *rig) handle(f work) {
	r.parts.Worker = work(func(ctx context.Context, m queue.Message, try int) error {
		r.mu.Lock()
		r.starts = append(r.starts, m.Body)
		r.now[m.Group]++
		if r.now[m.Group] > 1 {
			r.t.Errorf("%s runs while another of group %s does", m.Body, m.Group)
		}
		r.mu.Unlock()
		defer func() {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.now[m.Group]--
		}()
		err := f(ctx, m, try)
		if err == nil {
			r.mu.Lock()
			r.ends = append(r.ends, m.Body)
			r.mu.Unlock()
		}
		return err
	})
}

// send sends bodies to one group.
func (r *rig) send(group string, bodies ...string) {
	r.t.Helper()
	out := make([]queue.Outgoing, len(bodies))
	for i, b := range bodies {
		out[i] = queue.Outgoing{Body: b, Group: group, DeduplicationID: group + "-" + b}
	}
	for _, result := range r.queue.Send(context.Background(), out) {
		if result.Err != nil {
			r.t.Fatal(result.Err)
		}
	}
}

// start runs a consumer until the function it returns is called, which waits for
// its end.
func (r *rig) start() (c *consumer.Consumer, stop func()) {
	r.t.Helper()
	c, err := consumer.New(r.config, visibility, r.parts)
	if err != nil {
		r.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	return c, func() {
		r.t.Helper()
		cancel()
		if err := <-done; err != nil {
			r.t.Errorf("Run: %v", err)
		}
	}
}

// run runs a consumer for d of virtual time, and stops it.
func (r *rig) run(d time.Duration) {
	r.t.Helper()
	_, stop := r.start()
	time.Sleep(d)
	stop()
}

// counts returns how many messages of q are visible and in flight.
func (r *rig) counts(q *queue.Queue) (visible, inFlight int) {
	r.t.Helper()
	a, err := q.Attributes(context.Background())
	if err != nil {
		r.t.Fatal(err)
	}
	return a.Visible, a.InFlight
}

// empty asserts that nothing is left in the queue.
func (r *rig) empty() {
	r.t.Helper()
	if visible, inFlight := r.counts(r.queue); visible+inFlight > 0 {
		r.t.Errorf("left in the queue: %d visible, %d in flight", visible, inFlight)
	}
}

// started returns which tries began, in order.
func (r *rig) started() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.starts)
}

// ended returns which tries succeeded, in order.
func (r *rig) ended() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.Clone(r.ends)
}

// handled asserts which bodies succeeded, in which order.
func (r *rig) handled(want ...string) {
	r.t.Helper()
	if got := r.ended(); !slices.Equal(got, want) {
		r.t.Errorf("handled %v, want %v", got, want)
	}
}

// letters receives everything from the dead-letter queue.
func (r *rig) letters() []queue.Message {
	r.t.Helper()
	var all []queue.Message
	for {
		ms, err := r.dead.Receive(context.Background(), queue.Receive{Max: 10, Wait: time.Second, Visibility: time.Hour})
		if err != nil {
			r.t.Fatal(err)
		}
		if len(ms) == 0 {
			return all
		}
		all = append(all, ms...)
	}
}
