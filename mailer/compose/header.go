package compose

import (
	"errors"
	"fmt"
	"strings"

	"golang.org/x/net/idna"

	"inreply/email"
)

// fold is where a line of the header is folded if it can be (RFC 5322, section
// 2.1.1, asks for 78 octets at most).
const fold = 76

// longestLine is the longest line that SMTP takes, without its CRLF (RFC 5321,
// section 4.5.3.1.6). SES refuses longer ones.
const longestLine = 998

// field writes one header field, folded at its spaces. An empty one is left out.
func (c *composer) field(name, value string) {
	if value == "" {
		return
	}
	if why := breaks(value); why != "" {
		c.fail(name, "%s", why)
		return
	}
	c.out = append(c.out, name...)
	c.out = append(c.out, ':')
	column := len(name) + 1
	first := true
	for word := range strings.SplitSeq(value, " ") {
		if !first && column+1+len(word) > fold {
			c.out = append(c.out, "\r\n"...)
			column = 0
		}
		if column+1+len(word) >= longestLine {
			c.fail(name, "a word of %d octets does not fit on a line", len(word))
			return
		}
		c.out = append(c.out, ' ')
		c.out = append(c.out, word...)
		column += 1 + len(word)
		first = false
	}
	c.out = append(c.out, "\r\n"...)
}

// text writes a field of words, encoded where they must be.
func (c *composer) text(name, value string) {
	if why := breaks(value); why != "" {
		c.fail(name, "%s", why)
		return
	}
	c.field(name, words(value, false))
}

// address writes a field with one mailbox.
func (c *composer) address(name string, a email.Address) {
	mailbox, err := Mailbox(a.Mailbox)
	if err != nil {
		c.fail(name, "%s", err)
		return
	}
	if why := breaks(a.Name); why != "" {
		c.fail(name, "in the display name %s", why)
		return
	}
	display := strings.TrimSpace(a.Name)
	switch {
	case display == "":
		c.field(name, mailbox)
	case len(display) <= fold && isASCII(display) && !strings.Contains(display, "  ") && !strings.Contains(display, "=?"):
		c.field(name, phrase(display)+" <"+mailbox+">")
	default:
		c.field(name, words(display, true)+" <"+mailbox+">")
	}
}

// phrase is a name in quotes if it needs them (RFC 5322, section 3.2.5).
func phrase(name string) string {
	special := func(r rune) bool {
		letter := r >= 'a' && r <= 'z' || r >= 'A' && r <= 'Z' || r >= '0' && r <= '9'
		return !letter && !strings.ContainsRune(" !#$%&'*+-/=?^_`{|}~", r)
	}
	if !strings.ContainsFunc(name, special) {
		return name
	}
	return quoted(name)
}

func quoted(s string) string {
	return `"` + strings.NewReplacer(`\`, `\\`, `"`, `\"`).Replace(s) + `"`
}

// ids writes a field of message ids.
func (c *composer) ids(name string, ids ...string) {
	var given []string
	for _, id := range ids {
		if id == "" {
			continue
		}
		if !isID(id) {
			c.fail(name, "%q is no message id", id)
			return
		}
		given = append(given, id)
	}
	c.field(name, strings.Join(given, " "))
}

// longestMailbox is the longest mailbox that SES takes, in octets: 64 before the
// @, 255 behind it (RFC 5321, section 4.5.3.1).
const longestMailbox = 320

// What is wrong with a mailbox.
var (
	errNoMailbox = errors.New("there is no mailbox")
	errNotASCII  = errors.New("the part before the @ is not ASCII, and SES cannot send to such a mailbox (it has no SMTPUTF8)")
)

// Mailbox is a mailbox as SES takes it: the domain in ASCII (punycode), and no
// local part outside of it. The error says what is wrong, and quotes nothing that
// could break a line.
func Mailbox(mailbox string) (string, error) {
	if mailbox == "" {
		return "", errNoMailbox
	}
	if len(mailbox) > longestMailbox {
		return "", fmt.Errorf("the mailbox has %d octets, and %d are allowed", len(mailbox), longestMailbox)
	}
	if why := breaks(mailbox); why != "" {
		return "", fmt.Errorf("in the mailbox %s", why)
	}
	at := strings.LastIndexByte(mailbox, '@')
	if at <= 0 || at == len(mailbox)-1 {
		return "", fmt.Errorf("%q is no mailbox such as someone@example.com", mailbox)
	}
	local, domain := mailbox[:at], mailbox[at+1:]
	if strings.ContainsFunc(local, func(r rune) bool { return r > '~' }) {
		return "", errNotASCII
	}
	if !isLocalPart(local) {
		return "", fmt.Errorf("%q is no mailbox: what stands before the @ is not allowed there", mailbox)
	}
	ascii, err := punycode(domain)
	if err != nil {
		return "", fmt.Errorf("%q is no mailbox: %w", mailbox, err)
	}
	if len(local) > 64 || len(local)+1+len(ascii) > longestMailbox {
		return "", fmt.Errorf("the mailbox has %d octets before its @ and %d behind it, and 64 and 255 are allowed", len(local), len(ascii))
	}
	return local + "@" + ascii, nil
}

// isLocalPart reports whether a text is a dot-atom or a quoted string (RFC 5321,
// section 4.1.2). Mailboxes with dots at odd places exist, and SES sends to them.
func isLocalPart(s string) bool {
	if len(s) > 2 && s[0] == '"' && s[len(s)-1] == '"' {
		inner := s[1 : len(s)-1]
		return isASCII(inner) && !strings.ContainsAny(inner, `"\`)
	}
	return isASCII(s) && !strings.ContainsAny(s, " \"(),:;<>@[\\]")
}

// punycode is a domain in ASCII (RFC 5890). Underscores are against the rules and
// in use, so they pass.
func punycode(domain string) (string, error) {
	ascii, err := idna.Lookup.ToASCII(strings.ReplaceAll(domain, "_", "-"))
	if err != nil {
		return "", fmt.Errorf("look at the domain: %w", err)
	}
	if isASCII(domain) {
		return strings.ToLower(domain), nil
	}
	return ascii, nil
}
