package email

import (
	"bytes"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"
)

// Every mail below the folder that INREPLY_CORPUS names is parsed: none panics,
// each keeps what FuzzParse asks for, and no more of them cannot be read than
// enmime alone cannot read. If the folder holds the collections that the classifier
// of automatic mail was judged by, it is judged by them again.
func TestCorpus(t *testing.T) {
	root := os.Getenv("INREPLY_CORPUS")
	if root == "" {
		t.Skip("INREPLY_CORPUS names no folder")
	}
	p := newParser(t)
	mails, refused, refusedByEnmime := 0, 0, 0
	err := filepath.WalkDir(root, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || !isMail(path) {
			return err
		}
		raw, err := os.ReadFile(path)
		if err != nil {
			return err
		}
		mails++
		name, err := filepath.Rel(root, path)
		if err != nil {
			return err
		}
		if !raceDetector && refusedAlone(raw) {
			refusedByEnmime++
		}
		m := checkMail(t, p, raw)
		if m == nil {
			refused++
			return nil
		}
		judge(t, filepath.ToSlash(name), m)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%d mails; %d cannot be read, and %d by enmime alone", mails, refused, refusedByEnmime)
	if refused > refusedByEnmime && !raceDetector {
		t.Errorf("%d mails cannot be read, and only %d by enmime alone", refused, refusedByEnmime)
	}
}

// refusedAlone reports whether enmime alone cannot read a mail.
func refusedAlone(raw []byte) bool {
	_, err := enmime.ReadEnvelope(bytes.NewReader(raw))
	return err != nil
}

func isMail(path string) bool {
	switch filepath.Ext(path) {
	case ".json", ".md", ".txt":
		return false
	}
	return filepath.Base(path) != "COPYING"
}

// judge compares what the classifier says of a mail with what the mail is.
func judge(t *testing.T, name string, m *Message) {
	t.Helper()
	collection, rest, _ := strings.Cut(name, "/")
	switch collection {
	case "sisimai":
		if !m.Automation.IsAuto && !slices.Contains(byPeople(), filepath.Base(rest)) {
			t.Errorf("%s: not automatic: %s, %q", name, m.From.Mailbox, m.Subject)
		}
	case "mikel", "stalwart":
		reason, listed := automaticAmongOrdinary()[filepath.Base(filepath.Dir(rest))+"/"+filepath.Base(rest)]
		if m.Automation.IsAuto != listed {
			t.Errorf("%s: automatic %v for %v", name, m.Automation.IsAuto, m.Automation.Reasons)
		}
		if listed && !slices.Contains(m.Automation.Reasons, reason) {
			t.Errorf("%s: not %q, but %v", name, reason, m.Automation.Reasons)
		}
	}
}

// byPeople are the mails of sisimai's collection that people wrote, as their names
// or their texts say.
func byPeople() []string {
	return []string{
		"is-not-bounce-01.eml",  // a note, with which sisimai shows what is none of its mails
		"is-not-bounce-02.eml",  // a mail with another one attached, for the same purpose
		"lhost-sendmail-14.eml", // "Fwd: Returned mail": somebody forwards a report by hand
		"make-test-36.eml",      // the same, by another mail program
	}
}

// automaticAmongOrdinary are the mails of mikel and stalwart that are automatic,
// each with one of its reasons.
func automaticAmongOrdinary() map[string]string {
	return map[string]string{
		// Reports.
		"mime_emails/raw_email_with_mimepart_without_content_type.eml": "null-return-path",
		"multipart_report_emails/multi_address_bounce1.eml":            "report",
		"multipart_report_emails/multi_address_bounce2.eml":            "report",
		"multipart_report_emails/multipart_report_multiple_status.eml": "report",
		"multipart_report_emails/report_422.eml":                       "report",
		"multipart_report_emails/report_530.eml":                       "report",
		// Lists and mass mail, as their fields say.
		"error_emails/bad_date_header.eml":   "precedence",
		"error_emails/empty_in_reply_to.eml": "list-id",
		"thirdparty/014.eml":                 "list-id",
		// From a mailbox that nobody reads, or by way of one.
		"error_emails/content_transfer_encoding_x_uuencode.eml": "robot-address",
		"error_emails/encoding_madness.eml":                     "robot-address",
		"plain_emails/raw_email_trailing_dot.eml":               "robot-address",
	}
}
