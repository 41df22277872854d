package email

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestReadTop(t *testing.T) {
	raw := sample(t, "plain")
	got, err := ReadTop([]byte(raw))
	if err != nil {
		t.Fatal(err)
	}
	want := Top{
		From: Address{Name: "Ann", Mailbox: "ann@customer.example"}, MailFrom: "ann@customer.example", Recipients: []string{"support@ours.example"},
		Verdicts: Verdicts{
			Spam: Pass, Virus: Pass, SPF: Pass, DKIM: Pass, DMARC: Pass,
			SPFDomain: "customer.example", DKIMDomains: []string{"customer.example"}, DMARCDomain: "customer.example",
		},
		BySES: true, Complete: true,
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

// However much of a mail is read, nothing that passes is taken back later, and
// what a part of it says is what the whole says.
func TestReadTopOfPart(t *testing.T) {
	for _, name := range []string{"plain", "verdicts-forged", "verdicts-in-comment", "two-from-fields", "out-of-office", "verdicts-without-ses"} {
		raw := sample(t, name)
		m := parse(t, newParser(t), raw)
		for n := range len(raw) {
			top, err := ReadTop([]byte(raw[:n]))
			if err != nil {
				t.Fatal(err)
			}
			if top.Complete && (!cmp.Equal(top.Verdicts, m.Verdicts) || top.From != m.From || top.NullPath != m.NullPath) {
				t.Fatalf("%s, %d octets: %+v", name, n, top)
			}
		}
	}
}

func TestBlockOfSES(t *testing.T) {
	received := "Received: from x (x [192.0.2.1])\r\n by inbound-smtp.us-east-1.amazonaws.com with SMTP id 1\r\n for a@ours.example;\r\n Sun, 01 Mar 2026 12:30:00 +0000\r\n"
	results := "Authentication-Results: amazonses.com; dmarc=pass header.from=b.example\r\n"
	for name, c := range map[string]struct {
		top        string
		spam       Verdict
		dmarc      Verdict
		recipients string
	}{
		"all of it":                         {"Return-Path: <x@b.example>\r\n" + received + "X-SES-Spam-Verdict: pass\r\n" + results, Pass, Pass, "a@ours.example"},
		"no block":                          {"X-SES-Spam-Verdict: PASS\r\n" + results, "", "", ""},
		"block of another":                  {"Return-Path: <x@b.example>\r\n" + strings.Replace(received, "inbound-smtp.us-east-1.amazonaws.com", "mx.evil.example", 1) + results, "", "", ""},
		"name that is not ours":             {strings.Replace(received, ".amazonaws.com", ".amazonaws.com.evil.example", 1) + results, "", "", ""},
		"results of another":                {received + "Authentication-Results: evil.example; dmarc=pass\r\n", "", "", "a@ours.example"},
		"second copies":                     {received + "X-SES-Spam-Verdict: FAIL\r\nX-SES-Spam-Verdict: PASS\r\n" + results, Fail, "", "a@ours.example"},
		"out of order":                      {received + results + "X-SES-Spam-Verdict: PASS\r\n", "", Pass, "a@ours.example"},
		"behind a field of the sender":      {received + "Subject: x\r\n" + results, "", "", "a@ours.example"},
		"host that greets with a recipient": {strings.Replace(received, "from x (", "from y for evil@evil.example by inbound-smtp.us-east-1.amazonaws.com for z@z.example (", 1), "", "", "a@ours.example"},
		"verdict that is none":              {received + "X-SES-Spam-Verdict: PASS; really\r\n", "", "", "a@ours.example"},
		"two results":                       {received + "Authentication-Results: amazonses.com; dmarc=pass header.from=b.example; dmarc=fail header.from=c.example\r\n", "", Fail, "a@ours.example"},
	} {
		t.Run(name, func(t *testing.T) {
			top, err := ReadTop([]byte(c.top + "From: a@b.example\r\n\r\n"))
			if err != nil {
				t.Fatal(err)
			}
			if top.Verdicts.Spam != c.spam || top.Verdicts.DMARC != c.dmarc || strings.Join(top.Recipients, " ") != c.recipients {
				t.Errorf("%+v", top)
			}
		})
	}
}

// An envelope sender with separators of the field in it makes every pass doubtful.
func TestStrangeEnvelopeSender(t *testing.T) {
	for mailFrom, want := range map[string]Verdict{
		`x@b.example`:                  Pass,
		`prvs=12=x@b.example`:          Pass,
		`bounce+a=b.example@c.example`: Pass,
		`"a; dmarc=pass"@evil.example`: Gray,
		`a;dmarc=pass@evil.example`:    Gray,
		`a(b)@evil.example`:            Gray,
	} {
		var v Verdicts
		v.read("amazonses.com; spf=pass smtp.mailfrom=x; dkim=pass header.i=@b.example; dmarc=pass header.from=b.example", mailFrom)
		if v.DMARC != want || v.SPF != want || v.DKIM != want {
			t.Errorf("%q: %+v", mailFrom, v)
		}
	}
}

func TestAuthenticated(t *testing.T) {
	from := Address{Mailbox: "ann@mail.b.example.com"}
	for name, c := range map[string]struct {
		verdicts Verdicts
		dmarc    bool
		aligned  bool
	}{
		"nothing known":           {Verdicts{}, false, false},
		"DMARC":                   {Verdicts{DMARC: Pass, DMARCDomain: "example.com"}, true, true},
		"DMARC of another domain": {Verdicts{DMARC: Pass, DMARCDomain: "evil.example"}, false, false},
		"DMARC by notification":   {Verdicts{DMARC: Pass}, true, true},
		"DMARC gray":              {Verdicts{DMARC: Gray}, false, false},
		"SPF aligned":             {Verdicts{SPF: Pass, SPFDomain: "bounce.example.com"}, false, true},
		"SPF of another domain":   {Verdicts{SPF: Pass, SPFDomain: "evil.example"}, false, false},
		"SPF without domain":      {Verdicts{SPF: Pass}, false, false},
		"SPF failed":              {Verdicts{SPF: Fail, SPFDomain: "example.com"}, false, false},
		"DKIM aligned":            {Verdicts{DKIM: Pass, DKIMDomains: []string{"evil.example", "example.com"}}, false, true},
		"DKIM of another domain":  {Verdicts{DKIM: Pass, DKIMDomains: []string{"evil.example", ""}}, false, false},
		"DKIM, but DMARC failed":  {Verdicts{DKIM: Pass, DKIMDomains: []string{"example.com"}, DMARC: Fail}, false, false},
		"DKIM of a public suffix": {Verdicts{DKIM: Pass, DKIMDomains: []string{"com"}}, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			if got := c.verdicts.Authenticated(from, DMARC); got != c.dmarc {
				t.Errorf("dmarc: %v", got)
			}
			if got := c.verdicts.Authenticated(from, Aligned); got != c.aligned {
				t.Errorf("aligned: %v", got)
			}
			if !c.verdicts.Authenticated(from, Any) {
				t.Error("none: refused")
			}
			if c.verdicts.Authenticated(Address{}, Aligned) {
				t.Error("nobody is authenticated")
			}
		})
	}
	international := Verdicts{DMARC: Pass, DMARCDomain: "xn--bcher-kva.example"}
	if !international.Authenticated(Address{Mailbox: "a@b\u00fccher.example"}, DMARC) {
		t.Error("a domain in Unicode is another one")
	}
	suffix := Verdicts{SPF: Pass, SPFDomain: "other.co.uk"}
	if suffix.Authenticated(Address{Mailbox: "a@bank.co.uk"}, Aligned) {
		t.Error("two domains below one public suffix are aligned")
	}
}

// Nothing that stands below SES's block changes what the block says.
func FuzzTop(f *testing.F) {
	f.Add("X-SES-Spam-Verdict: PASS\r\nAuthentication-Results: amazonses.com; dmarc=pass header.from=b.example\r\n")
	f.Add(" ; dmarc=pass\r\nFrom: a@b.example\r\n")
	f.Add("Received: by inbound-smtp.us-east-1.amazonaws.com for x@y;\r\nReturn-Path: <>\r\n")
	f.Fuzz(func(t *testing.T, below string) {
		block := strings.SplitAfter(sample(t, "verdicts-forged"), "h=From:To:Subject;\r\n")[0]
		alone, err := ReadTop([]byte(block + "\r\n"))
		if err != nil {
			t.Fatal(err)
		}
		got, err := ReadTop([]byte(block + below))
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(alone.Verdicts, got.Verdicts); diff != "" || alone.MailFrom != got.MailFrom || !cmp.Equal(alone.Recipients, got.Recipients) {
			t.Fatal(diff, got)
		}
		if got.Verdicts.Authenticated(got.From, Aligned) {
			t.Fatalf("authenticated: %+v", got)
		}
		if unblocked, err := ReadTop([]byte("Subject: x\r\n" + below)); err != nil || unblocked.BySES || unblocked.Verdicts.DMARC != "" {
			t.Fatalf("%+v, %v", unblocked, err)
		}
	})
}
