package digest_test

import (
	"bytes"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"inreply/email"
	"inreply/processing/digest"
	"inreply/processing/digest/report"
)

// attached is the JSON of a reply.
func attached(tb testing.TB, r *email.Reply) []byte {
	tb.Helper()
	for _, a := range r.Attachments {
		if a.Name == "digest.json" && a.ContentType == "application/json" && a.ContentID == "" {
			return a.Content
		}
	}
	tb.Fatal("no digest.json is attached")
	return nil
}

func schema(tb testing.TB) *jsonschema.Schema {
	tb.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(report.Schema()))
	if err != nil {
		tb.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("digest.json", document); err != nil {
		tb.Fatal(err)
	}
	s, err := c.Compile("digest.json")
	if err != nil {
		tb.Fatal(err)
	}
	return s
}

func checkJSON(tb testing.TB, s *jsonschema.Schema, text []byte) {
	tb.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		tb.Fatalf("%v\n%s", err, text)
	}
	if err := s.Validate(document); err != nil {
		tb.Errorf("%v\n%s", err, text)
	}
}

func TestTheJSONIsAsTheSchemaSays(t *testing.T) {
	s := schema(t)
	for name, files := range map[string][]file{
		"every type":  {csv("n,d,b,t,e,m,k\n1,2026-01-01,yes,a,,x,1\n2.5,2026-01-02T10:00:00,no,a,,1,2\n1e30,2026-01-03,yes,b,,2026-01-01,3\n")},
		"units":       {csv("a,b\n€ 1,1 %\n2,2 %\n€ 3,3 %\n")},
		"a problem":   {{"a.pdf", "application/pdf", "%PDF-1.7"}},
		"a workbook":  {{"a.xlsx", "application/zip", workbook(t, cells{{"a", "b"}, {1, "x"}, {2, "x"}}, cells{})}},
		"a heading":   {csv("a,b\n")},
		"wrong sheet": {csv("a,b\n\"x,1\ny,2\n")},
	} {
		t.Run(name, func(t *testing.T) {
			checkJSON(t, s, attached(t, process(t, digest.Defaults(), files...)))
		})
	}
	for _, wrong := range []string{`{}`, `{"version":2,"files":[],"unread":0}`, `{"version":1,"files":[{"name":"a","size":1,"sheets":[],"x":1}],"unread":0}`} {
		document, err := jsonschema.UnmarshalJSON(bytes.NewReader([]byte(wrong)))
		if err != nil {
			t.Fatal(err)
		}
		if s.Validate(document) == nil {
			t.Errorf("the schema takes %s", wrong)
		}
	}
}
