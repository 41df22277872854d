package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"

	"inreply"
	"inreply/configs"
	"inreply/consumer"
	"inreply/queue"
)

// slots is how many handlers may run at once, and how many receivers plain has.
const slots = 64

// peerSettings are the flags of a child.
type peerSettings struct {
	peer, endpoint, url, dead string
	visibility                time.Duration
}

func (s *peerSettings) register(set *flag.FlagSet) {
	set.StringVar(&s.peer, "peer", "", "run as this peer (the harness does that)")
	set.StringVar(&s.endpoint, "endpoint", "", "of a peer")
	set.StringVar(&s.url, "url", "", "of a peer: the queue")
	set.StringVar(&s.dead, "dead", "", "of a peer: the dead-letter queue")
	set.DurationVar(&s.visibility, "visibility", 0, "of a peer: of the queue")
}

// runPeer is a child, until ctx ends.
func runPeer(ctx context.Context, s peerSettings) error {
	out := &reporter{out: bufio.NewWriterSize(os.NewFile(3, "reports"), 1<<16)}
	defer out.flush()
	stop := out.flushNowAndThen()
	defer stop()
	client := newClient(s.endpoint)
	switch s.peer {
	case "ours":
		return ours(ctx, s, client, out)
	case "plain":
		plain(ctx, s.url, client, out)
		return nil
	}
	return fmt.Errorf("there is no peer %q", s.peer)
}

func newClient(endpoint string) *sqs.Client {
	return inreply.ClientsFrom(aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 512
	}), configs.AWS{}).SQS
}

// reporter writes starts and ends.
type reporter struct {
	mu  sync.Mutex
	out *bufio.Writer
}

func (r *reporter) say(kind string, number int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	fmt.Fprintln(r.out, kind, number, time.Now().UnixNano())
}

func (r *reporter) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.out.Flush() // The harness may have gone.
}

func (r *reporter) flushNowAndThen() (stop func()) {
	ticker := time.NewTicker(5 * time.Millisecond)
	done := make(chan struct{})
	go func() {
		for {
			select {
			case <-ticker.C:
				r.flush()
			case <-done:
				return
			}
		}
	}()
	return func() { ticker.Stop(); close(done) }
}

var errPoison = errors.New("poison")

// handle does what the body of a message says.
func handle(body string, out *reporter) error {
	var number int
	var takes int64
	var poison bool
	if _, err := fmt.Sscan(body, &number, &takes, &poison); err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	out.say("s", number)
	if takes > 0 {
		<-time.After(time.Duration(takes) * time.Microsecond)
	}
	if poison {
		out.say("f", number)
		return errPoison
	}
	out.say("e", number)
	return nil
}

// worker is a consumer.Worker that reads no object.
type worker struct{ out *reporter }

func (w worker) Work(_ context.Context, m queue.Message, _ int) (consumer.Result, error) {
	return consumer.Result{}, handle(m.Body, w.out)
}

// ours is the consumer.
func ours(ctx context.Context, s peerSettings, client *sqs.Client, out *reporter) error {
	config := consumer.Defaults()
	config.Queue, config.Concurrency, config.Attempts = "bench.fifo", slots, 3
	config.Backoff.Base = 100 * time.Millisecond
	config.Stop.PollGrace = time.Second
	var ids atomic.Int64
	c, err := consumer.New(config, s.visibility, consumer.Parts{
		Queue: queue.New(client, s.url), DeadLetters: queue.New(client, s.dead), Worker: worker{out},
		Logger: zap.NewNop(), Meter: noop.NewMeterProvider().Meter(""), Random: rand.Float64,
		NewID: func() string { return strconv.FormatInt(ids.Add(1), 10) },
	})
	if err != nil {
		return fmt.Errorf("make the consumer: %w", err)
	}
	return c.Run(ctx)
}

// plain is what most people would write: receivers that take ten, handle them one
// by one, leave out the rest of a failed group, and delete what went well.
func plain(ctx context.Context, url string, client *sqs.Client, out *reporter) {
	q := queue.New(client, url)
	var receivers sync.WaitGroup
	for range slots {
		receivers.Go(func() {
			for ctx.Err() == nil {
				messages, err := q.Receive(ctx, queue.Receive{Max: 10, Wait: 20 * time.Second})
				if err != nil {
					continue
				}
				var done []string
				failed := map[string]bool{}
				for _, m := range messages {
					if failed[m.Group] {
						continue
					}
					if handle(m.Body, out) != nil {
						failed[m.Group] = true
						continue
					}
					done = append(done, m.Handle)
				}
				if len(done) > 0 {
					q.Delete(context.WithoutCancel(ctx), done)
				}
			}
		})
	}
	receivers.Wait()
}
