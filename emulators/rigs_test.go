package emulators

import (
	"os"
	"strings"
	"testing"
)

// emulator is one that runs.
type emulator struct{ name, version, url string }

// rig is one AWS, of one emulator or of parts of several. The daemon's clients have
// an endpoint each, so it needs no more than settings.
//
// The daemon holds to what AWS documents. Where an emulator differs, the step that
// steps around it is named in differences, by the column of the table.
type rig struct {
	name              string // of its resources
	sqs, sns, s3, ses string // names of emulators
	announcer         announcer
	differences       map[string]string
	rawMail           bool // SES keeps the mail as it was sent
	ordered           bool // the FIFO queue is one
}

// announcer tells of a stored mail.
type announcer string

const (
	byS3    announcer = "S3"    // the bucket's notification does
	byTopic announcer = "topic" // the test publishes S3's event to the topic
	byPipe  announcer = "pipe"  // the test sends S3's event to the FIFO queue, as an EventBridge Pipe does
)

// The columns of the table: the steps of the way.
const (
	stepSetup  = "set up"
	stepStored = "S3 tells SNS"
	stepRelay  = "relayed"
	stepAnswer = "100 answered, in order"
	stepRead   = "answers read back"
	stepDead   = "poison dead-lettered"
	stepStop   = "SIGTERM and on"
	stepRedo   = "redriven"
	stepOnce   = "nothing twice, nothing left"
)

func steps() []string {
	return []string{stepSetup, stepStored, stepRelay, stepAnswer, stepRead, stepDead, stepStop, stepRedo, stepOnce}
}

// What the tests step around.
const (
	partsOfMail   = "ministack's SES keeps sender, recipients, subject and text of a sent mail, and not its header: whether In-Reply-To is right is not looked at"
	otherEvents   = "versitygw tells of objects in a form that is not S3's: the test tells of them, in S3's"
	noTopicToIt   = "no SNS delivers to ElasticMQ: the test sends S3's events to the FIFO queue, as an EventBridge Pipe does, and the relay is off"
	unconditional = "fauxqs' S3 ignores If-None-Match and If-Match, and does not tell of objects: they are in versitygw, and the test tells the topic of them, in S3's form"
	outOfOrder    = "moto's queues change the order of a group when several publish or receive at once: the order is not looked at"
)

func rigs() []rig {
	return []rig{
		{
			name: "localstack", sqs: "localstack", sns: "localstack", s3: "localstack", ses: "localstack",
			announcer: byS3, rawMail: true, ordered: true,
		},
		{
			name: "ministack", sqs: "ministack", sns: "ministack", s3: "ministack", ses: "ministack",
			announcer: byS3, ordered: true,
			differences: map[string]string{stepRead: partsOfMail},
		},
		{
			name: "elasticmq", sqs: "elasticmq", s3: "versitygw", ses: "ministack",
			announcer: byPipe, ordered: true,
			differences: map[string]string{stepStored: otherEvents, stepRelay: noTopicToIt, stepRead: partsOfMail},
		},
		{
			name: "fauxqs", sqs: "fauxqs", sns: "fauxqs", s3: "versitygw", ses: "ministack",
			announcer: byTopic, ordered: true,
			differences: map[string]string{stepStored: unconditional, stepRead: partsOfMail},
		},
		{
			name: "moto", sqs: "moto", sns: "moto", s3: "moto", ses: "moto",
			announcer: byS3, rawMail: true,
			differences: map[string]string{stepAnswer: outOfOrder},
		},
	}
}

// running reads which emulators run.
func running(t *testing.T) map[string]emulator {
	t.Helper()
	said := os.Getenv("INREPLY_EMULATORS")
	if strings.TrimSpace(said) == "" {
		t.Skip("INREPLY_EMULATORS names no emulator: bash .ci/run emulators installs and starts them")
	}
	all := map[string]emulator{}
	for line := range strings.Lines(said) {
		fields := strings.Fields(line)
		if len(fields) != 3 {
			t.Fatalf("INREPLY_EMULATORS: %q is not: name version url", line)
		}
		all[fields[0]] = emulator{fields[0], fields[1], strings.TrimSuffix(fields[2], "/")}
	}
	return all
}

// needs lists the emulators of a rig, each once.
func (r rig) needs() (names []string) {
	seen := map[string]bool{"": true}
	for _, name := range []string{r.sqs, r.sns, r.s3, r.ses} {
		if !seen[name] {
			names = append(names, name)
		}
		seen[name] = true
	}
	return names
}

// missing are the emulators of a rig that do not run.
func (r rig) missing(run map[string]emulator) (names []string) {
	for _, name := range r.needs() {
		if _, ok := run[name]; !ok {
			names = append(names, name)
		}
	}
	return names
}
