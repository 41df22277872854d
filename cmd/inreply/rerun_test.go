package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
)

const intake = "inreply-intake"

// receive stores a mail, and S3 announces it.
func (g *graveyard) receive(n int) {
	g.t.Helper()
	raw := fmt.Sprintf("From: ana@example.com\r\nTo: data@inreply.example\r\nSubject: Hello %d\r\nMessage-ID: <%d@example.com>\r\n\r\nHello\r\n", n, n)
	if _, err := g.world.Receive(local.Mail{Envelope: ses.Envelope{From: "ana@example.com", Recipients: []string{"data@inreply.example"}}, Raw: []byte(raw)}); err != nil {
		g.t.Fatal(err)
	}
}

// lose loses what was announced.
func (g *graveyard) lose() {
	g.t.Helper()
	if _, err := g.sqs.PurgeQueue(g.t.Context(), &sqs.PurgeQueueInput{QueueUrl: aws.String(g.world.SQS.URL(intake))}); err != nil {
		g.t.Fatal(err)
	}
	g.holds(intake, 0)
}

// stored is where the mails lie.
func stored(t *testing.T) string {
	t.Helper()
	config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return "s3://" + config.Store.Bucket + "/"
}

// rerun invokes the command as an operator would.
func (g *graveyard) rerun(ctx context.Context, stdout io.Writer, args ...string) (code int, stderr string) {
	var errors bytes.Buffer
	args = append([]string{"--config", filepath.Join("..", "..", "configs", "local.yaml"), "--rerun", stored(g.t)}, args...)
	code = run(ctx, args, []string{"INREPLY_AWS_ENDPOINT=" + g.world.Endpoint()}, stdout, &errors)
	return code, errors.String()
}

// versioned has the bucket keep versions. Then S3's own notices have a version and
// those of a rerun have none, so the FIFO topic takes them for two things at once,
// as it otherwise does after five minutes: only the record knows better.
func (g *graveyard) versioned() {
	g.t.Helper()
	client := s3.NewFromConfig(aws.Config{
		Region: "us-east-1", Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, func(o *s3.Options) { o.BaseEndpoint, o.UsePathStyle = aws.String(g.world.Endpoint()), true })
	bucket := strings.Trim(strings.TrimPrefix(stored(g.t), "s3:"), "/")
	_, err := client.PutBucketVersioning(g.t.Context(), &s3.PutBucketVersioningInput{
		Bucket: &bucket, VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled},
	})
	if err != nil {
		g.t.Fatal(err)
	}
}

// One mail was answered, another one's message was lost. Both are announced again;
// the first is not answered twice, the second is answered.
func TestARerunAnswersWhatWasLostAndNothingTwice(t *testing.T) {
	g := newGraveyard(t)
	g.versioned()
	settings := filepath.Join("..", "..", "configs", "local.yaml")
	g.receive(1)
	g.daemon(settings, `("outcome": *"answered")`)
	g.receive(2)
	g.lose()
	if n := replies(g.world); n["<1@example.com>"] != 1 || n["<2@example.com>"] != 0 {
		t.Fatalf("%v before the rerun", n)
	}
	var out bytes.Buffer
	// The record of the first lies in the same bucket.
	if code, stderr := g.rerun(t.Context(), &out); code != exitOK || !strings.Contains(out.String(), " 2 announced, 0 not chosen") || strings.Contains(out.String(), ", 0 not for the relay") {
		t.Fatalf("exit %d: %s%s", code, stderr, out.String())
	}
	g.holds(intake, 2)
	g.daemon(settings, `(?s)("outcome".*"outcome".*)`)
	if n := replies(g.world); n["<1@example.com>"] != 1 || n["<2@example.com>"] != 1 {
		t.Errorf("%v after the rerun", n)
	}
}

func TestRerunAnnouncesWhatIsChosen(t *testing.T) {
	g := newGraveyard(t)
	for n := range 25 {
		g.receive(n)
	}
	g.lose()
	announced := regexp.MustCompile(`(?m)announced?  \S+`)
	for _, c := range []struct {
		name string
		args []string
		want int
		left int // in the intake
	}{
		{"what would be announced", []string{"--dry-run"}, 25, 0},
		{"stored later", []string{"--since", time.Now().Add(time.Hour).Format(time.RFC3339)}, 0, 0},
		{"stored before", []string{"--until", "36h ago"}, 0, 0},
		{"no such key", []string{"--match", "key=^nothing"}, 0, 0},
		{"as many as the maximum", []string{"--max", "12", "--since", "1h ago", "--match", "key=."}, 12, 12},
	} {
		t.Run(c.name, func(t *testing.T) {
			var out bytes.Buffer
			code, stderr := g.rerun(t.Context(), &out, c.args...)
			if n := len(announced.FindAllString(out.String(), -1)); code != exitOK || n != c.want {
				t.Errorf("exit %d, %d announced: %s%s", code, n, stderr, out.String())
			}
			g.holds(intake, c.left)
		})
	}
}

// goOn finds where a run says to go on.
var goOn = regexp.MustCompile(`--after '([^']+)'`)

func TestCtrlCStopsARerunAndSaysWhereToGoOn(t *testing.T) {
	g := newGraveyard(t)
	for n := range 25 {
		g.receive(n)
	}
	g.lose()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	code, stderr := g.rerun(ctx, &stopping{at: "announced  ", stop: stop})
	found := goOn.FindStringSubmatch(stderr)
	if code != exitFailed || !strings.Contains(stderr, "stopped") || found == nil {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	g.holds(intake, 10)
	var out bytes.Buffer
	if code, stderr := g.rerun(t.Context(), &out, "--after", found[1]); code != exitOK || !strings.Contains(out.String(), "15 objects seen, 15 announced") {
		t.Errorf("exit %d: %s%s", code, stderr, out.String())
	}
	g.holds(intake, 25)
}

func TestRerunRefuses(t *testing.T) {
	settings := []string{"--config", filepath.Join("..", "..", "configs", "local.yaml")}
	for _, c := range []struct {
		name string
		args []string
		want string
	}{
		{"no bucket", []string{"--rerun", "example-mail/inbound"}, "s3://BUCKET/PREFIX"},
		{"no time", []string{"--rerun", "s3://b/", "--since", "yesterday"}, "--since yesterday: say 2026-11-25"},
		{"nothing between", []string{"--rerun", "s3://b/", "--since", "2026-11-25", "--until", "2026-11-24"}, "nothing is between"},
		{"a redrive's match", []string{"--rerun", "s3://b/", "--match", "reason=timeout"}, "key=REGEXP"},
		{"a broken pattern", []string{"--rerun", "s3://b/", "--match", "key=("}, "missing closing"},
		{"two at once", []string{"--rerun", "s3://b/", "--redrive"}, "say one"},
		{"time of a daemon", []string{"--since", "2026-11-25"}, "--since says nothing without --rerun"},
		{"key of a redrive", []string{"--redrive", "--after", "k"}, "--after says nothing without --rerun"},
		{"negative rate", []string{"--rerun", "s3://b/", "--rate", "-1"}, "--rate -1"},
		{"a --local that starts now", []string{"--rerun", "s3://b/", "--local"}, "--rerun needs --config"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if code, stdout, stderr := invoke(t, append(c.args, settings...)...); code != exitFailed || !strings.Contains(stderr, c.want) || stdout != "" {
				t.Errorf("exit %d: %s%s", code, stdout, stderr)
			}
		})
	}
	t.Run("where AWS relays", func(t *testing.T) {
		var out, errors bytes.Buffer
		code := run(t.Context(), append(settings, "--rerun", "s3://b/"), []string{"INREPLY_RELAY_QUEUE="}, &out, &errors)
		if code != exitFailed || !strings.Contains(errors.String(), "relay.queue: ") || !strings.Contains(errors.String(), "no intake queue") {
			t.Errorf("exit %d: %s", code, errors.String())
		}
	})
}

// A date is a whole day: it begins with --since and is over with --until.
func TestInstant(t *testing.T) {
	now := time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
	for said, want := range map[string]string{
		"2026-11-25": "2026-11-25T00:00:00Z 2026-11-26T00:00:00Z", "36h ago": "2026-11-24T00:00:00Z 2026-11-24T00:00:00Z",
		"2026-11-25T10:00:00+01:00": "2026-11-25T09:00:00Z 2026-11-25T09:00:00Z",
	} {
		since, err := instant(said, now, 0)
		until, wrong := instant(said, now, 1)
		if got := since.UTC().Format(time.RFC3339) + " " + until.UTC().Format(time.RFC3339); err != nil || wrong != nil || got != want {
			t.Errorf("%s: %s, %v, %v", said, got, err, wrong)
		}
	}
}
