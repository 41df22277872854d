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
// [Parser.Parse] turns Raw into Message, and nothing else does:
//
//	guard      one pass over the raw octets finds the parts, and what is too much
//	header     fields, mailboxes, message ids; SES's own block on top of them first
//	leaf       enmime reads what each part says of itself, and gets no more to see
//	content    texts are decoded (transfer, charset, htmltext); files stay encoded
//	           where they are until somebody opens them
//	quoted     what the sender wrote, between quotes and signature
//	automatic  whether a program wrote it, and how that shows
//
// Everything the sender wrote is tolerated as far as it can be understood; what
// was wrong with it shows in Message.Defects, as data. Only what is no mail at
// all, or would cost more than any honest mail does, is an error, and such an
// error is permanent: the same bytes fail the same way tomorrow.
//
// Whom to believe is another matter. [ReadTop] and Parse take the verdicts on SPF,
// DKIM and DMARC from what SES itself wrote, and [Verdicts.Authenticated] says
// whether they are about the author. [Message.Answer] addresses and threads a
// reply, and [Mark] makes the mark by which our own replies are known again.
package email

import (
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"io"
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
	Size        int64 // octets; -1 if not known

	// Again is the rerun that an operator has it answered by once more; empty: none.
	Again string
}

// ID identifies a mail: one version of one S3 object, however often it is
// announced. It is a hash, in hex, of what S3 chose and of nothing the sender
// controls, so that nobody can make two mails look like one. Each part is
// preceded by its length: no two objects write the same octets.
//
// A mail that is to be answered once more is another one to all that is kept from
// happening twice, and by that is done once more and no oftener, however often the
// rerun announces it.
func (o Object) ID() string {
	version := o.VersionID
	if version == "" || version == "null" {
		version = "etag:" + o.ETag
	}
	h := sha256.New()
	parts := []string{o.Bucket, o.Key, version}
	if o.Again != "" {
		parts = append(parts, o.Again)
	}
	for _, part := range parts {
		var n [8]byte
		binary.LittleEndian.PutUint64(n[:], uint64(len(part)))
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
	Notice    string    // id of the message that announced it; a redriven mail has another
	Try       int       // 1 for the first try
	Uncapped  bool      // an operator has it answered whatever its sender got already
}

// Verdict is one of SES's judgements: PASS, FAIL, GRAY, PROCESSING_FAILED or
// DISABLED, always in upper case. The empty verdict means that SES said
// nothing, which is never a pass.
type Verdict string

// The verdicts. Nothing but a pass is one.
const (
	Pass     Verdict = "PASS"
	Fail     Verdict = "FAIL"
	Gray     Verdict = "GRAY"              // it could not be decided
	Failed   Verdict = "PROCESSING_FAILED" // SES could not find out
	Disabled Verdict = "DISABLED"          // SES was told not to look
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
	DMARCDomain string   // domain of From that DMARC was about, lower case
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
	Reasons []string // "auto-submitted", "null-return-path", "list-id", ..., in a fixed order
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
	Mail   string // Object.ID of the mail that it answers
	Notice string // as in Raw

	From       Address // zero: the mailer's configured sender
	To         Address
	Subject    string
	InReplyTo  string   // message id with its angle brackets, empty if the mail had none
	References []string // message ids with their angle brackets, oldest first

	Text        string // plain text, any line ends
	HTML        string // empty: the reply has no HTML
	Attachments []Part
	Headers     []Field // more fields of the header, of those that [ReplyField] allows

	Template string // name of a template that writes what is left empty; empty: none
	Data     any    // for the template
}

// Part is one file that a reply carries.
type Part struct {
	Name        string
	ContentType string
	ContentID   string // without angle brackets; set, the part is inline
	Content     []byte
}

// Message is a mail that was read. Text in it is valid UTF-8, whatever the mail
// said of itself.
type Message struct {
	ID     string // Object.ID of the mail
	Object Object

	Header []Field // every field that the sender's side wrote, in order

	From       Address // the first mailbox of From; zero if there is none
	Sender     Address // zero if the field is missing
	ReplyTo    []Address
	To         []Address
	Cc         []Address
	Subject    string
	Date       time.Time // zero if missing or unreadable
	MessageID  string    // with its angle brackets; empty if missing or invalid
	InReplyTo  []string
	References []string

	ReturnPath string   // envelope sender; empty for the null reverse-path or unknown
	NullPath   bool     // the envelope sender was known, and was null
	Recipients []string // envelope recipients as far as they are known, lower-case domains

	Text      string // the whole text, from text/plain or else made from HTML
	HTML      string // the whole HTML, as written; empty if there is none
	ReplyText string // Text without quotes and signature, never instead of Text

	Attachments []Attachment
	Verdicts    Verdicts
	Automation  Automation
	Defects     []Defect

	Announced time.Time // as in Raw
	Notice    string    // as in Raw
	Try       int       // as in Raw
	Uncapped  bool      // as in Raw

	Route  Route  // the route that it took; zero before it has one
	Permit Permit // whether it may be answered; zero before that is known

	raw []byte // as S3 holds it; nil unless a Parser read it
}

// SHA256 is the hash of the mail's octets as S3 holds them, in hex; empty for a
// message that was not parsed. It is computed when it is asked for.
func (m *Message) SHA256() string {
	if m.raw == nil {
		return ""
	}
	sum := sha256.Sum256(m.raw)
	return hex.EncodeToString(sum[:])
}

// Route is the route that a mail or an object took, as its processor sees it.
type Route struct {
	Name     string
	Tag      string            // behind the plus of the recipient (RFC 5233); empty if there is none
	Captures map[string]string // what the named groups of the route's subject matched; nil if it has none
}

// Permit says whether a mail may be answered. A processor that runs without one
// (the route processes what it may not answer) is heard, and nothing is sent.
type Permit struct {
	Allowed bool
	Reason  string  // why not; empty if it may
	To      Address // who would get the reply
	Largest int64   // octets of the whole reply, encoded, at most
}

// Attachment is one file in a mail, decoded when somebody reads it.
type Attachment struct {
	Name         string // safe to write to disk: no path, no control characters; never empty
	RawName      string // as the mail had it, decoded; empty if it had none
	ContentType  string // as declared, lower case, without parameters
	DetectedType string // as its first octets say; empty if they say nothing
	Disposition  string // "attachment" or "inline"
	ContentID    string // without angle brackets
	Size         int64  // octets, decoded

	open func() io.ReadCloser
	sum  func() string
}

// Open reads the decoded file from its beginning. It may be called any number
// of times; the caller closes what it returns.
//
// It is decoded as it is read, straight from the raw octets of the mail, and
// nothing of it is kept.
func (a Attachment) Open() io.ReadCloser { return a.open() }

// SHA256 is the hash of the decoded file, in hex. It is known once somebody has
// read the file to its end; before that, it is read for it.
func (a Attachment) SHA256() string { return a.sum() }
