package inreply

import (
	"context"
	"fmt"
	"strings"
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

// RedriveSummary is how a redrive goes, or went.
type RedriveSummary struct {
	redrive.Summary
	Queue  string // the dead-letter queue; empty if it was never found
	Before int    // about how many dead letters it had when the redrive began
	After  int    // and when it ended
}

// RedriveReport is told how a redrive goes. Either may be nil.
type RedriveReport struct {
	Letter   func(l DeadLetter, err error) // as redrive.Report has it
	Progress func(s RedriveSummary)
}

// DeadLetter is one dead letter, with what is known of it.
type DeadLetter = redrive.Letter

// Redrive moves dead letters back to the queue that they failed in: the
// consumer's, or with intake the relay's. It ends when none is left, or when ctx
// does, between two entries and with nothing lost.
func Redrive(ctx context.Context, config configs.Config, clients Clients, intake bool, options RedriveOptions, report RedriveReport) (RedriveSummary, error) {
	setting, name := "consumer.queue", config.Consumer.Queue
	if intake {
		setting, name = "relay.queue", config.Relay.Queue
	}
	var summary RedriveSummary
	if name == "" {
		return summary, fmt.Errorf("%s: the settings name no queue, so there is nothing to redrive", setting)
	}
	url, attributes, err := findQueue(ctx, clients, setting, name)
	if err != nil {
		return summary, err
	}
	if attributes.DeadLetterARN == "" {
		return summary, fmt.Errorf("%s: %s has no dead-letter queue, so there is nothing to redrive", setting, name)
	}
	dead, of, err := findQueue(ctx, clients, "the dead-letter queue of "+setting, attributes.DeadLetterARN)
	if err != nil {
		return summary, err
	}
	summary.Queue = dead[strings.LastIndexByte(dead, '/')+1:]
	summary.Before = of.Visible + of.InFlight
	options.Fifo = attributes.Fifo
	source := queue.New(clients.SQS, dead)
	summary.Summary, err = redrive.New(source, queue.New(clients.SQS, url), of.Visibility, options, redrive.Report{
		Letter: report.Letter,
		Progress: func(s redrive.Summary) {
			if report.Progress != nil {
				report.Progress(RedriveSummary{Summary: s, Queue: summary.Queue, Before: summary.Before})
			}
		},
	}).Run(ctx)
	// Also after a stop somebody wants to know what is left.
	asking, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
	defer cancel()
	if now, asked := source.Attributes(asking); asked == nil {
		summary.After = now.Visible + now.InFlight
	}
	return summary, err
}

// ReadMail reads a mail as the daemon would, for a program that shows it.
func ReadMail(raw []byte) (*email.Message, error) {
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		return nil, fmt.Errorf("make the parser: %w", err)
	}
	return parser.Parse(email.Raw{Bytes: raw})
}
