package webhook_test

import (
	"bytes"
	"encoding/json"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"inreply/email"
	"inreply/processing/webhook"
)

// schema is one of docs/webhook. Strict, it takes no field that it does not name.
func schema(tb testing.TB, name string, strict bool) *jsonschema.Schema {
	tb.Helper()
	text, err := os.ReadFile(filepath.Join("..", "..", "docs", "webhook", name+".schema.json"))
	if err != nil {
		tb.Fatal(err)
	}
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatal(err)
	}
	if strict {
		tighten(document)
	}
	compiler := jsonschema.NewCompiler()
	compiler.AssertFormat()
	if err := compiler.AddResource(name, document); err != nil {
		tb.Fatal(err)
	}
	compiled, err := compiler.Compile(name)
	if err != nil {
		tb.Fatal(err)
	}
	return compiled
}

// tighten forbids fields that are not named, wherever an object is described.
func tighten(schema any) {
	switch s := schema.(type) {
	case map[string]any:
		if s["type"] == "object" && s["properties"] != nil {
			s["additionalProperties"] = false
		}
		for _, below := range s {
			tighten(below)
		}
	case []any:
		for _, below := range s {
			tighten(below)
		}
	}
}

func valid(tb testing.TB, s *jsonschema.Schema, text []byte) error {
	tb.Helper()
	value, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		return err
	}
	return s.Validate(value)
}

// Every real request is as docs/webhook/request.schema.json has it, and has no field
// that is not described there.
func TestRequestsAreAsTheSchemaHasThem(t *testing.T) {
	strict := schema(t, "request", true)
	files, err := filepath.Glob("../../samples/*.eml")
	if err != nil || len(files) == 0 {
		t.Fatal("no samples", err)
	}
	more, err := filepath.Glob("../../email/testdata/*.eml")
	if err != nil || len(more) < 20 {
		t.Fatalf("%d mails in email/testdata, %v", len(more), err)
	}
	parser, err := email.NewParser(email.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	asked := 0
	inBubble(t, func(r *rig) {
		w := r.service(nil)
		r.serve = says(http.StatusNoContent, "")
		for i, file := range append(files, more...) {
			raw, err := os.ReadFile(file)
			if err != nil {
				r.t.Fatal(err)
			}
			if _, err := parser.Parse(email.Raw{Bytes: raw}); err != nil {
				continue // it is no mail
			}
			if _, err := w.Process(r.t.Context(), r.mail(i, raw)); err != nil {
				r.t.Errorf("%s: %v", file, err)
				continue
			}
			requests := r.seen()
			if err := valid(r.t, strict, requests[len(requests)-1].body); err != nil {
				r.t.Errorf("%s: %v", file, err)
			}
			asked++
		}
		o := email.Object{Bucket: "mails", Key: "reports/1.csv", ETag: "e", ContentType: "text/csv", Size: 4}
		if _, err := w.Process(r.t.Context(), &email.Message{ID: o.ID(), Object: o, Route: email.Route{Name: "reports"}}); err != nil {
			r.t.Fatal(err)
		}
		requests := r.seen()
		if err := valid(r.t, strict, requests[len(requests)-1].body); err != nil {
			r.t.Error(err)
		}
		large := with(3 << 20)
		if _, err := w.Process(r.t.Context(), r.mail(9999, large)); err != nil {
			r.t.Fatal(err)
		}
		requests = r.seen()
		if err := valid(r.t, strict, requests[len(requests)-1].body); err != nil {
			r.t.Error(err)
		}
	})
	if asked < 20 {
		t.Errorf("only %d mails were asked about", asked)
	}
}

// What the decoder takes and what the schema takes are the same.
func TestAnswersAreAsTheSchemaHasThem(t *testing.T) {
	s := schema(t, "response", false)
	for _, c := range answers() {
		_, err := webhook.Decode([]byte(c.text))
		schemaErr := valid(t, s, []byte(c.text))
		if (err == nil) != c.good || (schemaErr == nil) != c.good {
			t.Errorf("%s\ndecoder: %v\nschema: %v", c.text, err, schemaErr)
		}
	}
}

// answers are some that the contract allows, and some that it does not.
func answers() []struct {
	text string
	good bool
} {
	all := []struct {
		text string
		good bool
	}{
		{`{"action":"none"}`, true},
		{`{"action":"none","reply":null,"retry_after_s":null}`, true},
		{`{"action":"defer","retry_after_s":0.5}`, true},
		{`{"action":"defer","retry_after_s":-1}`, false},
		{`{"action":"defer","retry_after_s":"60"}`, false},
		{`{"action":"defer","retry_after_s":99999999}`, false},
		{`{"action":"reject"}`, true},
		{`{"action":"reject","reply":{"text":"no"}}`, true},
		{`{"action":"reject","reply":{"subject":"","text":"","html":"","template":"","data":null,"attachments":null,"headers":null}}`, true},
		{`{"action":"none","reply":{}}`, true},
		{`{"action":"reply","reply":{"text":"yes","more":1},"more":[]}`, true},
		{`{"action":"reply","reply":{"html":"<p>"}}`, true},
		{`{"action":"reply","reply":{"template":"a","data":[1,{"b":null}]}}`, true},
		{`{"action":"reply","reply":{"text":"x","attachments":null,"headers":null}}`, true},
		{`{"action":"reply"}`, false},
		{`{"action":"reply","reply":null}`, false},
		{`{"action":"reply","reply":[]}`, false},
		{`{"action":"reply","reply":{}}`, false},
		{`{"action":"reply","reply":{"text":"  "}}`, false},
		{`{"action":"reply","reply":{"text":1}}`, false},
		{`{"action":"reply","reply":{"text":"a\u0000"}}`, false},
		{`{"action":"reply","reply":{"text":"a","subject":"b\nc"}}`, false},
		{`{"action":"reply","reply":{"text":"a","headers":[{"name":"X-A","value":"b"}]}}`, true},
		{`{"action":"reply","reply":{"text":"a","headers":[{"name":"X-A","value":"b\r\nc"}]}}`, false},
		{`{"action":"reply","reply":{"text":"a","headers":{"X-A":"b"}}}`, false},
		{`{"action":"reply","reply":{"text":"a","attachments":[{"filename":"a","content":""}]}}`, true},
		{`{"action":"reply","reply":{"text":"a","attachments":[{"filename":"","content":""}]}}`, false},
		{`{"action":"reply","reply":{"text":"a","attachments":[{"filename":"a","content_id":"<a>","content":""}]}}`, false},
		{`{"action":"Reply","reply":{"text":"a"}}`, false},
		{`{"action":null}`, false},
		{`{}`, false},
		{`[]`, false},
		{`null`, false},
		{`"none"`, false},
	}
	return all
}

// Whatever a service says, there is either an answer or an error; an answer is one
// that the schema takes, and nothing in it can break a header.
func FuzzDecode(f *testing.F) {
	for _, c := range answers() {
		f.Add([]byte(c.text))
	}
	s := schema(f, "response", false)
	f.Fuzz(func(t *testing.T, text []byte) {
		r, err := webhook.Decode(text)
		if (r == nil) == (err == nil) {
			t.Fatalf("answer %v and error %v", r, err)
		}
		if err != nil {
			return
		}
		// encoding/json is milder than the contract where that does no harm: keys in
		// other cases, keys twice, octets that are no UTF-8. Written anew, it is clean.
		again, err := json.Marshal(r)
		if err != nil {
			t.Fatal(err)
		}
		if err := valid(t, s, again); err != nil {
			t.Errorf("%s: %v", again, err)
		}
		if r.Reply == nil {
			return
		}
		lines := []string{r.Reply.Subject, r.Reply.Template}
		for _, h := range r.Reply.Headers {
			lines = append(lines, h.Name, h.Value)
		}
		for _, a := range r.Reply.Attachments {
			lines = append(lines, a.Filename, a.ContentType, a.ContentID)
		}
		for _, line := range lines {
			if strings.ContainsAny(line, "\r\n\x00") {
				t.Errorf("%q breaks a header", line)
			}
		}
	})
}
