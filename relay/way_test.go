package relay_test

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"go.uber.org/zap"

	"inreply/event"
	"inreply/local"
	"inreply/local/ses"
	"inreply/queue"
	"inreply/relay"
	"inreply/store"
)

// TestWay is the way of mails from SES to the FIFO queue, through the real queue and
// store, while calls are lost, refused and slow. The retries of the SDK are off: the
// relay's own must do.
func TestWay(t *testing.T) {
	for seed := range uint64(3) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { way(t, seed) })
		})
	}
}

func way(t *testing.T, seed uint64) {
	t.Helper()
	w := local.New(local.Config{})
	t.Cleanup(w.Close)
	a, err := w.Provision(local.Names{
		Bucket: "example-mail", Prefix: "inbound/", Topic: "events", Intake: "intake", IntakeDeadLetters: "intake-dead",
		FifoTopic: "mail.fifo", Queue: "mails.fifo", DeadLetters: "mails-dead.fifo", Identities: []string{"our.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	config := aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://anywhere"), HTTPClient: w.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("key", "secret", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}
	queues := sqs.NewFromConfig(config)
	c := relay.Defaults()
	c.Queue, c.Topic, c.Prefix = "intake", a.FifoTopicARN, "inbound/"
	r, err := relay.New(c, relay.Parts{
		Intake: queue.New(queues, a.IntakeURL), Topic: queue.NewTopic(sns.NewFromConfig(config), a.FifoTopicARN), DeadLetters: queue.New(queues, a.IntakeDeadLettersURL),
		Tops: store.New(s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })), Own: func(string, string) bool { return false },
		Logger: zap.NewNop(), Random: func() float64 { return 0.5 },
	})
	if err != nil {
		t.Fatal(err)
	}
	fault := local.Fault{Latency: 20 * time.Millisecond, Jitter: 20 * time.Millisecond, Throttled: 0.05, Failed: 0.05, LostRequest: 0.05, LostResponse: 0.05}
	w.Inject(local.Faults{Seed: seed, Operations: map[string]local.Fault{
		"sqs.*": fault, "sns.*": fault, "s3.GetObject": fault, local.EventOperation: {Duplicated: 0.3},
	}})
	ctx, stop := context.WithCancel(context.WithoutCancel(t.Context()))
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()

	const mails = 70
	expected := map[string]string{} // author of each key, if SES vouches for him
	for n := range mails {
		author := fmt.Sprintf("s%d@senders.example", n%7)
		m := local.Mail{
			Envelope: ses.Envelope{From: author, Recipients: []string{"sales@our.example"}},
			Raw:      fmt.Appendf(nil, "From: %s\r\nSubject: %d\r\n\r\nHello\r\n", author, n),
		}
		if n%5 == 0 {
			m.Verdicts = ses.Verdicts{SPF: ses.Fail, DKIM: ses.Fail, DMARC: ses.Fail}
			author = ""
		}
		stored, err := w.Receive(m)
		if err != nil {
			t.Fatal(err)
		}
		expected[stored[0].Key] = author
	}
	time.Sleep(10 * time.Minute)
	stop()
	if err := <-ended; err != nil {
		t.Errorf("run: %v", err)
	}
	w.Inject(local.Faults{})
	checkArrived(t, queue.New(queues, a.QueueURL), expected)
	for name, url := range map[string]string{"intake": a.IntakeURL, "dead letters": a.IntakeDeadLettersURL} {
		if left, err := queue.New(queues, url).Attributes(t.Context()); err != nil || left.Visible+left.InFlight != 0 {
			t.Errorf("%s: %d visible, %d in flight, %v", name, left.Visible, left.InFlight, err)
		}
	}
}

// checkArrived holds that every mail arrived, and in which company. One may have
// arrived twice: when the answer to a publish was lost, and the notice came again
// after five minutes; the mail record takes care of that.
func checkArrived(t *testing.T, q *queue.Queue, authors map[string]string) {
	t.Helper()
	arrived, groups, authorOf := map[string]int{}, map[string]string{}, map[string]string{}
	for {
		messages, err := q.Receive(t.Context(), queue.Receive{Max: 10})
		if err != nil {
			t.Fatal(err)
		}
		if len(messages) == 0 {
			break
		}
		var handles []string
		for _, m := range messages {
			handles = append(handles, m.Handle)
			n, err := event.Decode([]byte(m.Body))
			if err != nil || len(n.Objects) != 1 {
				t.Fatalf("arrived: %s: %v", m.Body, err)
			}
			key := n.Objects[0].Key
			author, planned := authors[key]
			if !planned {
				t.Errorf("%s arrived, which nobody sent", key)
			}
			arrived[key]++
			if author == "" {
				author = key // alone
			}
			if known := groups[author]; known != "" && known != m.Group {
				t.Errorf("%s is in groups %s and %s", author, known, m.Group)
			}
			if other := authorOf[m.Group]; other != "" && other != author {
				t.Errorf("%s and %s share a group", author, other)
			}
			groups[author], authorOf[m.Group] = m.Group, author
		}
		for _, err := range q.Delete(t.Context(), handles) {
			if err != nil {
				t.Fatal(err)
			}
		}
	}
	for key := range authors {
		if arrived[key] < 1 || arrived[key] > 2 {
			t.Errorf("%s arrived %d times", key, arrived[key])
		}
	}
}
