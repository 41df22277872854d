package template_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"inreply/email"
	"inreply/processing/template"
)

// Each file in testdata is a folder of templates. "want" is what is wrong with it, or
// what the template that "reply.json" names makes of its data.
func TestFolders(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) == 0 {
		t.Fatal("no cases", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			folder := t.TempDir()
			var want string
			var asked struct {
				Template, Subject, Text string
				Data                    any
			}
			for _, f := range archive.Files {
				switch f.Name {
				case "want":
					want = strings.TrimSpace(string(f.Data))
				case "reply.json":
					err = json.Unmarshal(f.Data, &asked)
				default:
					err = os.WriteFile(filepath.Join(folder, f.Name), f.Data, 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			if got := outcome(t, folder, asked.Template, asked.Subject, asked.Text, asked.Data); got != want {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}

func outcome(t *testing.T, folder, name, subject, text string, data any) string {
	t.Helper()
	set, err := template.Load(template.Config{Folder: folder})
	if err != nil {
		return err.Error()
	}
	m := mail()
	reply := m.Answer()
	reply.Template, reply.Data, reply.Text = name, data, text
	if subject != "" {
		reply.Subject = subject
	}
	if err := set.Fill(reply, m); err != nil {
		var permanent interface{ Permanent() bool }
		if !errors.As(err, &permanent) || !permanent.Permanent() {
			t.Errorf("it is not permanent: %v", err)
		}
		return err.Error()
	}
	if reply.Template != "" || reply.Data != nil {
		t.Error("it still names its template")
	}
	return strings.TrimSpace(fmt.Sprintf("Subject: %s\n\n%s\n\n%s", reply.Subject, strings.TrimSpace(reply.Text), strings.TrimSpace(reply.HTML)))
}

func mail() *email.Message {
	return &email.Message{
		ID: "m", From: email.Address{Name: "<b>Bob</b>", Mailbox: "bob@example.com"}, Subject: "Where\u2028is <it>?", ReplyText: "Where?",
		Route: email.Route{Name: "orders", Captures: map[string]string{"order": "4711"}}, Attachments: []email.Attachment{{Name: "a.pdf"}},
	}
}

// fixed is a processor that always replies the same, or fails.
type fixed struct {
	reply *email.Reply
	err   error
}

func (f fixed) Process(context.Context, *email.Message) (*email.Reply, error) { return f.reply, f.err }

func set(t *testing.T) *template.Set {
	t.Helper()
	folder := t.TempDir()
	if err := os.WriteFile(filepath.Join(folder, "sorry.txt"), []byte("Sorry, {{.Mail.From.Mailbox}}."), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := template.Load(template.Config{Folder: folder})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func TestWrap(t *testing.T) {
	s := set(t)
	for name, c := range map[string]struct {
		next fixed
		want string
	}{
		"a template":    {fixed{reply: &email.Reply{Template: "sorry"}}, "Sorry, bob@example.com."},
		"no template":   {fixed{reply: &email.Reply{Text: "Hello"}}, "Hello"},
		"silence":       {fixed{}, ""},
		"an error":      {fixed{err: errors.New("broken")}, "broken"},
		"another one":   {fixed{reply: &email.Reply{Template: "glad"}}, `reply.template: there is no template "glad", but sorry`},
		"its own words": {fixed{reply: &email.Reply{Template: "sorry", Text: "Own"}}, "Own"},
	} {
		reply, err := s.Wrap(c.next).Process(t.Context(), mail())
		got := ""
		if err != nil {
			got = err.Error()
		} else if reply != nil {
			got = reply.Text
		}
		if got != c.want {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestProcessor(t *testing.T) {
	m := mail()
	reply, err := set(t).Processor("sorry").Process(t.Context(), m)
	if err != nil || reply.Text != "Sorry, bob@example.com." || reply.Mail != m.ID || reply.Subject != m.Answer().Subject {
		t.Errorf("%+v %v", reply, err)
	}
}

func TestNoFolder(t *testing.T) {
	s, err := template.Load(template.Config{})
	if err != nil || len(s.Names()) != 0 {
		t.Error(s.Names(), err)
	}
	if err := s.Fill(&email.Reply{Template: "x"}, mail()); err == nil || !strings.Contains(err.Error(), "but none at all") {
		t.Error(err)
	}
	file := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	for folder, want := range map[string]string{"": "", ".": "", file: "is no folder", file + "/x": "folder: ", "nowhere": "folder: nowhere is not there"} {
		err := template.Config{Folder: folder}.Validate()
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", folder, err)
		}
	}
}
