package inreply

import (
	"errors"

	"inreply/consumer"
	"inreply/mailer/feedback"
	"inreply/relay"
)

// Alive returns nil as long as the process should not be restarted.
func (d *Daemon) Alive() error {
	faults := []error{d.consumer.Alive()}
	if d.relay != nil {
		faults = append(faults, d.relay.Alive())
	}
	if d.feedback != nil {
		faults = append(faults, d.feedback.Alive())
	}
	return errors.Join(faults...)
}

// Ready returns nil while mails are taken, and else why they are not.
func (d *Daemon) Ready() error {
	if d.relay == nil {
		return d.consumer.Ready()
	}
	return errors.Join(d.consumer.Ready(), d.relay.Ready())
}

// State is what a daemon is doing.
type State struct {
	Consumer ConsumerState `json:"consumer"`
	Relay    *RelayState   `json:"relay,omitempty"` // nil where AWS does the relaying

	Feedback *FeedbackState `json:"feedback,omitempty"` // nil where SES's events are not read
}

// ConsumerState is what the consumer is doing.
type ConsumerState = consumer.State

// RelayState is what the relay is doing.
type RelayState = relay.State

// FeedbackState is what SES has told of replies.
type FeedbackState = feedback.State

// Tally is how often something happened, and when last.
type Tally = consumer.Tally

// State returns what the daemon is doing now.
func (d *Daemon) State() State {
	s := State{Consumer: d.consumer.State()}
	if d.relay != nil {
		now := d.relay.State()
		s.Relay = &now
	}
	if d.feedback != nil {
		now := d.feedback.State()
		s.Feedback = &now
	}
	return s
}
