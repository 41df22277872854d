package webhook_test

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inreply/email"
	"inreply/processing/webhook"
)

var update = flag.Bool("update", false, "write the golden requests anew")

// Golden requests: what a service is told of a mail, field by field.
func TestGoldenRequests(t *testing.T) {
	for _, name := range []string{"sales-2026q3", "question", "out-of-office", "broken"} {
		t.Run(name, func(t *testing.T) {
			raw, err := os.ReadFile("../../samples/" + name + ".eml")
			if err != nil {
				t.Fatal(err)
			}
			inBubble(t, func(r *rig) { r.golden(name, r.mail(1, raw)) })
		})
	}
}

// What a service is told of an object that is no mail.
func TestGoldenObject(t *testing.T) {
	inBubble(t, func(r *rig) {
		o := email.Object{Bucket: "mails", Key: "drop/report 1.pdf", ETag: "e", ContentType: "application/pdf", Size: 48_213}
		r.golden("object", &email.Message{
			ID: o.ID(), Object: o, Announced: time.Date(2026, 10, 1, 9, 12, 50, 0, time.UTC), Try: 2,
			Route: email.Route{Name: "drops"}, Permit: email.Permit{Reason: "object: nobody is to be answered"},
		})
	})
}

// What a service is told of a mail that it cannot answer, and whose files are links.
func TestGoldenUnanswered(t *testing.T) {
	inBubble(t, func(r *rig) {
		m := r.mail(1, with(10, 3<<20))
		m.Permit = email.Permit{Reason: "spam: SES takes it for spam"}
		m.Verdicts.Spam = email.Fail
		r.golden("unanswered-with-links", m)
	})
}

// golden asks a service about a message, and compares what it was told with testdata.
// Links differ from run to run in their signature.
func (r *rig) golden(name string, m *email.Message) {
	t := r.t
	t.Helper()
	if _, err := r.service(nil).Process(t.Context(), m); err != nil {
		t.Fatal(err)
	}
	var got bytes.Buffer
	if err := json.Indent(&got, r.seen()[0].body, "", "  "); err != nil {
		t.Fatal(err)
	}
	signed := regexp.MustCompile(`(http://local/[^?"]*)\?[^"]*`)
	text := signed.ReplaceAll(append(got.Bytes(), '\n'), []byte("$1?signed"))
	file := "testdata/requests/" + name + ".json"
	if *update {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("%s (-want +got):\n%s", file, diff)
	}
}

// with is a mail with files of these sizes.
func with(sizes ...int) []byte {
	var b bytes.Buffer
	b.WriteString("From: Ana Mendes <ana.mendes@example.com>\r\nTo: data@inreply.example\r\nSubject: files\r\nMessage-ID: <1@example.com>\r\nMIME-Version: 1.0\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n--b\r\nContent-Type: text/plain\r\n\r\nhello\r\n")
	for i, size := range sizes {
		fmt.Fprintf(&b, "--b\r\nContent-Type: application/octet-stream\r\nContent-Disposition: attachment; filename=%d.bin\r\nContent-Transfer-Encoding: base64\r\n\r\n", i)
		encoded := base64.StdEncoding.EncodeToString(file(i, size))
		for len(encoded) > 76 {
			b.WriteString(encoded[:76] + "\r\n")
			encoded = encoded[76:]
		}
		b.WriteString(encoded + "\r\n")
	}
	b.WriteString("--b--\r\n")
	return b.Bytes()
}

func file(i, size int) []byte { return bytes.Repeat([]byte{byte(i), 'x', 0xff}, size/3+1)[:size] }

// attachment is a file as a service sees it.
type attachment struct {
	webhook.Attachment
	Content *string `json:"content"`
}

func attachments(t *testing.T, s seen) []attachment {
	t.Helper()
	var r struct {
		Attachments []attachment `json:"attachments"`
	}
	if err := json.Unmarshal(s.body, &r); err != nil {
		t.Fatal(err)
	}
	return r.Attachments
}

// Files are in the request while there is room, the smallest first; links lead to the
// others, which are written to S3 only then.
func TestFilesInlineAndByLink(t *testing.T) {
	const k = 1 << 10
	for _, c := range []struct {
		name   string
		sizes  []int
		inline []bool
	}{
		{"small ones", []int{0, 1, 2, 3, 57, 300 * k}, []bool{true, true, true, true, true, true}},
		{"exactly a MiB", []int{512 * k, 512 * k}, []bool{true, true}},
		{"one octet more", []int{512 * k, 512*k + 1}, []bool{true, false}},
		{"a large one among small ones", []int{2 * k, 2048 * k, 3 * k}, []bool{true, false, true}},
		{"a large one alone", []int{5 * 1024 * k}, []bool{false}},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				m := r.mail(1, with(c.sizes...))
				if _, err := r.service(nil).Process(t.Context(), m); err != nil {
					t.Fatal(err)
				}
				written := 0
				for o, err := range r.s3.List(t.Context(), "mails", "inreply/records/parts/", "") {
					if err != nil || !r.records.Owns("mails", o.Key) {
						t.Errorf("%s %v", o.Key, err)
					}
					written++
				}
				got := attachments(t, r.seen()[0])
				if len(got) != len(c.sizes) {
					t.Fatalf("%d files", len(got))
				}
				for i, a := range got {
					content := []byte(nil)
					if a.Content != nil {
						var err error
						if content, err = base64.StdEncoding.DecodeString(*a.Content); err != nil {
							t.Fatal(err)
						}
					} else {
						content = r.follow(a.URL)
						written--
					}
					if (a.Content != nil) != c.inline[i] || (a.Link != nil) == c.inline[i] {
						t.Errorf("%d: inline is %t", i, a.Content != nil)
					}
					sum := sha256.Sum256(content)
					if !bytes.Equal(content, file(i, c.sizes[i])) || a.SHA256 != hex.EncodeToString(sum[:]) || a.Size != int64(c.sizes[i]) {
						t.Errorf("%d: %d octets, size %d", i, len(content), a.Size)
					}
				}
				if written != 0 {
					t.Errorf("%d files more than links are in S3", written)
				}
			})
		})
	}
}

// Each try has links that live as long as the first one's did, and writes no file twice.
func TestLinksAreSignedAnew(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		r.serve = says(500, "")
		w := r.service(func(s *webhook.Service) { s.LinkLife = 10 * time.Minute })
		m := r.mail(1, with(3<<20))
		for try := range 3 {
			_, _ = w.Process(t.Context(), m)
			a := attachments(t, r.seen()[try])[0]
			mail := r.seen()[try].request(t).Raw
			if left := time.Until(a.Expires); left <= 9*time.Minute || left > 10*time.Minute || !a.Expires.Equal(mail.Expires) {
				t.Errorf("try %d: links live for %s", try, left)
			}
			if !bytes.Equal(r.follow(a.URL), file(0, 3<<20)) || !bytes.Equal(r.follow(mail.URL), with(3<<20)) {
				t.Errorf("try %d: a link leads elsewhere", try)
			}
			time.Sleep(20 * time.Minute)
		}
	})
}

// However long a mail is, a request is not; what was left out is named.
func TestRequestsAreBounded(t *testing.T) {
	head := "From: ana.mendes@example.com\r\nTo: data@inreply.example\r\nMessage-ID: <1@example.com>\r\n"
	for _, c := range []struct {
		name string
		raw  string
		cut  []string
	}{
		{"nothing", head + "\r\nhello\r\n", nil},
		{"a long text", head + "\r\n" + strings.Repeat("hello, world \r\n", 400_000), []string{"text"}},
		{"a text of characters that JSON escapes", head + "\r\n" + strings.Repeat("<>&\x01\x02\r\n", 300_000), []string{"text", "reply_text"}},
		{"long HTML", head + "Content-Type: text/html\r\n\r\n" + strings.Repeat("<p>hello & <b>world</b></p>\r\n", 200_000), []string{"html"}},
		{"a thousand files", string(with(slices.Repeat([]int{10}, 900)...)), nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			inBubble(t, func(r *rig) {
				t := r.t
				if _, err := r.service(nil).Process(t.Context(), r.mail(1, []byte(c.raw))); err != nil {
					t.Fatal(err)
				}
				s := r.seen()[0]
				if len(s.body) > 9<<20 || fmt.Sprint(len(s.body)) != s.header.Get("Content-Length") {
					t.Errorf("%d octets, Content-Length %s", len(s.body), s.header.Get("Content-Length"))
				}
				got := s.request(t).Truncated
				slices.Sort(got)
				slices.Sort(c.cut)
				if !slices.Equal(got, c.cut) {
					t.Errorf("%v was cut, and should be %v", got, c.cut)
				}
			})
		})
	}
}

// A request that cannot be made small enough is permanent, and says which setting.
func TestARequestThatDoesNotFit(t *testing.T) {
	inBubble(t, func(r *rig) {
		t := r.t
		w := r.service(func(s *webhook.Service) { s.MaxBodyKiB, s.InlineKiB = 64, -1 })
		_, err := w.Process(t.Context(), r.mail(1, with(slices.Repeat([]int{10}, 200)...)))
		if class(err) != "permanent" || !strings.Contains(err.Error(), "max_body_kib") {
			t.Errorf("%v", err)
		}
	})
}
