package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"inreply/email"
)

// differences has a line for each field of which another parser, stalwart's
// mail-parser, expects something else than ours finds, and why ours stands by it:
//
//	thirdparty/005 text: the last boundary is within a line, where it delimits nothing
const differences = "testdata/differences.txt"

var show = flag.Bool("show", false, "print both sides of each difference")

// What another parser expects of its own mails, field by field. Its results are
// data beside each mail: NAME.json, and NAME.crlf.json for the mail with CRLF.
func TestExpectedByStalwart(t *testing.T) {
	root := os.Getenv("INREPLY_CORPUS")
	if root == "" {
		t.Skip("INREPLY_CORPUS names no folder")
	}
	tree := os.DirFS(filepath.Join(root, "stalwart"))
	files, err := resultsIn(tree)
	if err != nil || len(files) == 0 {
		t.Skipf("no expected results: %v", err)
	}
	p, err := email.NewParser(email.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	listed := readDifferences(t)
	found := map[string]string{}
	compared := 0
	for _, file := range files {
		expected, raw := readExpected(t, tree, file)
		m, err := p.Parse(email.Raw{Bytes: raw})
		if err != nil {
			t.Errorf("%s: %v", file, err)
			continue
		}
		want, got := expected.fields(t, file), fieldsOf(t, m)
		compared += len(want)
		for field, value := range want {
			if value != got[field] {
				found[inFolder(file)+" "+field] = fmt.Sprintf("expected %.1500q\n     got %.1500q", value, got[field])
			}
		}
	}
	t.Logf("%d expected results with %d fields; %d fields of a mail differ", len(files), compared, len(found))
	for _, name := range slices.Sorted(maps.Keys(found)) {
		if *show {
			t.Logf("%s\n%s", name, found[name])
		}
		if listed[name] == "" {
			t.Errorf("%s is not listed in %s\n%s", name, differences, found[name])
		}
	}
	for name := range listed {
		if found[name] == "" {
			t.Errorf("%s is listed in %s, and does not differ", name, differences)
		}
	}
}

// inFolder is the name of a mail within its collection.
func inFolder(file string) string {
	name := strings.TrimSuffix(strings.TrimSuffix(filepath.Base(file), ".json"), ".crlf")
	return filepath.Base(filepath.Dir(file)) + "/" + name
}

func resultsIn(tree fs.FS) (files []string, err error) {
	err = fs.WalkDir(tree, ".", func(path string, _ fs.DirEntry, err error) error {
		if err == nil && filepath.Ext(path) == ".json" {
			files = append(files, path)
		}
		return err
	})
	return files, err
}

func readDifferences(t *testing.T) map[string]string {
	t.Helper()
	f, err := os.Open(differences)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	listed := map[string]string{}
	lines := bufio.NewScanner(f)
	for lines.Scan() {
		if strings.HasPrefix(lines.Text(), "#") || lines.Text() == "" {
			continue
		}
		name, reason, ok := strings.Cut(lines.Text(), ": ")
		if !ok || reason == "" {
			t.Errorf("%q gives no reason", lines.Text())
		}
		listed[name] = reason
	}
	return listed
}

// expected is what stalwart's parser writes down of a mail.
type expected struct {
	Text        []int          `json:"text_body"`
	HTML        []int          `json:"html_body"`
	Attachments []int          `json:"attachments"`
	Parts       []expectedPart `json:"parts"`
}

type expectedPart struct {
	Header []struct {
		Name  json.RawMessage `json:"name"`
		Value json.RawMessage `json:"value"`
	} `json:"headers"`
	Body map[string]json.RawMessage `json:"body"`
}

type expectedValue struct {
	Text        *string
	TextList    []string
	DateTime    *expectedDate
	ContentType *struct {
		Attributes []struct{ Name, Value string }
	}
	Address *struct {
		List  []expectedMailbox
		Group []struct {
			Name      *string
			Addresses []expectedMailbox
		}
	}
}

type expectedMailbox struct{ Name, Address *string }

type expectedDate struct {
	Year, Month, Day, Hour, Minute, Second int
	Before                                 bool `json:"tz_before_gmt"`
	ZoneHour                               int  `json:"tz_hour"`
	ZoneMinute                             int  `json:"tz_minute"`
}

// readExpected reads a result and the mail that it is of.
func readExpected(t *testing.T, tree fs.FS, file string) (expected, []byte) {
	t.Helper()
	text, err := fs.ReadFile(tree, file)
	if err != nil {
		t.Fatal(err)
	}
	var e expected
	if err := json.Unmarshal(text, &e); err != nil {
		t.Fatalf("%s: %v", file, err)
	}
	name, crlf := strings.CutSuffix(strings.TrimSuffix(file, ".json"), ".crlf")
	raw, err := fs.ReadFile(tree, name+".eml")
	if err != nil {
		t.Fatal(err)
	}
	if crlf {
		raw = bytes.ReplaceAll(bytes.ReplaceAll(raw, []byte("\r\n"), []byte("\n")), []byte("\n"), []byte("\r\n"))
	}
	return e, raw
}

// fields are the fields of a mail that both parsers have, each written as text.
// One that stalwart's parser could not read is not among them.
func (e expected) fields(t *testing.T, file string) map[string]string {
	t.Helper()
	fields := map[string]string{}
	for _, h := range e.Parts[0].Header {
		var name string
		if json.Unmarshal(h.Name, &name) != nil {
			continue // a field that it has no name for
		}
		var v expectedValue
		if string(h.Value) == `"Empty"` {
			continue
		}
		if err := json.Unmarshal(h.Value, &v); err != nil {
			t.Fatalf("%s: %s: %v", file, h.Value, err)
		}
		if text := v.written(name); text != "" {
			fields[name] = text
		}
	}
	fields["text"] = e.body(t, e.Text, "Text")
	fields["html"] = e.body(t, e.HTML, "Html")
	if fields["text"] == "" {
		delete(fields, "text") // ours makes it from HTML
	}
	fields["attachments"] = e.files(t)
	return fields
}

func (v expectedValue) written(name string) string {
	switch name {
	case "subject":
		if v.Text != nil {
			return oneLine(*v.Text)
		}
	case "message_id", "in_reply_to", "references":
		if v.Text != nil {
			v.TextList = []string{*v.Text}
		}
		return strings.Join(v.TextList, " ")
	case "date":
		if v.DateTime != nil {
			return v.DateTime.utc()
		}
	case "from", "sender":
		all := v.mailboxes()
		return strings.Join(all[:min(1, len(all))], "")
	case "to", "cc", "reply_to":
		return strings.Join(v.mailboxes(), ", ")
	}
	return ""
}

func (v expectedValue) mailboxes() (all []string) {
	if v.Address == nil {
		return nil
	}
	list := v.Address.List
	for _, g := range v.Address.Group {
		list = append(list, g.Addresses...)
	}
	for _, m := range list {
		if m.Address != nil {
			all = append(all, mailbox(value(m.Name), *m.Address))
		}
	}
	return all
}

func value(s *string) string {
	if s == nil {
		return ""
	}
	return *s
}

func mailbox(name, address string) string {
	at := strings.LastIndexByte(address, '@')
	return strings.Trim(oneLine(name), `"`) + "<" + address[:at+1] + strings.ToLower(address[at+1:]) + ">"
}

func (d expectedDate) utc() string {
	zone := d.ZoneHour*3600 + d.ZoneMinute*60
	if d.Before {
		zone = -zone
	}
	return time.Date(d.Year, time.Month(d.Month), d.Day, d.Hour, d.Minute, d.Second, 0, time.FixedZone("", zone)).UTC().Format(time.RFC3339)
}

// body is the text of the parts that are of a kind.
func (e expected) body(t *testing.T, parts []int, kind string) string {
	t.Helper()
	var all []string
	for _, i := range parts {
		var text string
		if content, ok := e.Parts[i].Body[kind]; ok {
			if err := json.Unmarshal(content, &text); err != nil {
				t.Fatal(err)
			}
			all = append(all, text)
		}
	}
	return words(strings.Join(all, " "))
}

// files are the names, sizes and first octets of all attachments.
func (e expected) files(t *testing.T) string {
	t.Helper()
	var all []string
	for _, i := range e.Attachments {
		part := e.Parts[i]
		for kind, content := range part.Body {
			var octets []byte
			var text string
			switch kind {
			case "Binary", "InlineBinary":
				var numbers []int
				if err := json.Unmarshal(content, &numbers); err != nil {
					t.Fatal(err)
				}
				for _, n := range numbers {
					octets = append(octets, byte(n))
				}
			case "Message":
				all = append(all, fmt.Sprintf("%s message", part.name()))
				continue
			default:
				if err := json.Unmarshal(content, &text); err != nil {
					t.Fatal(err)
				}
				all = append(all, fmt.Sprintf("%s text", part.name()))
				continue
			}
			all = append(all, written(part.name(), octets))
		}
	}
	slices.Sort(all)
	return strings.Join(all, "\n")
}

func (p expectedPart) name() string {
	name := ""
	for _, h := range p.Header {
		var v expectedValue
		if json.Unmarshal(h.Value, &v) != nil || v.ContentType == nil {
			continue
		}
		for _, a := range v.ContentType.Attributes {
			if a.Name == "filename" || a.Name == "name" && name == "" {
				name = a.Value
			}
		}
	}
	return oneLine(name)
}

func written(name string, octets []byte) string {
	return fmt.Sprintf("%q %d octets %q", name, len(octets), octets[:min(16, len(octets))])
}

// fieldsOf writes the fields of our message in the same way.
func fieldsOf(t *testing.T, m *email.Message) map[string]string {
	t.Helper()
	fields := map[string]string{
		"subject": oneLine(m.Subject), "message_id": bare([]string{m.MessageID}),
		"in_reply_to": bare(m.InReplyTo), "references": bare(m.References),
		"from": ours(m.From), "sender": ours(m.Sender), "to": ours(m.To...), "cc": ours(m.Cc...), "reply_to": ours(m.ReplyTo...),
		"text": words(m.Text), "html": words(m.HTML),
	}
	if !m.Date.IsZero() {
		fields["date"] = m.Date.UTC().Format(time.RFC3339)
	}
	var all []string
	for _, a := range m.Attachments {
		switch {
		case a.ContentType == "message/rfc822" || a.ContentType == "message/global":
			all = append(all, fmt.Sprintf("%s message", oneLine(a.RawName)))
			continue
		case strings.HasPrefix(a.ContentType, "text/"):
			all = append(all, fmt.Sprintf("%s text", oneLine(a.RawName)))
			continue
		}
		r := a.Open()
		octets, err := io.ReadAll(r)
		if err != nil || r.Close() != nil {
			t.Fatal(err)
		}
		all = append(all, written(oneLine(a.RawName), octets))
	}
	slices.Sort(all)
	fields["attachments"] = strings.Join(all, "\n")
	return fields
}

func ours(list ...email.Address) string {
	var all []string
	for _, a := range list {
		if a != (email.Address{}) {
			all = append(all, mailbox(a.Name, a.Mailbox))
		}
	}
	return strings.Join(all, ", ")
}

func bare(ids []string) string {
	var all []string
	for _, id := range ids {
		if id != "" {
			all = append(all, strings.Trim(id, "<>"))
		}
	}
	return strings.Join(all, " ")
}

func oneLine(s string) string { return strings.Join(strings.Fields(s), " ") }

// words is a text without regard to its white space.
func words(s string) string { return oneLine(strings.ToValidUTF8(s, "\uFFFD")) }
