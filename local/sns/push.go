package sns

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"
)

// effectiveDeliveryPolicy is what a topic without a delivery policy shows.
const effectiveDeliveryPolicy = `{"http":{"defaultHealthyRetryPolicy":{"minDelayTarget":20,"maxDelayTarget":20,"numRetries":3,` +
	`"numMaxDelayRetries":0,"numNoDelayRetries":0,"numMinDelayRetries":0,"backoffFunction":"linear"},` +
	`"disableSubscriptionOverrides":false,"defaultRequestPolicy":{"headerContentType":"text/plain; charset=UTF-8"}}}`

// retryPolicy says how often a failed HTTP delivery is repeated, and after what pause.
type retryPolicy struct {
	times int
	pause time.Duration
}

// defaultRetries is AWS's: three more times, 20 s apart.
// https://docs.aws.amazon.com/sns/latest/dg/sns-message-delivery-retries.html.
func defaultRetries() retryPolicy { return retryPolicy{times: 3, pause: 20 * time.Second} }

// readRetries reads numRetries and minDelayTarget of a subscription's DeliveryPolicy. The
// pauses here do not grow from the minimum to the maximum.
func readRetries(policy string) (retryPolicy, error) {
	var p struct {
		Healthy struct {
			Retries *int `json:"numRetries"`
			Pause   *int `json:"minDelayTarget"`
		} `json:"healthyRetryPolicy"`
	}
	retries := defaultRetries()
	if err := json.Unmarshal([]byte(policy), &p); err != nil {
		return retries, errors.New("unable to parse as JSON")
	}
	if p.Healthy.Retries != nil {
		retries.times = *p.Healthy.Retries
	}
	if p.Healthy.Pause != nil {
		retries.pause = time.Duration(*p.Healthy.Pause) * time.Second
	}
	if retries.times < 0 || retries.times > 100 || retries.pause < time.Second || retries.pause > time.Hour {
		return retries, errors.New("healthyRetryPolicy.numRetries must be 0 to 100, minDelayTarget 1 to 3600 seconds")
	}
	return retries, nil
}

// pusher makes the calls to HTTP endpoints, each in a goroutine of its own until it succeeded,
// was given up, or close was called.
type pusher struct {
	client *http.Client
	own    bool // the client's connections are used by nobody else
	log    *zap.Logger

	ctx  context.Context //nolint:containedctx // the life of all deliveries, ended by close.
	stop context.CancelFunc

	mu      sync.Mutex
	closed  bool
	running sync.WaitGroup
}

func newPusher(client *http.Client, log *zap.Logger) *pusher {
	p := &pusher{log: log, own: client == nil}
	if client == nil {
		// AWS gives up on an endpoint after 15 s.
		client = &http.Client{Timeout: 15 * time.Second, Transport: &http.Transport{}}
	}
	changed := *client
	// A redirect could lead off this machine.
	changed.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	p.client = &changed
	p.ctx, p.stop = context.WithCancel(context.Background())
	return p
}

func (p *pusher) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.stop()
	p.running.Wait()
	if p.own {
		p.client.CloseIdleConnections()
	}
}

// start delivers a call in the background. The function given up is told why it failed; it is
// not called when close came first.
func (p *pusher) start(c call, retries retryPolicy, givenUp func(error)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.closed {
		return
	}
	p.running.Go(func() {
		if err := p.deliver(c, retries); err != nil && p.ctx.Err() == nil {
			givenUp(err)
		}
	})
}

// deliver makes the call until it succeeds or may not be repeated.
func (p *pusher) deliver(c call, retries retryPolicy) error {
	for tries := 0; ; tries++ {
		err := p.post(c)
		if err == nil {
			return nil
		}
		p.log.Debug("sns: endpoint failed", zap.String("endpoint", c.url), zap.Int("tries", tries+1), zap.Error(err))
		var refused *refusedError
		if errors.As(err, &refused) || tries == retries.times {
			return err
		}
		pause := time.NewTimer(retries.pause)
		select {
		case <-pause.C:
		case <-p.ctx.Done():
			pause.Stop()
			return p.ctx.Err()
		}
	}
}

// refusedError is an answer that a repetition would not change: 4xx, but 429.
type refusedError struct{ status string }

func (e *refusedError) Error() string { return "endpoint answered " + e.status }

// call is one request to an HTTP endpoint.
type call struct {
	url    string
	header http.Header
	body   string
}

func (p *pusher) post(c call) error {
	request, err := http.NewRequestWithContext(p.ctx, http.MethodPost, c.url, strings.NewReader(c.body))
	if err != nil {
		return fmt.Errorf("call endpoint: %w", err)
	}
	request.Header = c.header.Clone()
	response, err := p.client.Do(request)
	if err != nil {
		return fmt.Errorf("call endpoint: %w", err)
	}
	defer response.Body.Close()
	// Read a little, so that the connection can be used again; what it says matters to nobody.
	_, _ = io.CopyN(io.Discard, response.Body, 64<<10)
	switch {
	case response.StatusCode < 300:
		return nil
	case response.StatusCode >= 500, response.StatusCode == http.StatusTooManyRequests:
		return fmt.Errorf("endpoint answered %s", response.Status)
	}
	return &refusedError{response.Status}
}

// pushTo delivers a message to an HTTP endpoint.
func (s *Server) pushTo(sub *subscription, n *notification) {
	body, err := n.text(sub.protocol), error(nil)
	if !sub.raw {
		body, err = n.envelope(sub)
	}
	if err != nil {
		s.bury(sub, n, err)
		return
	}
	header := n.header("Notification")
	header.Set("X-Amz-Sns-Subscription-Arn", sub.arn)
	if sub.raw {
		header.Set("X-Amz-Sns-Rawdelivery", "true")
	}
	s.push.start(call{sub.endpoint, header, body}, sub.retries, func(err error) { s.bury(sub, n, err) })
}

// askToConfirm sends an endpoint the link that confirms its subscription. The caller holds the
// lock.
func (s *Server) askToConfirm(sub *subscription) {
	n := &notification{
		publication: publication{message: "You have chosen to subscribe to the topic " + sub.topicARN +
			".\nTo confirm the subscription, visit the SubscribeURL included in this message."},
		receipt:  receipt{id: s.uuid()},
		topicARN: sub.topicARN,
		at:       time.Now(),
		base:     s.url(),
		version:  s.topics[sub.topicARN].attributes["SignatureVersion"],
		signer:   s.signer,
	}
	body, err := n.confirmation(sub)
	if err != nil {
		s.log.Warn("sns: subscription cannot be confirmed", zap.String("subscription", sub.arn), zap.Error(err))
		return
	}
	s.push.start(call{sub.endpoint, n.header("SubscriptionConfirmation"), body}, sub.retries, func(err error) {
		s.log.Warn("sns: endpoint did not take the request to confirm", zap.String("endpoint", sub.endpoint), zap.Error(err))
	})
}

func (n *notification) header(kind string) http.Header {
	header := make(http.Header)
	header.Set("Content-Type", "text/plain; charset=UTF-8")
	header.Set("User-Agent", "Amazon Simple Notification Service Agent")
	header.Set("X-Amz-Sns-Message-Type", kind)
	header.Set("X-Amz-Sns-Message-Id", n.id)
	header.Set("X-Amz-Sns-Topic-Arn", n.topicARN)
	return header
}
