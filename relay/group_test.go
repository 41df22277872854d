package relay_test

import (
	"context"
	"fmt"
	"regexp"
	"strings"
	"testing"

	"inreply/event"
	"inreply/relay"
)

// groupsOf relays notices and returns the group of each key that was published.
func groupsOf(t *testing.T, by string, top func(key string) ([]byte, error), notices ...string) map[string]string {
	t.Helper()
	groups := map[string]string{}
	inBubble(t, func(r *rig) {
		t := r.t
		r.config.Group = by
		r.tops.top = func(_ context.Context, key string) ([]byte, error) { return top(key) }
		r.intake.put(notices...)
		r.run()
		after(0)
		allowed := regexp.MustCompile(`^[a-z]-[0-9a-f]{32}$`)
		for _, o := range r.topic.all() {
			n, err := event.Decode([]byte(o.Body))
			if err != nil {
				t.Fatal(err)
			}
			if !allowed.MatchString(o.Group) || !allowed.MatchString("x-"+o.DeduplicationID) {
				t.Errorf("group %q, deduplication id %q", o.Group, o.DeduplicationID)
			}
			groups[n.Objects[0].Key] = o.Group
		}
	})
	return groups
}

// TestGroupBySender: only whom SES vouches for is in the group of an author.
func TestGroupBySender(t *testing.T) {
	const jane = "Jane <jane@example.com>"
	pass := "dmarc=pass header.from=example.com"
	mails := map[string]string{
		"jane":                  mail(jane, pass),
		"jane again":            mail("jane@EXAMPLE.com", pass),
		"Jane":                  mail("JANE@example.com", pass),
		"jane by dkim":          mail(jane, "dkim=pass header.i=@example.com;\r\n dmarc=none header.from=example.com"),
		"jane by a subdomain":   mail(jane, "dkim=pass header.i=@mail.example.com"),
		"joe":                   mail("joe@example.com", pass),
		"forged":                mail(jane, "dmarc=fail header.from=example.com"),
		"forged again":          mail(jane, "dmarc=fail header.from=example.com"),
		"signed by another":     mail(jane, "dkim=pass header.i=@attacker.example"),
		"spf of another":        mail(jane, "spf=pass smtp.mailfrom=list.example"),
		"without a policy":      mail(jane, "dmarc=none header.from=example.com"),
		"vouched for by itself": strings.TrimPrefix(mail(jane, pass), "Return-Path: <bounce@list.example>\r\n")[200:],
		"below SES's block":     mail("x@attacker.example", "dmarc=fail") + mail(jane, pass),
		"without From":          strings.ReplaceAll(mail(jane, pass), "From: ", "X-From: "),
		"From out of reach":     strings.ReplaceAll(mail(jane, pass), "From: ", "X-Pad: "+strings.Repeat("x", 70<<10)+"\r\nFrom: "),
		"no mail":               "\x00\x01\x02",
		"empty":                 "",
		"gone":                  "",
	}
	var all []string
	for key := range mails {
		all = append(all, notice(key))
	}
	groups := groupsOf(t, relay.GroupSender, func(key string) ([]byte, error) {
		if key == "gone" {
			return nil, storeError{permanent: true}
		}
		return []byte(mails[key]), nil
	}, all...)
	janes := groups["jane"]
	if !strings.HasPrefix(janes, "s-") {
		t.Errorf("jane is in group %q", janes)
	}
	alone := map[string]string{}
	for key := range mails {
		group := groups[key]
		switch {
		case key == "joe":
			if !strings.HasPrefix(group, "s-") || group == janes {
				t.Errorf("joe is in group %q", group)
			}
		case strings.HasPrefix(strings.ToLower(key), "jane"):
			if group != janes {
				t.Errorf("%s is in group %q, want %q", key, group, janes)
			}
		case !strings.HasPrefix(group, "k-"):
			t.Errorf("%s is in group %q", key, group)
		case alone[group] != "":
			t.Errorf("%s shares a group with %s", key, alone[group])
		default:
			alone[group] = key
		}
	}
}

// TestGroupByRecipient: from SES's notice, or else from the Received field that SES
// put on top.
func TestGroupByRecipient(t *testing.T) {
	ses := func(key, recipient string) string {
		return fmt.Sprintf(`{"notificationType":"Received","mail":{"messageId":"m"},"receipt":{"recipients":[%s],"action":{"type":"S3","bucketName":"example-mail","objectKey":%q}}}`, recipient, key)
	}
	plain := mail("jane@example.com", "dmarc=fail")
	groups := groupsOf(
		t, relay.GroupRecipient, func(key string) ([]byte, error) {
			switch key {
			case "unknown":
				return []byte(strings.ReplaceAll(plain, " for Sales@our.example", "")), nil
			case "gone":
				return nil, storeError{permanent: true}
			}
			return []byte(plain), nil
		},
		notice("a"), ses("b", `"sales@OUR.example","x@our.example"`), ses("c", `"help@our.example"`), ses("d", ``), notice("unknown"), notice("gone"),
	)
	sales := groups["a"]
	if !strings.HasPrefix(sales, "r-") || groups["b"] != sales || groups["d"] != sales {
		t.Errorf("sales are in groups %v", groups)
	}
	if !strings.HasPrefix(groups["c"], "r-") || groups["c"] == sales {
		t.Errorf("help is in group %q", groups["c"])
	}
	if !strings.HasPrefix(groups["unknown"], "k-") || !strings.HasPrefix(groups["gone"], "k-") || groups["unknown"] == groups["gone"] {
		t.Errorf("without a recipient: %v", groups)
	}
}

// TestGroupWithoutTheObject: folders and keys are in the notice.
func TestGroupWithoutTheObject(t *testing.T) {
	unread := func(key string) ([]byte, error) {
		t.Errorf("%s was read", key)
		return nil, nil
	}
	groups := groupsOf(t, relay.GroupPrefix, unread, notice("a/1", "a/2", "a/b/1", "1"))
	if !strings.HasPrefix(groups["a/1"], "p-") || groups["a/1"] != groups["a/2"] || groups["a/1"] == groups["a/b/1"] || groups["a/1"] == groups["1"] {
		t.Errorf("by folder: %v", groups)
	}
	groups = groupsOf(t, relay.GroupKey, unread, notice("a/1", "a/2"))
	if !strings.HasPrefix(groups["a/1"], "k-") || groups["a/1"] == groups["a/2"] {
		t.Errorf("by key: %v", groups)
	}
}

// TestDeduplication: all announcements of one version have the same id, and no
// others have.
func TestDeduplication(t *testing.T) {
	wrap := func(record string) string { return `{"Records":[` + record + `]}` }
	var seen []string
	inBubble(t, func(r *rig) {
		t := r.t
		r.intake.put(
			wrap(record("a", "e1", "")), wrap(record("a", "e1", "")), `{"Type":"Notification","Message":"`+strings.ReplaceAll(wrap(record("a", "e1", "")), `"`, `\"`)+`"}`,
			wrap(record("a", "e1", "null")), // the same again: a bucket whose versioning was suspended
			wrap(record("a", "e2", "")), wrap(record("a", "e2", "null")),
			wrap(record("a", "e1", "v1")), wrap(record("a", "e2", "v1")), wrap(record("a", "e1", "v2")),
			wrap(record("b", "e1", "")), wrap(record("a", "", "e1")), wrap(record("a", "v1", "")),
			strings.ReplaceAll(wrap(record("a", "e1", "")), "example-mail", "example-mai"),
			wrap(rerun("a", "r1")), wrap(rerun("a", "r2")), wrap(rerun("a", "r1")),
		)
		r.run()
		after(0)
		for _, o := range r.topic.all() {
			seen = append(seen, o.DeduplicationID)
		}
		if r.topic.entries() != 16 {
			t.Errorf("%d entries", r.topic.entries())
		}
	})
	// e1; e2; v1; v2; b; version e1; ETag v1; the other bucket; both reruns.
	if len(seen) != 10 {
		t.Errorf("%d were told apart: %v", len(seen), seen)
	}
}

// TestWhatIsNoMailIsNotRead: an object that no route takes as a mail has no author,
// and perhaps lies where we may read nothing.
func TestWhatIsNoMailIsNotRead(t *testing.T) {
	inBubble(t, func(r *rig) {
		r.takes = func(o event.Object) (mail, object bool) { return !strings.HasPrefix(o.Key, "drop/"), false }
		var read []string
		r.tops.top = func(_ context.Context, key string) ([]byte, error) {
			read = append(read, key)
			return []byte(mail("jane@example.com", "dmarc=pass header.from=example.com")), nil
		}
		r.intake.put(notice("drop/a.pdf"), notice("inbound/1"))
		r.run()
		after(0)
		if len(read) != 1 || read[0] != "inbound/1" {
			r.t.Errorf("read %v", read)
		}
		for _, o := range r.topic.all() {
			if want := map[bool]string{true: "k-", false: "s-"}[strings.Contains(o.Body, "drop/a.pdf")]; !strings.HasPrefix(o.Group, want) {
				r.t.Errorf("group %s of %s", o.Group, o.Body)
			}
		}
		if n := len(r.topic.all()); n != 2 {
			r.t.Errorf("%d relayed", n)
		}
	})
}
