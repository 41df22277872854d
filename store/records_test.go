package store_test

import (
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inreply/store"
)

func config() store.Config {
	c := store.Defaults()
	c.Bucket, c.Secret = bucket, "s3cret"
	return c
}

const mailID = "ab8d2e8f7c1b4a3d9e0f11223344556677889900aabbccddeeff001122334455"

func TestMailRecord(t *testing.T) {
	s, _ := world(t)
	r, ctx := store.NewRecords(s, config()), t.Context()
	if _, _, err := r.Mail(ctx, mailID); !errors.Is(err, store.ErrMissing) {
		t.Fatalf("before: %v", err)
	}
	claim := store.MailRecord{Token: "t", Until: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC)}
	etag, err := r.CreateMail(ctx, mailID, claim)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateMail(ctx, mailID, store.MailRecord{Token: "u"}); !errors.Is(err, store.ErrExists) {
		t.Errorf("a second claim: %v", err)
	}
	claim.Version = 1
	checkMail(t, r, claim, etag)

	sent := claim
	sent.SES, sent.SentAt, sent.To, sent.Tries, sent.TriesOf, sent.LastError, sent.Unknown, sent.Begun, sent.GivenUp = "ses-1", claim.Until, "jane@example.com", 2, "m1", "late", true, map[int]time.Time{3: claim.Until}, "m0"
	after, err := r.ReplaceMail(ctx, mailID, etag, sent)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReplaceMail(ctx, mailID, etag, claim); !errors.Is(err, store.ErrChanged) {
		t.Errorf("over what has changed: %v", err)
	}
	checkMail(t, r, sent, after)
}

func checkMail(t *testing.T, r *store.Records, want store.MailRecord, etag string) {
	t.Helper()
	got, gotEtag, err := r.Mail(t.Context(), mailID)
	if err != nil || gotEtag != etag {
		t.Errorf("read as %s, %v; written as %s", gotEtag, err, etag)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("read otherwise (-want +got):\n%s", diff)
	}
}

func TestSenderRecord(t *testing.T) {
	s, _ := world(t)
	r, ctx := store.NewRecords(s, config()), t.Context()
	if _, _, err := r.Sender(ctx, "jane@example.com"); !errors.Is(err, store.ErrMissing) {
		t.Fatalf("before: %v", err)
	}
	first := store.SenderRecord{Replies: []store.Sent{{At: time.Date(2026, 11, 24, 3, 0, 0, 0, time.UTC), Thread: "t", Subject: "s"}}}
	etag, err := r.CreateSender(ctx, "Jane@Example.com", first)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateSender(ctx, "jane@example.com", first); !errors.Is(err, store.ErrExists) {
		t.Errorf("the same sender in other letters: %v", err)
	}
	second := store.SenderRecord{Replies: first.Replies, SuppressedUntil: first.Replies[0].At, Reason: "too many"}
	after, err := r.ReplaceSender(ctx, "JANE@example.com", etag, second)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := r.ReplaceSender(ctx, "jane@example.com", etag, first); !errors.Is(err, store.ErrChanged) {
		t.Errorf("over what has changed: %v", err)
	}
	got, gotEtag, err := r.Sender(ctx, "jane@example.com")
	second.Version = 1
	if diff := cmp.Diff(second, got); err != nil || gotEtag != after || diff != "" {
		t.Errorf("read as %s, %v (-want +got):\n%s", gotEtag, err, diff)
	}
}

// TestWhereRecordsLie: under our prefix, spread by their hash, and without an
// address that anybody could look up.
func TestWhereRecordsLie(t *testing.T) {
	s, _ := world(t)
	other := config()
	other.Secret = "another"
	r := store.NewRecords(s, config())
	for _, err := range []error{
		second(r.CreateMail(t.Context(), mailID, store.MailRecord{})),
		second(r.CreateSender(t.Context(), "jane@example.com", store.SenderRecord{})),
		second(store.NewRecords(s, other).CreateSender(t.Context(), "jane@example.com", store.SenderRecord{})),
	} {
		if err != nil {
			t.Fatal(err)
		}
	}
	senders := map[string]bool{}
	for o, err := range s.List(t.Context(), bucket, "", "") {
		if err != nil {
			t.Fatal(err)
		}
		if !r.Owns(o.Bucket, o.Key) {
			t.Errorf("%s is not known to be ours", o.Key)
		}
		if o.Key == "inreply/records/mail/ab/"+mailID {
			continue
		}
		rest, found := strings.CutPrefix(o.Key, "inreply/records/sender/")
		shard, name, _ := strings.Cut(rest, "/")
		if !found || len(name) != 64 || shard != name[:2] || strings.Contains(o.Key, "jane") {
			t.Errorf("a record at %s", o.Key)
		}
		senders[name] = true
	}
	if len(senders) != 2 {
		t.Errorf("%d places for a sender under two secrets", len(senders))
	}
	for _, at := range [][2]string{{bucket, "inbound/x"}, {"other", "inreply/records/mail/ab/x"}, {bucket, "inreply/recordsx"}} {
		if r.Owns(at[0], at[1]) {
			t.Errorf("%v is none of ours", at)
		}
	}
}

func second(_ string, err error) error { return err }

// TestRecordsOfNoUse: what cannot be read is neither missing nor empty.
func TestRecordsOfNoUse(t *testing.T) {
	s, c := world(t)
	r := store.NewRecords(s, config())
	for name, content := range map[string]string{
		"no JSON": "{", "a newer version": `{"version":2,"token":"t"}`, "no version": `{"token":"t"}`, "another form": `{"version":1,"tries":"many"}`, "empty": "",
	} {
		put(t, c, "inreply/records/mail/ab/"+mailID, content)
		got, etag, err := r.Mail(t.Context(), mailID)
		if err == nil || errors.Is(err, store.ErrMissing) || etag != "" || !strings.Contains(err.Error(), mailID) {
			t.Errorf("%s: read %+v as %q, %v", name, got, etag, err)
		}
	}
}

func TestConfig(t *testing.T) {
	tests := map[string]struct {
		change func(*store.Config)
		faults []string
	}{
		"good":           {func(*store.Config) {}, nil},
		"no bucket":      {func(c *store.Config) { c.Bucket = "" }, []string{"bucket: "}},
		"prefix open":    {func(c *store.Config) { c.Prefix = "records" }, []string{"prefix: "}},
		"prefix is root": {func(c *store.Config) { c.Prefix = "/" }, []string{"prefix: "}},
		"no prefix":      {func(c *store.Config) { c.Prefix = "" }, []string{"prefix: "}},
		"both":           {func(c *store.Config) { *c = store.Config{} }, []string{"bucket: ", "prefix: "}},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			c := config()
			test.change(&c)
			err := c.Validate()
			if (err != nil) != (len(test.faults) > 0) {
				t.Fatal(err)
			}
			if err == nil {
				return
			}
			lines := strings.Split(err.Error(), "\n")
			if len(lines) != len(test.faults) {
				t.Fatalf("%d faults: %v", len(lines), err)
			}
			for i, begin := range test.faults {
				if !strings.HasPrefix(lines[i], begin) {
					t.Errorf("fault %q does not begin with %q", lines[i], begin)
				}
			}
		})
	}
}
