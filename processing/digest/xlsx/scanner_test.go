package xlsx

import (
	"encoding/xml"
	"errors"
	"io"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// token is what both scanners make of XML, as far as spreadsheets need it.
type token struct{ kind, text string }

// lineEnds makes line ends alike: how cells break their lines is no matter here.
var lineEnds = strings.NewReplacer("\r\n", "\n", "\r", "\n")

// What encoding/xml reads, and is not beyond our bounds, we read alike.
func FuzzScanner(f *testing.F) {
	for _, s := range []string{
		`<?xml version="1.0"?><a b="1" c='2'><x:d/>te&amp;xt<!-- c --><![CDATA[<raw>]]></a>`, `<a>&#65;&#x42;</a>`, `<a b="<>"/>`, `<a><b></a></b>`, `<a`, `<!DOCTYPE a>`, `<a/>trailing`,
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		got, err := scanned(text)
		want, wantErr := decoded(text)
		if wantErr != nil || err != nil {
			return // we take more than encoding/xml, and refuse what no spreadsheet has
		}
		if len(got) != len(want) {
			t.Fatalf("%q is %q, want %q", text, got, want)
		}
		for i := range got {
			if got[i].kind != want[i].kind || lineEnds.Replace(got[i].text) != lineEnds.Replace(want[i].text) {
				t.Fatalf("%q is %q, want %q", text, got, want)
			}
		}
	})
}

func scanned(s string) ([]token, error) {
	var all []token
	x := newScanner(strings.NewReader(s))
	for {
		err := x.next()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return nil, err
		case x.kind == begins:
			all = append(all, token{"begins", string(x.name)})
		case x.kind == ends:
			all = append(all, token{"ends", string(x.name)})
		case len(all) > 0 && all[len(all)-1].kind == "text":
			all[len(all)-1].text += string(x.text)
		case len(x.text) > 0:
			all = append(all, token{"text", string(x.text)})
		}
	}
}

func decoded(s string) ([]token, error) {
	var all []token
	d := xml.NewDecoder(strings.NewReader(s))
	for {
		next, err := d.Token()
		if errors.Is(err, io.EOF) {
			return all, nil
		}
		if err != nil {
			return nil, err
		}
		switch x := next.(type) {
		case xml.StartElement:
			all = append(all, token{"begins", x.Name.Local})
		case xml.EndElement:
			all = append(all, token{"ends", x.Name.Local})
		case xml.CharData:
			if len(all) > 0 && all[len(all)-1].kind == "text" {
				all[len(all)-1].text += string(x)
			} else if len(x) > 0 {
				all = append(all, token{"text", string(x)})
			}
		}
	}
}

func TestStyles(t *testing.T) {
	for code, want := range map[string]style{
		"General": {}, "0.00": {}, "dd.mm.yyyy": {date: true}, "yyyy-mm-dd hh:mm": {date: true, clock: true}, "[h]:mm": {clock: true},
		"0%": {percent: true}, "#,##0.00 [$€-407]": {unit: "€"}, `"$"#,##0;[Red]"-"d`: {unit: "$"}, `0 "days"`: {}, "mmm": {date: true}, "[Red]0": {},
	} {
		if got := styleOfCode(code); got != want {
			t.Errorf("%s is %+v, want %+v", code, got, want)
		}
	}
}

func TestValues(t *testing.T) {
	for _, c := range []struct {
		value    string
		style    style
		from1904 bool
		want     string
	}{
		{"46208", style{date: true}, false, "2026-07-05"},
		{"46208.5", style{date: true, clock: true}, false, "2026-07-05 12:00:00"},
		{"1", style{date: true}, false, "1900-01-01"},
		{"61", style{date: true}, false, "1900-03-01"},
		{"0", style{date: true}, true, "1904-01-01"},
		{"0.75", style{clock: true}, false, "18:00:00"},
		{"0.30000000000000004", style{}, false, "0.3"},
		{"1.234", style{}, false, "1.2340"},
		{"0.125", style{percent: true}, false, "12.5%"},
		{"12.5", style{unit: "€"}, false, "€ 12.5"},
		{"-3", style{date: true}, false, "-3"},
		{"x", style{}, false, "x"},
	} {
		if got := string(appendNumber(nil, []byte(c.value), c.style, c.from1904)); got != c.want {
			t.Errorf("%s is %s, want %s", c.value, got, c.want)
		}
	}
}

// A number that is taken as it is written is one that would be written so.
func TestPlainNumbers(t *testing.T) {
	plain := 0
	rapid.Check(t, func(rt *rapid.T) {
		text := rapid.StringMatching(`-?[0-9]{0,9}(\.[0-9]{0,12})?`).Draw(rt, "number")
		f, err := strconv.ParseFloat(text, 64)
		if !isPlain([]byte(text)) {
			return
		}
		plain++
		if got := appendPlain(nil, f); err != nil || string(got) != text {
			rt.Errorf("%s is %s, %v", text, got, err)
		}
	})
	if plain == 0 {
		t.Error("none was plain")
	}
}
