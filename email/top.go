package email

import (
	"slices"
	"strings"

	"golang.org/x/net/idna"
	"golang.org/x/net/publicsuffix"

	"inreply/email/authres"
	"inreply/email/header"
)

// Top is the beginning of a stored mail: the block of fields that SES put on
// top, and what the sender's own header says of its author.
type Top struct {
	From       Address // zero: none, or not within what was read
	MailFrom   string  // envelope sender, empty if null or unknown
	NullPath   bool    // the envelope sender is known, and null
	Recipients []string
	Verdicts   Verdicts
	BySES      bool // there is such a block; without it nothing is known
	Complete   bool // the whole header was read
}

// ReadTop reads the first octets of a stored mail. More octets can only complete
// the answer, never change what it says of SES's block.
func ReadTop(head []byte) (Top, error) {
	fields, complete := header.Split(head)
	if n := len(fields); !complete && n > 0 {
		fields = fields[:n-1] // its value may go on
	}
	t := Top{Complete: complete}
	block := sesBlock(fields)
	t.readBlock(fields[:block])
	t.From, _ = author(new(header.Values), fields[block:])
	return t, nil
}

// place is where in SES's block a field stands; 0 if SES writes no such field. A
// field that comes out of this order, or twice, is the first one that SES did not
// write: the sender's own copies stand below it and are never looked at.
func place(name string) int {
	switch strings.ToLower(name) {
	case "return-path":
		return 1
	case "received":
		return 2
	case "x-ses-spam-verdict":
		return 3
	case "x-ses-virus-verdict":
		return 4
	case "received-spf":
		return 5
	case "authentication-results":
		return 6
	case "x-ses-receipt":
		return 7
	case "x-ses-dkim-signature":
		return 8
	}
	return 0
}

// sesBlock is how many of the fields SES put on top: none unless its own Received
// is among the first two.
func sesBlock(fields []header.Field) int {
	last, n, bySES := 0, 0, false
	for _, f := range fields {
		at := place(f.Name)
		if at <= last {
			break
		}
		if at == 2 {
			if _, ours := sesReceived(f.Value); !ours {
				break
			}
			bySES = true
		}
		last = at
		n++
		if n >= 2 && !bySES {
			return 0
		}
	}
	if !bySES {
		return 0
	}
	return n
}

func (t *Top) readBlock(block []header.Field) {
	for _, f := range block {
		switch place(f.Name) {
		case 1:
			path := strings.TrimSpace(f.Value)
			t.MailFrom = strings.TrimSuffix(strings.TrimPrefix(path, "<"), ">")
			t.NullPath = t.MailFrom == ""
		case 2:
			t.BySES = true
			if to, _ := sesReceived(f.Value); to != "" {
				t.Recipients = []string{to}
			}
		case 3:
			t.Verdicts.Spam = verdict(f.Value)
		case 4:
			t.Verdicts.Virus = verdict(f.Value)
		case 6:
			t.Verdicts.read(f.Value, t.MailFrom)
		}
	}
}

// verdict is one that SES spells out.
func verdict(value string) Verdict {
	switch v := Verdict(strings.ToUpper(strings.TrimSpace(value))); v {
	case Pass, Fail, Gray, Failed, Disabled:
		return v
	}
	return ""
}

// sesReceived reads a Received field (RFC 5321, section 4.4). Ours reports whether
// SES wrote it; to is the recipient that it names. The name that the other host
// greeted with stands in it as well, so comments and everything before the words
// that SES wrote are passed over.
func sesReceived(value string) (to string, ours bool) {
	value = withoutComments(value)
	if date := strings.LastIndexByte(value, ';'); date >= 0 {
		value = value[:date]
	}
	at := strings.LastIndex(value, " by inbound-smtp.")
	if at < 0 {
		return "", false
	}
	words := strings.Fields(value[at:])
	if len(words) < 2 || !strings.HasSuffix(words[1], ".amazonaws.com") && !strings.HasSuffix(words[1], ".amazonaws.com.cn") {
		return "", false
	}
	for i, w := range words[:len(words)-1] {
		if w == "for" {
			return normal(strings.Trim(words[i+1], "<>")), true
		}
	}
	return "", true
}

// sesServer is the authserv-id under which SES writes.
const sesServer = "amazonses.com"

// read takes SPF, DKIM and DMARC from SES's own field.
func (v *Verdicts) read(value, mailFrom string) {
	results, ok := authres.Parse(value, sesServer)
	if !ok {
		return
	}
	for _, r := range results {
		verdict := resultVerdict(r.Value)
		switch r.Method {
		case "spf":
			v.SPF = worse(v.SPF, verdict)
		case "dkim":
			v.addDKIM(verdict, signer(r))
		case "dmarc":
			v.DMARC = worse(v.DMARC, verdict)
			v.DMARCDomain = strings.ToLower(r.Properties["header.from"])
		}
	}
	if v.SPF == Pass {
		v.SPFDomain = strings.ToLower(afterAt(mailFrom))
	}
	if strange(mailFrom) {
		// SES repeats the envelope sender in the field, and nobody has said how it
		// writes one that has separators of the field in it.
		v.SPF, v.DKIM, v.DMARC = doubted(v.SPF), doubted(v.DKIM), doubted(v.DMARC)
	}
}

func (v *Verdicts) addDKIM(verdict Verdict, domain string) {
	if verdict == Pass {
		v.DKIM = Pass
		v.DKIMDomains = append(v.DKIMDomains, domain)
		return
	}
	if v.DKIM == "" {
		v.DKIM = verdict
	}
}

// signer is the domain of a signature: that of header.i, which is header.d or
// within it (RFC 6376, section 3.5).
func signer(r authres.Result) string {
	for _, name := range []string{"header.i", "header.d"} {
		if identity := r.Properties[name]; identity != "" {
			return strings.ToLower(afterAt(identity))
		}
	}
	return ""
}

// strange reports whether an envelope sender has anything in it that the syntax of
// the field gives a meaning to.
func strange(mailFrom string) bool {
	return strings.ContainsAny(mailFrom, " \t\r\n;()\"\\")
}

// doubted is a verdict that somebody else may have had a hand in.
func doubted(v Verdict) Verdict {
	if v == Pass {
		return Gray
	}
	return v
}

// worse keeps the verdict that passes less: two results of one method where one
// is due are not to be trusted.
func worse(a, b Verdict) Verdict {
	if a == "" || a == Pass {
		return b
	}
	return a
}

// resultVerdict is a result of RFC 8601, section 2.7, as one of SES's verdicts.
func resultVerdict(result string) Verdict {
	switch result {
	case "pass":
		return Pass
	case "fail", "softfail", "hardfail":
		return Fail
	case "temperror", "permerror":
		return Failed
	}
	return Gray
}

func afterAt(s string) string { return s[strings.LastIndexByte(s, '@')+1:] }

// Policy is how sure one must be of who wrote a mail.
type Policy string

// The policies.
const (
	DMARC   Policy = "dmarc"   // DMARC passed
	Aligned Policy = "aligned" // or SPF or DKIM passed for the domain of From
	Any     Policy = "none"    // whoever says so
)

// Authenticated reports whether from is who wrote the mail, as the policy has
// it. Alignment is relaxed: the organizational domains must be the same (RFC
// 7489, section 3.1).
func (v Verdicts) Authenticated(from Address, policy Policy) bool {
	if policy == Any {
		return true
	}
	domain := from.Domain()
	if domain == "" || v.DMARC == Fail {
		// If DMARC failed, neither SPF nor DKIM can be aligned and pass.
		return false
	}
	if v.DMARC.Passed() {
		return v.DMARCDomain == "" || aligned(v.DMARCDomain, domain)
	}
	if policy != Aligned {
		return false
	}
	if v.SPF.Passed() && aligned(v.SPFDomain, domain) {
		return true
	}
	return v.DKIM.Passed() && slices.ContainsFunc(v.DKIMDomains, func(d string) bool { return aligned(d, domain) })
}

func aligned(a, b string) bool {
	a, b = ascii(a), ascii(b)
	return a != "" && (a == b || organization(a) == organization(b) && organization(a) != "")
}

// ascii is a domain as DNS has it (RFC 5890), which is how SES writes it.
func ascii(domain string) string {
	if converted, err := idna.Lookup.ToASCII(domain); err == nil {
		return converted
	}
	return domain
}

// organization is the registered domain; empty for what is only a public suffix.
func organization(domain string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	return d
}

// withoutComments is a field's value without its comments, which nest (RFC 5322,
// section 3.2.2). One that is never closed goes on to the end.
func withoutComments(value string) string {
	var b strings.Builder
	depth := 0
	for i := 0; i < len(value); i++ {
		switch c := value[i]; {
		case c == '\\' && depth > 0:
			i++
		case c == '(':
			depth++
		case c == ')' && depth > 0:
			depth--
		case depth == 0:
			b.WriteByte(c)
		}
	}
	return b.String()
}
