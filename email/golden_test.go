package email

import (
	"flag"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

var update = flag.Bool("update", false, "write testdata/*.txt anew")

// Each mail in testdata is named after what is special about it, or wrong; beside
// it stands what is to be made of it.
func TestGolden(t *testing.T) {
	mails, err := filepath.Glob("testdata/*.eml")
	if err != nil || len(mails) == 0 {
		t.Fatalf("no mails: %v", err)
	}
	p := newParser(t)
	for _, name := range mails {
		t.Run(strings.TrimSuffix(filepath.Base(name), ".eml"), func(t *testing.T) {
			raw, err := os.ReadFile(name)
			if err != nil {
				t.Fatal(err)
			}
			got := describe(t, p, raw)
			file := strings.TrimSuffix(name, ".eml") + ".txt"
			if *update {
				if err := os.WriteFile(file, []byte(got), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(string(want), got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// describe writes down what a mail was parsed to, leaving out what is empty.
func describe(t *testing.T, p *Parser, raw []byte) string {
	t.Helper()
	m, err := p.Parse(Raw{Bytes: raw})
	if err != nil {
		return "error: " + err.Error() + "\n"
	}
	var b strings.Builder
	line := func(name string, value any) {
		if s := fmt.Sprint(value); s != "" && s != "[]" && s != "{ }" && s != "false" {
			fmt.Fprintf(&b, "%s: %s\n", name, s)
		}
	}
	line("From", m.From)
	line("To", m.To)
	line("Subject", m.Subject)
	line("Message-ID", m.MessageID)
	line("In-Reply-To", m.InReplyTo)
	line("References", m.References)
	line("Return-Path", m.ReturnPath)
	line("null path", m.NullPath)
	line("recipients", m.Recipients)
	v := m.Verdicts
	line("verdicts", strings.TrimSpace(fmt.Sprintf("%s %s %s %s %s %s %s %s", v.Spam, v.Virus, v.SPF, v.DKIM, v.DMARC, v.SPFDomain, strings.Join(v.DKIMDomains, " "), v.DMARCDomain)))
	line("authenticated", v.Authenticated(m.From, Aligned))
	line("automatic", m.Automation.Reasons)
	for _, d := range m.Defects {
		fmt.Fprintf(&b, "defect %s: %s\n", d.Code, d.Detail)
	}
	for _, a := range m.Attachments {
		content, err := io.ReadAll(a.Open())
		if err != nil {
			t.Error(err)
		}
		if int64(len(content)) != a.Size {
			t.Errorf("%s has %d octets, not %d", a.Name, len(content), a.Size)
		}
		fmt.Fprintf(&b, "file %q raw %q %s detected %q %s cid %q %d octets %.8s %.60q\n", a.Name, a.RawName, a.ContentType, a.DetectedType, a.Disposition, a.ContentID, a.Size, a.SHA256(), content)
	}
	section := func(name, text string) {
		if text != "" {
			fmt.Fprintf(&b, "-- %s --\n%s\n", name, strings.TrimSuffix(text, "\n"))
		}
	}
	section("text", m.Text)
	section("HTML", m.HTML)
	if m.ReplyText != strings.TrimSpace(m.Text) {
		section("reply", m.ReplyText)
	}
	return b.String()
}
