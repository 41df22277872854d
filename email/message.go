package email

import (
	"io"
	"time"
)

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
}

// Open reads the decoded file from its beginning. It may be called any number
// of times; the caller closes what it returns.
func (a Attachment) Open() io.ReadCloser { return a.open() }
