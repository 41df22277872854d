package emulators

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// buildDaemon builds the command as a deployment has it.
func buildDaemon(t *testing.T) string {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "inreply")
	build := exec.Command("go", "build", "-o", binary, "../cmd/inreply")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	return binary
}

// command is one call of the built command, with the shipped settings for
// LocalStack and whatever variables say otherwise.
func (w *way) command(variables []string, args ...string) *exec.Cmd {
	c := exec.Command(w.binary, append([]string{"--config", filepath.Join("..", "configs", "localstack.yaml")}, args...)...)
	own := func(v string) bool { return strings.HasPrefix(v, "INREPLY_") || strings.HasPrefix(v, "AWS_") }
	c.Env = append(slices.DeleteFunc(os.Environ(), own), w.environment()...)
	c.Env = append(c.Env, variables...)
	return c
}

// environment is what the settings of a rig differ in.
func (w *way) environment() []string {
	all := []string{
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "AWS_EC2_METADATA_DISABLED=true",
		"INREPLY_AWS_ENDPOINT=" + w.url(w.rig.sqs), "INREPLY_AWS_S3_ENDPOINT=" + w.url(w.rig.s3), "INREPLY_AWS_SES_ENDPOINT=" + w.url(w.rig.ses),
		"INREPLY_ADMIN_LISTEN=",
		"INREPLY_RECORDS_BUCKET=" + w.bucket(),
		// A process that is to stop waits for its open polls.
		"INREPLY_CONSUMER_POLL=2s", "INREPLY_RELAY_POLL=2s",
	}
	if w.rig.sns == "" {
		return append(all, "INREPLY_RELAY_QUEUE=")
	}
	return append(all, "INREPLY_AWS_SNS_ENDPOINT="+w.url(w.rig.sns))
}

// say runs the command to its end.
func (w *way) say(args ...string) (string, error) {
	out, err := w.command(nil, args...).CombinedOutput()
	return string(out), err
}

// daemon is the daemon as a process of its own.
type daemon struct {
	*exec.Cmd
	log  *transcript
	exit chan error
}

func (w *way) start(variables ...string) *daemon {
	w.t.Helper()
	d := &daemon{Cmd: w.command(variables), log: &transcript{}, exit: make(chan error, 1)}
	d.Stdout, d.Stderr = d.log, d.log
	if err := d.Start(); err != nil {
		w.t.Fatal(err)
	}
	go func() { d.exit <- d.Wait() }()
	w.whole.Cleanup(func() {
		_ = d.Process.Kill()
		if w.whole.Failed() {
			w.whole.Logf("daemon of %s:\n%s", w.rig.name, d.log.end())
		}
	})
	return d
}

// stop ends the daemon as ECS does, and waits for it.
func (d *daemon) stop() error {
	if err := d.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	select {
	case err := <-d.exit:
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

// transcript is what a process wrote.
type transcript struct {
	mu  sync.Mutex
	all bytes.Buffer
}

func (s *transcript) Write(b []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.Write(b)
}

// end is the last of it.
func (s *transcript) end() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	b := s.all.Bytes()
	return string(b[max(0, len(b)-8000):])
}

// count is how often something was written.
func (s *transcript) count(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return bytes.Count(s.all.Bytes(), []byte(what))
}
