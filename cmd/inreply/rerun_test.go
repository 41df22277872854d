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

	"inreply"
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

// begun finds the id that a rerun prints first.
var begun = regexp.MustCompile(`(?m)^rerun (\d{8}-\d{6}-[0-9a-f]{4}): (.*)$`)

// A mail was answered. A rerun with --again has it answered once more, at once; what
// is announced of that rerun later is not, nor what is of one without; that of
// another rerun is.
func TestAgainIsOnceMoreForEachRerun(t *testing.T) {
	g := newGraveyard(t)
	settings := filepath.Join("..", "..", "configs", "local.yaml")
	g.receive(1)
	g.daemon(settings, `("outcome": *"answered")`)
	ends := func(id string, repeated bool, want int) {
		t.Helper()
		g.daemon(settings, fmt.Sprintf(`("outcome": *"answered".*"repeated": *%t.*"rerun": *%q)`, repeated, id))
		if n := replies(g.world)["<1@example.com>"]; n != want {
			t.Errorf("rerun %s: %d replies, want %d", id, n, want)
		}
	}
	announce := func(says string, args ...string) (id, bucket, key string) {
		t.Helper()
		var out bytes.Buffer
		code, stderr := g.rerun(t.Context(), &out, args...)
		said, object := begun.FindStringSubmatch(out.String()), regexp.MustCompile(`announced  ([^/]+)/(\S+)`).FindStringSubmatch(out.String())
		if code != exitOK || said == nil || said[2] != says || object == nil {
			t.Fatalf("%v: exit %d: %s%s", args, code, stderr, out.String())
		}
		return said[1], object[1], object[2]
	}
	first, bucket, key := announce("what was answered is answered once more", "--again")
	ends(first, false, 2)
	// Without its ETag the FIFO topic takes it for another one, as it does after five
	// minutes: only the record knows better.
	late := fmt.Sprintf(`{"Records":[{"eventName":"ObjectCreated:Put","s3":{"bucket":{"name":%q},"object":{"key":%q}},"inreply":{"rerun":%q,"again":true}}]}`, bucket, key, first)
	if _, err := g.sqs.SendMessage(t.Context(), &sqs.SendMessageInput{QueueUrl: aws.String(g.world.SQS.URL(intake)), MessageBody: &late}); err != nil {
		t.Fatal(err)
	}
	ends(first, true, 2)
	plain, _, _ := announce("what was answered is not answered again")
	ends(plain, true, 2)
	second, _, _ := announce("what was answered is answered once more; caps per sender do not hold", "--again", "--uncapped")
	ends(second, false, 3)
}

// Where caps hold, an operator is told what becomes of what is over them.
func TestARerunSaysWhatCapsDo(t *testing.T) {
	const hold = "; caps per sender hold, and what is over them ends as silent (--uncapped lifts them)\n"
	common, route := "INREPLY_PROCESSING_POLICY_PER_HOUR=20", "INREPLY_PROCESSING_ROUTES=[{name: digest, processor: digest, policy: {same_subject: 1}}]"
	for _, c := range []struct {
		setting string
		options inreply.RerunOptions
		want    string
	}{
		{"", inreply.RerunOptions{Mark: inreply.RerunMark{ID: "1"}}, "rerun 1: what was answered is not answered again\n"},
		{common, inreply.RerunOptions{Mark: inreply.RerunMark{ID: "1"}}, "rerun 1: what was answered is not answered again" + hold},
		{route, inreply.RerunOptions{Mark: inreply.RerunMark{ID: "1", Again: true}, DryRun: true}, "dry run: what was answered is answered once more" + hold},
		{common, inreply.RerunOptions{Mark: inreply.RerunMark{ID: "1", Uncapped: true}}, "rerun 1: what was answered is not answered again; caps per sender do not hold\n"},
	} {
		config, err := configs.Parse("configs/local.yaml", configs.Local(), []string{c.setting})
		if err != nil {
			t.Fatal(err)
		}
		var out bytes.Buffer
		newProgress(&out, c.options.DryRun).rerunBegins(c.options, config)
		if out.String() != c.want {
			t.Errorf("says %q, want %q", out.String(), c.want)
		}
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

// What goes on with a rerun that answers once more is the same rerun.
func TestCtrlCStopsARerunThatAnswersOnceMore(t *testing.T) {
	g := newGraveyard(t)
	for n := range 25 {
		g.receive(n)
	}
	g.lose()
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	_, stderr := g.rerun(ctx, &stopping{at: "announced  ", stop: stop}, "--again")
	found := regexp.MustCompile(`--again=(\S+) --after '([^']+)'`).FindStringSubmatch(stderr)
	if found == nil {
		t.Fatal(stderr)
	}
	var out bytes.Buffer
	code, stderr := g.rerun(t.Context(), &out, "--again="+found[1], "--after", found[2])
	if said := begun.FindStringSubmatch(out.String()); code != exitOK || said == nil || said[1] != found[1] || !strings.Contains(out.String(), " 15 announced") {
		t.Errorf("exit %d: %s%s", code, stderr, out.String())
	}
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
		{"an id that is none", []string{"--rerun", "s3://b/", "--again=yesterday"}, "--again=yesterday: it is the id that a --rerun --again printed"},
		{"an id after a space", []string{"--rerun", "s3://b/", "--again", "20261125-101500-3f9a"}, "20261125-101500-3f9a: mails are only taken with"},
		{"once more of a daemon", []string{"--again"}, "--again says nothing without --rerun"},
		{"caps of a redrive", []string{"--redrive", "--uncapped"}, "--uncapped says nothing without --rerun"},
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
