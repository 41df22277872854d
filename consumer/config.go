package consumer

import (
	"errors"
	"fmt"
	"time"
)

// Config are the consumer's settings. [Defaults] fills in what is left out.
type Config struct {
	Queue       string        `yaml:"queue"`        // name, URL or ARN of the FIFO queue
	Concurrency int           `yaml:"concurrency"`  // groups worked on at once
	MaxMessages int           `yaml:"max_messages"` // messages leased at once; 0: 20 for each group
	Attempts    int           `yaml:"attempts"`     // tries of its own before a mail is dead-lettered
	Deadline    time.Duration `yaml:"deadline"`     // of one try
	MemoryMiB   int           `yaml:"memory_mib"`   // octets of mails in work at once
	Visibility  time.Duration `yaml:"visibility"`   // length of a lease; 0: the queue's own
	Poll        time.Duration `yaml:"poll"`         // length of a long poll, 1s to 20s
	Backoff     Backoff       `yaml:"backoff"`
	Probe       Probe         `yaml:"probe"`
	Stop        Stop          `yaml:"stop"`
}

// Backoff is the wait before the next try of a mail that failed: full jitter up
// to Base, doubled with each try up to Max.
type Backoff struct {
	Base time.Duration `yaml:"base"` // the longest wait after the first try
	Max  time.Duration `yaml:"max"`  // the longest wait of all
	Here time.Duration `yaml:"here"` // up to this long the lease is kept; longer, the message goes back
}

// Probe is how often something that is out is asked again.
type Probe struct {
	Min time.Duration `yaml:"min"` // the first wait
	Max time.Duration `yaml:"max"` // the longest wait
}

// Stop bounds the end of the process.
type Stop struct {
	Budget    time.Duration `yaml:"budget"`     // for running work to finish; ECS kills after at most 120s
	PollGrace time.Duration `yaml:"poll_grace"` // for an open poll to return by itself
	Abandon   time.Duration `yaml:"abandon"`    // for a cancelled handler to return
}

// Defaults are the settings of a consumer on Fargate.
func Defaults() Config {
	return Config{
		Concurrency: 64,
		Attempts:    5,
		Deadline:    2 * time.Minute,
		MemoryMiB:   96,
		Poll:        20 * time.Second,
		Backoff:     Backoff{Base: time.Second, Max: 10 * time.Minute, Here: 30 * time.Second},
		Probe:       Probe{Min: time.Second, Max: 30 * time.Second},
		Stop:        Stop{Budget: 100 * time.Second, PollGrace: 21 * time.Second, Abandon: 5 * time.Second},
	}
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	var faults []error
	check := func(ok bool, key, format string, a ...any) {
		if !ok {
			faults = append(faults, fmt.Errorf("%s: %s", key, fmt.Sprintf(format, a...)))
		}
	}
	check(c.Queue != "", "queue", "name the FIFO queue to consume")
	check(c.Concurrency >= 1 && c.Concurrency <= 10_000, "concurrency", "%d is not between 1 and 10000", c.Concurrency)
	check(c.MaxMessages == 0 || c.MaxMessages >= 10 && c.MaxMessages <= 100_000, "max_messages", "%d is not between 10 and 100000 (0 for 20 a group)", c.MaxMessages)
	check(c.Attempts >= 1, "attempts", "%d: a mail needs at least 1 try", c.Attempts)
	check(c.Deadline >= time.Second && c.Deadline <= 11*time.Hour, "deadline", "%s is not between 1s and 11h", c.Deadline)
	check(c.MemoryMiB >= 1, "memory_mib", "%d: mails need at least 1 MiB", c.MemoryMiB)
	check(c.Visibility == 0 || c.Visibility >= time.Second && c.Visibility <= longestLease, "visibility", "%s is not between 1s and 12h (0 for the queue's own)", c.Visibility)
	check(c.Poll >= time.Second && c.Poll <= 20*time.Second, "poll", "%s is not between 1s and 20s, as SQS has it", c.Poll)
	check(c.Backoff.Base > 0, "backoff.base", "%s is not above 0", c.Backoff.Base)
	check(c.Backoff.Max >= c.Backoff.Base && c.Backoff.Max < longestLease, "backoff.max", "%s is not between backoff.base and 12h", c.Backoff.Max)
	check(c.Backoff.Here >= 0, "backoff.here", "%s is below 0", c.Backoff.Here)
	check(c.Probe.Min > 0, "probe.min", "%s is not above 0", c.Probe.Min)
	check(c.Probe.Max >= c.Probe.Min, "probe.max", "%s is less than probe.min", c.Probe.Max)
	check(c.Stop.Budget >= 0, "stop.budget", "%s is below 0", c.Stop.Budget)
	check(c.Stop.PollGrace >= 0, "stop.poll_grace", "%s is below 0", c.Stop.PollGrace)
	check(c.Stop.Abandon >= 0, "stop.abandon", "%s is below 0", c.Stop.Abandon)
	return errors.Join(faults...)
}

// capacity is how many messages may be leased at once.
func (c Config) capacity() int {
	if c.MaxMessages > 0 {
		return c.MaxMessages
	}
	return 20 * c.Concurrency
}
