package relay

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"inreply/relay/push"
)

// By what a mail's group is chosen.
const (
	GroupSender    = "sender"    // its author, if SES vouches for him; else its key
	GroupRecipient = "recipient" // the mailbox of ours that it was sent to
	GroupPrefix    = "prefix"    // the folder of its key
	GroupKey       = "key"       // its key: no order at all
)

// Config are the relay's settings.
type Config struct {
	Queue       string        `yaml:"queue"`        // name, URL or ARN of the intake queue; empty: nothing is polled for
	Topic       string        `yaml:"topic"`        // ARN of the FIFO topic
	DeadLetters string        `yaml:"dead_letters"` // name, URL or ARN of the queue for what is no notice; empty: that of the intake queue
	Group       string        `yaml:"group"`        // sender, recipient, prefix or key
	ObjectGroup string        `yaml:"object_group"` // prefix or key: for objects that a route of kind object takes
	Prefix      string        `yaml:"prefix"`       // relay only keys that begin with this
	Suffix      string        `yaml:"suffix"`       // relay only keys that end with this
	Concurrency int           `yaml:"concurrency"`  // batches relayed at once
	Poll        time.Duration `yaml:"poll"`         // length of a long poll, 1s to 20s
	PollGrace   time.Duration `yaml:"poll_grace"`   // for an open poll to return when the process stops
	Deadline    time.Duration `yaml:"deadline"`     // for one batch; below the queue's visibility timeout
	Push        push.Config   `yaml:"push"`         // notices that SNS calls in by itself
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{
		Group: GroupSender, ObjectGroup: GroupKey, Concurrency: 32, Poll: 20 * time.Second,
		PollGrace: 21 * time.Second, Deadline: 25 * time.Second, Push: push.Defaults(),
	}
}

// Enabled reports whether inreply relays by itself, whichever way the notices come.
func (c Config) Enabled() bool { return c.Queue != "" || c.Push.Enabled() }

// PassesOver says why the filters pass over a key, or nothing. They are for mails.
func (c Config) PassesOver(key string) (why string) {
	switch {
	case !strings.HasPrefix(key, c.Prefix):
		return "its key does not begin with relay.prefix"
	case !strings.HasSuffix(key, c.Suffix):
		return "its key does not end with relay.suffix"
	}
	return ""
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	if !c.Enabled() {
		return nil
	}
	var faults []error
	check := func(ok bool, key, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, a...)))
		}
	}
	check(strings.HasSuffix(c.Topic, ".fifo"), "topic", "%q is not the ARN of a FIFO topic, which ends in .fifo", c.Topic)
	groups := []string{GroupSender, GroupRecipient, GroupPrefix, GroupKey}
	check(slices.Contains(groups, c.Group), "group", "%q is none of %s", c.Group, strings.Join(groups, ", "))
	check(c.ObjectGroup == GroupPrefix || c.ObjectGroup == GroupKey, "object_group", "%q is neither %s nor %s", c.ObjectGroup, GroupPrefix, GroupKey)
	check(c.Queue != "" || c.DeadLetters != "", "dead_letters", "there is no intake queue whose dead-letter queue could take what is no notice: name one")
	check(c.Concurrency >= 1 && c.Concurrency <= 1000, "concurrency", "%d is not between 1 and 1000", c.Concurrency)
	check(c.Poll >= time.Second && c.Poll <= 20*time.Second, "poll", "%s is not between 1s and 20s, as SQS has it", c.Poll)
	check(c.PollGrace >= 0, "poll_grace", "%s is below 0", c.PollGrace)
	check(c.Deadline >= time.Second, "deadline", "%s is less than 1s", c.Deadline)
	return errors.Join(append(faults, below("push", c.Push.Validate()))...)
}

// below puts the key of a section before each of its faults.
func below(section string, err error) error {
	if err == nil {
		return nil
	}
	var faults []error
	for line := range strings.SplitSeq(err.Error(), "\n") {
		faults = append(faults, errors.New(section+"."+line))
	}
	return errors.Join(faults...)
}
