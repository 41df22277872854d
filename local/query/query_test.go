package query_test

import (
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inreply/local/query"
)

func read(t *testing.T, form string) query.Parameters {
	t.Helper()
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader(form))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	p, err := query.Read(httptest.NewRecorder(), r, 1<<20)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func TestParametersAreUnflattened(t *testing.T) {
	p := read(t, "Action=Send&Empty=&To.member.1=a&To.member.2=b&To.member.4=lost&Attributes.entry.1.key=k&Attributes.entry.1.value=v"+
		"&Tags.member.1.Name=n&Tags.member.1.Value=%C3%A9&Tags.member.2.Name=m")
	if p.Get("Action") != "Send" || p.Get("Other") != "" || !p.Has("Empty") || p.Has("Other") {
		t.Errorf("plain parameters are wrong")
	}
	if diff := cmp.Diff([]string{"a", "b"}, p.Strings("To")); diff != "" {
		t.Error(diff)
	}
	if diff := cmp.Diff(map[string]string{"k": "v"}, p.Map("Attributes")); diff != "" {
		t.Error(diff)
	}
	var tags []string
	for _, tag := range p.Structures("Tags", "member") {
		tags = append(tags, tag.Get("Name")+"="+tag.Get("Value"))
	}
	if diff := cmp.Diff([]string{"n=é", "m="}, tags); diff != "" {
		t.Error(diff)
	}
	if p.Strings("None") != nil || p.Map("None") != nil || p.Any("None") || !p.Any("Tags") {
		t.Error("what was not sent is there")
	}
}

func TestLinkIsARequestToo(t *testing.T) {
	r := httptest.NewRequest(http.MethodGet, "/?Action=ConfirmSubscription&Token=x", nil)
	p, err := query.Read(httptest.NewRecorder(), r, 1)
	if err != nil || p.Get("Token") != "x" {
		t.Errorf("token %q, %v", p.Get("Token"), err)
	}
}

func TestBodyIsLimited(t *testing.T) {
	r := httptest.NewRequest(http.MethodPost, "/", strings.NewReader("Action="+strings.Repeat("x", 100)))
	r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	if _, err := query.Read(httptest.NewRecorder(), r, 50); err == nil {
		t.Error("a body over the limit was read")
	}
}

func TestWrite(t *testing.T) {
	w := httptest.NewRecorder()
	result := struct {
		Attributes query.Entries
		Names      []string `xml:"Names>member"`
	}{query.Entries{Entry: []query.Entry{{Key: "a", Value: "<1>"}, {Key: "b", Value: struct{ On bool }{true}}}}, []string{"x", "y"}}
	if err := query.Write(w, "http://example.com/doc/", "List", "id-1", result); err != nil {
		t.Fatal(err)
	}
	want := `<ListResponse xmlns="http://example.com/doc/"><ListResult><Attributes>` +
		`<entry><key>a</key><value>&lt;1&gt;</value></entry><entry><key>b</key><value><On>true</On></value></entry></Attributes>` +
		`<Names><member>x</member><member>y</member></Names></ListResult><ResponseMetadata><RequestId>id-1</RequestId></ResponseMetadata></ListResponse>`
	if diff := cmp.Diff(want, w.Body.String()); diff != "" {
		t.Error(diff)
	}
	if w.Code != http.StatusOK || w.Header().Get("X-Amzn-Requestid") != "id-1" {
		t.Errorf("status %d, header %v", w.Code, w.Header())
	}
}

func TestRefuse(t *testing.T) {
	for _, c := range []struct {
		name   string
		err    error
		status int
		want   string
	}{
		{
			"default status", &query.Error{Code: "InvalidParameter", Message: "a & b"}, 400,
			`<Error><Type>Sender</Type><Code>InvalidParameter</Code><Message>a &amp; b</Message></Error>`,
		},
		{
			"not offered", query.NotOffered("SNS", "Fly"), 501,
			`<Error><Type>Receiver</Type><Code>NotImplemented</Code><Message>the local SNS does not offer Fly</Message></Error>`,
		},
		{
			"any other error", errors.New("broken"), 500,
			`<Error><Type>Receiver</Type><Code>InternalError</Code><Message>broken</Message></Error>`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			w := httptest.NewRecorder()
			if err := query.Refuse(w, "urn:x", "id-1", c.err); err != nil {
				t.Fatal(err)
			}
			want := `<ErrorResponse xmlns="urn:x">` + c.want + `<RequestId>id-1</RequestId></ErrorResponse>`
			if diff := cmp.Diff(want, w.Body.String()); diff != "" || w.Code != c.status {
				t.Errorf("status %d: %s", w.Code, diff)
			}
		})
	}
}
