package guard

import (
	"bytes"
	"fmt"
	"hash/maphash"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// generous are limits that a test meets only on purpose.
func generous() Limits {
	return Limits{
		Size: 64 << 20, Header: 1 << 20, Fields: 10_000, Line: 64 << 20, Parts: 1000, Depth: 20,
		Boundary: 10_000, Parameters: 100, BadBase64: 50,
	}
}

// show writes a structure down, a line for each part.
func show(raw []byte, s Structure) string {
	var b strings.Builder
	for i, p := range s.Parts {
		fmt.Fprintf(&b, "%d in %d depth %d kind %d encoding %d decoded %d bad %d", i, p.Parent, p.Depth, p.Kind, p.Encoding, p.Decoded, p.Bad)
		if p.Kind == Leaf {
			fmt.Fprintf(&b, " %q", p.Body.Of(raw))
		}
		b.WriteByte('\n')
	}
	for _, f := range s.Faults {
		fmt.Fprintf(&b, "%s\n", f.Code)
	}
	return b.String()
}

func TestScan(t *testing.T) {
	for name, c := range map[string]struct{ mail, want string }{
		"one part": {
			"Subject: x\r\nContent-Type: text/plain\r\n\r\nhello\r\n",
			`0 in -1 depth 0 kind 0 encoding 0 decoded 7 bad 0 "hello\r\n"`,
		},
		"two parts": {
			"Content-Type: multipart/mixed;\r\n boundary=\"a b\"\r\n\r\npreamble\r\n--a b\r\n\r\none\r\n--a b \r\nContent-Transfer-Encoding: base64\r\n\r\nQUJD\r\nRA==\r\n--a b--\r\nepilogue\r\n",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 0 encoding 0 decoded 3 bad 0 "one"
2 in 0 depth 1 kind 0 encoding 1 decoded 4 bad 0 "QUJD\r\nRA=="`,
		},
		"boundary that begins with another, and one in a line": {
			"Content-Type: multipart/mixed; boundary=x\n\n--x\nContent-Type: multipart/alternative; boundary=xy\n\n--xy\n\none --xy two\n--xyz\n--xy--\n--x\n\nthree\n--x--\n",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 2 encoding 0 decoded 0 bad 0
2 in 1 depth 2 kind 0 encoding 0 decoded 18 bad 0 "one --xy two\n--xyz"
3 in 0 depth 1 kind 0 encoding 0 decoded 5 bad 0 "three"`,
		},
		"outer delimiter closes inner multiparts": {
			"Content-Type: multipart/mixed; boundary=o\n\n--o\nContent-Type: multipart/related; boundary=i\n\n--i\n\none\n--o\n\ntwo",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 3 encoding 0 decoded 0 bad 0
2 in 1 depth 2 kind 0 encoding 0 decoded 3 bad 0 "one"
3 in 0 depth 1 kind 0 encoding 0 decoded 3 bad 0 "two"
unclosed-multipart`,
		},
		"boundary of 5000 octets": {
			"Content-Type: multipart/mixed; boundary=" + strings.Repeat("b", 5000) + "\n\n--" + strings.Repeat("b", 5000) + "\n\none\n--" + strings.Repeat("b", 5000) + "--\n",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 0 encoding 0 decoded 3 bad 0 "one"
long-boundary`,
		},
		"no boundary, but it can be guessed": {
			"Content-Type: multipart/mixed\n\n--b\n\none\n--b--\n",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 0 encoding 0 decoded 3 bad 0 "one"
no-boundary`,
		},
		"no boundary at all": {
			"Content-Type: multipart/mixed\n\none\n",
			`0 in -1 depth 0 kind 0 encoding 0 decoded 4 bad 0 "one\n"
no-boundary`,
		},
		"boundary that never comes": {
			"Content-Type: multipart/mixed; boundary=q\n\none\n",
			`0 in -1 depth 0 kind 0 encoding 0 decoded 4 bad 0 "one\n"
absent-boundary`,
		},
		"boundary in pieces": {
			"Content-Type: multipart/mixed; boundary*0=a; boundary*1=b\n\n--ab\n\none\n--ab--",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 0 encoding 0 decoded 3 bad 0 "one"`,
		},
		"boundary in a file name": {
			"Content-Type: multipart/mixed; name=\"x; boundary=no\"; xboundary=no; boundary = \"q\\\"r\"\n\n--q\"r\n\none\n--q\"r--",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 0 encoding 0 decoded 3 bad 0 "one"`,
		},
		"encoding with more behind it": {
			"Content-Transfer-Encoding: base64;\n\nQUJD",
			"0 in -1 depth 0 kind 0 encoding 1 decoded 3 bad 0 \"QUJD\"\nmalformed-encoding",
		},
		"encoding with a comment": {
			"Content-Transfer-Encoding: Base64 (x)\n\nQUJD",
			"0 in -1 depth 0 kind 0 encoding 1 decoded 3 bad 0 \"QUJD\"\nmalformed-encoding",
		},
		"unknown encoding": {
			"Content-Transfer-Encoding: x-uuencode\n\nQUJD",
			"0 in -1 depth 0 kind 0 encoding 0 decoded 4 bad 0 \"QUJD\"\nunknown-encoding",
		},
		"corrupt base64": {
			"Content-Transfer-Encoding: base64\n\nQUJDRA=x=QUJD",
			"0 in -1 depth 0 kind 0 encoding 1 decoded 7 bad 1 \"QUJDRA=x=QUJD\"\ncorrupt-base64",
		},
		"no header": {
			"hello there\nmore\n",
			"0 in -1 depth 0 kind 0 encoding 0 decoded 17 bad 0 \"hello there\\nmore\\n\"\nno-header",
		},
		"no empty line": {
			"Subject: x\nhello there\nmore\n",
			"0 in -1 depth 0 kind 0 encoding 0 decoded 17 bad 0 \"hello there\\nmore\\n\"\nno-empty-line",
		},
		"parameter without white space before it": {
			"Content-Type: multipart/mixed;\nboundary=q\nSubject: x\n\n--q\n\none\n--q--\n",
			"0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0\n1 in 0 depth 1 kind 0 encoding 0 decoded 3 bad 0 \"one\"\nheader-line",
		},
		"from a mailbox file": {
			"From a@b Mon Jan 1\nSubject : x\n \n\nhello",
			"0 in -1 depth 0 kind 0 encoding 0 decoded 6 bad 0 \"\\nhello\"\nmbox-line",
		},
		"two types": {
			"Content-Type: text/plain\nContent-Type: multipart/mixed; boundary=q\n\n--q\n",
			"0 in -1 depth 0 kind 0 encoding 0 decoded 4 bad 0 \"--q\\n\"\nrepeated-content-field",
		},
		"part that is nothing but a delimiter": {
			"Content-Type: multipart/mixed; boundary=q\n\n--q\n--q\nSubject: x\n--q--",
			`0 in -1 depth 0 kind 1 encoding 0 decoded 0 bad 0
1 in 0 depth 1 kind 0 encoding 0 decoded 0 bad 0 ""
2 in 0 depth 1 kind 0 encoding 0 decoded 0 bad 0 ""`,
		},
		"nothing": {"", `0 in -1 depth 0 kind 0 encoding 0 decoded 0 bad 0 ""`},
	} {
		t.Run(name, func(t *testing.T) {
			raw := []byte(c.mail)
			s, breach := Scan(raw, generous())
			if breach != nil {
				t.Fatal(breach)
			}
			if diff := cmp.Diff(c.want, strings.TrimSuffix(show(raw, s), "\n")); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestBreach(t *testing.T) {
	nest := func(n int) string {
		var b strings.Builder
		for i := range n {
			fmt.Fprintf(&b, "Content-Type: multipart/mixed; boundary=b%d\n\n--b%d\n", i, i)
		}
		return b.String()
	}
	for _, c := range []struct {
		name string
		mail string
		set  func(*Limits)
		want Breach
	}{
		{"size", "12345", func(l *Limits) { l.Size = 4 }, Breach{"size", 5, 4, 4}},
		{"header", "A: 1\nB: 2\n\n", func(l *Limits) { l.Header = 9 }, Breach{"header", 10, 9, 5}},
		{"fields", "A: 1\nB: 2\nC: 3\n\n", func(l *Limits) { l.Fields = 2 }, Breach{"fields", 3, 2, 10}},
		{"line", "A: 1\n\nxxxxx\n", func(l *Limits) { l.Line = 4 }, Breach{"line", 5, 4, 6}},
		{"parts", "Content-Type: multipart/mixed; boundary=q\n\n--q\n--q\n--q\n", func(l *Limits) { l.Parts = 3 }, Breach{"parts", 4, 3, 55}},
		{"depth", nest(3), func(l *Limits) { l.Depth = 2 }, Breach{"depth", 3, 2, 142}},
		{"boundary", "Content-Type: multipart/mixed; boundary=qqqq\n\n", func(l *Limits) { l.Boundary = 3 }, Breach{"boundary", 4, 3, 13}},
		{"parameters", "Content-Type: a/b; a=1;\n b=2; c=3\n\n", func(l *Limits) { l.Parameters = 2 }, Breach{"parameters", 3, 2, 13}},
		{"bad base64", "Content-Transfer-Encoding: base64\n\n" + strings.Repeat("!", largeBody), func(*Limits) {}, Breach{"bad_base64", 100, 50, 35}},
	} {
		t.Run(c.name, func(t *testing.T) {
			limits := generous()
			c.set(&limits)
			s, breach := Scan([]byte(c.mail), limits)
			if breach == nil {
				t.Fatal("it passed")
			}
			if diff := cmp.Diff(c.want, *breach); diff != "" {
				t.Error(diff)
			}
			if len(s.Parts) != 0 || !strings.Contains(breach.String(), c.want.Limit) {
				t.Errorf("%v with %d parts", breach, len(s.Parts))
			}
		})
	}
}

// Whatever is scanned, its parts lie within each other, and their bodies do not
// overlap.
func FuzzScan(f *testing.F) {
	f.Add([]byte("Content-Type: multipart/mixed; boundary=q\n\n--q\nContent-Type: multipart/mixed; boundary=qq\n\n--qq\n\nx\n--qq--\n--q--\n"))
	f.Add([]byte("From x\nContent-Type: multipart/mixed\nContent-Transfer-Encoding: base64;\n\n--q\n\nQUJD=Q\n"))
	f.Fuzz(func(t *testing.T, raw []byte) {
		limits := generous()
		s, breach := Scan(raw, limits)
		if breach != nil {
			if len(s.Parts) > 0 || breach.Value <= breach.Allowed || breach.Offset < 0 || breach.Offset > int64(len(raw)) {
				t.Fatalf("%+v with %d parts", breach, len(s.Parts))
			}
			return
		}
		if len(s.Parts) == 0 || len(s.Parts) > limits.Parts {
			t.Fatalf("%d parts", len(s.Parts))
		}
		end := 0
		for i, p := range s.Parts {
			if p.Header.Start < 0 || p.Header.Start > p.Header.End || p.Header.End > p.Body.Start || p.Body.Start > p.Body.End || p.Body.End > len(raw) {
				t.Fatalf("part %d: %+v", i, p)
			}
			if p.Header.Start < end {
				t.Fatalf("part %d begins within the one before: %+v", i, p)
			}
			if p.Parent >= i || p.Parent >= 0 && (s.Parts[p.Parent].Kind == Leaf || s.Parts[p.Parent].Body.End < p.Body.End) {
				t.Fatalf("part %d is not within %d: %+v", i, p.Parent, s.Parts)
			}
			if p.Kind == Leaf {
				end = p.Body.End
			}
		}
	})
}

// byLines is search as one would write it who has time: line by line.
func (s *scanner) byLines() delimiter {
	for s.at < len(s.raw) {
		start := s.at
		line := s.line()
		if s.breach != nil {
			return delimiter{}
		}
		if d := s.delimits(line, start); d.found {
			return d
		}
	}
	return delimiter{}
}

// FuzzSearch: what is found by leaps is what is found line by line.
func FuzzSearch(f *testing.F) {
	for _, text := range []string{
		"", "\n", "-", "--", "--\n", "--q", "--q\n", "--q--\r\n", "a\n--q\nb", "--a\n--b\n--q \t\r\n", "-\n-\n--\n--q", "\n\n--q--", "x--q\n --q\n",
		"12345678\n123456789\n", "123456789", "--q        \n", "a\n--q--         \n--q\n", "--------\n--q",
	} {
		f.Add([]byte(text))
	}
	f.Fuzz(func(t *testing.T, raw []byte) {
		at := func() *scanner {
			s := &scanner{raw: raw, limits: Limits{Line: 8}, seed: maphash.MakeSeed()}
			s.open = []level{{boundary: []byte("q"), hash: maphash.Bytes(s.seed, []byte("q"))}}
			s.look()
			return s
		}
		want, got := at(), at()
		for {
			w, g := want.byLines(), got.search()
			if w != g || want.at != got.at || (want.breach == nil) != (got.breach == nil) || want.breach != nil && *want.breach != *got.breach {
				t.Fatalf("%+v at %d, %v; line by line %+v at %d, %v", g, got.at, got.breach, w, want.at, want.breach)
			}
			if !w.found {
				return
			}
		}
	})
}

// FuzzTally: what is counted by pieces is what is counted octet by octet.
func FuzzTally(f *testing.F) {
	f.Add([]byte("QUJD\r\nQUJDRA==\r\n"), uint8(0))
	f.Add([]byte("QUJDRA=x=Q U\tJD"), uint8(9))
	f.Fuzz(func(t *testing.T, text []byte, times uint8) {
		text = bytes.Repeat(text, 1+int(times))
		var want, got tally
		want.addSlowly(text)
		got.add(text)
		want.end()
		got.end()
		want.weights, got.weights, want.slow, got.slow = nil, nil, false, false
		if want != got {
			t.Fatalf("%+v, octet by octet %+v", got, want)
		}
	})
}

func BenchmarkScan(b *testing.B) {
	line := strings.Repeat("QUJDREVG", 9) + "QUJD\r\n"
	text := strings.Repeat("Some words that a person might write in a mail to somebody else.\r\n", 300_000)
	nested := ""
	for i := range 20 {
		nested += fmt.Sprintf("Content-Type: multipart/mixed; boundary=b%02d\n\n--b%02d\n", i, i)
	}
	for name, mail := range map[string]string{
		"base64":  "Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat(line, 270_000),
		"text":    "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n" + text,
		"parts":   "Content-Type: multipart/mixed; boundary=q\r\n\r\n" + strings.Repeat("--q\r\n\r\n"+strings.Repeat("short line\r\n", 2000), 900),
		"letters": "Subject: x\r\n\r\n" + strings.Repeat("a\n", 10<<20),
		"newline": "Subject: x\r\n\r\n" + strings.Repeat("\n", 20<<20),
		"digits":  "Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("A\r\n", 7<<20),
		"padding": "Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QQ==\r\n", 4<<20),
		"dashes":  "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n" + strings.Repeat("-\n", 10<<20),
		"near":    "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n" + strings.Repeat("--r\n", 5<<20),
		"rules":   "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n" + strings.Repeat("----\n", 4<<20),
		"bad":     "Content-Transfer-Encoding: base64\r\n\r\n" + strings.Repeat("QQ!\r\n", 4<<20),
		"same":    "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n" + strings.Repeat("--qr\n", 4<<20),
		"nested":  nested + "\n" + strings.Repeat("--b98\n", 3<<20),
		"hyphens": "Content-Type: multipart/mixed; boundary=q\r\n\r\n--q\r\n\r\n" + strings.Repeat("--\n", 7<<20),
	} {
		b.Run(name, func(b *testing.B) {
			raw := bytes.Clone([]byte(mail))
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, breach := Scan(raw, generous()); breach != nil {
					b.Fatal(breach)
				}
			}
		})
	}
}
