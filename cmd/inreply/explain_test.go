package main

import (
	"bytes"
	"flag"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var updateGolden = flag.Bool("update", false, "write testdata/explain.golden anew")

// What --explain says of the samples, word for word.
func TestExplainTheSamples(t *testing.T) {
	files := samples(t, "sales-2026q3.eml", "question.eml", "out-of-office.eml", "bounce.eml", "broken.eml")
	code, stdout, stderr := invoke(t, append([]string{"--explain"}, files...)...)
	if code != exitOK || stderr != "" {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	got := strings.ReplaceAll(stdout, filepath.Join("..", "..", "samples")+string(filepath.Separator), "samples/")
	golden := filepath.Join("testdata", "explain.golden")
	if *updateGolden {
		if err := os.WriteFile(golden, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("--explain says otherwise (-want +got); run: go test ./cmd/inreply -run Explain -update\n%s", diff)
	}
}

// explained runs --explain with settings of its own, and a mail on standard input.
func explained(t *testing.T, settings, mail string, args ...string) (code int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "inreply.yaml")
	if err := os.WriteFile(file, []byte(settings), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, errs bytes.Buffer
	command := newCommand(nil, &out, &errs)
	command.SetArgs(append(args, "--config", file, "-"))
	command.SetIn(strings.NewReader(mail))
	if err := command.ExecuteContext(t.Context()); err != nil {
		errs.WriteString(err.Error())
		code = exitFailed
	}
	return code, out.String(), errs.String()
}

const explainSettings = `
records: {bucket: mails}
consumer: {queue: mail.fifo}
mailer: {from: data@inreply.example}
webhook:
  orders: {url: "URL"}
processing:
  routes:
    - {name: orders, recipient: orders@inreply.example, subject: "order (?P<order>[0-9]+)", processor: orders}
    - {name: rest, processor: digest}
  policy: {trust: none}
`

const order = "From: Ana <ana@example.com>\r\nTo: orders+west@inreply.example\r\nSubject: order 4711\r\n" +
	"Message-ID: <1@example.com>\r\nDate: Thu, 01 Oct 2026 09:12:44 +0200\r\n\r\nWhere is it?\r\n"

// An application service is asked only on demand; that it was not is said.
func TestExplainAsksServicesOnDemand(t *testing.T) {
	var asked atomic.Int32
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		asked.Add(1)
		w.Header().Set("Content-Type", "application/json")
		_, _ = w.Write([]byte(`{"action":"reply","reply":{"text":"On its way."}}`))
	}))
	defer service.Close()
	settings := strings.Replace(explainSettings, "URL", service.URL, 1)

	code, stdout, stderr := explained(t, settings, order, "--explain")
	if code != exitOK {
		t.Fatal(stderr)
	}
	for _, want := range []string{
		"route        orders: takes it\n", "tag          west\n", "capture      order: 4711\n",
		"processor    orders, which is not asked", "policy       allows an answer", "end          whatever orders says, which was not asked\n", "--explain=call asks orders too",
	} {
		if !strings.Contains(stdout, want) {
			t.Errorf("without %q:\n%s", want, stdout)
		}
	}
	if n := asked.Load(); n != 0 {
		t.Errorf("the service was asked %d times", n)
	}
	code, stdout, stderr = explained(t, settings, order, "--explain=call")
	if code != exitOK || asked.Load() != 1 || !strings.Contains(stdout, "end          answered\n") || !strings.Contains(stdout, "| On its way.") {
		t.Errorf("exit %d, asked %d times: %s\n%s", code, asked.Load(), stderr, stdout)
	}
}

func TestExplainSaysWhatIsWrong(t *testing.T) {
	for _, c := range []struct {
		args []string
		code int
		want string
	}{
		{[]string{"--explain"}, exitFailed, "name the mails, or - for standard input"},
		{[]string{"--explain=never", "x.eml"}, exitFailed, "--explain=never: it is --explain, or --explain=call"},
		{[]string{"--explain", "nothing.eml"}, exitFailed, "nothing.eml: there is no such file"},
		{[]string{"--explain", "--local", "x.eml"}, exitFailed, "leave --local"},
		{[]string{"--explain", emptyFile(t)}, exitDead, "1 of 1 mails would be dead-lettered"},
	} {
		code, _, stderr := invoke(t, c.args...)
		if code != c.code || !strings.Contains(stderr, c.want) {
			t.Errorf("%v: exit %d, %s", c.args, code, stderr)
		}
	}
}

func emptyFile(t *testing.T) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "empty.eml")
	if err := os.WriteFile(name, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}
