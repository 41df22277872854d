package email

import (
	"bytes"
	"net/mail"
	"slices"
	"strings"

	"golang.org/x/net/publicsuffix"
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

// blockOrder is the order in which SES writes its fields on top. A field that
// comes out of this order, or twice, is the first one that SES did not write:
// the sender's own copies stand below it and are never looked at.
func blockOrder() []string {
	return []string{
		"return-path", "received", "x-ses-spam-verdict", "x-ses-virus-verdict",
		"received-spf", "authentication-results", "x-ses-receipt", "x-ses-dkim-signature",
	}
}

// ReadTop reads the first octets of a stored mail. More octets can only complete
// the answer, never change what it says of SES's block.
func ReadTop(head []byte) (Top, error) {
	fields, complete := headerFields(head)
	t := Top{Complete: complete}
	block := sesBlock(fields)
	t.readBlock(fields[:block])
	for _, f := range fields[block:] {
		if strings.EqualFold(f.Name, "From") {
			t.From = firstAddress(f.Value)
			break
		}
	}
	return t, nil
}

// sesBlock is how many of the fields SES put on top: none unless its own
// Received is among the first two.
func sesBlock(fields []Field) int {
	order := blockOrder()
	next, n := 0, 0
	bySES := false
	for _, f := range fields {
		at := slices.Index(order[next:], strings.ToLower(f.Name))
		if at < 0 {
			break
		}
		name := order[next+at]
		if name == "received" && !strings.Contains(f.Value, " by inbound-smtp.") {
			break
		}
		bySES = bySES || name == "received"
		next += at + 1
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

func (t *Top) readBlock(block []Field) {
	for _, f := range block {
		switch strings.ToLower(f.Name) {
		case "return-path":
			t.MailFrom = strings.Trim(strings.TrimSpace(f.Value), "<>")
			t.NullPath = t.MailFrom == ""
		case "received":
			t.BySES = true
			if to := forClause(f.Value); to != "" {
				t.Recipients = []string{to}
			}
		case "x-ses-spam-verdict":
			t.Verdicts.Spam = Verdict(strings.ToUpper(strings.TrimSpace(f.Value)))
		case "x-ses-virus-verdict":
			t.Verdicts.Virus = Verdict(strings.ToUpper(strings.TrimSpace(f.Value)))
		case "authentication-results":
			t.Verdicts.read(f.Value, t.MailFrom)
		}
	}
}

// read takes SPF, DKIM and DMARC from SES's own field.
func (v *Verdicts) read(value, mailFrom string) {
	results, ok := authenticationResults(value)
	if !ok {
		return
	}
	for _, r := range results {
		verdict := verdictOf(r.result)
		switch r.method {
		case "spf":
			v.SPF = worse(v.SPF, verdict)
		case "dkim":
			if verdict == Pass {
				v.DKIM = Pass
				v.DKIMDomains = append(v.DKIMDomains, strings.ToLower(domainOf(r.properties["header.i"], r.properties["header.d"])))
			} else if v.DKIM == "" {
				v.DKIM = verdict
			}
		case "dmarc":
			v.DMARC = worse(v.DMARC, verdict)
		}
	}
	if v.SPF == Pass {
		v.SPFDomain = strings.ToLower(domainOf(mailFrom))
	}
}

// worse keeps the verdict that passes less: two results of one method where one
// is due are not to be trusted.
func worse(a, b Verdict) Verdict {
	if a == "" || a == Pass {
		return b
	}
	return a
}

// verdictOf is a result of RFC 8601, section 2.7, as one of SES's verdicts.
func verdictOf(result string) Verdict {
	switch result {
	case "pass":
		return Pass
	case "fail", "softfail", "hardfail":
		return Fail
	case "temperror", "permerror":
		return "PROCESSING_FAILED"
	}
	return "GRAY"
}

// domainOf is what follows the last @ of the first text that is not empty.
func domainOf(texts ...string) string {
	for _, s := range texts {
		if s != "" {
			return s[strings.LastIndexByte(s, '@')+1:]
		}
	}
	return ""
}

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
	if from.Domain() == "" {
		return false
	}
	if v.DMARC.Passed() {
		return true
	}
	if policy != Aligned {
		return false
	}
	if v.SPF.Passed() && aligned(v.SPFDomain, from.Domain()) {
		return true
	}
	return v.DKIM.Passed() && slices.ContainsFunc(v.DKIMDomains, func(d string) bool { return aligned(d, from.Domain()) })
}

func aligned(a, b string) bool {
	return a != "" && (a == b || organization(a) == organization(b) && organization(a) != "")
}

// organization is the registered domain; empty for what is only a public suffix.
func organization(domain string) string {
	d, err := publicsuffix.EffectiveTLDPlusOne(domain)
	if err != nil {
		return ""
	}
	return d
}

// forClause is the recipient in a Received field (RFC 5321, section 4.4).
func forClause(received string) string {
	_, rest, ok := strings.Cut(received, " for ")
	if !ok {
		return ""
	}
	to, _, _ := strings.Cut(rest, ";")
	return normal(strings.Trim(strings.TrimSpace(to), "<>"))
}

// normal is a mailbox with its domain in lower case.
func normal(mailbox string) string {
	at := strings.LastIndexByte(mailbox, '@')
	if at < 0 {
		return mailbox
	}
	return mailbox[:at] + strings.ToLower(mailbox[at:])
}

// firstAddress is the first mailbox of a From, as far as it can be read.
func firstAddress(value string) Address {
	all := addresses(value)
	if len(all) == 0 {
		return Address{}
	}
	return all[0]
}

// addresses reads a list of mailboxes. What net/mail refuses is searched for
// the first thing in angle brackets.
func addresses(value string) []Address {
	parser := mail.AddressParser{WordDecoder: wordDecoder()}
	list, err := parser.ParseList(value)
	if err == nil {
		all := make([]Address, len(list))
		for i, a := range list {
			all[i] = Address{Name: valid(a.Name), Mailbox: normal(a.Address)}
		}
		return all
	}
	open := strings.LastIndexByte(value, '<')
	end := strings.LastIndexByte(value, '>')
	if open < 0 || end < open {
		return nil
	}
	a, err := mail.ParseAddress(value[open : end+1])
	if err != nil {
		return nil
	}
	return []Address{{Name: valid(decodeWords(strings.Trim(value[:open], ` "`))), Mailbox: normal(a.Address)}}
}

// headerFields splits a header into its fields, unfolded. It reports whether it
// saw the header's end.
func headerFields(text []byte) (fields []Field, complete bool) {
	for len(text) > 0 {
		line, rest := cutLine(text)
		if len(line) == 0 {
			return fields, true
		}
		if (line[0] == ' ' || line[0] == '\t') && len(fields) > 0 {
			last := &fields[len(fields)-1]
			last.Value += " " + strings.TrimSpace(string(line))
			text = rest
			continue
		}
		name, value, ok := bytes.Cut(line, []byte(":"))
		if !ok || len(name) == 0 || bytes.ContainsAny(bytes.TrimRight(name, " \t"), " \t") {
			return fields, false
		}
		fields = append(fields, Field{Name: string(bytes.TrimRight(name, " \t")), Value: strings.TrimSpace(string(value))})
		text = rest
	}
	return fields, false
}

// cutLine takes the first line off: it ends in CRLF, LF or a lone CR.
func cutLine(text []byte) (line, rest []byte) {
	at := bytes.IndexAny(text, "\r\n")
	if at < 0 {
		return text, nil
	}
	if text[at] == '\r' && at+1 < len(text) && text[at+1] == '\n' {
		return text[:at], text[at+2:]
	}
	return text[:at], text[at+1:]
}
