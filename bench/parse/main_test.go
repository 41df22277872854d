package main

import "testing"

// A comparison is worth something only if all do the same work.
func TestAllReadTheSame(t *testing.T) {
	contestants, err := parsers()
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range samples() {
		for _, p := range contestants {
			got, err := p.parse(s.mails[0], s.files)
			if err != nil {
				t.Errorf("%s, %s: %v", s.name, p.name, err)
			}
			if s.text > 0 && !near(got.text, s.text) {
				t.Errorf("%s, %s: %d octets of text, not about %d", s.name, p.name, got.text, s.text)
			}
			if s.files && got.files != s.file {
				t.Errorf("%s, %s: %d octets of files, not %d", s.name, p.name, got.files, s.file)
			}
			if s.name == "HTML, 100 kB, quoted-printable" && got.text < int64(len(page())) {
				t.Errorf("%s, %s: %d octets of HTML and its text", s.name, p.name, got.text)
			}
		}
	}
}

// near allows for line ends, and for letters that stay in their charset.
func near(got, want int64) bool { return got > want*92/100-4 && got < want*105/100+4 }
