package main

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inreply"
	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
)

// startWorld starts AWS on loopback, set up as configs/local.yaml names it.
func startWorld(t *testing.T) *local.World {
	t.Helper()
	config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
	if err != nil {
		t.Fatal(err)
	}
	world := local.New(local.Config{Quota: ses.Quota{Daily: -1, Rate: -1}})
	t.Cleanup(world.Close)
	if _, err := world.Listen(t.Context(), "127.0.0.1:0"); err != nil {
		t.Fatal(err)
	}
	if _, err := world.Provision(local.Names(inreply.ResourcesOf(config))); err != nil {
		t.Fatal(err)
	}
	return world
}

func ask(h http.Handler, path string) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, nil))
	return w
}

// daemon is the built command as a process of its own.
type daemon struct {
	*exec.Cmd
	log lines
}

func startDaemon(t *testing.T, binary string, world *local.World) *daemon {
	t.Helper()
	d := &daemon{Cmd: exec.Command(binary, "--config", filepath.Join("..", "..", "configs", "local.yaml"))}
	d.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "INREPLY_") }),
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test",
		"INREPLY_AWS_ENDPOINT="+world.Endpoint(), "INREPLY_ADMIN_LISTEN=",
		// So that what a killed process held comes back soon.
		"INREPLY_CONSUMER_VISIBILITY=3s", "INREPLY_MAILER_CLAIM=2s", "INREPLY_MAILER_TIMEOUT=1s",
	)
	d.Stdout, d.Stderr = &d.log, &d.log
	if err := d.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		_ = d.Process.Kill()
		_ = d.Wait()
	})
	return d
}

// kill -9 in the middle of 200 mails costs none of them.
func TestKillMinusNine(t *testing.T) {
	if testing.Short() {
		t.Skip("builds the command and waits for leases to run out")
	}
	binary := filepath.Join(t.TempDir(), "inreply")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("%v\n%s", err, out)
	}
	world := startWorld(t)
	first := startDaemon(t, binary, world)
	const mails = 200
	for n := range mails {
		from := fmt.Sprintf("sender-%d@example.com", n%20)
		raw := fmt.Sprintf("From: %s\r\nTo: data@inreply.example\r\nSubject: %d\r\nMessage-ID: <%d@example.com>\r\n\r\nHello\r\n", from, n, n)
		if _, err := world.Receive(local.Mail{Envelope: ses.Envelope{From: from, Recipients: []string{"data@inreply.example"}}, Raw: []byte(raw)}); err != nil {
			t.Fatal(err)
		}
	}
	wait(t, first, func() bool { return len(world.SES.Sent()) >= mails/4 })
	if err := first.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = first.Wait()
	killedAt := len(world.SES.Sent())
	second := startDaemon(t, binary, world)
	wait(t, second, func() bool { return len(replies(world)) == mails })

	// What SES was asked by the killed process, and not answered for, may be sent
	// twice; every such case says so in its log line.
	twice := 0
	for _, n := range replies(world) {
		twice += n - 1
	}
	if counted := strings.Count(second.log.text(), `"unknown": true`); twice > counted {
		t.Errorf("%d replies went out twice, %d of them counted\n%s", twice, counted, second.log.text())
	}
	t.Logf("killed after %d of %d replies; %d went out twice", killedAt, mails, twice)
}

// replies counts the replies to each mail.
func replies(world *local.World) map[string]int {
	n := map[string]int{}
	for _, sent := range world.SES.Sent() {
		_, after, _ := strings.Cut(string(sent.Raw), "In-Reply-To: ")
		id, _, _ := strings.Cut(after, "\r\n")
		n[id]++
	}
	return n
}

// wait waits for as long as it takes, unless nothing happens at all.
func wait(t *testing.T, d *daemon, done func() bool) {
	t.Helper()
	for range 6000 {
		if done() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatalf("it did not happen in a minute\n%s", d.log.text())
}
