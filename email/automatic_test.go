package email

import (
	"slices"
	"strings"
	"testing"
)

func TestAutomatic(t *testing.T) {
	config := Defaults()
	config.MarkKey, config.Domains = "secret", []string{"ours.example"}
	p, err := NewParser(config)
	if err != nil {
		t.Fatal(err)
	}
	mark := Mark([]byte("secret"), "4711")
	for fields, want := range map[string]string{
		"":                                      "",
		"Auto-Submitted: no":                    "",
		"Auto-Submitted: No (a person)":         "",
		"Auto-Submitted: (no) auto-generated":   "auto-submitted",
		"Auto-Submitted: auto-replied; owner=x": "auto-submitted",
		"Auto-Submitted: no\nAuto-Submitted: auto-replied": "auto-submitted",
		"Auto-Submitted:":  "",
		"Return-Path: <>":  "null-return-path",
		"Return-Path: < >": "null-return-path",
		"Content-Type: multipart/report; report-type=delivery-status; boundary=q": "report",
		"List-Id: <x.example>":                                           "list-id",
		"List-Unsubscribe: <https://x.example>":                          "list-unsubscribe",
		"Precedence: bulk":                                               "precedence",
		"Precedence: first-class":                                        "",
		"X-Precedence: Auto_Reply":                                       "precedence",
		"X-Autoreply: yes":                                               "x-autoreply",
		"X-Auto-Response-Suppress: All":                                  "",
		"X-MS-Exchange-Inbox-Rules-Loop: a@b.example":                    "exchange-rule",
		"X-MS-Exchange-Generated-Message-Source: Mailbox Rules Agent":    "exchange-rule",
		"Delivered-To: autoresponder":                                    "delivered-to",
		"Subject: Automatic reply: Offer":                                "subject",
		"Subject: Automatische Antwort: Angebot":                         "subject",
		"Subject: =?utf-8?b?6Ieq5Yqo562U5aSNOiB4?=":                      "subject",
		"Subject: Re: Automatic reply: Offer":                            "",
		"Subject: Automatic replying machines":                           "",
		"Subject: Auto: Reifen":                                          "",
		"Sender: no-reply@b.example":                                     "robot-address",
		"Sender: owner-list@b.example":                                   "robot-address",
		"Return-Path: <bounces+SRS=x=y@c.example>":                       "",
		"Return-Path: <list-bounces@c.example>":                          "robot-address",
		"Return-Path: <owner-list@c.example>":                            "robot-address",
		"Subject: Undeliverables":                                        "",
		"Sender: noreplyhere@b.example":                                  "",
		"To: ann@b.example":                                              "",
		"X-Inreply-Mark: " + mark:                                        "our-mark",
		"X-Inreply-Mark: 1.4711.00":                                      "",
		strings.TrimSpace(strings.Repeat("Received: from a by b\n", 50)): "",
		strings.TrimSpace(strings.Repeat("Received: from a by b\n", 51)): "too-many-received",
		"References: " + ids(100):                                        "",
		"References: " + ids(101):                                        "too-many-references",
		"Feedback-ID: 1.eu-west-1.AmazonSES":                             "",
	} {
		m := parse(t, p, "From: ann@b.example\nMessage-ID: <m@b.example>\n"+fields+"\n\nText.\n")
		if got := strings.Join(m.Automation.Reasons, " "); got != want || m.Automation.IsAuto != (want != "") {
			t.Errorf("%.100q: %q, not %q", fields, got, want)
		}
	}
	for from, want := range map[string]string{
		"MAILER-DAEMON@b.example": "robot-address", "Mail Delivery Subsystem <MAILER-DAEMON>": "robot-address", "postmaster@b.example": "robot-address",
		"no-reply@b.example": "robot-address", "Do_Not.Reply@b.example": "robot-address", "bounces+x=y@b.example": "robot-address",
		"reply@b.example": "", "bouncer@b.example": "", "us@ours.example": "own-address",
	} {
		m := parse(t, p, "From: "+from+"\nTo: us@ours.example\n\nText.\n")
		if got := strings.Join(m.Automation.Reasons, " "); got != want {
			t.Errorf("%q: %q, not %q", from, got, want)
		}
	}
}

// Every reason that there is shows, in a fixed order, once.
func TestAutomaticReasons(t *testing.T) {
	m := parse(t, newParser(t), "From: mailer-daemon@b.example\nReturn-Path: <>\nPrecedence: bulk\nX-Precedence: bulk\nAuto-Submitted: auto-replied\nSubject: failure notice\n\nx")
	want := []string{"auto-submitted", "null-return-path", "precedence", "subject", "robot-address"}
	if !slices.Equal(m.Automation.Reasons, want) {
		t.Errorf("%q", m.Automation.Reasons)
	}
}

// A mail is automatic if and only if there is a reason, and more fields never take
// a reason away.
func FuzzAutomatic(f *testing.F) {
	f.Add("Auto-Submitted: auto-replied (x; y)", "Precedence: list")
	f.Add("Subject: Out of office", "X-Inreply-Mark: 1.a.b")
	p := newParser(f)
	f.Fuzz(func(t *testing.T, one, two string) {
		clean := strings.NewReplacer("\n", " ", "\r", " ")
		one, two = "X-One: "+clean.Replace(one), "X-Two: "+clean.Replace(two)
		for _, fields := range []string{one, two} {
			m, err := p.Parse(Raw{Bytes: []byte("From: a@b.example\nAuto-Submitted: auto-replied\n" + fields + "\n\n")})
			if err != nil {
				return
			}
			if !m.Automation.IsAuto || m.Automation.Reasons[0] != "auto-submitted" {
				t.Fatalf("%+v", m.Automation)
			}
		}
		without := strings.TrimPrefix(one, "X-One: ")
		m, err := p.Parse(Raw{Bytes: []byte(without + "\nFrom: a@b.example\n\n")})
		if err == nil && m.Automation.IsAuto != (len(m.Automation.Reasons) > 0) {
			t.Fatalf("%+v", m.Automation)
		}
	})
}
