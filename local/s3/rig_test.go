package s3_test

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"

	"inreply/local/s3"
)

const (
	topicARN = "arn:aws:sns:us-east-1:000000000000:mail"
	queueARN = "arn:aws:sqs:us-east-1:000000000000:mail"
	bucket   = "bucket"
)

// listeners are a topic and a queue that keep what they are told.
type listeners struct {
	mu       sync.Mutex
	subjects []string
	told     []string
	refusing bool
}

func (l *listeners) Publish(_, subject, message string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.subjects = append(l.subjects, subject)
	return l.tell(message)
}

func (l *listeners) tell(message string) error {
	if l.refusing {
		return errors.New("refused")
	}
	l.told = append(l.told, message)
	return nil
}

func (l *listeners) Deliver(_, body string) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.tell(body)
}

func (l *listeners) Fifo(arn string) (fifo, exists bool) {
	return strings.HasSuffix(arn, ".fifo"), !strings.HasSuffix(arn, ":none")
}

// event is what the tests look at in an event.
type event struct {
	Event   string
	Bucket  string
	Records []struct {
		EventName string
		S3        struct {
			ConfigurationID string
			Object          struct {
				Key, ETag, VersionID, Sequencer string
				Size                            *int64
			}
		}
	}
}

// events are those that came since the last call, the test event left out.
func (l *listeners) events(t *testing.T) []event {
	t.Helper()
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []event
	for _, message := range l.told {
		var e event
		if err := json.Unmarshal([]byte(message), &e); err != nil {
			t.Fatalf("%s: %v", message, err)
		}
		if e.Event != "s3:TestEvent" {
			list = append(list, e)
		}
	}
	l.told = nil
	return list
}

// names are the events' names and keys.
func (l *listeners) names(t *testing.T) []string {
	t.Helper()
	var names []string
	for _, e := range l.events(t) {
		for _, r := range e.Records {
			names = append(names, r.EventName+" "+r.S3.Object.Key)
		}
	}
	return names
}

// inProcess calls a handler without a socket.
type inProcess struct{ http.Handler }

func (h inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	if r.Body == nil {
		r.Body = http.NoBody
	}
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// rig is a Server with a bucket, the SDK's client in front of it and listeners behind it.
type rig struct {
	*awss3.Client
	server    *s3.Server
	listeners *listeners
}

func newRig(t *testing.T, c s3.Config) rig {
	t.Helper()
	l := &listeners{}
	c.Topics, c.Queues = l, l
	server := s3.New(c)
	t.Cleanup(server.Close)
	if err := server.CreateBucket(bucket); err != nil {
		t.Fatal(err)
	}
	return rig{client(server, "https://s3.local"), server, l}
}

// client is the SDK's. Over https, which it is told, it sends bodies in chunks with the
// checksum behind them.
func client(h http.Handler, endpoint string) *awss3.Client {
	return awss3.New(awss3.Options{
		Region:       "us-east-1",
		BaseEndpoint: aws.String(endpoint),
		UsePathStyle: true,
		HTTPClient:   inProcess{h},
		Credentials: aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
			return aws.Credentials{AccessKeyID: "k", SecretAccessKey: "s"}, nil
		}),
		RetryMaxAttempts: 1,
	})
}

func (r rig) put(t *testing.T, key, body string) *awss3.PutObjectOutput {
	t.Helper()
	out, err := r.PutObject(context.Background(), &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: &key, Body: strings.NewReader(body)})
	if err != nil {
		t.Fatal(err)
	}
	return out
}

func (r rig) get(t *testing.T, key string) string {
	t.Helper()
	out, err := r.GetObject(context.Background(), &awss3.GetObjectInput{Bucket: aws.String(bucket), Key: &key})
	if err != nil {
		t.Fatal(err)
	}
	return readAll(t, out.Body)
}

func readAll(t *testing.T, body io.ReadCloser) string {
	t.Helper()
	defer body.Close()
	b, err := io.ReadAll(body)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// notify announces everything below in/ that ends in .eml.
func (r rig) notify(t *testing.T, events ...string) {
	t.Helper()
	err := r.server.Notify(bucket, s3.Notification{Topics: []s3.TopicNotification{{TopicARN: topicARN, Announcement: s3.Announcement{
		ID: "mail", Events: events,
		Filter: &s3.Filter{Rules: []s3.FilterRule{{Name: "prefix", Value: "in/"}, {Name: "suffix", Value: ".eml"}}},
	}}}})
	if err != nil {
		t.Fatal(err)
	}
}

// wantRefusal checks status and code of a refusal.
func wantRefusal(t *testing.T, err error, status int, code string) {
	t.Helper()
	var refusal smithy.APIError
	var response *smithyhttp.ResponseError
	if !errors.As(err, &refusal) || !errors.As(err, &response) {
		t.Fatalf("got %v, want %d %s", err, status, code)
	}
	if refusal.ErrorCode() != code || response.HTTPStatusCode() != status {
		t.Errorf("got %d %s, want %d %s", response.HTTPStatusCode(), refusal.ErrorCode(), status, code)
	}
}

// request makes a request as no SDK would.
func (r rig) request(t *testing.T, method, target, body string, header ...string) *httptest.ResponseRecorder {
	t.Helper()
	request := httptest.NewRequest(method, target, strings.NewReader(body))
	for i := 0; i+1 < len(header); i += 2 {
		request.Header.Set(header[i], header[i+1])
	}
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, request)
	return w
}
