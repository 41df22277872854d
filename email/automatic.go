package email

import (
	"slices"
	"strings"
)

// automation says whether a program wrote the mail: by RFC 3834, and by what
// programs do that do not know of it.
func (c Config) automation(m *Message) Automation {
	var reasons []string
	because := func(is bool, reason string) {
		if is {
			reasons = append(reasons, reason)
		}
	}
	submitted, _, _ := strings.Cut(strings.ToLower(m.Get("Auto-Submitted")), ";")
	submitted = strings.TrimSpace(submitted)
	if at := strings.IndexByte(submitted, '('); at >= 0 {
		submitted = strings.TrimSpace(submitted[:at])
	}
	because(submitted != "" && submitted != "no", "auto-submitted")
	because(m.NullPath, "null-return-path")
	contentType := strings.ToLower(m.Get("Content-Type"))
	because(strings.HasPrefix(contentType, "multipart/report"), "report")
	because(strings.HasPrefix(contentType, "message/delivery-status"), "delivery-status")
	for _, name := range []string{"List-Id", "List-Post", "List-Unsubscribe", "List-Help", "List-Owner", "List-Archive"} {
		because(m.Get(name) != "", strings.ToLower(name))
	}
	for _, name := range []string{"Precedence", "X-Precedence"} {
		because(slices.Contains([]string{"bulk", "list", "junk", "auto_reply"}, strings.ToLower(strings.TrimSpace(m.Get(name)))), "precedence")
	}
	for _, name := range []string{"X-Autoreply", "X-Autorespond", "X-Autoresponder", "X-Auto-Reply", "X-AutoReply-From", "X-Mail-Autoreply", "Feedback-ID", "X-Failed-Recipients"} {
		because(m.Get(name) != "", strings.ToLower(name))
	}
	because(strings.EqualFold(m.Get("Delivered-To"), "autoresponder"), "delivered-to")
	// Exchange marks its out-of-office notes with a kind of its own.
	because(strings.Contains(strings.ToLower(m.Get("X-MS-Exchange-Inbox-Rules-Loop")), "@") || m.Get("X-MS-Exchange-Generated-Message-Source") != "", "exchange")
	because(robot(m.From.Mailbox) || robot(m.ReturnPath), "robot-address")
	because(m.count("Received") > c.MaxReceived, "too-many-received")
	because(len(m.References) > 100, "too-many-references")
	return Automation{IsAuto: len(reasons) > 0, Reasons: reasons}
}

// robot reports whether a mailbox is one that nobody reads.
func robot(mailbox string) bool {
	local, _, _ := strings.Cut(strings.ToLower(mailbox), "@")
	switch strings.NewReplacer("-", "", "_", "", ".", "").Replace(local) {
	case "mailerdaemon", "postmaster", "noreply", "donotreply", "noreplies", "bounce", "bounces", "listserv", "majordomo":
		return true
	}
	return strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") || strings.HasSuffix(local, "-owner")
}
