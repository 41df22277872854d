package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"strconv"
	"strings"
	"sync"
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
	queue    *queue.Queue // for the harness: without latency, and not counted
	dead     *queue.Queue
	endpoint string
	server   *http.Server

	mu     sync.Mutex
	random *rand.Rand
	first  time.Time // when the peer's first call came
	last   time.Time // when its last delete was answered
}

const (
	queueName = "bench.fifo"
	deadName  = "bench-dead.fifo"
)

func (w workload) newStage(ctx context.Context) (*stage, error) {
	listener, err := new(net.ListenConfig).Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return nil, fmt.Errorf("listen: %w", err)
	}
	s := &stage{workload: w, endpoint: "http://" + listener.Addr().String(), random: rand.New(rand.NewPCG(1, 2))}
	s.world = local.New(local.Config{Endpoint: s.endpoint})
	s.server = &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = s.server.Serve(listener) }() // It ends when the stage is closed.
	if err := s.furnish(); err != nil {
		s.close()
		return nil, fmt.Errorf("set the stage: %w", err)
	}
	client := sqs.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: &s.endpoint, HTTPClient: direct{s.world.SQS},
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	s.queue, s.dead = queue.New(client, s.world.SQS.URL(queueName)), queue.New(client, s.world.SQS.URL(deadName))
	return s, nil
}

func (s *stage) furnish() error {
	w := s.workload
	arn, err := s.world.SQS.CreateQueue(deadName, map[string]string{"FifoQueue": "true"})
	if err != nil {
		return err
	}
	_, err = s.world.SQS.CreateQueue(queueName, map[string]string{
		"FifoQueue": "true", "VisibilityTimeout": strconv.Itoa(int(w.visibility.Seconds())),
		"RedrivePolicy": fmt.Sprintf(`{"deadLetterTargetArn":%q,"maxReceiveCount":%d}`, arn, w.receives),
	})
	s.world.Inject(local.Faults{Seed: 1, Operations: map[string]local.Fault{
		"*":                  {Latency: w.latency},
		"sqs.ReceiveMessage": {Latency: w.latency, LostResponse: w.faults.lostReceives},
	}})
	return errors.Join(err, s.world.S3.CreateBucket(bucketName), s.world.S3.Put(bucketName, objectKey, "message/rfc822", make([]byte, objectSize)))
}

func (s *stage) close() {
	s.world.Close()
	_ = s.server.Close() // Nobody calls any more.
}

// direct is an HTTP client that calls a handler.
type direct struct{ handler http.Handler }

func (d direct) Do(r *http.Request) (*http.Response, error) {
	answer := httptest.NewRecorder()
	d.handler.ServeHTTP(answer, r)
	return answer.Result(), nil
}

// ServeHTTP answers a call of the peer, and notes when it came.
func (s *stage) ServeHTTP(rw http.ResponseWriter, r *http.Request) {
	deletes := strings.Contains(r.Header.Get("X-Amz-Target"), ".DeleteMessage")
	stalled := s.noteCall()
	if stalled {
		time.Sleep(s.workload.faults.stall)
	}
	if deletes && s.workload.faults.failedDeletes > 0 {
		s.deletePart(rw, r)
	} else {
		s.world.ServeHTTP(rw, r)
	}
	if deletes {
		s.mu.Lock()
		s.last = time.Now()
		s.mu.Unlock()
	}
}

func (s *stage) noteCall() (stalled bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.first.IsZero() {
		s.first = time.Now()
	}
	return s.workload.faults.stall > 0 && s.random.Float64() < s.workload.faults.stalled
}

func (s *stage) times() (first, last time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.first, s.last
}

// deletePart lets some entries of a batch fail as they do on AWS: they have no
// effect, and the answer says so entry by entry.
func (s *stage) deletePart(rw http.ResponseWriter, r *http.Request) {
	var in struct {
		QueueURL string           `json:"QueueUrl"`
		Entries  []map[string]any `json:"Entries"`
	}
	if err := json.NewDecoder(r.Body).Decode(&in); err != nil {
		http.Error(rw, err.Error(), http.StatusBadRequest)
		return
	}
	kept, failed := in.Entries[:0:0], []map[string]any{}
	s.mu.Lock()
	for _, e := range in.Entries {
		if s.random.Float64() < s.workload.faults.failedDeletes {
			failed = append(failed, map[string]any{"Id": e["Id"], "Code": "InternalError", "Message": "We encountered an internal error.", "SenderFault": false})
			continue
		}
		kept = append(kept, e)
	}
	s.mu.Unlock()
	out := map[string]any{}
	if len(kept) > 0 {
		in.Entries = kept
		body, err := json.Marshal(in)
		if err != nil {
			http.Error(rw, err.Error(), http.StatusInternalServerError)
			return
		}
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		answer := httptest.NewRecorder()
		s.world.ServeHTTP(answer, r)
		if err := json.Unmarshal(answer.Body.Bytes(), &out); err != nil || answer.Code != http.StatusOK {
			rw.WriteHeader(answer.Code)
			_, _ = rw.Write(answer.Body.Bytes()) // The peer may have gone.
			return
		}
	}
	if more, ok := out["Failed"].([]any); ok {
		for _, f := range more {
			failed = append(failed, f.(map[string]any))
		}
	}
	out["Failed"] = failed
	if out["Successful"] == nil {
		out["Successful"] = []any{}
	}
	rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
	_ = json.NewEncoder(rw).Encode(out) // As above.
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
	if n := len(s.workload.messages); n == 0 || s.workload.messages[n-1].at == 0 {
		return nil
	}
	// The peer is up before the load begins.
	for first, _ := s.times(); first.IsZero(); first, _ = s.times() {
		if err := sleep(ctx, 20*time.Millisecond); err != nil {
			return err
		}
	}
	if err := sleep(ctx, 500*time.Millisecond); err != nil {
		return err
	}
	start := time.Now()
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
