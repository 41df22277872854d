package emulators

import (
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"
)

// The manual's own lines, as a newcomer copies them, against --local. Variables name
// an aws of the AWS CLI and a python with boto3.
func TestTerminalClients(t *testing.T) {
	cli, python := os.Getenv("INREPLY_AWSCLI"), os.Getenv("INREPLY_PYTHON")
	if cli == "" || python == "" {
		t.Skip("INREPLY_AWSCLI and INREPLY_PYTHON name no AWS CLI and no python with boto3: bash .ci/run emulators installs them")
	}
	endpoint := startLocal(t, buildDaemon(t))
	for _, c := range []struct {
		name, language string
		command        []string
		want           []string // on its output, in this order
	}{
		{
			name: "AWS CLI", language: "bash", command: []string{"bash", "-euo", "pipefail", "-c"},
			want: []string{
				"/inreply-mail-dead.fifo", "sns:us-east-1:000000000000:inreply-events", `"Protocol": "sqs"`, `"FifoTopic": "true"`, "inreply-mail",
				`"TopicArn": "arn:aws:sns:us-east-1:000000000000:inreply-events"`, "inreply.example", `"VerificationStatus": "Success"`,
				`"ObjectKeyPrefix": "inbound/"`, `"Max24HourSend"`, "upload: samples/question.eml to s3://inreply-mail/inbound/question",
				" question", "Jürgen Weber", `"ContentLength"`, "copy: s3://inreply-mail/inbound/question",
				`"SequenceNumber"`, `"Body": "poison"`, `\"group\":\"any\"`, `\"reason\":\"decode the notice`, `"ApproximateNumberOfMessages": "1"`,
				"/inreply-mail.fifo", `"TaskHandle"`, `"Status": "`, "delete: s3://inreply-mail/inbound/again", `"MessageId"`, `"DeliveryAttempts": 1`, "Subject: Hello",
			},
		},
		{
			name: "boto3", language: "python", command: []string{python, "-c"},
			want: []string{"['one', 'two']", "{'ApproximateNumberOfMessages': '0'}", "b'hello'", "['notes/hello.txt']", "0100"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			lines := strings.ReplaceAll(tested(t, c.language), "http://127.0.0.1:4570", endpoint)
			command := exec.Command(c.command[0], append(c.command[1:], lines)...)
			command.Dir = ".."
			command.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "AWS_") }),
				"PATH="+filepath.Dir(cli)+":"+os.Getenv("PATH"), "AWS_PAGER=", "AWS_EC2_METADATA_DISABLED=true", "PYTHONUTF8=1",
				"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test")
			out, err := command.CombinedOutput()
			if err != nil {
				t.Fatalf("%v\n%s", err, out)
			}
			rest := string(out)
			for _, want := range c.want {
				_, after, found := strings.Cut(rest, want)
				if !found {
					t.Fatalf("no %q in\n%s\nof\n%s", want, rest, out)
				}
				rest = after
			}
		})
	}
}

// Every operation that the README and the page on a machine of one's own name is in
// the lines that are tested. The other pages are about AWS itself.
func TestWhatThePagesNameIsTested(t *testing.T) {
	operation := regexp.MustCompile(`\baws (?:--endpoint-url \S+ )?((?:sqs|sns|s3|s3api|ses|sesv2|sts) [a-z][a-z0-9-]+)`)
	var done []string
	for _, found := range operation.FindAllStringSubmatch(tested(t, "bash"), -1) {
		done = append(done, found[1])
	}
	if len(done) < 20 {
		t.Fatalf("only %d operations are tested", len(done))
	}
	for _, page := range []string{"../README.md", "../docs/local.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, named := range operation.FindAllStringSubmatch(string(text), -1) {
			if !slices.Contains(done, named[1]) {
				t.Errorf("%s names aws %s, which the lines in docs/local.md do not try against --local", filepath.Base(page), named[1])
			}
		}
	}
}

// tested are the indented lines of the manual after the mark of a language.
func tested(t *testing.T, language string) string {
	t.Helper()
	page, err := os.ReadFile("../docs/local.md")
	if err != nil {
		t.Fatal(err)
	}
	_, after, found := strings.Cut(string(page), "<!-- tested: "+language+" -->\n")
	if !found {
		t.Fatalf("docs/local.md has no lines in %s", language)
	}
	var lines strings.Builder
	for line := range strings.Lines(after) {
		code, indented := strings.CutPrefix(line, "    ")
		if !indented && strings.TrimSpace(line) != "" {
			break
		}
		lines.WriteString(code)
	}
	return lines.String()
}

// startLocal starts inreply --local and returns where its AWS is.
func startLocal(t *testing.T, binary string) (endpoint string) {
	t.Helper()
	said := &transcript{}
	c := exec.Command(binary, "--local", "--listen", "127.0.0.1:0", "--smtp", "127.0.0.1:0", "--out", t.TempDir())
	c.Env = slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "INREPLY_") })
	c.Stdout, c.Stderr = said, said
	if err := c.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- c.Wait() }()
	t.Cleanup(func() {
		_ = c.Process.Kill()
		<-ended
		if t.Failed() {
			t.Log(said.end())
		}
	})
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for {
		if found := regexp.MustCompile(`AWS endpoint +(\S+)`).FindStringSubmatch(said.end()); found != nil {
			return found[1]
		}
		select {
		case <-tick.C:
		case err := <-ended:
			ended <- err
			t.Fatalf("it ended: %v", err)
		case <-ctx.Done():
			t.Fatal("it does not start")
		}
	}
}
