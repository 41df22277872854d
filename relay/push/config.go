package push

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Config are the settings of the door.
type Config struct {
	Listen      string        `yaml:"listen"`      // host:port that SNS's calls reach, behind a balancer that ends TLS; empty: no push
	Path        string        `yaml:"path"`        // of the URL that was subscribed
	Topics      []string      `yaml:"topics"`      // ARNs of the topics that may push
	MaxAge      time.Duration `yaml:"max_age"`     // of a message; SNS tries for up to an hour
	Concurrency int           `yaml:"concurrency"` // pushes worked on at once; SNS is asked to come again with more
	Password    string        `yaml:"password"`    // that every push must bring: https://sns:PASSWORD@host/sns; empty: none
	Raw         bool          `yaml:"raw"`         // take raw deliveries, which nobody has signed; needs password
	Emulator    string        `yaml:"emulator"`    // URL of an emulator of SNS, whose signatures count instead of AWS's; empty: AWS
}

// Defaults are the settings where the file says nothing.
func Defaults() Config {
	return Config{Path: "/sns", MaxAge: 70 * time.Minute, Concurrency: 64}
}

// Enabled reports whether there is a door at all.
func (c Config) Enabled() bool { return c.Listen != "" }

// shortest is the shortest password: nobody is kept from trying others.
const shortest = 16

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
	check(isAddress(c.Listen), "listen", "%q is no host:port such as 0.0.0.0:8081 (leave it empty for none)", c.Listen)
	check(strings.HasPrefix(c.Path, "/") && !strings.ContainsAny(c.Path, "?# "), "path", "%q is no path such as /sns", c.Path)
	check(len(c.Topics) > 0, "topics", "name the topics that may push, by their ARNs: anybody may subscribe this address to a topic of his own")
	for i, topic := range c.Topics {
		_, err := parseTopic(topic)
		check(err == nil, fmt.Sprintf("topics[%d]", i), "%q is not the ARN of a standard topic, such as arn:aws:sns:eu-west-1:123456789012:inreply-events", topic)
	}
	check(c.MaxAge >= time.Minute && c.MaxAge <= 24*time.Hour, "max_age", "%s is not between 1m and 24h", c.MaxAge)
	check(c.Concurrency >= 1 && c.Concurrency <= 1000, "concurrency", "%d is not between 1 and 1000", c.Concurrency)
	check(c.Password == "" || len(c.Password) >= shortest, "password", "it is shorter than %d characters", shortest)
	check(!c.Raw || c.Password != "", "raw", "nobody signs a raw delivery, so it needs a password that only the subscription knows")
	check(c.Emulator == "" || isURL(c.Emulator), "emulator", "%q is no URL such as http://127.0.0.1:4570", c.Emulator)
	return errors.Join(faults...)
}

func isAddress(s string) bool {
	_, port, err := net.SplitHostPort(s)
	if err != nil {
		return false
	}
	n, err := strconv.Atoi(port)
	return err == nil && n >= 0 && n <= 65535
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && u.Host != "" && slices.Contains([]string{"http", "https"}, u.Scheme) && strings.Trim(u.Path, "/") == ""
}

// topic is what an ARN says of a topic: arn:PARTITION:sns:REGION:ACCOUNT:NAME.
type topic struct{ arn, partition, region string }

var errNoTopic = errors.New("it is not the ARN of a standard topic")

func parseTopic(arn string) (topic, error) {
	parts := strings.Split(arn, ":")
	if len(parts) != 6 || parts[0] != "arn" || parts[2] != "sns" || !isLabel(parts[3]) || parts[5] == "" || strings.HasSuffix(parts[5], ".fifo") {
		return topic{}, errNoTopic
	}
	return topic{arn: arn, partition: parts[1], region: parts[3]}, nil
}

// isLabel reports whether s is one label of a host name, and in lower case: it
// becomes part of one.
func isLabel(s string) bool {
	outside := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	return s != "" && len(s) <= 63 && !strings.ContainsFunc(s, outside)
}

// host is where SNS signs and confirms for a topic ("Amazon SNS endpoints and
// quotas" in the AWS general reference).
func (t topic) host() string {
	host := "sns." + t.region + ".amazonaws.com"
	if t.partition == "aws-cn" {
		host += ".cn"
	}
	return host
}
