package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"inreply/local"
	"inreply/queue"
)

// stage is the queue that a peer is measured on.
type stage struct {
	workload workload
	world    *local.World
	queue    *queue.Queue // without latency and without being counted among the peer's calls
	dead     *queue.Queue
	endpoint string
}

const (
	queueName = "bench.fifo"
	deadName  = "bench-dead.fifo"
)

// measure runs one peer through the workload.
func (w workload) measure(ctx context.Context, peer string) (measured, error) {
	s, err := w.newStage(ctx)
	if err != nil {
		return measured{}, err
	}
	defer s.world.Close()
	if err := s.fill(ctx); err != nil {
		return measured{}, err
	}
	s.world.Inject(local.Faults{Operations: map[string]local.Fault{
		"sqs.ReceiveMessage": {Latency: w.latency}, "sqs.DeleteMessageBatch": {Latency: w.latency},
		"sqs.ChangeMessageVisibilityBatch": {Latency: w.latency}, "sqs.SendMessageBatch": {Latency: 0},
	}})
	before := s.world.CallCounts()
	m, err := s.runPeer(ctx, peer)
	if err != nil {
		return measured{}, err
	}
	m.calls = map[string]int{}
	for op, n := range s.world.CallCounts() {
		m.calls[op] = n - before[op]
	}
	m.visible, m.inFlight = s.counts(ctx, s.queue)
	visible, inFlight := s.counts(ctx, s.dead)
	m.dead = visible + inFlight
	m.verdict = judge(m.messages, m.reports)
	return m, nil
}

func (w workload) newStage(ctx context.Context) (*stage, error) {
	s := &stage{workload: w, world: local.New(local.Config{})}
	arn, err := s.world.SQS.CreateQueue(deadName, map[string]string{"FifoQueue": "true"})
	if err == nil {
		_, err = s.world.SQS.CreateQueue(queueName, map[string]string{
			"FifoQueue": "true", "VisibilityTimeout": strconv.Itoa(int(w.visibility.Seconds())),
			"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, w.receives),
		})
	}
	if err == nil {
		s.endpoint, err = s.world.Listen(ctx, "127.0.0.1:0")
	}
	if err != nil {
		s.world.Close()
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	client := sqs.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: &s.endpoint, HTTPClient: s.world.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	s.queue, s.dead = queue.New(client, s.world.SQS.URL(queueName)), queue.New(client, s.world.SQS.URL(deadName))
	return s, nil
}

func (s *stage) counts(ctx context.Context, q *queue.Queue) (visible, inFlight int) {
	a, err := q.Attributes(ctx)
	if err != nil {
		return -1, -1
	}
	return a.Visible, a.InFlight
}

// body tells a peer what to do with a message.
func (m message) body() string {
	return fmt.Sprintf("%d %d %t %s", m.number, m.takes.Microseconds(), m.poison, strings.Repeat("x", 1000))
}

func (m message) outgoing() queue.Outgoing {
	return queue.Outgoing{Body: m.body(), Group: fmt.Sprintf("g%d", m.group), DeduplicationID: strconv.Itoa(m.number)}
}

// fill sends what is there before the peer starts.
func (s *stage) fill(ctx context.Context) error {
	var out []queue.Outgoing
	for _, m := range s.workload.messages {
		if m.at == 0 {
			out = append(out, m.outgoing())
		}
	}
	return sendAll(ctx, s.queue, out)
}

func sendAll(ctx context.Context, q *queue.Queue, out []queue.Outgoing) error {
	for _, r := range q.Send(ctx, out) {
		if r.Err != nil {
			return fmt.Errorf("fill the queue: %w", r.Err)
		}
	}
	return nil
}

// runPeer runs the peer until the workload is over.
func (s *stage) runPeer(ctx context.Context, peer string) (measured, error) {
	w := s.workload
	m := measured{messages: w.messages, sent: map[int]time.Time{}}
	reader, writer, err := os.Pipe()
	if err != nil {
		return m, fmt.Errorf("open a pipe: %w", err)
	}
	self, err := os.Executable()
	if err != nil {
		return m, fmt.Errorf("find this program: %w", err)
	}
	//nolint:gosec // it is this program
	child := exec.CommandContext(ctx, self, "-peer", peer, "-endpoint", s.endpoint, "-url", s.world.SQS.URL(queueName),
		"-dead", s.world.SQS.URL(deadName), "-visibility", w.visibility.String())
	child.Stderr = os.Stderr
	child.ExtraFiles = []*os.File{writer}
	m.began = time.Now()
	if err := child.Start(); err != nil {
		return m, fmt.Errorf("start the peer: %w", err)
	}
	_ = writer.Close() // The child has its own.
	var mu sync.Mutex
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			r, ok := parseReport(lines.Text())
			if ok {
				mu.Lock()
				m.reports = append(m.reports, r)
				mu.Unlock()
			}
		}
	})
	err = s.attend(ctx, &m, &mu)
	term := time.Now()
	_ = child.Process.Signal(syscall.SIGTERM) // It may have ended by itself.
	ended := child.Wait()
	m.exit = time.Since(term)
	reading.Wait()
	if ended != nil {
		err = errors.Join(err, fmt.Errorf("the peer: %w", ended))
	}
	if usage, ok := child.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
		m.memory = usage.Maxrss >> 10
	}
	return m, err
}

// attend sends what is due while the peer runs, and returns when the workload is
// over: emptied, stopped in the middle, or out of patience.
func (s *stage) attend(ctx context.Context, m *measured, mu *sync.Mutex) error {
	w := s.workload
	if w.idle > 0 {
		return sleep(ctx, w.idle)
	}
	if err := s.sendDue(ctx, m); err != nil {
		return err
	}
	for time.Since(m.began) < w.patience {
		if err := sleep(ctx, 5*time.Millisecond); err != nil {
			return err
		}
		mu.Lock()
		ends := 0
		for _, r := range m.reports {
			if !r.start {
				ends++
			}
		}
		mu.Unlock()
		if w.stopAt > 0 && ends >= w.stopAt {
			return nil
		}
		if ends < len(w.messages)/2 {
			continue
		}
		if visible, inFlight := s.counts(ctx, s.queue); visible+inFlight == 0 {
			return nil
		}
	}
	return nil
}

// sendDue sends at the pace of the workload, a few at a time.
func (s *stage) sendDue(ctx context.Context, m *measured) error {
	var due []queue.Outgoing
	var numbers []int
	flush := func() error {
		at := time.Now()
		for _, n := range numbers {
			m.sent[n] = at
		}
		err := sendAll(ctx, s.queue, due)
		due, numbers = nil, nil
		return err
	}
	start := time.Now()
	if n := len(s.workload.messages); n == 0 || s.workload.messages[n-1].at == 0 {
		return nil
	}
	// The peer is up before the load begins.
	if err := sleep(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	start = start.Add(500 * time.Millisecond)
	for _, x := range s.workload.messages {
		if wait := time.Until(start.Add(x.at)); wait > 0 {
			if err := errors.Join(flush(), sleep(ctx, wait)); err != nil {
				return err
			}
		}
		due, numbers = append(due, x.outgoing()), append(numbers, x.number)
	}
	return flush()
}

func sleep(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("wait: %w", ctx.Err())
	}
}

// parseReport reads "s NUMBER NANOSECONDS", "e ..." or "f ..." (an end that failed).
func parseReport(line string) (report, bool) {
	var kind string
	var number int
	var at int64
	if _, err := fmt.Sscan(line, &kind, &number, &at); err != nil {
		return report{}, false
	}
	return report{number: number, start: kind == "s", failed: kind == "f", at: time.Unix(0, at)}, true
}
