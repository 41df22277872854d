package email

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/hex"
	"slices"
	"strings"
	"unicode/utf8"
)

// longestReferences is how many message ids a reply refers to at most: the
// first, which names the thread, and the last ones.
const longestReferences = 20

// longestSubject is how much of a subject is repeated, in octets.
const longestSubject = 500

// Answer returns a reply to the mail, addressed to its author and threaded as
// RFC 5322, section 3.6.4 has it. Its text is for the caller to write.
func (m *Message) Answer() *Reply {
	return &Reply{
		Mail: m.ID, Notice: m.Notice, To: m.From, Subject: answerSubject(m.Subject),
		InReplyTo: m.MessageID, References: m.answerReferences(),
	}
}

// answerSubject puts one Re: before the subject, in place of any that are there,
// in the languages that mail programs write it in.
func answerSubject(subject string) string {
	subject = strings.TrimSpace(subject)
	if len(subject) > longestSubject {
		subject = strings.ToValidUTF8(subject[:longestSubject], "") + "..."
	}
	for range 20 {
		at := strings.IndexAny(subject, ":：") // programs in Chinese write the wide one too
		if at < 0 || !isRe(subject[:at]) {
			break
		}
		_, size := utf8.DecodeRuneInString(subject[at:])
		subject = strings.TrimSpace(subject[at+size:])
	}
	return strings.TrimSpace("Re: " + subject)
}

func isRe(prefix string) bool {
	prefix = strings.ToLower(strings.TrimSpace(prefix))
	if open := strings.IndexByte(prefix, '['); open > 0 && strings.HasSuffix(prefix, "]") {
		prefix = prefix[:open] // "Re[2]"
	}
	switch prefix {
	case "re", "aw", "antw", "sv", "rv", "res", "rif", "回复", "答复", "返信":
		return true
	}
	return false
}

func (m *Message) answerReferences() []string {
	references := m.References
	if len(references) == 0 && len(m.InReplyTo) == 1 {
		references = m.InReplyTo
	}
	if m.MessageID != "" {
		references = append(slices.Clip(references), m.MessageID)
	}
	if len(references) <= longestReferences {
		return references
	}
	kept := []string{references[0]}
	return append(kept, references[len(references)-longestReferences+1:]...)
}

// MarkField is the header field of our replies that carries their [Mark].
const MarkField = "X-Inreply-Mark"

// Mark is the value of the field by which a reply of ours is known again, should
// it come back: the id of the mail that it answers, and a keyed hash of that
// (HMAC-SHA256). Nobody without the key can make a mail look like ours, and so
// keep us silent.
func Mark(key []byte, mailID string) string {
	mac := hmac.New(sha256.New, key)
	mac.Write([]byte("inreply mark 1\x00" + mailID))
	return "1." + mailID + "." + hex.EncodeToString(mac.Sum(nil))
}

// Marked reports whether a field's value is a [Mark] made with the key.
func Marked(key []byte, value string) bool {
	rest, versioned := strings.CutPrefix(strings.TrimSpace(value), "1.")
	mailID, _, found := strings.Cut(rest, ".")
	return versioned && found && hmac.Equal([]byte(Mark(key, mailID)), []byte("1."+rest))
}

// ReplyField reports whether a processor may give its reply a header field of this
// name. The fields that say who writes to whom, when, in which thread and how the
// content is encoded are ours. So are those by which a program, a mail server or SES
// itself decides something: X-SES- fields choose configuration sets and identities
// (SES developer guide, "Sending raw email"), X-Auto-Response-Suppress and ours keep
// mail from going in circles.
func ReplyField(name string) bool {
	name = strings.ToLower(name)
	switch name {
	case "comments", "keywords", "organization", "content-language", "importance", "priority", "sensitivity", "expires", "reply-by":
		return true
	}
	rest, ok := strings.CutPrefix(name, "x-")
	if !ok || rest == "" || len(name) > longestFieldName {
		return false
	}
	for _, reserved := range []string{"ses-", "inreply-", "auto-response-suppress", "ms-", "google-", "gm-", "forwarded-", "spam-", "virus-", "original", "envelope-", "loop"} {
		if strings.HasPrefix(rest, reserved) {
			return false
		}
	}
	return !strings.ContainsFunc(name, func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-'
	})
}

// longestFieldName is more than any name of a field needs, in octets.
const longestFieldName = 70
