// Package email holds the nouns that every other package speaks, and what is
// known about mail itself: how hostile bytes are guarded, parsed and judged.
// There is no AWS in it.
//
// A mail changes its name as it goes on:
//
//	Raw      the bytes as S3 holds them, and where they came from
//	Message  what those bytes say: who, to whom, what, with which attachments
//	Reply    the answer of a processor, addressed and threaded
//	Sent     what SES said when it took the reply
//	Outcome  how the mail ended: answered, silent or processed, and why
//
// [Parse] turns Raw into Message, and nothing else does. Everything the sender
// wrote is tolerated as far as it can be understood; what was wrong with it
// shows in Message.Defects, as data. Only what is no mail at all, or would cost
// more than any honest mail does, is an error, and such an error is permanent:
// the same bytes fail the same way tomorrow.
package email

import (
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"time"
)

// Object names one version of one S3 object. The zero values of VersionID,
// ETag and ContentType mean that S3 did not say.
type Object struct {
	Bucket      string
	Key         string
	VersionID   string // empty in a bucket without versioning
	ETag        string // without quotes
	ContentType string
	Size        int64 // octets
}

// ID identifies a mail: one version of one S3 object, however often it is
// announced. It is a hash, in hex, of what S3 chose and of nothing the sender
// controls, so that nobody can make two mails look like one. Each part is
// preceded by its length: no two objects write the same octets.
func (o Object) ID() string {
	version := o.VersionID
	if version == "" || version == "null" {
		version = "etag:" + o.ETag
	}
	h := sha256.New()
	for _, part := range []string{o.Bucket, o.Key, version} {
		var n [8]byte
		for i := range n {
			n[i] = byte(uint64(len(part)) >> (8 * i))
		}
		h.Write(n[:])
		h.Write([]byte(part))
	}
	return hex.EncodeToString(h.Sum(nil))
}

// Receipt is what SES itself said about the mail in a notification, beside the
// object. An S3 event carries none.
type Receipt struct {
	MailFrom   string   // envelope sender, empty for the null reverse-path
	Recipients []string // envelope recipients that the receipt rule matched
	Verdicts   Verdicts
}

// Raw is one stored mail, unread.
type Raw struct {
	Object    Object
	Bytes     []byte
	Receipt   *Receipt  // nil unless SES announced the mail
	Announced time.Time // when S3 or SES said it was there; zero if unknown
	Try       int       // 1 for the first try
}

// Verdict is one of SES's judgements: PASS, FAIL, GRAY, PROCESSING_FAILED or
// DISABLED, always in upper case. The empty verdict means that SES said
// nothing, which is never a pass.
type Verdict string

// The verdicts that decide something.
const (
	Pass Verdict = "PASS"
	Fail Verdict = "FAIL"
)

// Passed reports whether the verdict is a pass. A missing one is not.
func (v Verdict) Passed() bool { return v == Pass }

// Verdicts are what SES found out about a mail on its way in. They come from
// SES's notification, or from the block of header fields that SES put on top of
// the stored object, and from nowhere else (RFC 8601, section 5: fields that
// claim to be ours but stand lower were written by somebody else).
type Verdicts struct {
	Spam  Verdict
	Virus Verdict
	SPF   Verdict
	DKIM  Verdict
	DMARC Verdict

	SPFDomain   string   // domain that SPF passed for, lower case
	DKIMDomains []string // domains with a passing signature, lower case
}

// Address is a mailbox (RFC 5322, section 3.4).
type Address struct {
	Name    string // display name, decoded; empty if there is none
	Mailbox string // local-part@domain, the domain in lower case
}

// Domain is the part after the last @, in lower case; empty if there is none.
func (a Address) Domain() string {
	at := strings.LastIndexByte(a.Mailbox, '@')
	if at < 0 {
		return ""
	}
	return strings.ToLower(a.Mailbox[at+1:])
}

// Field is one header field as it stood in the mail, its name as written and
// its value unfolded and decoded (RFC 2047).
type Field struct {
	Name  string
	Value string
}

// Defect is one thing that was wrong with a mail and was tolerated. Code is one
// of ours, stable and lower case with dashes; Detail never carries octets that
// the sender wrote.
type Defect struct {
	Code   string
	Detail string
}

// Automation says whether a program wrote the mail, and how that showed.
type Automation struct {
	IsAuto  bool
	Reasons []string // "auto-submitted", "null-return-path", "list-id", ...
}

// Outcome is how a mail ended, or how far it had come beside an error. It fills
// the log line and the dead letter's attributes.
type Outcome struct {
	Kind   Kind
	Reason string // why it was silent; empty when answered
	Route  string // name of the route; empty if none matched
	From   string // the mail's From mailbox, as far as it is known
	Sent   Sent
}

// Kind is one of the three good ends of a mail.
type Kind string

// The ends. A mail that was not meant to be answered is Silent, with a reason;
// an object that a processor took without a reply is Processed.
const (
	Answered  Kind = "answered"
	Silent    Kind = "silent"
	Processed Kind = "processed"
)

// Sent is a reply that SES accepted.
type Sent struct {
	ID       string    // SES's message id; empty if nothing was sent
	To       string    // the one recipient
	At       time.Time // when SES accepted it
	Repeated bool      // an earlier process had sent it; SES was not asked again
	Unknown  bool      // an earlier send's answer never came, so it may go out twice
}

// Reply is the answer to one mail, complete: [Message.Answer] addresses and
// threads it, a processor writes it, the mailer composes and sends it.
type Reply struct {
	Mail string // Object.ID of the mail that it answers

	From       Address // zero: the mailer's configured sender
	To         Address
	Subject    string
	InReplyTo  string   // message id with its angle brackets, empty if the mail had none
	References []string // message ids with their angle brackets, oldest first

	Text        string // plain text, any line ends
	HTML        string // empty: the reply has no HTML
	Attachments []Part
}

// Part is one file that a reply carries.
type Part struct {
	Name        string
	ContentType string
	ContentID   string // without angle brackets; set, the part is inline
	Content     []byte
}
