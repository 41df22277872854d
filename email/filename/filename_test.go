package filename

import (
	"path/filepath"
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestSafe(t *testing.T) {
	for name, want := range map[string]string{
		"sales.csv":                            "sales.csv",
		"../../etc/passwd":                     "passwd",
		`..\..\boot.ini`:                       "boot.ini",
		`C:\x\y.txt`:                           "y.txt",
		"/":                                    "part-3.csv",
		"..":                                   "part-3.csv",
		"":                                     "part-3.csv",
		"\x00\x01":                             "part-3.csv",
		" . ":                                  "part-3.csv",
		"a\x00b\nc.txt":                        "a_b c.txt",
		"a\u202etxt.exe":                       "a_txt.exe",
		"a:b*c?.txt":                           "a_b_c_.txt",
		"CON":                                  "_CON",
		"lpt1.txt":                             "_lpt1.txt",
		"con .txt":                             "_con .txt",
		"console.txt":                          "console.txt",
		"common.txt":                           "common.txt",
		"-rf":                                  "rf",
		"~/.ssh":                               "ssh",
		"x.txt. .":                             "x.txt",
		"\xff.txt":                             "_.txt",
		"\u00fc\u4f60.txt":                     "\u00fc\u4f60.txt",
		strings.Repeat("\u00e4", 200) + ".csv": strings.Repeat("\u00e4", 98) + ".csv",
	} {
		if got := Safe(name, "text/csv", 3); got != want {
			t.Errorf("%q: %q, not %q", name, got, want)
		}
	}
	if got := Safe("", "a/b", 1); got != "part-1.bin" {
		t.Error(got)
	}
	if got := Numbered("a.csv", 2); got != "a (2).csv" {
		t.Error(got)
	}
	if got := Numbered(strings.Repeat("a", 300), 2); len(got) > longest {
		t.Error(got)
	}
}

// A safe name is one element of a path, can be written anywhere, and is safe to
// make safe again.
func FuzzSafe(f *testing.F) {
	f.Add("../a\\b:c\u202e.txt", "text/csv")
	f.Add("con.\u00b9", "")
	f.Fuzz(func(t *testing.T, name, mediaType string) {
		got := Safe(name, mediaType, 1)
		if got == "" || len(got) > 255 || !utf8.ValidString(got) || filepath.Base(got) != got || strings.ContainsAny(got, `/\:*?"<>|`) {
			t.Fatalf("%q", got)
		}
		if strings.ContainsFunc(got, unicode.IsControl) || got[0] == '.' || got[0] == '-' || strings.HasSuffix(got, ".") || strings.HasSuffix(got, " ") || device(got) {
			t.Fatalf("%q", got)
		}
		if again := Safe(got, mediaType, 1); again != got {
			t.Fatalf("%q becomes %q", got, again)
		}
		if n := Numbered(got, 12); len(n) > longest || filepath.Base(n) != n {
			t.Fatalf("%q", n)
		}
	})
}
