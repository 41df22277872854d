package processing_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
	"golang.org/x/tools/txtar"

	"inreply/email"
	"inreply/processing"
	"inreply/store"
)

// The cases in testdata are what this package does, for everybody to read and to
// add to. Each file tells in its first lines what it is about, and goes on with:
//
//	-- settings --      the section "processing", as in the settings file; where it
//	                    says nothing there are no caps
//	-- 1.eml --         a mail; the first line may say how SES took it in, as
//	                    "ses: from=<> to=a@x,b@y spam=FAIL dmarc=GRAY", or where it
//	                    lies, as "ses: bucket=mail key=inbound/1"
//	-- 1.want --        how it ends: "answered by ROUTE to MAILBOX", or
//	                    "silent by ROUTE: REASON", "processed ...", "fails: ERROR";
//	                    after it the reply, its subject first
//	-- remembered ADDRESS -- the record of a sender, as JSON, at the beginning
//
// and so on with 2.eml. Before "2.eml" the line "after 1h" in its place lets time
// pass. Mails begin at midnight of the first of January 2000.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil || len(files) < 10 {
		t.Fatalf("%d cases, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txtar"), func(t *testing.T) {
			archive, err := txtar.ParseFile(file)
			if err != nil {
				t.Fatal(err)
			}
			synctest.Test(t, func(t *testing.T) { runCase(t, archive) })
		})
	}
}

func runCase(t *testing.T, archive *txtar.Archive) {
	t.Helper()
	p := newPost()
	c := echoing(func(*processing.Config) {})
	var handle *processing.Processing
	var got string
	mails := 0
	for _, f := range archive.Files {
		kind, rest, _ := strings.Cut(f.Name, " ")
		switch {
		case kind == "settings":
			decoder := yaml.NewDecoder(bytes.NewReader(f.Data))
			decoder.KnownFields(true)
			if err := decoder.Decode(&c); err != nil {
				t.Fatalf("settings: %v", err)
			}
		case kind == "remembered":
			var record store.SenderRecord
			if err := json.Unmarshal(f.Data, &record); err != nil {
				t.Fatalf("%s: %v", f.Name, err)
			}
			p.records[rest], p.etags[rest] = record, 1
		case kind == "after":
			d, err := time.ParseDuration(rest)
			if err != nil {
				t.Fatal(err)
			}
			time.Sleep(d)
		case strings.HasSuffix(kind, ".eml"):
			if handle == nil {
				handle, _ = newProcessing(t, c, p)
			}
			mails++
			got = handleCase(t, handle, p, caseMail(t, mails, f.Data))
		case strings.HasSuffix(kind, ".want"):
			if diff := cmp.Diff(strings.TrimSpace(string(f.Data)), strings.TrimSpace(got)); diff != "" {
				t.Errorf("%s (-want +got):\n%s", f.Name, diff)
			}
		default:
			t.Fatalf("%s means nothing", f.Name)
		}
	}
}

// handleCase is how a mail ends, in the words of the cases.
func handleCase(t *testing.T, handle *processing.Processing, p *post, raw email.Raw) string {
	t.Helper()
	before := len(p.sent)
	outcome, err := handle.Handle(context.Background(), raw)
	by := ""
	if outcome.Route != "" {
		by = " by " + outcome.Route
	}
	switch {
	case err != nil:
		return fmt.Sprintf("fails%s: %v", by, err)
	case outcome.Kind != email.Answered:
		if len(p.sent) != before {
			t.Error("it was answered all the same")
		}
		return fmt.Sprintf("%s%s: %s", outcome.Kind, by, outcome.Reason)
	}
	r := p.sent[before]
	if r.Mail != raw.Object.ID() {
		t.Errorf("the reply is to mail %s", r.Mail)
	}
	from := ""
	if r.From.Mailbox != "" {
		from = " from " + r.From.Mailbox
	}
	threading := ""
	if r.InReplyTo != "" {
		threading = fmt.Sprintf("In-Reply-To: %s\nReferences: %s\n", r.InReplyTo, strings.Join(r.References, " "))
	}
	return fmt.Sprintf("answered%s%s to %s\nSubject: %s\n%s\n%s", by, from, r.To.Mailbox, r.Subject, threading, r.Text)
}

// caseMail is a mail as SES stores it and tells of it.
func caseMail(t *testing.T, n int, text []byte) email.Raw {
	t.Helper()
	raw := email.Raw{
		Object:    email.Object{Bucket: "mail", Key: fmt.Sprintf("inbound/%d", n), ETag: "e"},
		Announced: time.Date(2026, time.October, 1, 7, 12, 50, 0, time.UTC),
		Try:       2,
		Receipt: &email.Receipt{
			MailFrom: "ana@example.com", Recipients: []string{"data@inreply.example"},
			Verdicts: email.Verdicts{Spam: email.Pass, Virus: email.Pass, SPF: email.Pass, DKIM: email.Pass, DMARC: email.Pass},
		},
	}
	if line, rest, _ := bytes.Cut(text, []byte("\n")); bytes.HasPrefix(line, []byte("ses: ")) {
		text = rest
		for word := range strings.FieldsSeq(string(line[5:])) {
			caseEnvelope(t, &raw, word)
		}
	}
	raw.Bytes = bytes.ReplaceAll(text, []byte("\n"), []byte("\r\n"))
	raw.Object.Size = int64(len(raw.Bytes))
	return raw
}

func caseEnvelope(t *testing.T, raw *email.Raw, word string) {
	t.Helper()
	name, value, _ := strings.Cut(word, "=")
	verdict := email.Verdict(value)
	if raw.Receipt == nil {
		t.Fatalf("%s after unknown", word)
	}
	switch name {
	case "from":
		raw.Receipt.MailFrom = strings.Trim(value, "<>")
	case "to":
		raw.Receipt.Recipients = strings.Split(value, ",")
	case "bucket":
		raw.Object.Bucket = value
	case "key":
		raw.Object.Key = value
	case "spam":
		raw.Receipt.Verdicts.Spam = verdict
	case "virus":
		raw.Receipt.Verdicts.Virus = verdict
	case "spf":
		raw.Receipt.Verdicts.SPF = verdict
	case "dkim":
		raw.Receipt.Verdicts.DKIM = verdict
	case "dmarc":
		raw.Receipt.Verdicts.DMARC = verdict
	case "unknown":
		raw.Receipt = nil // an S3 event says nothing: all is in the block on top of the mail
	default:
		t.Fatalf("ses: %s means nothing", word)
	}
}
