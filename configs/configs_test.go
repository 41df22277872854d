package configs

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// Each file in testdata holds one mistake and is named after it. Its comments
// say what is to be complained of ("# wants: ..."), and with which variables the
// file is loaded ("# environment: NAME=value").
func TestEachMistakeGetsItsComplaint(t *testing.T) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no cases: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var want, environ []string
			for line := range strings.Lines(string(text)) {
				line = strings.TrimSuffix(line, "\n")
				if w, ok := strings.CutPrefix(line, "# wants: "); ok {
					want = append(want, w)
				}
				if e, ok := strings.CutPrefix(line, "# environment: "); ok {
					environ = append(environ, e)
				}
			}
			_, err = Load(file, environ)
			if diff := cmp.Diff(want, complaints(err, file)); diff != "" {
				t.Errorf("complaints (-want +got):\n%s", diff)
			}
		})
	}
}

// complaints are the lines of an error, without the name of the file.
func complaints(err error, file string) []string {
	if err == nil {
		return nil
	}
	lines := strings.Split(err.Error(), "\n")
	for i := range lines {
		lines[i] = strings.TrimPrefix(lines[i], file+":")
	}
	return lines
}

func TestWhatIsNoFileOfSettings(t *testing.T) {
	folder := t.TempDir()
	write := func(name, text string) string {
		name = filepath.Join(folder, name)
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return name
	}
	for _, c := range []struct{ name, file, want string }{
		{"missing", filepath.Join(folder, "no.yaml"), "settings file FILE: it is not there; name one that is, or copy configs/local.yaml"},
		{"directory", folder, "settings file FILE: it is a directory; name the file in it"},
		{"empty", write("empty.yaml", ""), "FILE:1:1: the file is empty: it has no settings"},
		{"only comments", write("comments.yaml", "# nothing\n"), "FILE:1:1: the file is empty: it has no settings"},
		{"only a mark", write("mark.yaml", "---\n"), "FILE:1:1: the file is empty: it has no settings"},
		{"zero octets", write("zeros.yaml", "\x00\x00\x00"), "FILE:1:1: this is not YAML: control characters are not allowed (value: 0)"},
		{"a mail", write("mail.yaml", "From: <a@b.example>\nSubject: hi\n\nhello\n"), "FILE:5:1: this is not YAML: while scanning a simple key, could not find expected ':'"},
		{"one word", write("word.yaml", "inreply"), "FILE:1:1: these are no settings: write them as key: value"},
		{"a list", write("list.yaml", "- aws\n"), "FILE:1:1: these are no settings: write them as key: value"},
		{"too large", write("large.yaml", "# "+strings.Repeat("x", largest)), "settings file FILE: it is larger than 1 MiB, so it is hardly one"},
		{"an alias of itself", write("knot.yaml", "log: &log\n  level: *log\n"), "FILE:2:10: this is not YAML: anchor 'log' value contains itself"},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, err := Load(c.file, nil)
			if err == nil {
				t.Fatal("it was loaded")
			}
			if got := strings.ReplaceAll(err.Error(), c.file, "FILE"); got != c.want {
				t.Errorf("got  %s\nwant %s", got, c.want)
			}
		})
	}
}

// A text that doubles itself by aliases nine times over is refused at once.
func TestAliasBomb(t *testing.T) {
	var bomb strings.Builder
	bomb.WriteString("a0: &a0 [x, x, x, x, x, x, x, x, x]\n")
	for i := range 9 {
		from, to := string(rune('0'+i)), string(rune('1'+i))
		bomb.WriteString("a" + to + ": &a" + to + " [" + strings.Repeat("*a"+from+",", 9) + "]\n")
	}
	_, err := Parse("bomb.yaml", []byte(bomb.String()), nil)
	if err == nil || !strings.Contains(err.Error(), "excessive aliasing") {
		t.Errorf("got %v", err)
	}
}

func TestTheEnvironmentOverrides(t *testing.T) {
	config, err := Parse("local.yaml", Local(), []string{
		"PATH=/bin",
		"INREPLY_CONSUMER_QUEUE=other.fifo",
		"INREPLY_CONSUMER_BACKOFF_MAX=90s",
		"INREPLY_CONSUMER_CONCURRENCY=7",
		"INREPLY_AWS_SES_REGION=eu-west-1",
		"INREPLY_ADMIN_LISTEN=",
	})
	if err != nil {
		t.Fatal(err)
	}
	got := []any{config.Consumer.Queue, config.Consumer.Backoff.Max.String(), config.Consumer.Concurrency, config.AWS.SES.Region, config.Admin.Listen}
	want := []any{"other.fifo", "1m30s", 7, "eu-west-1", ""}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// The shipped files are what their users start from.
func TestShippedFiles(t *testing.T) {
	for _, shipped := range []struct {
		name string
		text []byte
	}{{"local.yaml", Local()}, {"fargate.yaml", Fargate()}} {
		t.Run(shipped.name, func(t *testing.T) {
			config, err := Load(shipped.name, nil)
			if err != nil {
				t.Fatal(err)
			}
			embedded, err := Parse(shipped.name, shipped.text, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(config, embedded); diff != "" {
				t.Errorf("the embedded file differs:\n%s", diff)
			}
			// "#key: value" shows a default, so taking the # away changes nothing.
			shown := regexp.MustCompile(`(?m)^( *)#(\w)`).ReplaceAll(shipped.text, []byte("$1$2"))
			withDefaults, err := Parse(shipped.name, shown, nil)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(config, withDefaults, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("what the comments show are not the defaults:\n%s", diff)
			}
			everySettingIsShown(t, shown)
		})
	}
}

// What LocalStack runs with is what --local runs with, somewhere else. It shows
// only what must be said.
func TestLocalStackFile(t *testing.T) {
	here, err := Parse("local.yaml", Local(), nil)
	if err != nil {
		t.Fatal(err)
	}
	there, err := Load("localstack.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	if there.AWS.Endpoint != "http://127.0.0.1:4566" {
		t.Errorf("LocalStack does not listen on %s", there.AWS.Endpoint)
	}
	here.AWS.Endpoint = there.AWS.Endpoint
	if diff := cmp.Diff(here, there); diff != "" {
		t.Errorf("(-local.yaml +localstack.yaml):\n%s", diff)
	}
}

// everySettingIsShown complains of settings that a file does not have, so that
// nobody needs another list to know what there is.
func everySettingIsShown(t *testing.T, text []byte) {
	t.Helper()
	v, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	shown, broken := grow("shown.yaml", text)
	if broken != nil {
		t.Fatal(broken)
	}
	for _, p := range v.variables() {
		if _, _, _, there := shown.find(p); !there {
			t.Errorf("%s is not shown", p)
		}
	}
}

// The application service that the files show in their comments has every setting
// that there is, with its default.
func TestShownService(t *testing.T) {
	v, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string][]byte{"local.yaml": Local(), "fargate.yaml": Fargate()} {
		_, below, _ := strings.Cut(string(text), "\nwebhook:\n")
		section, _, _ := strings.Cut(below, "\n\n")
		shown := regexp.MustCompile(`(?m)^  # `).ReplaceAllString("webhook:\n"+section, "  ")
		tree, broken := grow(name, []byte(shown))
		if broken != nil {
			t.Fatal(name, broken)
		}
		service := v.at(path{"webhook"}).Others.schema
		for variable, p := range service.variables() {
			if _, _, _, there := tree.find(append(path{"webhook", "orders"}, p...)); !there {
				t.Errorf("%s: %s (%s) is not shown", name, p, variable)
			}
		}
		key := "whsec_" + strings.Repeat("A", 43) + "="
		base := "consumer: {queue: q.fifo}\nrecords: {bucket: b}\nmailer: {from: data@inreply.example}\n"
		config, err := Parse(name, []byte(base+strings.Replace(shown, "secrets: []", "secrets: ["+key+"]", 1)), nil)
		if err != nil {
			t.Fatal(err)
		}
		plain, err := Parse(name, []byte(base+"webhook: {orders: {url: https://api.example.com/mails, auth: {secrets: ["+key+"]}}}"), nil)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(plain.Webhook["orders"].WithDefaults(), config.Webhook["orders"].WithDefaults()); diff != "" {
			t.Errorf("%s: what the comments show are not the defaults:\n%s", name, diff)
		}
	}
}

// Secrets of an application service may come from the environment alone.
func TestSecretsOfAServiceFromTheEnvironment(t *testing.T) {
	text := "consumer: {queue: q.fifo}\nrecords: {bucket: b}\nmailer: {from: data@inreply.example}\n" +
		"webhook: {order-desk: {url: https://api.example.com/}}\n"
	one, two := "whsec_"+strings.Repeat("A", 43)+"=", "whsec_"+strings.Repeat("B", 42)+"A="
	config, err := Parse("f.yaml", []byte(text), []string{"INREPLY_WEBHOOK_ORDER_DESK_AUTH_SECRETS=" + one + "," + two, "INREPLY_WEBHOOK_ORDER_DESK_AUTH_API_KEY=hush"})
	if err != nil {
		t.Fatal(err)
	}
	desk := config.Webhook["order-desk"]
	if got := desk.Auth; len(got.Secrets) != 2 || string(got.Secrets[1]) != two || string(got.APIKey) != "hush" {
		t.Errorf("%d secrets", len(got.Secrets))
	}
	encoded, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	for _, shown := range []string{fmt.Sprintf("%v %+v %#v %s", config, config, config, desk.Auth), string(encoded)} {
		if strings.Contains(shown, one) || strings.Contains(shown, "hush") {
			t.Errorf("a secret is shown: %s", shown)
		}
	}
}

// Whatever is in a file, there are either settings or complaints, and each
// complaint says where in the file.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob("testdata/*.yaml")
	if err != nil {
		f.Fatal(err)
	}
	for _, file := range append(files, "local.yaml", "fargate.yaml") {
		text, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(text, "")
	}
	f.Add([]byte("consumer: &c {queue: a.fifo}\nrelay: *c\n"), "INREPLY_CONSUMER_BACKOFF_MAX=5m")
	f.Add([]byte("consumer: *c\n"), "INREPLY_PROCESSING_ROUTES=[{name: &a [*a]}]")
	place := regexp.MustCompile(`(?s)^(f\.yaml:([0-9]+):([0-9]+)|INREPLY_.*?): `)
	lineBreak := regexp.MustCompile("\r\n|[\r\n\u0085\u2028\u2029]") // as YAML has them
	f.Fuzz(func(t *testing.T, text []byte, variable string) {
		config, err := Parse("f.yaml", text, []string{variable})
		if err == nil {
			return
		}
		if !reflect.ValueOf(config).IsZero() {
			t.Errorf("both settings and an error: %v", err)
		}
		many, ok := err.(interface{ Unwrap() []error })
		if !ok {
			t.Fatalf("not a list: %v", err)
		}
		lines := len(lineBreak.FindAll(text, -1)) + 1
		for _, e := range many.Unwrap() {
			m := place.FindStringSubmatch(e.Error())
			if m == nil {
				t.Fatalf("it does not say where: %q", e)
			}
			if line, _ := strconv.Atoi(m[2]); line > lines+1 {
				t.Errorf("line %d of %d: %q", line, lines, e)
			}
		}
	})
}
