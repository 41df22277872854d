package inreply

import (
	"context"
	"fmt"
	"time"

	"inreply/configs"
	"inreply/mailer"
	"inreply/mailer/feedback"
	"inreply/queue"
)

// newFeedback reads what SES tells of the replies that mailer sends.
func newFeedback(ctx context.Context, config configs.Config, clients Clients, sender *mailer.Mailer, parts Parts) (*feedback.Reader, error) {
	url, attributes, err := findQueue(ctx, clients, "feedback.queue", config.Feedback.Queue)
	if err != nil {
		return nil, err
	}
	if attributes.Fifo {
		return nil, fmt.Errorf("feedback.queue: %s is a FIFO queue, and the topic that SES publishes to can feed none: name a standard queue", config.Feedback.Queue)
	}
	if attributes.DeadLetterARN == "" {
		return nil, fmt.Errorf("feedback.queue: %s has no dead-letter queue: set its RedrivePolicy, or what is no event of SES comes again for ever", config.Feedback.Queue)
	}
	return feedback.New(events{queue.New(clients.SQS, url)}, sender, parts.Meter, parts.Logger.Named("feedback"))
}

// events is the queue of SES's events.
type events struct{ *queue.Queue }

// poll is the longest that SQS waits for a message.
const poll = 20 * time.Second

// Receive waits for some events.
func (e events) Receive(ctx context.Context) ([]feedback.Notice, error) {
	// An answer that never comes must not end the loop.
	ctx, cancel := context.WithTimeout(ctx, poll+10*time.Second)
	defer cancel()
	messages, err := e.Queue.Receive(ctx, queue.Receive{Max: 10, Wait: poll})
	if err != nil {
		return nil, err //nolint:wrapcheck // it says what it did
	}
	notices := make([]feedback.Notice, len(messages))
	for i, m := range messages {
		notices[i] = feedback.Notice{Handle: m.Handle, Body: m.Body}
	}
	return notices, nil
}
