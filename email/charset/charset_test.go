package charset

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestDecode(t *testing.T) {
	russian := "\xcf\xf0\xe8\xe2\xe5\xf2, \xea\xe0\xea \xe4\xe5\xeb\xe0? \xdf \xef\xee\xeb\xf3\xf7\xe8\xeb \xf2\xe2\xee\xe5 \xef\xe8\xf1\xfc\xec\xee."
	for name, c := range map[string]struct {
		charset, text, want string
		outcome             Outcome
	}{
		"utf-8":                         {"UTF-8", "gr\u00fc\u00dfe", "gr\u00fc\u00dfe", Declared},
		"nothing declared, ascii":       {"", "hello", "hello", Declared},
		"nothing declared, utf-8":       {"", "gr\u00fc\u00dfe", "gr\u00fc\u00dfe", Declared},
		"latin-1":                       {"ISO-8859-1", "gr\xfc\xdfe", "gr\u00fc\u00dfe", Declared},
		"declaration counts":            {"iso-8859-1", "gr\u00fc", "gr\u00c3\u00bc", Declared},
		"byte order mark":               {"iso-8859-1", "\xef\xbb\xbfgr\u00fc", "gr\u00fc", Declared},
		"utf-16":                        {"utf-16", "\xff\xfeh\x00i\x00", "hi", Declared},
		"declared utf-8, and is not":    {"utf-8", "gr\xfc\xdfe aus K\xf6ln, sch\xf6n da\xdf es g\xe4be, was f\xfcr ein Wetter", "gr\u00fc\u00dfe aus K\u00f6ln, sch\u00f6n da\u00df es g\u00e4be, was f\u00fcr ein Wetter", Failed},
		"utf-8 with one wrong octet":    {"utf-8", "\u00e4\u00f6\u00fc \xff \u00e4\u00f6\u00fc", "\u00e4\u00f6\u00fc \uFFFD \u00e4\u00f6\u00fc", Damaged},
		"nothing declared, cyrillic":    {"", russian, "\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430? \u042f \u043f\u043e\u043b\u0443\u0447\u0438\u043b \u0442\u0432\u043e\u0435 \u043f\u0438\u0441\u044c\u043c\u043e.", Detected},
		"unknown name":                  {"x-user-defined-77", russian, "\u041f\u0440\u0438\u0432\u0435\u0442, \u043a\u0430\u043a \u0434\u0435\u043b\u0430? \u042f \u043f\u043e\u043b\u0443\u0447\u0438\u043b \u0442\u0432\u043e\u0435 \u043f\u0438\u0441\u044c\u043c\u043e.", Unknown},
		"name with a prefix and quotes": {"\"charset=utf-8\"", "\u00e4", "\u00e4", Declared},
		"name with an underscore":       {"iso_8859_15", "\xa4", "\u20ac", Declared},
		"gb2312":                        {"gb2312", "\xc4\xe3\xba\xc3", "\u4f60\u597d", Declared},
		"hz":                            {"hz-gb-2312", "~{Dc:C~}", "\u4f60\u597d", Declared},
		"iso-2022-jp":                   {"iso-2022-jp", "\x1b$B$3$s\x1b(B", "\u3053\u3093", Declared},
		"iso-2022-jp as ascii":          {"us-ascii", "\x1b$B$3$s$K$A$O@$3&\x1b(B", "\u3053\u3093\u306b\u3061\u306f\u4e16\u754c", Detected},
		"korean":                        {"ks_c_5601-1987", "\xbe\xc8\xb3\xe7", "\uc548\ub155", Declared},
		"ibm850":                        {"ibm850", "\x81", "\u00fc", Declared},
		"utf-7":                         {"utf-7", "Hi +AOQ-+- a+-b", "Hi \u00e4+ a+b", Declared},
		"empty":                         {"whatever", "", "", Unknown},
	} {
		t.Run(name, func(t *testing.T) {
			got, outcome := Decode(c.charset, c.text)
			if got != c.want || outcome != c.outcome {
				t.Errorf("%q, outcome %d", got, outcome)
			}
		})
	}
}

// Whatever is decoded is valid UTF-8, and does not grow out of proportion.
func FuzzDecode(f *testing.F) {
	f.Add("utf-7", "Hi +AOQ-")
	f.Add("", "\x1b$B$3$s\x1b(B")
	f.Add("iso-8859-1", "\xff\xfe")
	f.Fuzz(func(t *testing.T, name, text string) {
		got, _ := Decode(name, text)
		if !utf8.ValidString(got) {
			t.Fatalf("%q", got)
		}
		if len(got) > 10+6*len(text) {
			t.Fatalf("%d octets of %d", len(got), len(text))
		}
	})
}

func BenchmarkDecode(b *testing.B) {
	for name, text := range map[string]string{
		"utf-8":        strings.Repeat("Gr\u00fc\u00dfe aus K\u00f6ln. ", 10_000),
		"windows-1252": strings.Repeat("Gr\xfc\xdfe aus K\xf6ln. ", 10_000),
		"":             strings.Repeat("Gr\xfc\xdfe aus K\xf6ln. ", 10_000),
	} {
		b.Run("charset="+name, func(b *testing.B) {
			b.SetBytes(int64(len(text)))
			b.ReportAllocs()
			for b.Loop() {
				Decode(name, text)
			}
		})
	}
}

func TestUTF7(t *testing.T) {
	long := strings.Repeat("\u65e5\u672c", 3000)
	encoded := strings.Repeat("ZeVnLGXlZyxl5WcsZeVnLGXlZyxl5WcsZeVnLGXlZyxl5Wcs", 3000/9+1)
	for text, want := range map[string]string{
		"Hi Mom -+Jjo--!":                   "Hi Mom -\u263a-!",
		"A+ImIDkQ.":                         "A\u2262\u0391.",
		"+ZeVnLIqe-":                        "\u65e5\u672c\u8a9e",
		"1 +- 1":                            "1 + 1",
		"1 + 1":                             "1 + 1",
		"+":                                 "+",
		"+2D3eAA":                           "\U0001f600",
		"+2D0-x":                            "\uFFFDx",
		"+" + encoded[:4*6000*2/3] + "-":    long,
		strings.Repeat("a", 4095) + "+AOQ-": strings.Repeat("a", 4095) + "\u00e4",
	} {
		if got := convert(utf7{}, text); got != want {
			t.Errorf("%.40q: %.40q, not %.40q (%d, not %d)", text, got, want, len(got), len(want))
		}
	}
}
