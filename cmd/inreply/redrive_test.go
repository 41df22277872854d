package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"inreply/local"
	"inreply/local/ses"
)

// graveyard is a laptop's AWS, and what an operator sees of its dead letters.
type graveyard struct {
	t     *testing.T
	world *local.World
	sqs   *sqs.Client
}

func newGraveyard(t *testing.T) *graveyard {
	t.Helper()
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	world := startWorld(t)
	return &graveyard{t: t, world: world, sqs: sqs.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(world.Endpoint()),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	})}
}

const (
	mailDead   = "inreply-mail-dead.fifo"
	intakeDead = "inreply-intake-dead"
)

// bury puts a dead letter into the mails' dead-letter queue, as the consumer does.
func (g *graveyard) bury(group string, n int, from, route, reason string, at time.Time) {
	g.t.Helper()
	id := fmt.Sprintf("%s-%d", group, n)
	described := fmt.Sprintf(`{"message":%q,"group":%q,"sequence":"%020d","reason":%q,"tries":5,"at":%q,"bucket":"mail","key":%q,"from":%q,"route":%q}`,
		id, group, n, reason, at.UTC().Format(time.RFC3339), "inbound/"+id, from, route)
	g.send(mailDead, id, described)
}

func (g *graveyard) send(queue, id, described string) {
	g.t.Helper()
	in := &sqs.SendMessageInput{
		QueueUrl: aws.String(g.world.SQS.URL(queue)), MessageBody: aws.String(id),
		MessageAttributes: map[string]types.MessageAttributeValue{"inreply": {DataType: aws.String("String"), StringValue: &described}},
	}
	if strings.HasSuffix(queue, ".fifo") {
		in.MessageGroupId, in.MessageDeduplicationId = &id, &id
	}
	if _, err := g.sqs.SendMessage(g.t.Context(), in); err != nil {
		g.t.Fatal(err)
	}
}

// holds asserts how many messages of a queue can be seen, and that none is hidden.
func (g *graveyard) holds(queue string, want int) {
	g.t.Helper()
	out, err := g.sqs.GetQueueAttributes(g.t.Context(), &sqs.GetQueueAttributesInput{
		QueueUrl: aws.String(g.world.SQS.URL(queue)), AttributeNames: []types.QueueAttributeName{types.QueueAttributeNameAll},
	})
	if err != nil {
		g.t.Fatal(err)
	}
	visible, hidden := out.Attributes["ApproximateNumberOfMessages"], out.Attributes["ApproximateNumberOfMessagesNotVisible"]
	if visible != fmt.Sprint(want) || hidden != "0" {
		g.t.Errorf("%s holds %s messages and %s in flight, want %d", queue, visible, hidden, want)
	}
}

// redrive invokes the command as an operator would.
func (g *graveyard) redrive(ctx context.Context, stdout io.Writer, args ...string) (code int, stderr string) {
	var errors bytes.Buffer
	args = append([]string{"--config", filepath.Join("..", "..", "configs", "local.yaml"), "--redrive"}, args...)
	code = run(ctx, args, []string{"INREPLY_AWS_ENDPOINT=" + g.world.Endpoint()}, stdout, &errors)
	return code, errors.String()
}

func TestRedriveMovesWhatIsChosen(t *testing.T) {
	g := newGraveyard(t)
	old, young := time.Now().Add(-48*time.Hour), time.Now().Add(-time.Hour)
	g.bury("a", 2, "x@ana.example", "digest", "timeout", old)
	g.bury("a", 1, "x@ana.example", "digest", "timeout of the application", old)
	g.bury("b", 1, "x@ben.example", "digest", "timeout", young)
	g.bury("c", 1, "x@ana.example", "orders", "timeout", old)
	g.bury("d", 1, "x@ana.example", "digest", "403", old)
	chosen := []string{"--match", "reason=time ?out", "--match", "from=@ana\\.", "--match", "route=^digest$", "--match", "older=24h", "--match", "newer=72h", "--max", "1"}

	var listed bytes.Buffer
	if code, stderr := g.redrive(t.Context(), &listed, append(chosen, "--dry-run")...); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if strings.Count(listed.String(), "would move") != 1 || !strings.Contains(listed.String(), "would move  mail/inbound/a-1 ") || !strings.Contains(listed.String(), "reason: timeout of the application") {
		t.Errorf("listed:\n%s", listed.String())
	}
	g.holds(mailDead, 5)
	g.holds("inreply-mail.fifo", 0)

	var moved bytes.Buffer
	if code, stderr := g.redrive(t.Context(), &moved, chosen...); code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if !strings.Contains(moved.String(), "moved  mail/inbound/a-1 ") || !strings.Contains(moved.String(), "5 dead letters seen, 2 matched, 1 moved, 1 left; about 4 in "+mailDead) {
		t.Errorf("moved:\n%s", moved.String())
	}
	g.holds(mailDead, 4)
	g.holds("inreply-mail.fifo", 1)
}

// A mail that nothing took is dead; then there is a route, and it is redriven and
// answered.
func TestARedrivenMailIsAnswered(t *testing.T) {
	g := newGraveyard(t)
	strict := filepath.Join(t.TempDir(), "strict.yaml")
	if err := os.WriteFile(strict, []byte(strictSettings(t)), 0o600); err != nil {
		t.Fatal(err)
	}
	raw := "From: ana@example.com\r\nTo: data@inreply.example\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nHello\r\n"
	if _, err := g.world.Receive(local.Mail{Envelope: ses.Envelope{From: "ana@example.com", Recipients: []string{"data@inreply.example"}}, Raw: []byte(raw)}); err != nil {
		t.Fatal(err)
	}
	g.daemon(strict, `("outcome": *"dead-lettered")`)
	g.holds(mailDead, 1)
	var out bytes.Buffer
	if code, stderr := g.redrive(t.Context(), &out, "--match", "reason=no route takes"); code != exitOK || !strings.Contains(out.String(), "1 moved") {
		t.Fatalf("exit %d: %s%s", code, stderr, out.String())
	}
	g.daemon(filepath.Join("..", "..", "configs", "local.yaml"), `("outcome": *"answered")`)
	if n := replies(g.world)["<1@example.com>"]; n != 1 {
		t.Errorf("%d replies", n)
	}
	g.holds(mailDead, 0)
}

// daemon runs the daemon until its log says so.
func (g *graveyard) daemon(config, until string) {
	g.t.Helper()
	ctx, stop := context.WithCancel(g.t.Context())
	defer stop()
	var log lines
	ended := make(chan int, 1)
	environ := []string{"INREPLY_AWS_ENDPOINT=" + g.world.Endpoint(), "INREPLY_ADMIN_LISTEN=", "INREPLY_CONSUMER_POLL=1s", "INREPLY_RELAY_POLL=1s"}
	go func() { ended <- run(ctx, []string{"--config", config}, environ, &log, &log) }()
	log.until(g.t, until)
	stop()
	if code := <-ended; code != exitOK {
		g.t.Errorf("exit %d\n%s", code, log.text())
	}
}

func TestRedriveOfTheIntake(t *testing.T) {
	g := newGraveyard(t)
	g.send(intakeDead, "not a notice", `{"message":"m","reason":"decode the notice","tries":1,"at":"2026-11-25T10:00:00Z"}`)
	g.bury("a", 1, "x@ana.example", "digest", "timeout", time.Now())
	var out bytes.Buffer
	if code, stderr := g.redrive(t.Context(), &out, "--redrive-intake"); code != exitOK || !strings.Contains(out.String(), "decode the notice") {
		t.Fatalf("exit %d: %s%s", code, stderr, out.String())
	}
	g.holds(intakeDead, 0)
	g.holds("inreply-intake", 2) // and what S3 says when it is told where to announce
	g.holds(mailDead, 1)
}

// stopping stops the command, as Ctrl-C does, when it has said something.
type stopping struct {
	bytes.Buffer
	at   string
	stop func()
}

func (s *stopping) Write(b []byte) (int, error) {
	if strings.Contains(string(b), s.at) {
		s.stop()
	}
	return s.Buffer.Write(b)
}

func TestCtrlCStopsARedriveBetweenEntriesAndSaysWhatIsLeft(t *testing.T) {
	g := newGraveyard(t)
	for n := 1; n <= 12; n++ {
		g.bury("a", n, "x@ana.example", "digest", "timeout", time.Now())
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	out := &stopping{at: "inbound/a-3 ", stop: stop}
	code, stderr := g.redrive(ctx, out)
	if code != exitFailed || !strings.Contains(stderr, "stopped") || !strings.Contains(stderr, "9 dead letters are left in "+mailDead) {
		t.Errorf("exit %d: %s", code, stderr)
	}
	if !strings.Contains(out.String(), "3 moved, 9 left") {
		t.Error(out.String())
	}
	g.holds(mailDead, 9)
	g.holds("inreply-mail.fifo", 3)
}
