package ses_test

import (
	"strings"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"inreply/local/ses"
)

const inbound = "Received: from a by b; Mon, 01 Jan 1990 00:00:00 +0000\nX-SES-Spam-Verdict: FAIL\nFrom: Ann <ann@Customer.example>\nTo: support@example.com\nSubject: hi\n\nhello\n"

// zeros is a source of ids that are all the same.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestHeadersOnTop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := ses.New(ses.Config{Region: "ap-southeast-1", Rand: zeros{}})
		got := s.Receive(ses.Envelope{From: "bounce@lists.example", Recipients: []string{"support@example.com", "other@example.com"}, Helo: "mail.lists.example", RemoteIP: "192.0.2.7"}, []byte(inbound), ses.Verdicts{})
		id := strings.Repeat("0", 40)
		want := []string{
			"Return-Path: <bounce@lists.example>",
			"Received: from mail.lists.example (mail.lists.example [192.0.2.7])",
			" by inbound-smtp.ap-southeast-1.amazonaws.com with SMTP id " + id,
			" for support@example.com;",
			" Sat, 01 Jan 2000 00:00:00 +0000 (UTC)",
			"X-SES-Spam-Verdict: PASS",
			"X-SES-Virus-Verdict: PASS",
			"Received-SPF: pass (spfCheck: domain of lists.example designates 192.0.2.7 as permitted sender) client-ip=192.0.2.7; envelope-from=bounce@lists.example; helo=mail.lists.example;",
			"Authentication-Results: amazonses.com;",
			" spf=pass (spfCheck: domain of lists.example designates 192.0.2.7 as permitted sender) client-ip=192.0.2.7; envelope-from=bounce@lists.example; helo=mail.lists.example;",
			" dkim=pass header.i=@customer.example;",
			" dmarc=pass header.from=customer.example;",
		}
		lines := strings.Split(string(got.Raw), "\r\n")
		if diff := cmp.Diff(want, lines[:12]); diff != "" {
			t.Error(diff)
		}
		if !strings.HasPrefix(lines[12], "X-SES-RECEIPT: ") || !strings.HasPrefix(lines[13], "X-SES-DKIM-SIGNATURE: a=rsa-sha256; ") {
			t.Errorf("lines %q %q", lines[12], lines[13])
		}
		if diff := cmp.Diff(strings.Split(inbound, "\n"), lines[14:]); diff != "" {
			t.Errorf("the mail itself: %s", diff)
		}
		if got.ID != id {
			t.Errorf("id %s", got.ID)
		}
	})
}

func TestVerdicts(t *testing.T) {
	s := ses.New(ses.Config{})
	got := s.Receive(ses.Envelope{Recipients: []string{"support@example.com"}}, []byte(inbound), ses.Verdicts{
		Spam: ses.Fail, Virus: ses.ProcessingFailed, SPF: ses.Fail, DKIM: ses.Gray, DMARC: ses.ProcessingFailed,
	})
	for _, want := range []string{
		"Return-Path: <>\r\n",
		"\r\nX-SES-Spam-Verdict: FAIL\r\nX-SES-Virus-Verdict: PROCESSING_FAILED\r\n",
		"\r\n spf=fail (spfCheck: domain of localhost does not designate 127.0.0.1 as permitted sender) client-ip=127.0.0.1; envelope-from=; helo=localhost;\r\n dkim=none header.i=@customer.example;\r\n dmarc=temperror header.from=customer.example;\r\n",
	} {
		if !strings.Contains(string(got.Raw), want) {
			t.Errorf("%q is not in\n%s", want, got.Raw)
		}
	}
	if len(got.ID) != 40 || got.ID == s.Receive(ses.Envelope{}, nil, ses.Verdicts{}).ID {
		t.Errorf("id %s", got.ID)
	}
}

func TestDomainWithoutFrom(t *testing.T) {
	s := ses.New(ses.Config{})
	for raw, want := range map[string]string{
		"no header at all":            "sender.example",
		"From: nobody\r\n\r\nx":       "sender.example",
		"Subject: x\r\n\r\nx":         "sender.example",
		"From: a@b.example\r\n\r\nx":  "b.example",
		"From: =?x?= <a@b.c>\r\n\r\n": "b.c",
	} {
		got := s.Receive(ses.Envelope{From: "a@sender.example", Recipients: []string{"r@example.com"}}, []byte(raw), ses.Verdicts{})
		if !strings.Contains(string(got.Raw), "header.from="+want+";") {
			t.Errorf("%q: want %s in\n%s", raw, want, got.Raw)
		}
	}
}

func TestSenderCannotWriteHeadersOfSES(t *testing.T) {
	s := ses.New(ses.Config{})
	got := s.Receive(ses.Envelope{From: "a@b.example>\r\nX-SES-Spam-Verdict: PASS\r\nX: <", Helo: "h\nX: y", Recipients: []string{"r\r\n@example.com"}}, []byte(inbound), ses.Verdicts{Spam: ses.Fail})
	top, _, _ := strings.Cut(string(got.Raw), "X-SES-RECEIPT")
	if strings.Contains(top, "\nX-SES-Spam-Verdict: PASS") || strings.Contains(top, "\nX: ") {
		t.Errorf("top\n%s", top)
	}
}

func TestSetupNotification(t *testing.T) {
	key, raw := ses.SetupNotification()
	if key != "AMAZON_SES_SETUP_NOTIFICATION" || !strings.Contains(string(raw), key) {
		t.Errorf("%s: %s", key, raw)
	}
}
