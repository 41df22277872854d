package push_test

import (
	"bytes"
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"testing"
	"time"

	"go.uber.org/zap"

	"inreply/queue"
	"inreply/relay"
	"inreply/relay/push"
)

// distant is AWS behind the door, 20 ms away: a topic, and a store whose every
// object is a mail that nobody vouches for.
type distant struct{}

const away = 20 * time.Millisecond

func (distant) Publish(_ context.Context, messages []queue.Outgoing) []queue.Result {
	time.Sleep(away)
	return make([]queue.Result, len(messages))
}

func (distant) Send(_ context.Context, messages []queue.Outgoing) []queue.Result {
	return make([]queue.Result, len(messages))
}

func (distant) Top(context.Context, string, string, string, int64) ([]byte, error) {
	time.Sleep(away)
	return []byte("From: jane@example.com\r\n\r\n"), nil
}

// BenchmarkPush is notices that SNS calls in a second, by how many calls are made at
// once: over HTTP on loopback, each with its signature verified, its object's top
// read and its publish answered before the call is.
func BenchmarkPush(b *testing.B) {
	for _, calls := range []int{1, 8, 64} {
		b.Run(fmt.Sprint(calls), func(b *testing.B) { pushes(b, calls) })
	}
}

func pushes(b *testing.B, calls int) {
	b.Helper()
	sns := newSigner(b, "sns", nil, nil)
	roots := x509.NewCertPool()
	roots.AddCert(sns.cert)
	c := relay.Defaults()
	c.Topic, c.DeadLetters, c.Group = "arn:aws:sns:eu-west-1:123456789012:inreply-mail.fifo", "dead", relay.GroupSender
	c.Push.Listen, c.Push.Topics = "127.0.0.1:0", []string{events}
	r, err := relay.New(c, relay.Parts{
		Topic: distant{}, DeadLetters: distant{}, Tops: distant{}, Logger: zap.NewNop(),
		Own: func(string, string) bool { return false }, Random: func() float64 { return 0.5 },
	})
	if err != nil {
		b.Fatal(err)
	}
	door, err := push.New(c.Push, push.Parts{
		Taker: r, Roots: roots, Logger: zap.NewNop(),
		Client: &http.Client{Transport: &aws{files: map[string][]byte{signedAt: file(sns)}}},
	})
	if err != nil {
		b.Fatal(err)
	}
	listener, err := door.Listen(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	ctx, stop := context.WithCancel(b.Context())
	ended := make(chan error, 1)
	go func() { ended <- door.Serve(ctx, listener) }()
	d := notification(`{"Records":[{"eventSource":"aws:s3","eventName":"ObjectCreated:Put","s3":{"bucket":{"name":"example-mail"},"object":{"key":"inbound/1","size":5,"eTag":"e"}}}]}`)
	d["SignatureVersion"] = "2"
	body, err := json.Marshal(sns.sign(b, d))
	if err != nil {
		b.Fatal(err)
	}
	url := "http://" + listener.Addr().String() + c.Push.Path
	client := &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: calls}}
	b.ResetTimer()
	work := make(chan struct{})
	done := make(chan error, calls)
	for range calls {
		go func() {
			var failed error
			for range work {
				if err := call(client, url, body); err != nil {
					failed = err
				}
			}
			done <- failed
		}()
	}
	for b.Loop() {
		work <- struct{}{}
	}
	close(work)
	for range calls {
		if err := <-done; err != nil {
			b.Error(err)
		}
	}
	b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
	b.StopTimer()
	client.CloseIdleConnections()
	stop()
	if err := <-ended; err != nil {
		b.Error(err)
	}
}

func call(client *http.Client, url string, body []byte) error {
	response, err := client.Post(url, "text/plain; charset=UTF-8", bytes.NewReader(body))
	if err != nil {
		return err
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusOK {
		return fmt.Errorf("answered %s", response.Status)
	}
	return nil
}
