package sns_test

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
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/google/go-cmp/cmp"

	"inreply/local/sns"
)

// endpoint is an HTTP endpoint without a socket. It answers with the given statuses, and with
// 200 when it has no more.
type endpoint struct {
	mu       sync.Mutex
	statuses []int
	got      []*http.Request
	bodies   []string
	at       []time.Time
}

func (e *endpoint) RoundTrip(r *http.Request) (*http.Response, error) {
	e.mu.Lock()
	defer e.mu.Unlock()
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	e.got, e.bodies, e.at = append(e.got, r), append(e.bodies, string(body)), append(e.at, time.Now())
	status := http.StatusOK
	if len(e.statuses) > 0 {
		status, e.statuses = e.statuses[0], e.statuses[1:]
	}
	if status == 0 {
		return nil, errors.New("connection refused")
	}
	return &http.Response{StatusCode: status, Status: http.StatusText(status), Body: http.NoBody, Header: make(http.Header)}, nil
}

// pushRig has a confirmed HTTP subscription.
func pushRig(t *testing.T, attributes ...string) (rig, *endpoint, string) {
	t.Helper()
	e := &endpoint{}
	r := newRig(t, sns.Config{HTTP: &http.Client{Transport: e}})
	topic := r.topic(t, "std")
	if _, err := r.server.Subscribe(topic, "http", "http://127.0.0.1:8080/push", pairs(attributes)); err != nil {
		t.Fatal(err)
	}
	synctest.Wait()
	follow(t, r, e.bodies[0])
	e.got, e.bodies, e.at = nil, nil, nil
	return r, e, topic
}

// follow follows the link in a request to confirm.
func follow(t *testing.T, r rig, body string) {
	t.Helper()
	var confirmation struct{ SubscribeURL string }
	if err := json.Unmarshal([]byte(body), &confirmation); err != nil {
		t.Fatal(err)
	}
	w := httptest.NewRecorder()
	r.server.ServeHTTP(w, httptest.NewRequest(http.MethodGet, confirmation.SubscribeURL, nil))
	if w.Code != http.StatusOK || !strings.Contains(w.Body.String(), "<SubscriptionArn>") {
		t.Fatalf("status %d: %s", w.Code, w.Body)
	}
}

func TestEndpointConfirmsFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx := context.Background()
		e := &endpoint{}
		r := newRig(t, sns.Config{HTTP: &http.Client{Transport: e}})
		topic := r.topic(t, "std")
		out, err := r.Subscribe(ctx, &awssns.SubscribeInput{TopicArn: &topic, Protocol: aws.String("http"), Endpoint: aws.String("http://localhost:8080/push")})
		if err != nil || *out.SubscriptionArn != "pending confirmation" {
			t.Fatalf("%v, %v", out, err)
		}
		r.publish(t, topic, "too early", "", "")
		synctest.Wait()
		if len(e.got) != 1 || e.got[0].Header.Get("X-Amz-Sns-Message-Type") != "SubscriptionConfirmation" || e.got[0].URL.String() != "http://localhost:8080/push" {
			t.Fatalf("endpoint got %v", e.bodies)
		}
		verify(t, r.server, "1", e.bodies[0])
		list, err := r.ListSubscriptionsByTopic(ctx, &awssns.ListSubscriptionsByTopicInput{TopicArn: &topic})
		if err != nil || *list.Subscriptions[0].SubscriptionArn != "PendingConfirmation" {
			t.Errorf("listed as %v, %v", list, err)
		}
		_, err = r.ConfirmSubscription(ctx, &awssns.ConfirmSubscriptionInput{TopicArn: &topic, Token: aws.String("guess")})
		wantRefusal(t, err, "InvalidParameter", "Invalid parameter: Token")

		var confirmation struct{ Token string }
		if err := json.Unmarshal([]byte(e.bodies[0]), &confirmation); err != nil {
			t.Fatal(err)
		}
		if _, err := r.ConfirmSubscription(ctx, &awssns.ConfirmSubscriptionInput{TopicArn: &topic, Token: &confirmation.Token}); err != nil {
			t.Fatal(err)
		}
		r.publish(t, topic, "hello", "", "")
		synctest.Wait()
		if len(e.got) != 2 {
			t.Fatalf("endpoint got %v", e.bodies)
		}
		verify(t, r.server, "1", e.bodies[1])
		header := e.got[1].Header
		if header.Get("X-Amz-Sns-Message-Type") != "Notification" || header.Get("Content-Type") != "text/plain; charset=UTF-8" || header.Get("X-Amz-Sns-Subscription-Arn") == "" {
			t.Errorf("header %v", header)
		}
	})
}

func TestEndpointGetsRaw(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e, topic := pushRig(t, "RawMessageDelivery", "true")
		r.publish(t, topic, "hello", "", "")
		synctest.Wait()
		if diff := cmp.Diff([]string{"hello"}, e.bodies); diff != "" || e.got[0].Header.Get("X-Amz-Sns-Rawdelivery") != "true" {
			t.Errorf("header %v: %s", e.got[0].Header, diff)
		}
	})
}

func TestEndpointIsTriedAgain(t *testing.T) {
	redrive := []string{"RawMessageDelivery", "true", "RedrivePolicy", `{"deadLetterTargetArn":"` + deadLetters + `"}`}
	for _, c := range []struct {
		name       string
		attributes []string
		statuses   []int
		tries      int
		apart      time.Duration
		dead       int
	}{
		{"after it was down", redrive, []int{0, 503, 429}, 4, 20 * time.Second, 0},
		{"not for ever", redrive, []int{500, 500, 500, 500}, 4, 20 * time.Second, 1},
		{"not when it refused", redrive, []int{403}, 1, 0, 1},
		{"not somewhere else", redrive, []int{302}, 1, 0, 1},
		{"as its policy says", append([]string{"DeliveryPolicy", `{"healthyRetryPolicy":{"numRetries":1,"minDelayTarget":3}}`}, redrive...), []int{500, 500}, 2, 3 * time.Second, 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, e, topic := pushRig(t, c.attributes...)
				e.statuses = c.statuses
				r.publish(t, topic, "x", "", "")
				time.Sleep(time.Hour)
				synctest.Wait()
				if len(e.at) != c.tries {
					t.Fatalf("%d tries, want %d", len(e.at), c.tries)
				}
				for i := 1; i < len(e.at); i++ {
					if apart := e.at[i].Sub(e.at[i-1]); apart != c.apart {
						t.Errorf("try %d came after %v, want %v", i, apart, c.apart)
					}
				}
				if dead := len(r.queues.in(deadLetters)); dead != c.dead {
					t.Errorf("%d dead letters, want %d", dead, c.dead)
				}
			})
		})
	}
}

func TestCloseEndsDeliveries(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, e, topic := pushRig(t)
		e.statuses = []int{500, 500, 500, 500}
		r.publish(t, topic, "x", "", "")
		synctest.Wait()
		r.server.Close()
		r.publish(t, topic, "late", "", "")
		time.Sleep(time.Hour)
		synctest.Wait()
		if len(e.got) != 1 {
			t.Errorf("%d calls, want 1", len(e.got))
		}
	})
}

func TestEndpointOverASocket(t *testing.T) {
	got := make(chan string, 2)
	e := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got <- string(body)
	}))
	defer e.Close()
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "std")
	if _, err := r.server.Subscribe(topic, "http", e.URL, pairs([]string{"RawMessageDelivery", "true"})); err != nil {
		t.Fatal(err)
	}
	follow(t, r, <-got)
	r.publish(t, topic, "hello", "", "")
	if body := <-got; body != "hello" {
		t.Errorf("endpoint got %q", body)
	}
	r.server.Close()
}
