package configs

import (
	"errors"
	"fmt"
	"net"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// AWS says where AWS is. Whatever is empty here comes from where the AWS SDK
// usually has it: AWS_REGION, AWS_ENDPOINT_URL, profiles, the role of the task.
type AWS struct {
	Region   string   `yaml:"region"`   // such as eu-central-1, for every client that names none of its own
	Endpoint string   `yaml:"endpoint"` // URL of an AWS that is not Amazon's, such as http://127.0.0.1:4570
	Profile  string   `yaml:"profile"`  // in the shared AWS files
	SQS      Endpoint `yaml:"sqs"`      // where the queues are, if elsewhere
	SNS      Endpoint `yaml:"sns"`      // where the topics are, if elsewhere
	S3       Endpoint `yaml:"s3"`       // where the mails and records are, if elsewhere
	SES      Endpoint `yaml:"ses"`      // where replies are sent from, if elsewhere
}

// Endpoint is where one of the AWS services is.
type Endpoint struct {
	Region   string `yaml:"region"`   // such as eu-west-1; empty: as above
	Endpoint string `yaml:"endpoint"` // URL; empty: as above
}

// region is the form of all names of regions, in every partition of AWS.
var region = regexp.MustCompile(`^[a-z]{2,}(-[a-z]+)+-[0-9]+$`)

// Validate reports everything that is wrong with the settings, each by its key.
func (a AWS) Validate() error {
	var faults []error
	for _, e := range []struct {
		key string
		Endpoint
	}{
		{"", Endpoint{a.Region, a.Endpoint}},
		{"sqs.", a.SQS},
		{"sns.", a.SNS},
		{"s3.", a.S3},
		{"ses.", a.SES},
	} {
		if e.Region != "" && !region.MatchString(e.Region) {
			faults = append(faults, fmt.Errorf("%sregion: %q is no AWS region such as eu-central-1", e.key, e.Region))
		}
		if e.Endpoint.Endpoint != "" && !isURL(e.Endpoint.Endpoint) {
			faults = append(faults, fmt.Errorf("%sendpoint: %q is no URL such as http://127.0.0.1:4570", e.key, e.Endpoint.Endpoint))
		}
	}
	return errors.Join(faults...)
}

func isURL(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// The least important log line that is still written.
const (
	LevelDebug = "debug"
	LevelInfo  = "info"
	LevelWarn  = "warn"
	LevelError = "error"
)

// The form of a log line.
const (
	FormatJSON    = "json"    // for machines: one object a line
	FormatConsole = "console" // for people
)

// Log says what is logged, and in which form.
type Log struct {
	Level  string `yaml:"level"`  // the least important line that is still written
	Format string `yaml:"format"` // json for machines, console for people
}

// Validate reports everything that is wrong with the settings, each by its key.
func (l Log) Validate() error {
	var faults []error
	if !slices.Contains([]string{LevelDebug, LevelInfo, LevelWarn, LevelError}, l.Level) {
		faults = append(faults, fmt.Errorf("level: %q is none of debug, info, warn, error", l.Level))
	}
	if l.Format != FormatJSON && l.Format != FormatConsole {
		faults = append(faults, fmt.Errorf("format: %q is neither json nor console", l.Format))
	}
	return errors.Join(faults...)
}

// Admin is a port for those who run the daemon: health, and nothing to be shown
// to the world.
type Admin struct {
	Listen string `yaml:"listen"` // host:port of /livez and /readyz; empty: none
}

// Validate reports everything that is wrong with the settings, each by its key.
func (a Admin) Validate() error {
	if a.Listen == "" {
		return nil
	}
	_, port, err := net.SplitHostPort(a.Listen)
	if n, bad := strconv.Atoi(port); err != nil || bad != nil || n < 0 || n > 65535 {
		return fmt.Errorf("listen: %q is no host:port such as 127.0.0.1:8080 (leave it empty for none)", a.Listen)
	}
	return nil
}

// Metrics are what is measured, and where it goes. /metrics on the admin port, in
// the form of Prometheus, is always there.
type Metrics struct {
	EMF         bool          `yaml:"emf"`          // lines for CloudWatch (embedded metric format) on standard output
	Every       time.Duration `yaml:"every"`        // how often
	Namespace   string        `yaml:"namespace"`    // in CloudWatch
	ServiceName string        `yaml:"service_name"` // which deployment this is: the dimension service.name of all metrics
}

// Validate reports everything that is wrong with the settings, each by its key.
func (m Metrics) Validate() error {
	var faults []error
	if m.Every < time.Second || m.Every > time.Hour {
		faults = append(faults, fmt.Errorf("every: %s is not between 1s and 1h", m.Every))
	}
	// "Embedded metric format specification" and "MetricDatum" in the CloudWatch manuals.
	if m.Namespace == "" || len(m.Namespace) > 255 || strings.HasPrefix(m.Namespace, "AWS/") {
		faults = append(faults, fmt.Errorf("namespace: %q is none of ours in CloudWatch, such as inreply", m.Namespace))
	}
	if m.ServiceName == "" || len(m.ServiceName) > 255 || strings.HasPrefix(m.ServiceName, ":") {
		faults = append(faults, fmt.Errorf("service_name: %q is no name of a deployment, such as inreply", m.ServiceName))
	}
	return errors.Join(faults...)
}
