package main

import (
	"bufio"
	"bytes"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

const sampleSecret = "whsec_bm90IGEgc2VjcmV0LCBvbmx5IGEgc2FtcGxlIQ=="

// startService starts a sample service on a port of its own, and returns host:port. It
// ends with the test.
func startService(t *testing.T, command ...string) string {
	t.Helper()
	service := exec.Command(command[0], append(command[1:], "--listen", "127.0.0.1:0", "--secret", sampleSecret)...)
	out, err := service.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	var complaints bytes.Buffer
	service.Stderr = &complaints
	if err := service.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = service.Process.Kill()
		_ = service.Wait()
	})
	line, err := bufio.NewReader(out).ReadString('\n')
	address, ok := strings.CutPrefix(strings.TrimSpace(line), "listening on ")
	if err != nil || !ok {
		t.Fatalf("%v: %q\n%s", err, line, complaints.String())
	}
	return address
}

// The walk of docs/webhook.md, with each of the sample services: the question is
// answered by the service, signed requests and all. With another secret it is not.
func TestTheSampleServicesAnswer(t *testing.T) {
	built := filepath.Join(t.TempDir(), "service")
	if out, err := exec.Command("go", "build", "-o", built, "../../samples/service").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	commands := map[string][]string{"go": {built}}
	if python, err := exec.LookPath("python3"); err == nil {
		commands["python"] = []string{python, filepath.Join("..", "..", "samples", "service", "service.py")}
	} else {
		t.Log("python3 is not here, so service.py is not tried")
	}
	args := append([]string{"--local", "--config", filepath.Join("..", "..", "samples", "webhook.yaml"), "--out"}, t.TempDir())
	for name, command := range commands {
		t.Run(name, func(t *testing.T) {
			address := startService(t, command...)
			try := func(more ...string) (int, string) {
				var stdout, stderr bytes.Buffer
				environ := append([]string{"INREPLY_WEBHOOK_DESK_URL=http://" + address + "/mails"}, more...)
				code := run(t.Context(), append(args, samples(t, "question.eml", "sales-2026q3.eml")...), environ, &stdout, &stderr)
				return code, stdout.String() + stderr.String()
			}
			code, said := try()
			for _, want := range []string{
				"| Subject: Re: Was kann ich Ihnen schicken?", "| Hello Jürgen Weber,", "I have read 14 words.",
				"| You sent logo.png.", "| You sent sales-2026q3.csv.", "answered: ",
			} {
				if !strings.Contains(said, want) {
					t.Errorf("%q is not in\n%s", want, said)
				}
			}
			if code != exitOK {
				t.Errorf("exit %d\n%s", code, said)
			}
			code, said = try("INREPLY_WEBHOOK_DESK_AUTH_SECRETS=whsec_" + strings.Repeat("A", 43) + "=")
			if code != exitDead || !strings.Contains(said, "it answered 401 Unauthorized") {
				t.Errorf("with another secret: exit %d\n%s", code, said)
			}
		})
	}
}
