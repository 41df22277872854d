package processing_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"inreply/email"
	"inreply/local"
	"inreply/processing"
	"inreply/store"
)

// shelf is a post whose book lies in S3.
type shelf struct {
	*post
	records *store.Records
}

func (s *shelf) Recall(ctx context.Context, address string) (store.SenderRecord, string, error) {
	r, etag, err := s.records.Sender(ctx, address)
	if errors.Is(err, store.ErrMissing) {
		return r, "", nil
	}
	return r, etag, err
}

func (s *shelf) Remember(ctx context.Context, address, etag string, r store.SenderRecord) (err error) {
	if etag == "" {
		_, err = s.records.CreateSender(ctx, address, r)
	} else {
		_, err = s.records.ReplaceSender(ctx, address, etag, r)
	}
	if errors.Is(err, store.ErrExists) {
		return store.ErrChanged
	}
	return err
}

// Two processes answer one sender, over S3's own protocol, while requests and
// answers are lost. Then both start anew. The cap holds throughout.
func TestTheCapHoldsOverTwoProcessesAndARestart(t *testing.T) {
	for name, fault := range map[string]local.Fault{
		"nothing lost":  {},
		"requests lost": {LostRequest: 0.2},
		"answers lost":  {LostResponse: 0.2},
		"S3 fails":      {Failed: 0.2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := local.New(local.Config{})
				t.Cleanup(w.Close)
				_, err := w.Provision(local.Names{
					Bucket: "records", Prefix: "inbound/", Topic: "events", Intake: "intake", IntakeDeadLetters: "intake-dead",
					FifoTopic: "mail.fifo", Queue: "mail.fifo", DeadLetters: "dead.fifo",
				})
				if err != nil {
					t.Fatal(err)
				}
				w.Inject(local.Faults{Seed: 3, Operations: map[string]local.Fault{"s3.*": fault}})
				sent := newPost()
				const perHour = 6
				for start := range 2 {
					answerAll(t, w, sent, perHour, start)
				}
				if len(sent.sent) != perHour {
					t.Errorf("promise 8: %d replies within an hour, and the cap is %d", len(sent.sent), perHour)
				}
				time.Sleep(time.Hour)
				answerAll(t, w, sent, perHour, 2)
				if len(sent.sent) != 2*perHour {
					t.Errorf("%d replies an hour later, and the cap is %d", len(sent.sent), 2*perHour)
				}
			})
		})
	}
}

// answerAll starts two processes that answer eight mails of one sender each.
func answerAll(t *testing.T, w *local.World, sent *post, perHour, start int) {
	t.Helper()
	var wg sync.WaitGroup
	for process := range 2 {
		config := aws.Config{
			Region: "us-east-1", BaseEndpoint: aws.String("http://local"), HTTPClient: w.Client(),
			Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		}
		records := store.NewRecords(
			store.New(s3.NewFromConfig(config, func(o *s3.Options) { o.UsePathStyle = true })),
			store.Config{Bucket: "records", Prefix: "inreply/records/", Secret: "secret"},
		)
		handle := newProcessingWith(t, echoing(func(c *processing.Config) { c.Policy.PerHour = perHour }), &shelf{sent, records})
		for n := range 8 {
			wg.Go(func() {
				raw := mail(start*100+process*10+n, fmt.Sprintf("Subject: %d\n", n))
				for {
					outcome, err := handle.Handle(context.Background(), raw)
					if err == nil {
						if outcome.Kind != email.Answered && outcome.Kind != email.Silent {
							t.Errorf("%+v", outcome)
						}
						return
					}
					time.Sleep(time.Second)
				}
			})
		}
	}
	wg.Wait()
}
