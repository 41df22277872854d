package event_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"inreply/event"
)

// plain is the object that most files in testdata announce, as S3 does.
func plain(change ...func(*event.Object)) event.Object {
	o := event.Object{
		Bucket: "example-mail", Key: "inbound/4b1f0c", ETag: "0cc175b9c0f1b6a831c399e269772661", Sequencer: "0062E99A88DC407460",
		Region: "eu-west-1", Name: "ObjectCreated:Put", Size: 5120, Time: at("2026-11-02T09:15:00.123Z"),
	}
	for _, c := range change {
		c(&o)
	}
	return o
}

// received is the object of SES's notification.
func received(change ...func(*event.Receipt)) event.Object {
	r := &event.Receipt{
		MessageID: "4b1f0c9s8d7f6g5h", MailFrom: "jane@example.com", Recipients: []string{"sales@our.example"}, Time: at("2026-11-02T09:15:00.123Z"),
		Spam: "PASS", Virus: "PASS", SPF: "PASS", DKIM: "GRAY", DMARC: "FAIL",
	}
	for _, c := range change {
		c(r)
	}
	return event.Object{Bucket: "example-mail", Key: "inbound/4b1f0c 9s+8d", Name: "Received", Size: -1, Time: r.Time, Receipt: r}
}

// bridged is the object of EventBridge's event, whose key is not encoded though it
// looks as if it were.
func bridged() event.Object {
	return plain(func(o *event.Object) {
		o.Key, o.VersionID = "inbound/Q3 report+1%20.eml", "096fKKXTRTtl3on89fVO.nfljtsv6qko"
		o.Name, o.Time = "ObjectCreated:PutObject", at("2026-11-02T09:15:00Z")
	})
}

func keyed(key string) event.Object { return plain(func(o *event.Object) { o.Key = key }) }

func rerun(r event.Rerun) event.Object { return plain(func(o *event.Object) { o.Rerun = r }) }

func at(rfc3339 string) time.Time {
	t, err := time.Parse(time.RFC3339, rfc3339)
	if err != nil {
		panic(err)
	}
	return t
}

// want is what a file is: a kind with its objects, or a fault.
type want struct {
	kind    event.Kind
	objects []event.Object
	fault   string // a part of the error
}

func created(objects ...event.Object) want { return want{kind: event.Created, objects: objects} }
func nothing(kind event.Kind) want         { return want{kind: kind} }
func fault(text string) want               { return want{fault: text} }

// files says what every file in testdata is.
func files() map[string]want {
	return map[string]want{
		"s3":                         created(plain()),
		"s3-versioned":               created(plain(func(o *event.Object) { o.VersionID = "096fKKXTRTtl3on89fVO.nfljtsv6qko" })),
		"s3-key-form-encoded":        created(keyed("inbound/Q3 report (final) ü+1.eml")),
		"s3-key-not-encoded":         created(keyed("inbound/100%")),
		"s3-two-records":             created(keyed("inbound/one"), keyed("inbound/two")),
		"s3-without-size":            created(plain(func(o *event.Object) { o.Size, o.ETag, o.Sequencer = -1, "", "" })),
		"s3-size-in-words":           created(plain(func(o *event.Object) { o.Size = -1 })),
		"s3-time-in-words":           created(plain(func(o *event.Object) { o.Time = time.Time{} })),
		"s3-version-of-the-future":   created(plain()),
		"s3-name-with-prefix":        created(plain(func(o *event.Object) { o.Name = "s3:ObjectCreated:CompleteMultipartUpload" })),
		"s3-etag-quoted":             created(plain()),
		"s3-removed":                 nothing(event.Ignored),
		"s3-created-and-removed":     created(plain()),
		"s3-setup":                   nothing(event.Setup),
		"s3-setup-and-created":       created(plain()),
		"s3-test":                    nothing(event.Test),
		"s3-records-empty":           fault("its list of records is empty"),
		"s3-records-that-are-text":   fault("Records is a string"),
		"s3-record-null":             fault("record 0, from \"\", names no bucket"),
		"s3-record-of-ses":           fault("record 0, from \"aws:ses\", names no bucket"),
		"s3-without-bucket":          fault("names no bucket"),
		"s3-key-that-is-a-number":    fault("s3.object.key is a number"),
		"s3-number-of-many-digits":   fault("s3.object.key is a number"),
		"ses":                        created(received()),
		"ses-null-sender":            created(received(func(r *event.Receipt) { r.MailFrom = "" })),
		"ses-without-verdicts":       created(received(func(r *event.Receipt) { r.Spam, r.Virus, r.SPF, r.DKIM, r.DMARC = "", "", "", "", "" })),
		"ses-setup":                  nothing(event.Setup),
		"ses-setup-of-an-sns-action": nothing(event.Setup),
		"ses-stored-nowhere":         fault(`SES stored the mail nowhere (action "SNS"): use a receipt rule with an S3 action`),
		"ses-without-receipt":        fault("without its mail or its receipt"),
		"ses-mail-that-is-text":      fault("the mail in SES's notice is none of SES's"),
		"ses-recipients-that-are-text": fault(
			"the receipt in SES's notice is none of SES's: recipients is a string"),
		"ses-bounce":                    fault(`SES's notice of a "Bounce", which is about a mail that was sent`),
		"ses-delivery-event":            fault(`SES's notice of a "Delivery", which is about a mail that was sent`),
		"sns-s3":                        created(plain()),
		"sns-ses":                       created(received()),
		"sns-fifo-s3":                   created(plain()),
		"sns-test":                      nothing(event.Test),
		"sns-subscription-confirmation": nothing(event.Setup),
		"sns-unsubscribe-confirmation":  nothing(event.Setup),
		"sns-hello":                     fault(`it is no JSON object: "Hello from the console"`),
		"sns-without-message":           fault("of no shape"),
		"bridge":                        created(bridged()),
		"bridge-deleted":                nothing(event.Ignored),
		"bridge-setup":                  nothing(event.Setup),
		"bridge-of-another-service":     fault(`"EC2 Instance State-change Notification" from "aws.ec2", not S3's`),
		"bridge-detail-that-is-text":    fault(`"Order Placed" from "shop", not S3's`),
		"bridge-s3-detail-that-is-text": fault("the detail of EventBridge's event is none of S3's"),
		"bridge-without-key":            fault("names no bucket or no key"),
		"pipe-s3":                       created(plain()),
		"pipe-ses":                      created(received()),
		"pipe-bridge":                   created(bridged()),
		"pipe-sns-s3":                   created(plain()),
		"pipe-list-sns-s3":              created(plain()),
		"pipe-list":                     created(keyed("inbound/one"), keyed("inbound/two")),
		"pipe-list-of-test-and-setup":   nothing(event.Test),
		"pipe-list-with-a-stranger":     fault(`it is no JSON object: "hello"`),
		"pipe-template-body-only":       created(plain()),
		"wrapped-four-times":            created(plain()),
		"wrapped-too-often":             fault("wrapped more than 4 times"),
		"list-in-lists":                 fault("wrapped more than 4 times"),
		"list-empty":                    fault("it is an empty list"),
		"list-of-numbers":               fault("it is no JSON object: \"1\""),
		"empty":                         fault("it is empty"),
		"spaces":                        fault("it is empty"),
		"text":                          fault(`it is no JSON object: "Dear inreply, please find attached the figures for the third quarter, which Zoë" and more`),
		"text-in-quotes":                fault("it is no JSON object"),
		"number":                        fault("it is no JSON object: \"42\""),
		"null":                          fault("it is no JSON object: \"null\""),
		"json-cut-off":                  fault("it ends too early"),
		"json-with-more-behind":         fault("invalid character '{' after top-level value"),
		"json-of-no-shape":              fault("of no shape that announces an object: \"{\\n  \\\"order\\\": 17"),
		"names-twice":                   fault(`it has the name "key" twice in one object`),
		"names-twice-but-for-case":      fault(`it has the name "KEY" twice in one object`),
		"names-twice-in-a-kelvin-sign":  fault("twice in one object"),
		"names-twice-in-a-long-s":       fault("twice in one object"),
		"names-twice-escaped":           fault(`it has the name "key" twice in one object`),
		"names-twice-in-an-envelope":    fault(`it has the name "key" twice in one object`),
		"s3-rerun":                      created(rerun(event.Rerun{ID: "20261102-091500-3f9a"})),
		"s3-rerun-again":                created(rerun(event.Rerun{ID: "20261102-091500-3f9a", Again: true, Uncapped: true})),
		"s3-rerun-without-id":           fault("record 0 is of a rerun whose id is none"),
		"s3-rerun-with-a-strange-id":    fault(`record 0 is of a rerun whose id is none: "../../mail"`),
		"s3-rerun-with-an-endless-id":   fault("record 0 is of a rerun whose id is none"),
		"s3-rerun-that-is-text":         fault("inreply is a string"),
		"s3-key-that-xml-refuses":       created(keyed("inbound/\uFFFE\uFFFF")),
		"sns-s3-key-that-xml-refuses":   created(keyed("inbound/\uFFFE\uFFFF")),
		"names-of-no-utf8":              created(keyed("inbound/\uFFFD(")),
		"octets-of-no-utf8":             fault(`it is no JSON object: "\xff\xfe{\x00\"\x00"`),
		"nested-deep":                   fault("nested more than 64 deep"),
	}
}

func TestDecode(t *testing.T) {
	wants := files()
	for name, body := range bodies(t) {
		w, ok := wants[name]
		if !ok {
			t.Errorf("nobody says what testdata/%s.json is", name)
			continue
		}
		delete(wants, name)
		t.Run(name, func(t *testing.T) {
			got, err := event.Decode(body)
			if w.fault != "" {
				checkFault(t, err, w.fault)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			notice := event.Notice{Kind: w.kind, Objects: w.objects}
			if diff := cmp.Diff(notice, got, cmpopts.IgnoreFields(event.Object{}, "Notice")); diff != "" {
				t.Errorf("decoded otherwise (-want +got):\n%s", diff)
			}
			checkNotices(t, got)
		})
	}
	for name := range wants {
		t.Errorf("there is no testdata/%s.json", name)
	}
}

// bodies are the files in testdata by their name.
func bodies(tb testing.TB) map[string][]byte {
	tb.Helper()
	paths, err := filepath.Glob("testdata/*.json")
	if err != nil || len(paths) == 0 {
		tb.Fatalf("no files in testdata: %v", err)
	}
	all := map[string][]byte{}
	for _, path := range paths {
		body, err := os.ReadFile(path)
		if err != nil {
			tb.Fatal(err)
		}
		all[strings.TrimSuffix(filepath.Base(path), ".json")] = body
	}
	return all
}

// checkFault holds what every error promises.
func checkFault(t *testing.T, err error, part string) {
	t.Helper()
	var lasting interface{ Permanent() bool }
	if !errors.As(err, &lasting) || !lasting.Permanent() {
		t.Fatalf("error %v is not permanent", err)
	}
	if !strings.Contains(err.Error(), part) {
		t.Errorf("error %q, want one with %q", err, part)
	}
	// A dead letter carries it in an attribute. What is quoted may grow by its
	// escapes.
	if longest := 600; len(err.Error()) > longest {
		t.Errorf("the error has %d octets", len(err.Error()))
	}
}

// checkNotices holds that the notice of each object announces that object alone.
func checkNotices(t *testing.T, n event.Notice) {
	t.Helper()
	if (n.Kind == event.Created) != (len(n.Objects) > 0) {
		t.Fatalf("kind %s with %d objects", n.Kind, len(n.Objects))
	}
	for _, o := range n.Objects {
		if o.Bucket == "" || o.Key == "" || o.Size < -1 {
			t.Errorf("object without bucket or key, or with a size of its own kind: %+v", o)
		}
		if i := bytes.IndexFunc(o.Notice, notXML); i >= 0 || !utf8.Valid(o.Notice) {
			t.Errorf("the notice of %s/%s has characters that SQS refuses: %q", o.Bucket, o.Key, o.Notice)
		}
		alone, err := event.Decode(o.Notice)
		if err != nil {
			t.Fatalf("the notice of %s/%s: %v", o.Bucket, o.Key, err)
		}
		if diff := cmp.Diff(event.Notice{Kind: event.Created, Objects: []event.Object{o}}, alone); diff != "" {
			t.Errorf("the notice of %s/%s announces otherwise (-want +got):\n%s", o.Bucket, o.Key, diff)
		}
	}
}

// notXML reports the characters that XML 1.0 leaves out (section 2.2).
func notXML(r rune) bool {
	return r < 0x20 && r != '\t' && r != '\n' && r != '\r' || r == 0xFFFE || r == 0xFFFF
}

// TestDecodeKeepsItsInput: the caller's octets are read, never written.
func TestDecodeKeepsItsInput(t *testing.T) {
	for name, body := range bodies(t) {
		before := slices.Clone(body)
		_, _ = event.Decode(body)
		if !slices.Equal(before, body) {
			t.Errorf("decoding %s changed it", name)
		}
	}
}

func FuzzDecode(f *testing.F) {
	for _, body := range bodies(f) {
		f.Add(body)
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		n, err := event.Decode(body)
		if err != nil {
			checkFault(t, err, "not an event: ")
			if n.Kind != "" || n.Objects != nil {
				t.Errorf("an error beside a notice: %+v", n)
			}
			return
		}
		checkNotices(t, n)
	})
}

func BenchmarkDecode(b *testing.B) {
	all := bodies(b)
	for _, name := range []string{"s3", "ses", "sns-s3", "pipe-sns-s3"} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(all[name])))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := event.Decode(all[name]); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}
