package main

import (
	"bytes"
	"flag"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inreply/local/ses"
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
		{[]string{"--explain", "--verdict", "dmarc=maybe", "x.eml"}, exitFailed, `"maybe" is none of pass, fail, gray`},
		{[]string{"--explain", "--at", "drop/a.csv", "x.csv"}, exitFailed, "--at: say s3://BUCKET/KEY"},
		{[]string{"--explain", "--at", "s3://mails/", "x.csv"}, exitFailed, "--at: say s3://BUCKET/KEY"},
		{[]string{"--local", "--at", "s3://mails/a", "x.eml"}, exitFailed, "--at says where a file lies that --explain is about"},
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

// What --verdict says of a mail counts; what it leaves out is as SES has said it, or
// passes.
func TestExplainWhatIf(t *testing.T) {
	settings := strings.Replace(strings.Replace(explainSettings, "URL", "http://127.0.0.1:9", 1), "policy: {trust: none}", "policy: {trust: TRUST}", 1)
	bySES := string(ses.New(ses.Config{}).Receive(ses.Envelope{From: "ana@example.com", Recipients: []string{"orders@inreply.example"}}, []byte(order), ses.Verdicts{DMARC: ses.Fail, Spam: ses.Gray}).Raw)
	const (
		allowed = "policy       allows an answer"
		unknown = "policy       forbids an answer: unauthenticated: "
	)
	for _, c := range []struct {
		name, trust, mail, verdict string
		want                       []string
	}{
		{"a file", "dmarc", order, "", []string{"SPF unknown", unknown}},
		{"all passes", "dmarc", order, "dmarc=pass", []string{"verdicts     spam PASS, virus PASS, SPF PASS, DKIM PASS, DMARC PASS", allowed, "orders: takes it"}},
		{"DMARC fails", "dmarc", order, "dmarc=fail", []string{"DMARC FAIL", unknown, "end          silent: unauthenticated"}},
		{"aligned", "aligned", order, "dmarc=gray,spf=pass,dkim=fail", []string{"SPF PASS, DKIM FAIL, DMARC GRAY", allowed}},
		{"nothing aligned", "aligned", order, "dmarc=gray,spf=fail,dkim=fail", []string{unknown}},
		{"spam", "dmarc", order, "spam=fail", []string{"policy       forbids an answer: spam: "}},
		{"a virus", "none", order, "virus=FAIL", []string{"policy       forbids an answer: virus: "}},
		{"as SES has said it", "dmarc", bySES, "", []string{"spam GRAY, virus PASS, SPF PASS, DKIM PASS, DMARC FAIL", unknown, "recipients   orders@inreply.example\n"}},
		{"SES has said it otherwise", "dmarc", bySES, "dmarc=pass", []string{"spam GRAY, virus PASS, SPF PASS, DKIM PASS, DMARC PASS", allowed, "recipients   orders@inreply.example\n"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			args := []string{"--explain"}
			if c.verdict != "" {
				args = append(args, "--verdict", c.verdict)
			}
			code, stdout, stderr := explained(t, strings.Replace(settings, "TRUST", c.trust, 1), c.mail, args...)
			if code != exitOK {
				t.Fatal(stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("without %q:\n%s", want, stdout)
				}
			}
		})
	}
}

// A file that lies in S3 is what the routes there take it for: a mail, or an object
// that is none, which only --explain=call hands on.
func TestExplainAnObject(t *testing.T) {
	var asked atomic.Value
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		asked.Store(string(body))
		w.WriteHeader(http.StatusNoContent)
	}))
	defer service.Close()
	settings := strings.Replace(explainSettings, "URL", service.URL, 1)
	settings = strings.Replace(settings, "  routes:\n", "  routes:\n    - {name: drops, kind: object, prefix: drop/, max_kib: 1, processor: orders}\n    - {name: inbound, prefix: inbound/, processor: digest}\n", 1)
	settings = strings.Replace(settings, `{name: rest, `, `{name: rest, bucket: mails, prefix: other/, `, 1)
	settings = strings.Replace(settings, `{name: orders, `, `{name: orders, prefix: orders/, `, 1)
	for _, c := range []struct {
		name, at, content, how string
		code                   int
		want                   []string
	}{
		{"an object", "s3://mails/drop/a.csv", "a,b\n1,2\n", "--explain", exitOK, []string{
			"object       mails/drop/a.csv, 8 octets\n", "route        drops: takes it\n", "route        inbound: no, its key does not begin with inbound/\n",
			"processor    orders, which is not asked", "end          processed: an object that is no mail", "--explain=call asks orders too",
		}},
		{"an object that is too large", "s3://mails/drop/a.csv", strings.Repeat("x", 1025), "--explain", exitOK, []string{
			"route        drops: no, it is larger than 1 KiB\n", "end          silent: no-route: it lies where no route looks\n",
		}},
		{"elsewhere", "s3://mails/nowhere/a.csv", "a,b\n1,2\n", "--explain", exitOK, []string{"route        drops: no, its key does not begin with drop/\n", "end          silent: no-route"}},
		{"a mail by where it lies", "s3://mails/inbound/m1", order, "--explain", exitOK, []string{
			"object       mails/inbound/m1, ", "from         Ana <ana@example.com>\n", "route        inbound: takes it\n", "end          answered\n",
		}},
		{"an object that is handed on", "s3://mails/drop/a.csv", "a,b\n1,2\n", "--explain=call", exitOK, []string{"processor    orders\n", "end          processed: an object"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			code, stdout, stderr := explained(t, settings, c.content, c.how, "--at", c.at)
			if code != c.code {
				t.Fatalf("exit %d: %s", code, stderr)
			}
			for _, want := range c.want {
				if !strings.Contains(stdout, want) {
					t.Errorf("without %q:\n%s", want, stdout)
				}
			}
		})
	}
	if body, _ := asked.Load().(string); !strings.Contains(body, `"drop/a.csv"`) || !strings.Contains(body, `"text/csv`) {
		t.Errorf("the service was asked %s", body)
	}
}
