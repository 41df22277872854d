package deploy

import (
	"bytes"
	"cmp"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
)

// The image, as ECS runs it and stops it: read-only, as nobody, with mails in work.
// What runs is finished, what waits is visible again at once, and what was answered
// is gone from the queue (promise 10). Then another one answers the rest.
//
//	INREPLY_IMAGE=inreply:ci go test ./deploy -run TestImage -v
func TestImageStopsCleanly(t *testing.T) {
	image := os.Getenv("INREPLY_IMAGE")
	if image == "" {
		t.Skip("INREPLY_IMAGE names no image; .ci/image builds one and runs this")
	}
	d := newDeployment(t)
	const mails, senders = 400, 100
	d.mail(t, mails, senders)
	// Sending takes longer than it takes to stop a container that does not wait.
	d.world.Inject(local.Faults{Operations: map[string]local.Fault{"ses.SendRawEmail": {Latency: 2 * time.Second, Jitter: 3 * time.Second}}})

	first := run(t, image, d)
	until(t, first, func() bool { return d.world.CallCounts()["ses.SendRawEmail"] >= 30 && first.healthy() })
	began := time.Now()
	inWork := d.world.CallCounts()["ses.SendRawEmail"] - len(d.world.SES.Sent())
	first.stop(t)
	visible, invisible := d.counts(t)
	sent, asked := len(d.world.SES.Sent()), d.world.CallCounts()["ses.SendRawEmail"]
	t.Logf("stopped in %s with %d mails at SES; %d answered, %d waiting", time.Since(began).Round(time.Millisecond), inWork, sent, visible)
	if inWork == 0 || sent >= mails {
		t.Error("nothing was in work, so this showed nothing")
	}
	if sent != asked {
		t.Errorf("SES was asked %d times and has sent %d mails: work was cut off", asked, sent)
	}
	if invisible != 0 {
		t.Errorf("%d messages stay invisible", invisible)
	}
	if sent+visible != mails {
		t.Errorf("of %d mails %d are answered and %d wait", mails, sent, visible)
	}
	if answered := strings.Count(first.log(), `"msg":"answered"`); answered != sent {
		t.Errorf("%d mails were answered, %d log lines say so", sent, answered)
	}

	d.world.Inject(local.Faults{})
	second := run(t, image, d)
	until(t, second, func() bool { visible, invisible := d.counts(t); return visible+invisible == 0 })
	second.stop(t)
	replies := map[string]int{}
	for _, mail := range d.world.SES.Sent() {
		_, after, _ := strings.Cut(string(mail.Raw), "In-Reply-To: ")
		id, _, _ := strings.Cut(after, "\r\n")
		replies[id]++
	}
	if total := len(d.world.SES.Sent()); len(replies) != mails || total != mails {
		t.Errorf("%d replies to %d of %d mails", total, len(replies), mails)
	}
}

// deployment is AWS on loopback, set up as configs/fargate.yaml names it, so that
// the image needs no settings but where it is.
type deployment struct {
	world  *local.World
	config configs.Config
	client *sqs.Client
	queues []string // URLs of the intake and the FIFO queue
}

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	config, err := configs.Parse("fargate.yaml", configs.Fargate(), nil)
	if err != nil {
		t.Fatal(err)
	}
	world := local.New(local.Config{Region: region, Account: account, Quota: ses.Quota{Daily: -1, Rate: -1}})
	t.Cleanup(world.Close)
	if _, err := world.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	_, domain, _ := strings.Cut(config.Mailer.From, "@")
	addresses, err := world.Provision(local.Names{
		Bucket: config.Store.Bucket, Prefix: config.Relay.Prefix, Topic: "inreply-events",
		Intake: config.Relay.Queue, IntakeDeadLetters: "inreply-intake-dead",
		FifoTopic: config.Relay.Topic[strings.LastIndex(config.Relay.Topic, ":")+1:],
		Queue:     config.Consumer.Queue, DeadLetters: "inreply-mail-dead.fifo",
		Identities: []string{domain},
	})
	if err != nil {
		t.Fatal(err)
	}
	client := sqs.NewFromConfig(aws.Config{
		Region: region, BaseEndpoint: aws.String(world.Endpoint()), HTTPClient: world.Client(),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})
	return &deployment{world: world, config: config, client: client, queues: []string{addresses.IntakeURL, addresses.QueueURL}}
}

// mail has so many mails come in.
func (d *deployment) mail(t *testing.T, mails, senders int) {
	t.Helper()
	to := d.config.Mailer.From
	for n := range mails {
		from := fmt.Sprintf("sender-%d@example.org", n%senders)
		raw := fmt.Sprintf("From: %s\r\nTo: %s\r\nSubject: %d\r\nMessage-ID: <%d@example.org>\r\n\r\nHello\r\n", from, to, n, n)
		if _, err := d.world.Receive(local.Mail{Envelope: ses.Envelope{From: from, Recipients: []string{to}}, Raw: []byte(raw)}); err != nil {
			t.Fatal(err)
		}
	}
}

// counts are the messages of both queues that can be received, and those that
// somebody holds.
func (d *deployment) counts(t *testing.T) (visible, invisible int) {
	t.Helper()
	for _, url := range d.queues {
		out, err := d.client.GetQueueAttributes(t.Context(), &sqs.GetQueueAttributesInput{
			QueueUrl: &url, AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
		})
		if err != nil {
			t.Fatal(err)
		}
		v, _ := strconv.Atoi(out.Attributes["ApproximateNumberOfMessages"])
		i, _ := strconv.Atoi(out.Attributes["ApproximateNumberOfMessagesNotVisible"])
		visible, invisible = visible+v, invisible+i
	}
	return visible, invisible
}

// running is a container.
type running struct{ id string }

// docker runs the client, which INREPLY_DOCKER may name, and returns what it says.
func docker(args ...string) (string, error) {
	out, err := exec.Command(cmp.Or(os.Getenv("INREPLY_DOCKER"), "docker"), args...).CombinedOutput()
	return string(bytes.TrimSpace(out)), err
}

// run starts the image as the task definition does, as far as an engine can.
func run(t *testing.T, image string, d *deployment) *running {
	t.Helper()
	port, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	admin := port.Addr().String()
	_ = port.Close()
	id, err := docker("run", "--detach", "--network", "host", "--read-only", "--cap-drop", "ALL", "--memory", "1024m",
		"--env", "AWS_ACCESS_KEY_ID=test", "--env", "AWS_SECRET_ACCESS_KEY=test", "--env", "AWS_REGION="+region,
		"--env", "GOMEMLIMIT=820MiB", "--env", "INREPLY_AWS_ENDPOINT="+d.world.Endpoint(), "--env", "INREPLY_ADMIN_LISTEN="+admin,
		image)
	if err != nil {
		t.Fatalf("%v: %s", err, id)
	}
	r := &running{id: id[strings.LastIndex(id, "\n")+1:]}
	t.Cleanup(func() { _, _ = docker("rm", "--force", r.id) })
	return r
}

// healthy asks as ECS does.
func (r *running) healthy() bool {
	_, err := docker("exec", r.id, "/inreply", "--config", "/etc/inreply/inreply.yaml", "--healthcheck")
	return err == nil
}

// stop has it end by SIGTERM, within the time that Fargate gives.
func (r *running) stop(t *testing.T) {
	t.Helper()
	if out, err := docker("stop", "--time", "120", r.id); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if code, err := docker("inspect", "--format", "{{.State.ExitCode}}", r.id); err != nil || code != "0" {
		t.Errorf("it ended with %s (%v)\n%s", code, err, r.log())
	}
}

func (r *running) log() string {
	out, _ := docker("logs", r.id)
	return out
}

// until waits for as long as it takes, unless nothing happens at all.
func until(t *testing.T, r *running, done func() bool) {
	t.Helper()
	for range 1200 {
		if done() {
			return
		}
		time.Sleep(100 * time.Millisecond)
	}
	t.Fatalf("it did not happen in two minutes\n%s", r.log())
}
