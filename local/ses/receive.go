package ses

import (
	"bytes"
	"cmp"
	"encoding/base32"
	"encoding/base64"
	"fmt"
	"net/mail"
	"strings"
	"time"
)

// Envelope is what a mail server says about a mail before it hands it over.
type Envelope struct {
	// From is the reverse-path; empty for a bounce.
	From string
	// Recipients are those that a receipt rule matched, at least one.
	Recipients []string
	// Helo is how the sending server calls itself, RemoteIP its address; "localhost" and
	// "127.0.0.1" when empty.
	Helo, RemoteIP string
}

// Verdict is the outcome of one of SES's checks; empty means [Pass].
type Verdict string

// The outcomes of SES's checks. Gray is neither way: no policy, or no signature.
const (
	Pass             Verdict = "PASS"
	Fail             Verdict = "FAIL"
	Gray             Verdict = "GRAY"
	ProcessingFailed Verdict = "PROCESSING_FAILED"
)

// Verdicts are the outcomes of SES's checks of one mail. The zero value passes them all.
type Verdicts struct{ Spam, Virus, SPF, DKIM, DMARC Verdict }

// Received is a mail as a receipt rule's S3 action stores it.
type Received struct {
	// ID is SES's id of the mail; the object's key is the action's prefix and the ID.
	ID string
	// Raw is the object: SES's headers, then the mail.
	Raw []byte
}

// Receive does what SES does with a mail before it stores it: it puts its own headers on top of
// the sender's, in the order in which they are seen on AWS. The mail's lines get CRLF, as on its
// way over SMTP. From the mail's own From comes the domain for which DKIM and DMARC are said to
// have passed; nothing is really checked.
func (s *Server) Receive(e Envelope, raw []byte, v Verdicts) Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	id := strings.ToLower(base32.HexEncoding.EncodeToString(s.random(25)))
	e = e.clean()
	now := time.Now().UTC()
	var stored bytes.Buffer
	fmt.Fprintf(&stored, "Return-Path: <%s>\r\n", e.From)
	fmt.Fprintf(&stored, "Received: from %s (%s [%s])\r\n by inbound-smtp.%s.amazonaws.com with SMTP id %s\r\n for %s;\r\n %s\r\n",
		e.Helo, e.Helo, e.RemoteIP, s.region, id, e.Recipients[0], now.Format("Mon, 02 Jan 2006 15:04:05 +0000 (MST)"))
	fmt.Fprintf(&stored, "X-SES-Spam-Verdict: %s\r\n", cmp.Or(v.Spam, Pass))
	fmt.Fprintf(&stored, "X-SES-Virus-Verdict: %s\r\n", cmp.Or(v.Virus, Pass))
	spf := e.spf(v.SPF)
	fmt.Fprintf(&stored, "Received-SPF: %s\r\n", spf)
	domain := fromDomain(raw, e)
	fmt.Fprintf(&stored, "Authentication-Results: amazonses.com;\r\n spf=%s\r\n dkim=%s header.i=@%s;\r\n dmarc=%s header.from=%s;\r\n",
		spf, result(v.DKIM), domain, result(v.DMARC), domain)
	fmt.Fprintf(&stored, "X-SES-RECEIPT: %s\r\n", base64.StdEncoding.EncodeToString(append([]byte("\x00AAAAAAAA"), s.random(180)...)))
	fmt.Fprintf(&stored, "X-SES-DKIM-SIGNATURE: a=rsa-sha256; q=dns/txt; b=%s; c=relaxed/simple; s=%s; d=amazonses.com; t=%d; v=1; bh=%s; "+
		"h=From:To:Cc:Bcc:Subject:Date:Message-ID:MIME-Version:Content-Type:X-SES-RECEIPT;\r\n",
		base64.StdEncoding.EncodeToString(s.random(128)), id[:32], now.Unix(), base64.StdEncoding.EncodeToString(s.random(32)))
	stored.Write(crlf(raw))
	return Received{ID: id, Raw: stored.Bytes()}
}

// SetupNotification is the object that SES writes to a bucket once, when a rule with an S3
// action is made: a mail that is none, beneath the action's prefix. It is to be passed over.
func SetupNotification() (key string, raw []byte) {
	key = "AMAZON_SES_SETUP_NOTIFICATION"
	raw = []byte("MIME-Version: 1.0\r\nMessage-ID: " + key + "\r\nFrom: Amazon Web Services <no-reply-aws@amazon.com>\r\nTo: recipient@example.com\r\n" +
		"Subject: Amazon SES Setup Notification\r\nContent-Type: text/plain; charset=UTF-8\r\n\r\n" +
		"You are receiving this message because a receipt rule now delivers mail to this bucket.\r\n")
	return key, raw
}

// clean fills in what was left empty. A line break would let a sender write SES's headers.
func (e Envelope) clean() Envelope {
	strip := strings.NewReplacer("\r", "", "\n", "").Replace
	recipient := "unknown@localhost"
	if len(e.Recipients) > 0 {
		recipient = strip(e.Recipients[0])
	}
	return Envelope{
		From:       strip(e.From),
		Recipients: []string{recipient},
		Helo:       cmp.Or(strip(e.Helo), "localhost"),
		RemoteIP:   cmp.Or(strip(e.RemoteIP), "127.0.0.1"),
	}
}

// spf is the outcome of SPF with the comment that SES writes. It is about the reverse-path, or
// the server's name where that is empty (RFC 7208 section 2.4).
func (e Envelope) spf(v Verdict) string {
	_, domain, found := strings.Cut(e.From, "@")
	if !found {
		domain = e.Helo
	}
	comment := map[string]string{
		"pass": "domain of " + domain + " designates " + e.RemoteIP + " as permitted sender",
		"fail": "domain of " + domain + " does not designate " + e.RemoteIP + " as permitted sender",
		"none": e.RemoteIP + " is neither permitted nor denied by domain of " + domain,
	}[result(v)]
	if comment == "" {
		comment = "error in processing during lookup of " + domain
	}
	return fmt.Sprintf("%s (spfCheck: %s) client-ip=%s; envelope-from=%s; helo=%s;", result(v), comment, e.RemoteIP, e.From, e.Helo)
}

// result is a verdict in the words of RFC 8601 section 2.7.
func result(v Verdict) string {
	switch v {
	case Fail:
		return "fail"
	case Gray:
		return "none"
	case ProcessingFailed:
		return "temperror"
	default:
		return "pass"
	}
}

// fromDomain is the domain of the mail's From, or of its envelope where that has none.
func fromDomain(raw []byte, e Envelope) string {
	address := e.From
	if message, err := mail.ReadMessage(bytes.NewReader(raw)); err == nil {
		// A From that is no list of addresses has no domain.
		if list, _ := message.Header.AddressList("From"); len(list) > 0 {
			address = list[0].Address
		}
	}
	_, domain, found := strings.Cut(address, "@")
	if !found {
		return e.Helo
	}
	return strings.ToLower(domain)
}
