package email

import (
	"slices"
	"strings"
	"testing"

	"github.com/jhillyerd/enmime/v2"
)

// What enmime alone gets wrong, each in its mail, and says nothing of or refuses;
// and what becomes of it here: it is put right, or shows as a defect.
func TestWhatEnmimeGetsWrong(t *testing.T) {
	p := newParser(t)
	for _, c := range []struct {
		mail   string
		text   string   // all of it
		defect string   // empty: it is put right
		files  []string // names
		wrong  func(*enmime.Envelope) bool
	}{
		{
			"boundary-within-line", "The first line.\nThe delimiter is --b and it stands here.\nThe last line.", "",
			[]string{"sales.csv"},
			func(e *enmime.Envelope) bool { return !strings.Contains(e.Text, "The last line.") },
		},
		{
			"boundary-of-5000-octets", "Text.", "long-boundary",
			[]string{"sales.csv"},
			func(e *enmime.Envelope) bool { return e.Text == "" && len(e.Attachments) == 0 },
		},
		{
			"encoding-with-semicolon", "Grüße.", "malformed-encoding", nil,
			func(e *enmime.Envelope) bool { return !strings.Contains(e.Text, "Grüße") },
		},
		{
			"encoding-with-comment", "Grüße.", "malformed-encoding", nil,
			func(e *enmime.Envelope) bool { return !strings.Contains(e.Text, "Grüße") },
		},
		{"boundary-missing", "Text.", "no-boundary", []string{"sales.csv"}, nil},
		{"boundary-missing-and-none-there", "Text.", "no-boundary", nil, nil},
		{"header-missing", "Hello,\n\nthis mail has no header.", "no-header", nil, nil},
		{
			"base64-corrupt", "Text.", "corrupt-base64",
			[]string{"sales.csv"},
			func(e *enmime.Envelope) bool {
				return !slices.ContainsFunc(e.Errors, func(x *enmime.Error) bool { return strings.Contains(strings.ToLower(x.Error()), "base64") })
			},
		},
		{
			"mail-within-mail", "See the mail.", "",
			[]string{"Café - plan.eml"},
			func(e *enmime.Envelope) bool { return len(e.Attachments) == 0 },
		},
		{
			"inline-file", "Text.", "",
			[]string{"offer.pdf", "notes.txt"},
			func(e *enmime.Envelope) bool { return len(e.Attachments) == 0 },
		},
		{
			"several-texts", "One.\n\nTwo.\n\nThree.", "",
			[]string{"sales.csv"},
			func(e *enmime.Envelope) bool { return strings.Contains(e.Text, "\n--\n") },
		},
	} {
		t.Run(c.mail, func(t *testing.T) {
			raw := sample(t, c.mail)
			alone, err := enmime.ReadEnvelope(strings.NewReader(raw))
			if refused := c.wrong == nil; refused != (err != nil) || !refused && !c.wrong(alone) {
				t.Errorf("enmime gets it right: %v", err)
			}
			m := parse(t, p, raw)
			if text := strings.TrimSpace(m.Text); text != c.text {
				t.Errorf("%q", text)
			}
			defects := map[string]bool{"": true}
			for _, d := range m.Defects {
				defects[d.Code] = true
			}
			if !defects[c.defect] {
				t.Errorf("no defect %s in %v", c.defect, m.Defects)
			}
			var files []string
			for _, a := range m.Attachments {
				files = append(files, a.Name)
			}
			if got, want := strings.Join(files, "; "), strings.Join(c.files, "; "); got != want {
				t.Errorf("files %s", got)
			}
		})
	}
}
