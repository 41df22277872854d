package processing_test

import (
	"os"
	"strings"
	"testing"

	"inreply/email"
	"inreply/processing"
)

// The shipped samples end as the README says, with the settings as they are by
// default.
func TestSamples(t *testing.T) {
	for _, c := range []struct{ file, from, end string }{
		{"sales-2026q3.eml", "ana.mendes@example.com", "answered by digest to ana.mendes@example.com\nSubject: Re: Sales figures, third quarter 2026\n"},
		{"orders.eml", "ingrid.solberg@example.net", "answered by digest to ingrid.solberg@example.net\nSubject: Re: Orders of the first half\n"},
		{"mixed.eml", "juergen.weber@example.org", "answered by digest to juergen.weber@example.org\nSubject: Re: Zahlen\n"},
		{"question.eml", "juergen.weber@example.org", "answered by digest to juergen.weber@example.org\nSubject: Re: Was kann ich Ihnen schicken?\n"},
		{"out-of-office.eml", "sam.okafor@example.com", "silent by digest: automatic: a program wrote it ("},
		{"bounce.eml", "", "silent by digest: bounce: a mail server wrote it ("},
		{"broken.eml", "pat.lee@example.com", "answered by digest to pat.lee@example.com\nSubject: Re: figures"},
	} {
		t.Run(c.file, func(t *testing.T) {
			raw, err := os.ReadFile("../samples/" + c.file)
			if err != nil {
				t.Fatal(err)
			}
			if n := strings.Count(string(raw), "\n"); n != strings.Count(string(raw), "\r\n") || n == 0 {
				t.Error("not every line ends in CRLF")
			}
			p := newPost()
			handle, _ := newProcessing(t, processing.Defaults(), p)
			got := handleCase(t, handle, p, email.Raw{
				Object: email.Object{Bucket: "mail", Key: c.file, ETag: "e", Size: int64(len(raw))}, Bytes: raw,
				Receipt: &email.Receipt{
					MailFrom: c.from, Recipients: []string{"data@inreply.example"},
					Verdicts: email.Verdicts{Spam: email.Pass, Virus: email.Pass, SPF: email.Pass, DKIM: email.Pass, DMARC: email.Pass},
				},
			})
			if !strings.HasPrefix(got, c.end) {
				t.Errorf("it ended\n%s\nwant\n%s", got, c.end)
			}
			if c.file == "sales-2026q3.eml" {
				t.Log(got)
			}
		})
	}
}
