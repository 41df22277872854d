package main

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inreply/local"
)

// What cannot be set up, or receive mails, is said in one sentence.
func TestSetupAndReceiveRefuse(t *testing.T) {
	fargate, localStack := filepath.Join("..", "..", "configs", "fargate.yaml"), filepath.Join("..", "..", "configs", "localstack.yaml")
	for _, c := range []struct {
		name string
		args []string
		want []string
	}{
		{"setup of --local", []string{"--local", "--setup"}, []string{"--setup", "--config"}},
		{"receiving of --local", append([]string{"--local", "--receive"}, samples(t, "question.eml")...), []string{"--receive", "--config"}},
		{"setup of nothing", []string{"--setup"}, []string{"--setup", "--config"}},
		{"setup at AWS", []string{"--setup", "--config", fargate}, []string{"aws.endpoint", "SQS at AWS", "deploy/"}},
		{"no mail to receive", []string{"--receive", "--config", localStack}, []string{"--receive", "MAIL"}},
		{"receive at AWS", append([]string{"--receive", "--config", fargate}, samples(t, "question.eml")...), []string{"aws.endpoint", "S3 at AWS"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := invoke(t, c.args...)
			if code != exitFailed || stdout != "" {
				t.Errorf("exit %d: %s", code, stdout)
			}
			for _, want := range c.want {
				if !strings.Contains(stderr, want) {
					t.Errorf("no %q in: %s", want, stderr)
				}
			}
		})
	}
}

// The way of docs/local.md: set an emulator up, run the daemon, have a mail
// received, find its reply at SES. Here the emulator is a --local of another
// process that nobody has set up.
func TestSetupAndReceive(t *testing.T) {
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	world := local.New(local.Config{})
	t.Cleanup(world.Close)
	endpoint, err := world.Listen(t.Context(), "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	environ := []string{"INREPLY_AWS_ENDPOINT=" + endpoint, "INREPLY_ADMIN_LISTEN=", "INREPLY_CONSUMER_STOP_POLL_GRACE=0s", "INREPLY_RELAY_POLL_GRACE=0s"}
	config := filepath.Join("..", "..", "configs", "localstack.yaml")
	step := func(ctx context.Context, args ...string) (string, int) {
		var out lines
		code := run(ctx, append([]string{"--config", config}, args...), environ, &out, &out)
		return out.text(), code
	}
	if said, code := step(t.Context(), "--setup"); code != exitOK || !strings.Contains(said, "made      bucket inreply-mail\n") {
		t.Fatalf("exit %d: %s", code, said)
	}
	if said, code := step(t.Context(), append([]string{"--receive"}, samples(t, "sales-2026q3.eml", "question.eml")...)...); code != exitOK || strings.Count(said, "stored  s3://inreply-mail/inbound/") != 2 {
		t.Fatalf("exit %d: %s", code, said)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan string, 1)
	go func() {
		said, code := step(ctx)
		ended <- fmt.Sprintf("exit %d: %s", code, said)
	}()
	for range 3000 {
		if len(world.SES.Sent()) == 2 {
			break
		}
		time.Sleep(10 * time.Millisecond)
	}
	stop()
	said := <-ended
	if !strings.HasPrefix(said, "exit 0") {
		t.Error(said)
	}
	var to []string
	for _, sent := range world.SES.Sent() {
		to = append(to, sent.Destinations...)
	}
	slices.Sort(to)
	if len(to) != 2 || to[0] != "ana.mendes@example.com" {
		t.Errorf("replies to %v\n%s", to, said)
	}
}
