// Package configs composes the settings of all packages into one [Config] and
// loads it from one YAML file and the environment.
//
// Each package owns its part: the type, the defaults and what is valid. Here they
// meet as the sections of the file:
//
//	aws         where AWS is: regions, endpoints           (here)
//	log         what is logged and how                     (here)
//	admin       health and metrics on a port               (here)
//	metrics     what is measured and where it goes         (here)
//	records     where mail and sender records lie          (store)
//	relay       from the intake to the FIFO topic          (relay)
//	consumer    the FIFO queue, tries, leases, stopping    (consumer)
//	email       limits of a mail, our own domains          (email)
//	processing  who is answered, and by which processor    (processing)
//	digest      the processor for CSV, TSV and XLSX files  (processing/digest)
//	templates   what replies are written by               (processing/template)
//	webhook     application services, each a processor     (processing/webhook)
//	mailer      what is sent, and as whom                  (mailer)
//	feedback    bounces and complaints of what was sent    (mailer/feedback)
//
// # How a file becomes a Config
//
//  1. The text becomes a tree of YAML nodes, which know their line and column.
//     (tree.go)
//  2. Variables of the environment go into the same tree, so that an override is
//     judged exactly as the file is: INREPLY_CONSUMER_BACKOFF_MAX=5m is
//     consumer.backoff.max. (environment.go)
//  3. The JSON Schema finds unknown settings and wrong types. It is the file that
//     editors use, and a test keeps it in step with the Go types. (schema.go)
//  4. What is left is decoded over the defaults, and each package validates its
//     section.
//
// What one step complains of is taken out of the tree before the next, so that
// all faults are reported at once and each only once: as file:line:col, or by its
// variable.
//
// An empty section (every line of it commented out) is as good as none.
package configs

import (
	"bytes"
	_ "embed"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"inreply/consumer"
	"inreply/email"
	"inreply/mailer"
	"inreply/mailer/feedback"
	"inreply/processing"
	"inreply/processing/digest"
	"inreply/processing/template"
	"inreply/processing/webhook"
	"inreply/relay"
	"inreply/store"
)

// Config is everything that can be set. The zero value is not useful: start from
// [Defaults].
type Config struct {
	AWS        AWS               `yaml:"aws"`        // where AWS is, and as whom it is asked
	Log        Log               `yaml:"log"`        // what is logged, and in which form
	Admin      Admin             `yaml:"admin"`      // health on a port of its own
	Metrics    Metrics           `yaml:"metrics"`    // what is measured, and where it goes
	Store      store.Config      `yaml:"records"`    // where is remembered which mails were answered
	Relay      relay.Config      `yaml:"relay"`      // from the intake queue to the FIFO topic
	Consumer   consumer.Config   `yaml:"consumer"`   // the FIFO queue: tries, leases, stopping
	Email      email.Config      `yaml:"email"`      // what is still taken for a mail
	Processing processing.Config `yaml:"processing"` // who is answered, and by what
	Digest     digest.Config     `yaml:"digest"`     // the processor that says what CSV, TSV and XLSX files say
	Templates  template.Config   `yaml:"templates"`  // what replies are written by
	Webhook    webhook.Config    `yaml:"webhook"`    // application services over HTTP, each by the name that a route uses as its processor
	Mailer     mailer.Config     `yaml:"mailer"`     // what is sent, and as whom
	Feedback   feedback.Config   `yaml:"feedback"`   // what SES tells of what was sent
}

// Defaults are the settings where the file and the environment say nothing. They
// are not valid by themselves: nobody can guess the queue's name.
func Defaults() Config {
	return Config{
		Log:        Log{Level: LevelInfo, Format: FormatJSON},
		Admin:      Admin{Listen: "127.0.0.1:8080"},
		Metrics:    Metrics{Every: time.Minute, Namespace: "inreply", ServiceName: "inreply"},
		Store:      store.Defaults(),
		Relay:      relay.Defaults(),
		Consumer:   consumer.Defaults(),
		Email:      email.Defaults(),
		Processing: processing.Defaults(),
		Digest:     digest.Defaults(),
		Mailer:     mailer.Defaults(),
	}
}

// section is one part of the file, which validates itself.
type section struct {
	key    string
	config interface{ Validate() error }
}

func (c *Config) sections() []section {
	return []section{
		{"aws", c.AWS},
		{"log", c.Log},
		{"admin", c.Admin},
		{"metrics", c.Metrics},
		{"records", c.Store},
		{"relay", c.Relay},
		{"consumer", c.Consumer},
		{"email", c.Email},
		{"processing", c.Processing},
		{"digest", c.Digest},
		{"templates", c.Templates},
		{"webhook", c.Webhook},
		{"mailer", c.Mailer},
		{"feedback", c.Feedback},
	}
}

// largest is more than any file of settings needs, in octets.
const largest = 1 << 20

// Load reads the settings from a file, and then from environ, in the form of
// os.Environ. The error joins one for each thing that is wrong, or says in
// one sentence why the file could not be read.
func Load(file string, environ []string) (Config, error) {
	text, err := read(file)
	if err != nil {
		return Config{}, err
	}
	return Parse(file, text, environ)
}

func read(file string) ([]byte, error) {
	f, err := os.Open(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("settings file %s: it is not there; name one that is, or copy configs/local.yaml", file)
	}
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	defer f.Close() //nolint:errcheck // it was only read
	if stat, err := f.Stat(); err == nil && stat.IsDir() {
		return nil, fmt.Errorf("settings file %s: it is a directory; name the file in it", file)
	}
	text, err := io.ReadAll(io.LimitReader(f, largest+1))
	if err != nil {
		return nil, fmt.Errorf("settings file: %w", err)
	}
	if len(text) > largest {
		return nil, fmt.Errorf("settings file %s: it is larger than 1 MiB, so it is hardly one", file)
	}
	return text, nil
}

// Parse reads the settings from a text. The name stands for the file in faults.
func Parse(name string, text []byte, environ []string) (Config, error) {
	v, err := newValidator()
	if err != nil {
		return Config{}, err
	}
	t, broken := grow(name, text)
	if broken != nil {
		return Config{}, joined([]*fault{broken})
	}
	faults := v.override(t, environ)
	faults = append(faults, t.prune(v.schema)...)
	value, broken := t.value()
	if broken != nil {
		return Config{}, joined(append(faults, broken))
	}
	faults = append(faults, v.validate(t, value)...)

	config := Defaults()
	if err := t.root.Load(&config); err != nil {
		return Config{}, joined(append(faults, t.broken(err)))
	}
	faults = append(faults, config.validate(t, faults)...)
	if len(faults) > 0 {
		return Config{}, joined(faults)
	}
	return config, nil
}

// validate has each section complain of itself. What was complained of before
// says nothing more: its value was taken out.
func (c *Config) validate(t *tree, before []*fault) []*fault {
	var faults []*fault
	for _, s := range c.sections() {
		for _, complained := range flat(s.config.Validate()) {
			below, what := split(complained)
			f := t.fault(append(path{s.key}, below...), what)
			if !covered(f.path, before) {
				faults = append(faults, f)
			}
		}
	}
	return faults
}

// covered tells whether a fault names the setting at p, or what p is part of.
func covered(p string, faults []*fault) bool {
	for _, f := range faults {
		rest, ok := strings.CutPrefix(p, f.path)
		if ok && f.path != "" && (rest == "" || rest[0] == '.' || rest[0] == '[') {
			return true
		}
	}
	return false
}

//go:embed local.yaml
var localYAML []byte

//go:embed fargate.yaml
var fargateYAML []byte

// Local is configs/local.yaml: the settings for a daemon beside another process's
// --local.
func Local() []byte { return bytes.Clone(localYAML) }

// Fargate is configs/fargate.yaml: the settings for ECS on Fargate, with the
// names that the templates in deploy give.
func Fargate() []byte { return bytes.Clone(fargateYAML) }
