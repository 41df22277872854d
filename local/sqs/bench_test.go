package sqs

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// wire calls a Server over a real socket, at little cost of its own.
type wire struct {
	b      *testing.B
	url    string
	client *http.Client
}

func newWire(b *testing.B) wire {
	b.Helper()
	s := New(Config{})
	server := httptest.NewServer(s)
	b.Cleanup(func() {
		s.Close()
		server.Close()
	})
	transport := &http.Transport{MaxIdleConnsPerHost: 64}
	b.Cleanup(transport.CloseIdleConnections)
	return wire{b, server.URL, &http.Client{Transport: transport}}
}

func (w wire) call(operation string, in, out any) {
	body, err := json.Marshal(in)
	if err != nil {
		w.b.Fatal(err)
	}
	r, err := http.NewRequestWithContext(w.b.Context(), http.MethodPost, w.url, bytes.NewReader(body))
	if err != nil {
		w.b.Fatal(err)
	}
	r.Header.Set("X-Amz-Target", "AmazonSQS."+operation)
	answer, err := w.client.Do(r)
	if err != nil {
		w.b.Fatal(err)
	}
	defer func() { _ = answer.Body.Close() }()
	b, err := io.ReadAll(answer.Body)
	if err != nil || answer.StatusCode != http.StatusOK {
		w.b.Fatalf("%s: %d %s, %v", operation, answer.StatusCode, b, err)
	}
	if out != nil {
		if err := json.Unmarshal(b, out); err != nil {
			w.b.Fatal(err)
		}
	}
}

func (w wire) queue() string {
	var out queueURLOutput
	w.call("CreateQueue", object{"QueueName": "q.fifo", "Attributes": object{"FifoQueue": "true"}}, &out)
	return out.QueueUrl
}

func (w wire) fill(url string, n, groups int) {
	body := strings.Repeat("x", 500)
	for i := 0; i < n; i += maxBatch {
		var entries []object
		for k := i; k < min(n, i+maxBatch); k++ {
			id := fmt.Sprint(k)
			entries = append(entries, object{"Id": id, "MessageBody": body, "MessageGroupId": fmt.Sprint(k % groups), "MessageDeduplicationId": id})
		}
		w.call("SendMessageBatch", object{"QueueUrl": url, "Entries": entries}, nil)
	}
}

// BenchmarkReceiveAndDelete empties a queue by 4 workers in batches of 10 over
// HTTP. The depth is what is queued at the start: the time per message must not
// grow with it, nor with the number of groups.
func BenchmarkReceiveAndDelete(b *testing.B) {
	for _, c := range []struct{ depth, groups int }{{1_000, 100}, {10_000, 500}, {100_000, 1}, {100_000, 10_000}} {
		b.Run(fmt.Sprintf("depth=%d/groups=%d", c.depth, c.groups), func(b *testing.B) {
			var took time.Duration
			for b.Loop() {
				b.StopTimer()
				w := newWire(b)
				url := w.queue()
				w.fill(url, c.depth, c.groups)
				b.StartTimer()
				took += w.empty(url, c.depth)
			}
			b.ReportMetric(float64(c.depth*b.N)/took.Seconds(), "messages/s")
		})
	}
}

// empty returns the time until the last message was deleted; workers that find
// nothing any more wait on.
func (w wire) empty(url string, n int) time.Duration {
	var left, took atomic.Int64
	left.Store(int64(n))
	start := time.Now()
	var workers sync.WaitGroup
	for range 4 {
		workers.Go(func() {
			for left.Load() > 0 {
				var out receiveOutput
				w.call("ReceiveMessage", object{"QueueUrl": url, "MaxNumberOfMessages": maxBatch, "WaitTimeSeconds": 1}, &out)
				if len(out.Messages) == 0 {
					continue
				}
				var entries []object
				for i, m := range out.Messages {
					entries = append(entries, object{"Id": fmt.Sprint(i), "ReceiptHandle": m.ReceiptHandle})
				}
				w.call("DeleteMessageBatch", object{"QueueUrl": url, "Entries": entries}, nil)
				left.Add(int64(-len(entries)))
				took.Store(int64(time.Since(start)))
			}
		})
	}
	workers.Wait()
	return time.Duration(took.Load())
}

// BenchmarkWake measures from a send to the return of the poll that waited for
// it, over HTTP.
func BenchmarkWake(b *testing.B) {
	w := newWire(b)
	url := w.queue()
	var all []time.Duration
	for i := 0; b.Loop(); i++ {
		b.StopTimer()
		done := make(chan time.Time)
		go func() {
			var out receiveOutput
			w.call("ReceiveMessage", object{"QueueUrl": url, "WaitTimeSeconds": 20}, &out)
			at := time.Now()
			w.call("DeleteMessage", object{"QueueUrl": url, "ReceiptHandle": out.Messages[0].ReceiptHandle}, nil)
			done <- at
		}()
		time.Sleep(5 * time.Millisecond) // The poll has to wait; a benchmark may sleep.
		b.StartTimer()
		start := time.Now()
		w.call("SendMessage", object{"QueueUrl": url, "MessageBody": "x", "MessageGroupId": "g", "MessageDeduplicationId": fmt.Sprint(i)}, nil)
		all = append(all, (<-done).Sub(start))
	}
	slices.Sort(all)
	b.ReportMetric(float64(all[len(all)/2].Microseconds()), "µs-p50")
	b.ReportMetric(float64(all[len(all)-1].Microseconds()), "µs-max")
}
