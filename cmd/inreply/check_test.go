package main

import (
	"encoding/json"
	"path/filepath"
	"strings"
	"testing"

	"inreply"
)

func checkOf(t *testing.T, how string, environ ...string) (code int, stdout, stderr string) {
	t.Helper()
	world := startWorld(t)
	t.Setenv("AWS_ACCESS_KEY_ID", "test")
	t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
	environ = append(environ, "INREPLY_AWS_ENDPOINT="+world.Endpoint())
	var out, err lines
	code = run(t.Context(), []string{"--config", filepath.Join("..", "..", "configs", "local.yaml"), how}, environ, &out, &err)
	return code, out.text(), err.text()
}

// A --local is set up as everything should be.
func TestCheckOfLocal(t *testing.T) {
	code, stdout, stderr := checkOf(t, "--check=write")
	if code != exitOK || strings.Contains(stdout, "\nwrong") || !strings.Contains(stdout, "ok      queue inreply-mail.fifo: it is there") ||
		!strings.Contains(stdout, "ok      write to inreply-mail/inreply/records/") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestCheckHasAnExitCodeAndCommands(t *testing.T) {
	code, stdout, stderr := checkOf(t, "--check", "INREPLY_CONSUMER_QUEUE=nosuch.fifo")
	if code != exitWrong || !strings.Contains(stdout, "wrong   queue nosuch.fifo: there is no such queue here\n        do: ") ||
		!strings.Contains(stdout, "\n        aws sqs create-queue --queue-name nosuch.fifo") || !strings.Contains(stderr, "see above") {
		t.Errorf("exit %d\n%s%s", code, stdout, stderr)
	}
}

func TestCheckForScripts(t *testing.T) {
	code, stdout, stderr := checkOf(t, "--check=json,write", "INREPLY_CONSUMER_QUEUE=nosuch.fifo")
	var said struct {
		OK       bool                   `json:"ok"`
		Findings []inreply.CheckFinding `json:"findings"`
	}
	if err := json.Unmarshal([]byte(stdout), &said); err != nil || code != exitWrong || said.OK || len(said.Findings) < 10 {
		t.Errorf("exit %d, %v\n%s%s", code, err, stdout, stderr)
	}
}
