package emulators

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	sqstypes "github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"inreply"
	"inreply/configs"
	"inreply/event"
	"inreply/local/ses"
)

// A hundred mails of twenty senders are answered, in order for each sender, across
// a SIGTERM and a new process; a poison ends in the dead-letter queue meanwhile, and
// is answered once its cause is mended and it was redriven.
func TestEndToEnd(t *testing.T) {
	run := running(t)
	binary := buildDaemon(t)
	results := newResults(t, run)
	for _, r := range rigs() {
		t.Run(r.name, func(t *testing.T) {
			if missing := r.missing(run); len(missing) > 0 {
				t.Skipf("left out: %s not running", strings.Join(missing, " and "))
			}
			t.Parallel()
			newWay(t, r, run, binary, results).walk()
		})
	}
}

// way is the way of the mails through one rig.
type way struct {
	t       *testing.T // of the step
	whole   *testing.T
	rig     rig
	run     map[string]emulator
	binary  string
	clients inreply.Clients
	door    *ses.Server
	results *results

	keys    map[string]int // which mail is under a key
	relayed []int          // the mails, in the order in which the FIFO queue got them
	broken  bool           // a step has failed
}

func newWay(t *testing.T, r rig, run map[string]emulator, binary string, results *results) *way {
	t.Helper()
	w := &way{
		t: t, whole: t, rig: r, run: run, binary: binary, results: results,
		door: ses.New(ses.Config{}), keys: map[string]int{},
	}
	at := func(name string) configs.Endpoint { return configs.Endpoint{Endpoint: w.url(name)} }
	w.clients = inreply.ClientsFrom(
		aws.Config{Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", "")},
		awshttp.NewBuildableClient(),
		configs.AWS{SQS: at(r.sqs), SNS: at(r.sns), S3: at(r.s3), SES: at(r.ses)},
	)
	return w
}

func (w *way) url(name string) string { return w.run[name].url }

// bucket is one of the rig's own: S3 may be another rig's as well.
func (w *way) bucket() string { return "inreply-" + w.rig.name }

// before and after are the mails that come in before and after the SIGTERM.
const before = 60

func (w *way) walk() {
	var d, first *daemon
	w.step(stepSetup, w.setUp)
	w.step(stepStored, func() {
		for n := range before {
			w.store(n)
			if n == 27 { // in the middle of its sender's other mails
				w.store(poisoned)
			}
		}
		arrived := "inreply-intake"
		if w.rig.announcer == byPipe {
			arrived = "inreply-mail.fifo"
		}
		w.until("mails announced", before+1, func() int { return w.count(arrived) })
	})
	w.step(stepRelay, func() {
		// Few at once, so that something is left for the next.
		d = w.start(fmt.Sprintf("INREPLY_EMAIL_MAX_PARTS=%d", partsLimit), "INREPLY_CONSUMER_CONCURRENCY=4")
		w.until("mails relayed", before+1, w.drainAudit)
	})
	w.step(stepDead, func() {
		w.until("dead letters", 1, func() int { return w.count("inreply-mail-dead.fifo") })
		said, err := w.say("--redrive", "--dry-run")
		if err != nil || !strings.Contains(said, "1 dead letters seen") || !strings.Contains(said, "email.max_parts") {
			w.t.Errorf("dead letter: %v\n%s", err, said)
		}
	})
	w.step(stepStop, func() {
		// The rest comes in, and at once the daemon is to stop.
		for n := before; n < mails; n++ {
			w.store(n)
		}
		if err := d.stop(); err != nil {
			w.t.Fatalf("stop: %v", err)
		}
		w.t.Logf("stopped after %d of %d answers", len(w.answered()), mails)
		first = d
		d = w.start() // takes as many parts as usual
	})
	w.step(stepAnswer, func() {
		w.until("answers", mails, func() int { return len(w.answered()) })
		w.drainAudit()
		if dead := w.count("inreply-mail-dead.fifo"); dead != 1 {
			w.t.Errorf("%d dead letters", dead)
		}
		if w.rig.ordered {
			w.wantOrder()
		}
	})
	w.step(stepRead, func() { w.wantTexts(w.answers()) })
	w.step(stepRedo, func() {
		said, err := w.say("--redrive", "--match", "reason=email.max_parts")
		if err != nil || !strings.Contains(said, "1 moved, 0 left") {
			w.t.Fatalf("redrive: %v\n%s", err, said)
		}
		w.until("answers", mails+1, func() int { return len(w.answered()) })
		all := w.answers()
		if last := all[len(all)-1]; last.subject != "Re: "+w.subject(poisoned) {
			w.t.Errorf("the last answer is %q", last.subject)
		}
	})
	w.step(stepOnce, func() {
		for _, queue := range w.queues() {
			w.until("messages deleted from "+queue, 0, func() int { return -w.count(queue) })
		}
		if err := d.stop(); err != nil {
			w.t.Errorf("stop: %v", err)
		}
		// A reply of which SES's answer never came is sent again, and the line of its
		// mail says so.
		twice := 0
		for subject, times := range w.answered() {
			twice += times - 1
			if times > 1 {
				w.t.Logf("%s was answered %d times", subject, times)
			}
		}
		if known := first.log.count(`"unknown": true`) + d.log.count(`"unknown": true`); twice > known {
			w.t.Errorf("%d answers too many, and %d of them known", twice, known)
		}
		for n := range mails + 1 {
			if w.answered()["Re: "+w.subject(n)] == 0 {
				w.t.Errorf("mail %d was not answered", n)
			}
		}
	})
}

// answered counts the answers to each mail, by subject.
func (w *way) answered() map[string]int {
	w.t.Helper()
	times := map[string]int{}
	for _, a := range w.answers() {
		times[a.subject]++
	}
	return times
}

// step is one column of the table. After one that failed the others are not tried.
func (w *way) step(name string, do func()) {
	if w.broken {
		w.results.set(w.rig, name, "not reached")
		return
	}
	passed := w.whole.Run(strings.ReplaceAll(name, " ", "-"), func(t *testing.T) {
		w.t = t
		do()
	})
	w.t = w.whole
	w.broken = !passed
	w.results.set(w.rig, name, map[bool]string{true: "ok", false: "FAILED"}[passed])
}

// setUp makes the rig with the command, twice, and adds a queue beside the
// consumer's, from which the test learns the order of the relay.
func (w *way) setUp() {
	for _, again := range []bool{false, true} {
		said, err := w.say("--setup")
		if err != nil || again && strings.Contains(said, "made ") {
			w.t.Fatalf("set up (again: %v): %v\n%s", again, err, said)
		}
	}
	if w.rig.sns == "" {
		return
	}
	out, err := w.clients.SQS.CreateQueue(w.t.Context(), &sqs.CreateQueueInput{QueueName: aws.String(audit), Attributes: map[string]string{"FifoQueue": "true"}})
	if err != nil {
		w.t.Fatal(err)
	}
	got, err := w.clients.SQS.GetQueueAttributes(w.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: out.QueueUrl, AttributeNames: []sqstypes.QueueAttributeName{"QueueArn"}})
	if err != nil {
		w.t.Fatal(err)
	}
	_, err = w.clients.SNS.Subscribe(w.t.Context(), &sns.SubscribeInput{
		TopicArn: aws.String("arn:aws:sns:us-east-1:000000000000:inreply-mail.fifo"), Protocol: aws.String("sqs"),
		Endpoint: aws.String(got.Attributes["QueueArn"]), Attributes: map[string]string{"RawMessageDelivery": "true"},
	})
	if err != nil {
		w.t.Fatal(err)
	}
}

const audit = "inreply-audit.fifo"

// queues are those in which nothing may be left.
func (w *way) queues() []string {
	all := []string{"inreply-mail.fifo", "inreply-mail-dead.fifo"}
	if w.rig.sns != "" {
		all = append(all, "inreply-intake", "inreply-intake-dead")
	}
	return all
}

// drainAudit reads on in the order of the relay, and returns how many mails it has
// seen so far.
func (w *way) drainAudit() int {
	w.t.Helper()
	if w.rig.announcer == byPipe {
		return len(w.relayed)
	}
	url := w.queueURL(audit)
	for {
		out, err := w.clients.SQS.ReceiveMessage(w.t.Context(), &sqs.ReceiveMessageInput{QueueUrl: &url, MaxNumberOfMessages: 10})
		if err != nil {
			w.t.Fatal(err)
		}
		if len(out.Messages) == 0 {
			return len(w.relayed)
		}
		for _, m := range out.Messages {
			notice, err := event.Decode([]byte(aws.ToString(m.Body)))
			if err != nil || len(notice.Objects) != 1 {
				w.t.Fatalf("relayed: %v\n%s", err, aws.ToString(m.Body))
			}
			n, known := w.keys[notice.Objects[0].Key]
			if !known {
				w.t.Fatalf("relayed: nobody stored %s", notice.Objects[0].Key)
			}
			w.relayed = append(w.relayed, n)
			if _, err := w.clients.SQS.DeleteMessage(w.t.Context(), &sqs.DeleteMessageInput{QueueUrl: &url, ReceiptHandle: m.ReceiptHandle}); err != nil {
				w.t.Fatal(err)
			}
		}
	}
}

// wantOrder holds that each sender's mails were answered in the order in which the
// FIFO queue got them. The poison leaves its place.
func (w *way) wantOrder() {
	w.t.Helper()
	want, got := map[string][]string{}, map[string][]string{}
	of := map[string]string{}
	for _, n := range w.relayed {
		subject := "Re: " + w.subject(n)
		of[subject] = sender(n)
		if n != poisoned {
			want[sender(n)] = append(want[sender(n)], subject)
		}
	}
	for _, a := range w.answers() {
		if so := got[of[a.subject]]; len(so) == 0 || so[len(so)-1] != a.subject { // not sent again
			got[of[a.subject]] = append(so, a.subject)
		}
	}
	if len(want) != senders {
		w.t.Errorf("%d senders", len(want))
	}
	for sender, order := range want {
		if !slices.Equal(order, got[sender]) {
			w.t.Errorf("%s got answers in the order %q, and wrote in the order %q", sender, got[sender], order)
		}
	}
}

// wantTexts holds that each answer is about its own mail's table.
func (w *way) wantTexts(answers []answer) {
	w.t.Helper()
	found := map[string]answer{}
	for _, a := range answers {
		found[a.subject] = a
	}
	for n := range mails {
		a := found["Re: "+w.subject(n)]
		rows := fmt.Sprintf("%s: %d rows, 2 columns", table(n), n+1)
		if n == 0 {
			rows = table(0) + ": 1 row, 2 columns"
		}
		if !strings.Contains(a.text, rows) {
			w.t.Errorf("answer to mail %d: no %q in\n%s", n, rows, a.text)
		}
		if w.rig.rawMail && a.inReplyTo != w.messageID(n) {
			w.t.Errorf("answer to mail %d is in reply to %q", n, a.inReplyTo)
		}
	}
}

// queueURL asks each time: it costs little, and is what a client does.
func (w *way) queueURL(name string) string {
	w.t.Helper()
	out, err := w.clients.SQS.GetQueueUrl(w.t.Context(), &sqs.GetQueueUrlInput{QueueName: &name})
	if err != nil {
		w.t.Fatal(err)
	}
	return aws.ToString(out.QueueUrl)
}

// count is how many messages a queue holds, those in flight too.
func (w *way) count(queue string) (n int) {
	w.t.Helper()
	url := w.queueURL(queue)
	kinds := []sqstypes.QueueAttributeName{"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible", "ApproximateNumberOfMessagesDelayed"}
	out, err := w.clients.SQS.GetQueueAttributes(w.t.Context(), &sqs.GetQueueAttributesInput{QueueUrl: &url, AttributeNames: kinds})
	if err != nil {
		w.t.Fatal(err)
	}
	for _, kind := range kinds {
		var some int
		if _, err := fmt.Sscan(out.Attributes[string(kind)], &some); err == nil {
			n += some
		}
	}
	return n
}

// patience is how long may pass without anything happening at all.
const patience = 90 * time.Second

// until waits until there are as many as wanted.
func (w *way) until(what string, want int, now func() int) {
	w.t.Helper()
	tick := time.NewTicker(50 * time.Millisecond)
	defer tick.Stop()
	seen, since := now(), time.Now()
	for seen < want {
		<-tick.C
		if n := now(); n != seen {
			seen, since = n, time.Now()
		}
		if time.Since(since) > patience {
			w.t.Fatalf("%s: %d of %d, and nothing more happens", what, seen, want)
		}
	}
}
