package feedback

import (
	"fmt"
	"strings"
)

// Config are the settings of feedback.
type Config struct {
	Queue string `yaml:"queue"` // name, URL or ARN of the standard queue of SES's events; empty: they are not read
}

// Enabled reports whether SES's events are read at all.
func (c Config) Enabled() bool { return c.Queue != "" }

// Validate reports what is wrong with the settings, by its key.
func (c Config) Validate() error {
	if strings.HasSuffix(c.Queue, ".fifo") {
		return fmt.Errorf("queue: %s is a FIFO queue, and the topic that SES publishes to can feed none: name a standard queue", c.Queue)
	}
	return nil
}
