package email

import "strings"

// longestReferences is how many message ids a reply refers to at most: the
// first, which names the thread, and the last ones.
const longestReferences = 20

// Answer returns a reply to the mail, addressed to its author and threaded as
// RFC 5322, section 3.6.4 has it. Its text is for the caller to write.
func (m *Message) Answer() *Reply {
	return &Reply{
		Mail: m.ID, To: m.From, Subject: answerSubject(m.Subject),
		InReplyTo: m.MessageID, References: m.answerReferences(),
	}
}

// answerSubject puts one Re: before the subject, in place of any that are there,
// in the languages that mail programs write it in.
func answerSubject(subject string) string {
	subject = strings.TrimSpace(subject)
	for {
		before, after, ok := strings.Cut(subject, ":")
		if !ok || !isRe(before) {
			break
		}
		subject = strings.TrimSpace(after)
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
		references = append(references[:len(references):len(references)], m.MessageID)
	}
	if len(references) <= longestReferences {
		return references
	}
	kept := []string{references[0]}
	return append(kept, references[len(references)-longestReferences+1:]...)
}
