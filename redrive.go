package inreply

import (
	"context"
	"fmt"
	"time"

	"inreply/configs"
	"inreply/consumer/redrive"
	"inreply/email"
	"inreply/queue"
)

// RedriveOptions say which dead letters to move, and how.
type RedriveOptions = redrive.Options

// RedriveMatch chooses dead letters.
type RedriveMatch = redrive.Match

// RedriveSummary is how a redrive ended.
type RedriveSummary = redrive.Summary

// DeadLetter is one dead letter, with what is known of it.
type DeadLetter = redrive.Letter

// Redrive moves dead letters back to the queue that they failed in: the
// consumer's, or with intake the relay's. It ends when none is left, or when ctx
// does, between two entries and with nothing lost.
func Redrive(ctx context.Context, config configs.Config, clients Clients, intake bool, options RedriveOptions, report redrive.Report) (RedriveSummary, error) {
	setting, name := "consumer.queue", config.Consumer.Queue
	if intake {
		setting, name = "relay.queue", config.Relay.Queue
	}
	url, attributes, err := findQueue(ctx, clients, setting, name)
	if err != nil {
		return RedriveSummary{}, err
	}
	if attributes.DeadLetterARN == "" {
		return RedriveSummary{}, fmt.Errorf("%s: %s has no dead-letter queue, so there is nothing to redrive", setting, name)
	}
	dead, of, err := findQueue(ctx, clients, "the dead-letter queue of "+setting, attributes.DeadLetterARN)
	if err != nil {
		return RedriveSummary{}, err
	}
	options.Fifo = attributes.Fifo
	return redrive.New(queue.New(clients.SQS, dead), queue.New(clients.SQS, url), max(of.Visibility, 30*time.Second), options, report).Run(ctx)
}

// ReadMail reads a mail as the daemon would, for a program that shows it.
func ReadMail(raw []byte) (*email.Message, error) {
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		return nil, fmt.Errorf("make the parser: %w", err)
	}
	return parser.Parse(email.Raw{Bytes: raw})
}
