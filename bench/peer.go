package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"os"
	"runtime"
	"runtime/pprof"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"go.opentelemetry.io/otel/metric/noop"
	"go.uber.org/zap"

	"inreply"
	"inreply/configs"
	"inreply/consumer"
	"inreply/queue"
)

// slots is how many handlers may run at once, and how many receivers plain has.
const slots = 64

// The names of the peers that are written in Go. Those of Node are in node.go.
const (
	peerOurs      = "ours"
	peerOursGet   = "ours+get"
	peerPlain     = "plain"
	peerPlainFast = "plain-fast"
)

// The object that ours+get reads for each message.
const (
	bucketName = "bench"
	objectKey  = "mail"
	objectSize = 50_000
)

// peerSettings are the flags of a child.
type peerSettings struct {
	peer, endpoint, url, dead string
	visibility                time.Duration
	profile                   string
}

func (s *peerSettings) register(set *flag.FlagSet) {
	set.StringVar(&s.peer, "peer", "", "run as this peer (the harness does that)")
	set.StringVar(&s.endpoint, "endpoint", "", "of a peer")
	set.StringVar(&s.url, "url", "", "of a peer: the queue")
	set.StringVar(&s.dead, "dead", "", "of a peer: the dead-letter queue")
	set.DurationVar(&s.visibility, "visibility", 0, "of a peer: of the queue")
	set.StringVar(&s.profile, "cpuprofile", "", "file for the CPU profile of a peer in Go")
}

// runPeer is a child, until ctx ends.
func runPeer(ctx context.Context, s peerSettings) error {
	if s.profile != "" {
		f, err := os.Create(s.profile)
		if err != nil {
			return fmt.Errorf("make the profile: %w", err)
		}
		if err := pprof.StartCPUProfile(f); err != nil {
			return fmt.Errorf("start the profile: %w", err)
		}
		defer pprof.StopCPUProfile()
	}
	out := &reporter{out: bufio.NewWriterSize(os.NewFile(3, "reports"), 1<<16)}
	defer out.flush()
	stop := out.flushNowAndThen()
	defer stop()
	clients := newClients(s.endpoint)
	h := &handler{say: out.say, sleep: (&alarms{}).sleep}
	if s.peer == peerOursGet {
		h.objects = clients.S3
	}
	err := s.consume(ctx, clients.SQS, h)
	out.sayAllocated()
	return err
}

// consume is what the peer does until ctx ends.
func (s peerSettings) consume(ctx context.Context, client *sqs.Client, h *handler) error {
	switch s.peer {
	case peerOurs, peerOursGet:
		return ours(ctx, s.visibility, queue.New(client, s.url), queue.New(client, s.dead), h)
	case peerPlain:
		plain(ctx, s.url, client, h.oneByOne)
		return nil
	case peerPlainFast:
		plain(ctx, s.url, client, h.atOnce())
		return nil
	}
	return fmt.Errorf("there is no peer %q", s.peer)
}

// newClients makes the clients of every peer in Go as the daemon makes its own:
// with idle connections enough, and without the fault of the SDK that would lose
// responses.
func newClients(endpoint string) inreply.Clients {
	return inreply.ClientsFrom(aws.Config{
		Region: "us-east-1", BaseEndpoint: &endpoint,
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awshttp.NewBuildableClient().WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns, t.MaxIdleConnsPerHost = 0, 512
	}), configs.AWS{})
}

// reporter writes starts and ends.
type reporter struct {
	mu   sync.Mutex
	out  *bufio.Writer
	line []byte
}

func (r *reporter) say(kind byte, number int) {
	at := time.Now().UnixNano()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.line = append(r.line[:0], kind, ' ')
	r.line = strconv.AppendInt(r.line, int64(number), 10)
	r.line = append(r.line, ' ')
	r.line = strconv.AppendInt(r.line, at, 10)
	_, _ = r.out.Write(append(r.line, '\n')) // The harness may have gone.
}

// sayAllocated reports what this process has allocated, ever.
func (r *reporter) sayAllocated() {
	var stats runtime.MemStats
	runtime.ReadMemStats(&stats)
	r.mu.Lock()
	defer r.mu.Unlock()
	_, _ = fmt.Fprintf(r.out, "a %d %d\n", stats.Mallocs, stats.TotalAlloc) // As above.
}

func (r *reporter) flush() {
	r.mu.Lock()
	defer r.mu.Unlock()
	_ = r.out.Flush() // As above.
}

func (r *reporter) flushNowAndThen() (stop func()) {
	ticker := time.NewTicker(10 * time.Millisecond)
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

// handler is what every peer in Go calls for each message.
type handler struct {
	say     func(kind byte, number int)
	sleep   func(time.Duration) error
	objects *s3.Client // nil: no object is read
}

// handle does what the body of a message says: number, microseconds, poison.
func (h *handler) handle(ctx context.Context, body string) error {
	first, rest, _ := strings.Cut(body, " ")
	second, rest, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(first)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	takes, err := strconv.Atoi(second)
	if err != nil {
		return fmt.Errorf("read the body: %w", err)
	}
	h.say('s', number)
	err = h.work(ctx, time.Duration(takes)*time.Microsecond)
	if err == nil && strings.HasPrefix(rest, "true") {
		err = errPoison
	}
	if err != nil {
		h.say('f', number)
		return err
	}
	h.say('e', number)
	return nil
}

func (h *handler) work(ctx context.Context, takes time.Duration) error {
	if h.objects != nil {
		if err := h.get(ctx); err != nil {
			return err
		}
	}
	if takes == 0 {
		return nil
	}
	return h.sleep(takes)
}

func (h *handler) get(ctx context.Context) error {
	object, err := h.objects.GetObject(ctx, &s3.GetObjectInput{Bucket: aws.String(bucketName), Key: aws.String(objectKey)})
	if err != nil {
		return fmt.Errorf("get the object: %w", err)
	}
	defer object.Body.Close()
	if _, err := io.Copy(io.Discard, object.Body); err != nil {
		return fmt.Errorf("read the object: %w", err)
	}
	return nil
}

// Work is that of a consumer.Worker.
func (h *handler) Work(ctx context.Context, m queue.Message, _ int) (consumer.Result, error) {
	return consumer.Result{}, h.handle(ctx, m.Body)
}

// ours is the consumer.
func ours(ctx context.Context, visibility time.Duration, q consumer.Queue, dead consumer.DeadLetters, h *handler) error {
	config := consumer.Defaults()
	config.Queue, config.Concurrency, config.Attempts = queueName, slots, 3
	config.Backoff.Base = 100 * time.Millisecond
	config.Stop.PollGrace = time.Second
	var ids atomic.Int64
	c, err := consumer.New(config, visibility, consumer.Parts{
		Queue: q, DeadLetters: dead, Worker: h,
		Logger: zap.NewNop(), Meter: noop.NewMeterProvider().Meter(""), Random: rand.Float64,
		NewID: func() string { return strconv.FormatInt(ids.Add(1), 10) },
	})
	if err != nil {
		return fmt.Errorf("make the consumer: %w", err)
	}
	return c.Run(ctx)
}

// sdk is what the plain loop needs of an SQS client.
type sdk interface {
	ReceiveMessage(context.Context, *sqs.ReceiveMessageInput, ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error)
	DeleteMessageBatch(context.Context, *sqs.DeleteMessageBatchInput, ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error)
}

// plain is what most people would write: receivers that take ten, have them
// handled, and delete in one call what went well.
func plain(ctx context.Context, url string, client sdk, handleAll func(context.Context, []types.Message) []bool) {
	var receivers sync.WaitGroup
	for range slots {
		receivers.Go(func() {
			for ctx.Err() == nil {
				out, err := client.ReceiveMessage(ctx, &sqs.ReceiveMessageInput{
					QueueUrl: &url, MaxNumberOfMessages: 10, WaitTimeSeconds: 20,
					MessageSystemAttributeNames: []types.MessageSystemAttributeName{types.MessageSystemAttributeNameMessageGroupId},
				})
				if err != nil || len(out.Messages) == 0 {
					continue
				}
				// What was received is handled and deleted, even if the process is to stop.
				whole := context.WithoutCancel(ctx)
				remove(whole, client, url, out.Messages, handleAll(whole, out.Messages))
			}
		})
	}
	receivers.Wait()
}

// remove deletes those that are done.
func remove(ctx context.Context, client sdk, url string, messages []types.Message, done []bool) {
	var entries []types.DeleteMessageBatchRequestEntry
	for i, m := range messages {
		if done[i] {
			entries = append(entries, types.DeleteMessageBatchRequestEntry{Id: aws.String(strconv.Itoa(i)), ReceiptHandle: m.ReceiptHandle})
		}
	}
	if len(entries) > 0 {
		// What is not deleted comes again: nobody looks at the answer.
		_, _ = client.DeleteMessageBatch(ctx, &sqs.DeleteMessageBatchInput{QueueUrl: &url, Entries: entries})
	}
}

// oneByOne keeps the order: after a failure it leaves out the rest of the group.
func (h *handler) oneByOne(ctx context.Context, messages []types.Message) []bool {
	done := make([]bool, len(messages))
	failed := map[string]bool{}
	for i, m := range messages {
		group := m.Attributes["MessageGroupId"]
		if failed[group] {
			continue
		}
		done[i] = h.handle(ctx, *m.Body) == nil
		failed[group] = !done[i]
	}
	return done
}

// atOnce does not: the whole batch runs side by side, as is often seen, in no
// more slots than the others have.
func (h *handler) atOnce() func(context.Context, []types.Message) []bool {
	free := make(chan struct{}, slots)
	return func(ctx context.Context, messages []types.Message) []bool {
		done := make([]bool, len(messages))
		var running sync.WaitGroup
		for i, m := range messages {
			running.Go(func() {
				free <- struct{}{}
				done[i] = h.handle(ctx, *m.Body) == nil
				<-free
			})
		}
		running.Wait()
		return done
	}
}
