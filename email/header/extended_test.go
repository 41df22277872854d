package header

import (
	"strings"
	"testing"
	"unicode/utf8"
)

func TestExtended(t *testing.T) {
	for value, want := range map[string]string{
		"attachment; filename*=utf-8''Gr%C3%B6%C3%9Fe.pdf":                  "Gr\u00f6\u00dfe.pdf",
		"attachment; filename*=iso-8859-1'de'Gr%F6%DFe.pdf":                 "Gr\u00f6\u00dfe.pdf",
		"attachment; filename*=\"iso-8859-1''Gr%F6%DFe.pdf\"":               "Gr\u00f6\u00dfe.pdf",
		"attachment; FileName*=gb2312''%C4%E3%BA%C3.pdf; filename=x":        "\u4f60\u597d.pdf",
		"attachment; filename=x; filename*=utf-8''y":                        "y",
		"attachment; filename*0=a; filename*1=\"b;c\"; filename*2=d":        "ab;cd",
		"attachment; filename*1=b; filename*0=a":                            "ab",
		"attachment; filename*0=a; filename*0=x; filename*1=b":              "ab",
		"attachment; filename*0=a; filename*2=c":                            "a",
		"attachment; filename*0*=utf-8''%C3; filename*1*=%BC":               "\u00fc",
		"attachment; filename*0*=iso-2022-jp''%1B$B$3; filename*1*=$s%1B(B": "\u3053\u3093",
		"attachment; filename*0*=utf-8''%41; filename*1=%41":                "A%41",
		"attachment; filename*=a":                                           "a",
		"attachment; filename*=utf-8''%":                                    "%",
		"attachment; filename*=''%FC":                                       "\u00fc",
		"attachment; x=\"filename*=y":                                       "",
		"attachment; x=\"a; filename*=utf-8''y":                             "y",
		"attachment; xfilename*=y; filename*x=z; filename*-1=a":             "",
		"attachment; filename=a":                                            "",
		"":                                                                  "",
	} {
		if got, ok := Extended(value, "filename"); got != want || ok != (want != "") {
			t.Errorf("%q: %q, %v, not %q", value, got, ok, want)
		}
	}
}

func TestHostileParameters(*testing.T) {
	for _, piece := range []string{";", "\"", "\";", "filename*0=a;", "filename*=", "\\\"", "filename*9999=a;", "'", "filename*0*=%"} {
		Extended(strings.Repeat(piece, (1<<20)/len(piece)), "filename")
	}
}

func FuzzExtended(f *testing.F) {
	f.Add("attachment; filename*0*=utf-8'en'%41; filename*1=\"b\"")
	f.Fuzz(func(t *testing.T, value string) {
		if got, ok := Extended(value, "filename"); !utf8.ValidString(got) || !ok && got != "" {
			t.Fatalf("%q, %v", got, ok)
		}
	})
}
