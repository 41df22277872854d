package header

import (
	"slices"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
)

func TestSplit(t *testing.T) {
	text := "From : a\r\nSubject: one\r\n two\r\n\tthree\r\nX-Empty:\r\nno field\r\nTo: a,\r\nb\r\nContent-Type: x;\r\ny=z\r\nLast: l\r\n\r\nBody: b\r\n"
	got, complete := Split([]byte(text))
	want := []Field{{"From", "a"}, {"Subject", "one two three"}, {"X-Empty", ""}, {"To", "a, b"}, {"Content-Type", "x; y=z"}, {"Last", "l"}}
	if diff := cmp.Diff(want, got); diff != "" || !complete {
		t.Error(complete, diff)
	}
	cr, complete := Split([]byte(strings.ReplaceAll(text, "\r\n", "\r")))
	if diff := cmp.Diff(want, cr); diff != "" || !complete {
		t.Error(complete, diff)
	}
	if _, complete := Split([]byte("From: a\r\n")); complete {
		t.Error("a header without an end is complete")
	}
}

func TestText(t *testing.T) {
	for value, want := range map[string]string{
		"plain":                                    "plain",
		"=?utf-8?q?Gr=C3=BC=C3=9Fe?= aus":          "Gr\u00fc\u00dfe aus",
		"=?UTF-8?B?R3LDvA==?= =?utf-8?B?w59l?=":    "Gr\u00fc\u00dfe",
		"=?utf-8?q?=C3?= =?utf-8?q?=BC?=":          "\u00fc",
		"a =?iso-8859-1?q?=FC?= =?utf-8?q?b?= c":   "a \u00fcb c",
		"=?utf-8?q?a_b?=":                          "a b",
		"=?utf-8?q?=41?=":                          "A",
		"=?utf-8?q?a b c?=":                        "a b c",
		"=?utf-8*de?q?a?=":                         "a",
		"=?x?q?":                                   "=?x?q?",
		"=?utf-8?x?abc?=":                          "=?utf-8?x?abc?=",
		"Gr\u00fc\u00dfe":                          "Gr\u00fc\u00dfe",
		"Gr\xfc\xdfe":                              "Gr\u00fc\u00dfe",
		"tab\there\r\n":                            "tab here",
		"=?utf-8?q?line=0D=0ABcc:_x@y?=":           "line  Bcc: x@y",
		"=?iso-2022-jp?B?GyRCJDMkcxsoQg==?=":       "\u3053\u3093",
		"(=?utf-8?q?x?=)":                          "(x)",
		"=?utf-8?q?x?==?utf-8?q?y?=":               "xy",
		"=?utf-8?q?x?= ":                           "x",
		"=?iso-8859-1?q?Fr\xf6sche?=":              "Fr\u00f6sche",
		"\xf6 =?iso-8859-1?b?9g==?= \xf6":          "\u00f6 \u00f6 \u00f6",
		"=?gb2312?B?xOO6ww==?= =?utf-8?B?5L2g?= !": "\u4f60\u597d\u4f60 !",
	} {
		if got := new(Values).Text(value); got != want {
			t.Errorf("%q: %q, not %q", value, got, want)
		}
	}
}

func TestMailboxes(t *testing.T) {
	for value, want := range map[string][]Mailbox{
		"a@B.example":       {{"", "a@b.example"}},
		"Ann <a@b.example>": {{"Ann", "a@b.example"}},
		`"Smith, Ann" <a@b.example>, c@d.example`:             {{"Smith, Ann", "a@b.example"}, {"", "c@d.example"}},
		"=?utf-8?q?J=C3=BCrgen?= <j@b.example>":               {{"J\u00fcrgen", "j@b.example"}},
		`"=?utf-8?q?J=C3=BCrgen?=" <j@b.example>`:             {{"J\u00fcrgen", "j@b.example"}},
		"a@b.example (Ann (the first))":                       {{"Ann (the first)", "a@b.example"}},
		"Friends: a@b.example, C <c@d.example>;, e@f.example": {{"", "a@b.example"}, {"C", "c@d.example"}, {"", "e@f.example"}},
		"undisclosed-recipients:;":                            nil,
		"a@b.example; c@d.example":                            {{"", "a@b.example"}, {"", "c@d.example"}},
		`"a b"@c.example`:                                     {{"", `"a b"@c.example`}},
		`"a@x.example" <b@c.example>`:                         {{"a@x.example", "b@c.example"}},
		"b@real.example <a@evil.example>":                     {{"b@real.example", "a@evil.example"}},
		"Ann a@b.example":                                     {{"Ann", "a@b.example"}},
		"Ann <a@b.example":                                    {{"Ann", "a@b.example"}},
		`"Ann <a@b.example>`:                                  {{"Ann", "a@b.example"}},
		"<@x.example,@y.example:a@b.example>":                 {{"", "a@b.example"}},
		"<mailto:a@b.example>":                                {{"", "a@b.example"}},
		"a@b@c.example":                                       nil,
		"a@":                                                  nil,
		"@b":                                                  nil,
		"<>":                                                  nil,
		"":                                                    nil,
		"a b@c.example d@e.example":                           nil,
		"a@[192.0.2.1]":                                       {{"", "a@[192.0.2.1]"}},
		"\u00fc@\u00fc.example":                               {{"", "\u00fc@\u00fc.example"}},
		"a@b.example\r\nBcc: x@y":                             nil,
		"Ann <x> <a@b.example>":                               {{"Ann <x>", "a@b.example"}},
	} {
		if diff := cmp.Diff(want, new(Values).Mailboxes(value)); diff != "" {
			t.Errorf("%q:\n%s", value, diff)
		}
	}
}

func TestIDs(t *testing.T) {
	for value, want := range map[string][]string{
		"<a@b> <c@d>\t<a@b>":                 {"<a@b>", "<c@d>"},
		"<a@b><c@d>":                         {"<a@b>", "<c@d>"},
		"a@b":                                nil,
		"<a@b":                               nil,
		"<>":                                 nil,
		"<a\x00@b>":                          nil,
		"<\u00fc@b>":                         nil,
		"<a @b>":                             {"<a@b>"},
		"<x <a@b>":                           {"<a@b>"},
		"<" + strings.Repeat("a", 300) + ">": nil,
	} {
		if got := IDs(value); !slices.Equal(got, want) {
			t.Errorf("%q: %q", value, got)
		}
	}
}

func TestDate(t *testing.T) {
	want := time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)
	for _, value := range []string{
		"Sun, 01 Mar 2026 12:30:00 +0000", "Sun, 1 Mar 2026 13:30:00 +0100 (CET)", "1 Mar 2026 12:30:00 GMT", "Sun,  1  Mar 2026  12:30:00 UTC",
		"2026-03-01T12:30:00Z", "Sun Mar  1 12:30:00 2026",
	} {
		if got := Date(value); !got.Equal(want) {
			t.Errorf("%q: %v", value, got)
		}
	}
	if got := Date("yesterday"); !got.IsZero() {
		t.Error(got)
	}
}

// Time grows with the size of a field, and with nothing else: each of these would
// take minutes otherwise.
func TestHostileFields(*testing.T) {
	for _, piece := range []string{"<,", "<\",", "\"\\\",", "(", "a@:", "=?a?q?x", "=?a?q?=FF?=", "\xff=?x?b?/w==?= ", ":", "\"a\" ", "<@", ">", "x <a@b>,"} {
		value := strings.Repeat(piece, (256<<10)/len(piece))
		new(Values).Text(value)
		new(Values).Mailboxes(value)
		IDs(value)
		Split([]byte(value))
		Split([]byte(strings.Repeat(piece+"\r\n ", (256<<10)/(len(piece)+3))))
		Split([]byte(strings.Repeat(piece+"\r", (1<<20)/(len(piece)+1))))
	}
}

// Whatever stands in a field, what is read of it is valid, on one line, and safe
// to write into a header.
func FuzzHeader(f *testing.F) {
	f.Add("=?utf-8?q?=C3?= =?utf-8?b?vA?= <a@b>, \"x\" (c) <d@e>;")
	f.Add("Friends: a@b, <@x:c@d>; \"a\\\"b\"@c <x")
	f.Fuzz(func(t *testing.T, value string) {
		Split([]byte(value))
		Date(value)
		text := new(Values).Text(value)
		if !utf8.ValidString(text) || strings.ContainsAny(text, "\r\n\x00") {
			t.Fatalf("%q", text)
		}
		for _, m := range new(Values).Mailboxes(value) {
			if again, ok := Address(m.Address); !ok || again != m.Address {
				t.Fatalf("%q becomes %q", m.Address, again)
			}
			if strings.ContainsAny(m.Name+m.Address, "\r\n\x00") || !utf8.ValidString(m.Name+m.Address) {
				t.Fatalf("%q", m)
			}
		}
		for _, id := range IDs(value) {
			if strings.ContainsAny(id[1:len(id)-1], "<> \t\r\n\x00") || len(id) > longestID {
				t.Fatalf("%q", id)
			}
		}
	})
}
