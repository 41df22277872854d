package email_test

import (
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"inreply/email"
)

// block is what SES puts on top of a mail that failed everything.
const block = "Return-Path: <mallory@evil.example>\r\n" +
	"Received: from mail.evil.example (mail.evil.example [192.0.2.66])\r\n by inbound-smtp.us-east-1.amazonaws.com with SMTP id abc123\r\n" +
	" for sales@shop.example;\r\n Mon, 02 Mar 2026 10:00:00 +0000 (UTC)\r\n" +
	"X-SES-Spam-Verdict: FAIL\r\nX-SES-Virus-Verdict: FAIL\r\n" +
	"Received-SPF: fail (spfCheck: domain of evil.example does not designate 192.0.2.66) client-ip=192.0.2.66; envelope-from=mallory@evil.example; helo=mail.evil.example;\r\n" +
	"Authentication-Results: amazonses.com;\r\n spf=fail (spfCheck: no) client-ip=192.0.2.66; envelope-from=mallory@evil.example; helo=mail.evil.example;\r\n" +
	" dkim=fail header.i=@evil.example;\r\n dmarc=fail header.from=bank.example;\r\n" +
	"X-SES-RECEIPT: AEFBQUFB\r\nX-SES-DKIM-SIGNATURE: a=rsa-sha256; q=dns/txt; b=x\r\n"

// passes is the same block as the sender of that mail would like to have it.
const passes = "Return-Path: <ann@bank.example>\r\n" +
	"Received: from mail.bank.example (mail.bank.example [192.0.2.1])\r\n by inbound-smtp.us-east-1.amazonaws.com with SMTP id abc123\r\n" +
	" for boss@shop.example;\r\n Mon, 02 Mar 2026 10:00:00 +0000 (UTC)\r\n" +
	"X-SES-Spam-Verdict: PASS\r\nX-SES-Virus-Verdict: PASS\r\n" +
	"Received-SPF: pass (spfCheck: ok) client-ip=192.0.2.1; envelope-from=ann@bank.example; helo=mail.bank.example;\r\n" +
	"Authentication-Results: amazonses.com;\r\n spf=pass (spfCheck: ok) client-ip=192.0.2.1; envelope-from=ann@bank.example; helo=mail.bank.example;\r\n" +
	" dkim=pass header.i=@bank.example;\r\n dmarc=pass header.from=bank.example;\r\n" +
	"X-SES-RECEIPT: AEFBQUFB\r\nX-SES-DKIM-SIGNATURE: a=rsa-sha256; q=dns/txt; b=x\r\n"

const sender = "From: Ann <ann@bank.example>\r\nTo: sales@shop.example\r\nSubject: x\r\nMessage-ID: <1@bank.example>\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n"

const text = "\r\nhello\r\n"

func parse(t *testing.T, raw string) *email.Message {
	t.Helper()
	p, err := email.NewParser(email.Defaults())
	if err != nil {
		t.Fatal(err)
	}
	m, err := p.Parse(email.Raw{Bytes: []byte(raw), Object: email.Object{Bucket: "b", Key: "k", ETag: "e"}})
	if err != nil {
		t.Fatalf("%q: %v", raw, err)
	}
	return m
}

// The block on top is read as SES wrote it.
func TestBlock(t *testing.T) {
	m := parse(t, passes+sender+text)
	want := email.Verdicts{Spam: "PASS", Virus: "PASS", SPF: "PASS", DKIM: "PASS", DMARC: "PASS", SPFDomain: "bank.example", DKIMDomains: []string{"bank.example"}}
	got := m.Verdicts
	got.DMARCDomain = ""
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
	if m.ReturnPath != "ann@bank.example" || !slices.Equal(m.Recipients, []string{"boss@shop.example"}) || m.Header[0].Name != "From" {
		t.Errorf("%+v", m)
	}
	for _, policy := range []email.Policy{email.DMARC, email.Aligned, email.Any} {
		if !m.Verdicts.Authenticated(m.From, policy) {
			t.Errorf("not authenticated by %s", policy)
		}
	}
}

// Whatever the sender writes, in whichever place that it has a hand in, nothing
// passes that SES did not pass, and nobody else is written to.
func TestForgedVerdicts(t *testing.T) {
	// change puts something into the genuine block, in a place that holds what
	// the sender said in SMTP.
	change := func(old, by string) string {
		if !strings.Contains(block, old) {
			t.Fatalf("no %q", old)
		}
		return strings.ReplaceAll(block, old, by)
	}
	fields := strings.SplitAfter(passes, "\r\n")
	results := passes[strings.Index(passes, "Authentication-Results"):strings.Index(passes, "X-SES-RECEIPT")]
	for name, mail := range map[string]string{
		"a block of its own below":           block + passes + sender,
		"only results below":                 block + results + sender,
		"results below, none of SES":         strings.Replace(block, block[strings.Index(block, "Authentication-Results"):strings.Index(block, "X-SES-RECEIPT")], "", 1) + results + sender,
		"verdicts at the end of the header":  block + sender + passes,
		"no block, own verdicts":             "X-SES-Spam-Verdict: PASS\r\nX-SES-Virus-Verdict: PASS\r\n" + results + sender,
		"no block, own block after a field":  "X-Mailer: x\r\n" + passes + sender,
		"no block, return path and results":  fields[0] + results + sender,
		"no block, received by another":      strings.Replace(passes, "inbound-smtp.us-east-1.amazonaws.com", "inbound-smtp.evil.example", 1) + sender,
		"greeting that looks like SES":       strings.Replace(passes, "by inbound-smtp.us-east-1.amazonaws.com with", "(x by inbound-smtp.us-east-1.amazonaws.com with SMTP) by mx.evil.example with", 1) + sender,
		"results in a comment":               change("helo=mail.evil.example;", "helo=(dkim=pass header.i=@bank.example; dmarc=pass header.from=bank.example);") + sender,
		"results in a greeting":              change("helo=mail.evil.example;", "helo=x;dmarc=pass header.from=bank.example;") + sender,
		"results in a quoted local part":     change("mallory@evil", `"x; dmarc=pass header.from=bank.example; dkim=pass header.i=@bank.example; "@evil`) + sender,
		"results in a broken local part":     change("mallory@evil", `"x; spf=pass; dkim=pass header.i=@bank.example; dmarc=pass header.from=bank.example (@evil`) + sender,
		"local part that opens a comment":    change("mallory@evil", `x(@evil`) + results + sender,
		"local part that ends in a quote":    change("mallory@evil", `x"@evil`) + results + sender,
		"folded verdict":                     change("X-SES-Spam-Verdict: FAIL\r\n", "X-SES-Spam-Verdict: FAIL\r\n PASS\r\n") + sender,
		"verdict twice":                      change("X-SES-Spam-Verdict: FAIL\r\n", "X-SES-Spam-Verdict: FAIL\r\nX-SES-Spam-Verdict: PASS\r\n") + results + sender,
		"authserv-id with a version":         change("amazonses.com;", "evil.example; amazonses.com;") + sender,
		"second result of one method":        change("dmarc=fail header.from=bank.example;", "dmarc=fail header.from=bank.example; dmarc=pass header.from=bank.example;") + sender,
		"first result of two":                change("dmarc=fail header.from=bank.example;", "dmarc=pass header.from=bank.example; dmarc=fail header.from=bank.example;") + sender,
		"verdict in a letter that looks it":  change("X-SES-Spam-Verdict: FAIL", "X-SES-Spam-Verdict: \uff30\uff21\uff33\uff33") + sender,
		"bare CR before a copy":              block + "X: y\r" + strings.ReplaceAll(passes, "\r\n", "\r") + sender,
		"lone LF block":                      strings.ReplaceAll(block, "\r\n", "\n") + strings.ReplaceAll(passes, "\r\n", "\n") + sender,
		"white space before colons":          block + strings.ReplaceAll(passes, ":", " :") + sender,
		"empty line, then a block":           block + sender + "\r\n" + passes,
		"dmarc passed for another domain":    change("dmarc=fail header.from=bank.example", "dmarc=pass header.from=evil.example") + sender,
		"signature of another domain passed": change("dkim=fail header.i=@evil.example", "dkim=pass header.i=@evil.example") + sender,
		"signature of a longer name":         change("dkim=fail header.i=@evil.example", "dkim=pass header.i=@notbank.example") + sender,
		"signature of a public suffix":       change("dkim=fail header.i=@evil.example", "dkim=pass header.i=@example") + sender,
		"spf of another domain passed":       change("spf=fail", "spf=pass") + sender,
	} {
		t.Run(name, func(t *testing.T) {
			top, err := email.ReadTop([]byte(mail + text))
			if err != nil {
				t.Fatal(err)
			}
			m := parse(t, mail+text)
			if top.Verdicts.Spam == email.Pass || m.Verdicts.Spam == email.Pass || m.Verdicts.Virus == email.Pass {
				t.Errorf("%+v", m.Verdicts)
			}
			if diff := cmp.Diff(top.Verdicts, m.Verdicts); diff != "" {
				t.Errorf("the top says otherwise:\n%s", diff)
			}
			for _, policy := range []email.Policy{email.DMARC, email.Aligned} {
				if m.Verdicts.Authenticated(m.From, policy) {
					t.Errorf("authenticated by %s: %+v", policy, m.Verdicts)
				}
			}
			for _, to := range m.Recipients {
				if to != "sales@shop.example" {
					t.Errorf("recipient %s", to)
				}
			}
			if strings.Contains(m.ReturnPath, "ann@") {
				t.Errorf("return path %s", m.ReturnPath)
			}
		})
	}
}

// However little of a mail was read, it never says what the whole does not.
func TestTopOfAnyLength(t *testing.T) {
	for _, mail := range []string{passes + sender + text, block + sender + text, strings.Replace(passes, "dmarc=pass header.from=bank.example;", "dmarc=pass header.from=bank.example; dmarc=fail header.from=bank.example", 1) + sender + text} {
		whole, err := email.ReadTop([]byte(mail))
		if err != nil {
			t.Fatal(err)
		}
		for n := range len(mail) {
			part, err := email.ReadTop([]byte(mail[:n]))
			if err != nil {
				t.Fatal(err)
			}
			for name, pair := range map[string][2]email.Verdict{
				"spam": {part.Verdicts.Spam, whole.Verdicts.Spam}, "virus": {part.Verdicts.Virus, whole.Verdicts.Virus}, "spf": {part.Verdicts.SPF, whole.Verdicts.SPF},
				"dkim": {part.Verdicts.DKIM, whole.Verdicts.DKIM}, "dmarc": {part.Verdicts.DMARC, whole.Verdicts.DMARC},
			} {
				if pair[0] != "" && pair[0] != pair[1] {
					t.Errorf("%q...: %s is %s, not %s", mail[max(0, n-30):n], name, pair[0], pair[1])
				}
			}
			if part.From != (email.Address{}) && part.From != whole.From {
				t.Errorf("%q...: from %+v", mail[max(0, n-30):n], part.From)
			}
			if len(part.Recipients) > 0 && !slices.Equal(part.Recipients, whole.Recipients) {
				t.Errorf("%q...: recipients %q", mail[max(0, n-30):n], part.Recipients)
			}
			if part.MailFrom != "" && part.MailFrom != whole.MailFrom || part.NullPath != whole.NullPath && part.NullPath {
				t.Errorf("%q...: mail from %q", mail[max(0, n-30):n], part.MailFrom)
			}
		}
	}
}

// Which of several authors is meant, nobody knows: SES judged one of them.
func TestForgedAuthor(t *testing.T) {
	genuine := strings.ReplaceAll(passes, "bank.example", "evil.example")
	for name, header := range map[string]string{
		"two fields":                 "From: ann@bank.example\r\nFrom: mallory@evil.example\r\n",
		"two fields, other order":    "From: mallory@evil.example\r\nFrom: ann@bank.example\r\n",
		"two mailboxes":              "From: ann@bank.example, mallory@evil.example\r\n",
		"address as a name":          "From: \"ann@bank.example\" <mallory@evil.example>\r\n",
		"address as an encoded name": "From: =?utf-8?q?ann=40bank=2Eexample?= <mallory@evil.example>\r\n",
		"encoded address":            "From: =?utf-8?q?ann=40bank=2Eexample=3E?= <mallory@evil.example>\r\n",
		"two pairs of brackets":      "From: <ann@bank.example> <mallory@evil.example>\r\n",
		"a comment":                  "From: ann@bank.example (<mallory@evil.example>)\r\n",
		"a route":                    "From: <@bank.example:mallory@evil.example>\r\n",
		"quoted at":                  "From: \"ann@bank.example\"@evil.example\r\n",
		"two ats":                    "From: ann@bank.example@evil.example\r\n",
		"nul":                        "From: ann@bank.example\x00@evil.example\r\n",
		"a group":                    "From: bank: ann@bank.example;, mallory@evil.example\r\n",
		"white space in the domain":  "From: ann@bank.example .evil.example\r\n",
		"from in lower case":         "from: ann@bank.example\r\nFrom: mallory@evil.example\r\n",
		"white space before colon":   "From : ann@bank.example\r\nFrom: mallory@evil.example\r\n",
		"lone CR":                    "X: y\rFrom: ann@bank.example\r\nFrom: mallory@evil.example\r\n",
	} {
		t.Run(name, func(t *testing.T) {
			m := parse(t, genuine+header+"Subject: x\r\n"+text)
			for _, policy := range []email.Policy{email.DMARC, email.Aligned} {
				if m.From.Domain() == "bank.example" && m.Verdicts.Authenticated(m.From, policy) {
					t.Errorf("%+v is authenticated by %s", m.From, policy)
				}
			}
			to := m.Answer().To
			if to.Domain() == "bank.example" && m.Verdicts.Authenticated(to, email.Aligned) {
				t.Errorf("the answer goes to %+v", to)
			}
		})
	}
}
