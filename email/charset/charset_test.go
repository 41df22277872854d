package charset

import (
	"bytes"
	"errors"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/charmap"
	"golang.org/x/text/encoding/japanese"
	"golang.org/x/text/encoding/korean"
	"golang.org/x/text/encoding/simplifiedchinese"
	"golang.org/x/text/encoding/traditionalchinese"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"
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
		if got := measure(exact(utf7{}), []byte(text)).String(); got != want {
			t.Errorf("%.40q: %.40q, not %.40q (%d, not %d)", text, got, want, len(got), len(want))
		}
	}
}

// encodings are those that have tables, and some that have none.
func encodings() []encoding.Encoding {
	return []encoding.Encoding{
		charmap.Windows1252, charmap.KOI8R, charmap.Windows874, charmap.Macintosh, charmap.ISO8859_8,
		simplifiedchinese.GB18030, simplifiedchinese.GBK, simplifiedchinese.HZGB2312, traditionalchinese.Big5,
		japanese.EUCJP, japanese.ShiftJIS, japanese.ISO2022JP, korean.EUCKR,
		utf7{},
		unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), unicode.UTF16(unicode.BigEndian, unicode.IgnoreBOM),
	}
}

// FuzzRepair: what is repaired is what the standard library repairs, and its size is
// known before.
func FuzzRepair(f *testing.F) {
	f.Add([]byte("\xc3\xa4\xff\xfe \xe4\xb8\xad\xe4\xb8 \xf0\x9f\x98\x80\xed\xa0\x80\xef\xbf\xbd\xc3"))
	f.Fuzz(func(t *testing.T, octets []byte) {
		got, mostly := repaired(octets)
		if !mostly {
			return // it is no UTF-8, and something else is tried
		}
		if want := Valid(string(octets)); got.String() != want || got.Size() != len(want) {
			t.Fatalf("%q of %d octets, not %q", got.String(), got.Size(), want)
		}
	})
}

// FuzzTables: what is decoded by tables is what x/text decodes, however little room
// there is.
func FuzzTables(f *testing.F) {
	for _, text := range []string{
		"hello", "\x80\xff\x81", "\xc4\xe3\xba\xc3", "\x81\x30\x81\x30\x90\x30\x81\x30\xe3\x32\x9a\x35\xe3\x32\x9a\x36\x84\x31\xa5\x30", "\x81\x30\x81", "\x81\x3a\x81\x30\x81",
		"\x88\x62\x88\x64\x88\xa3\x88\xa5", "\x8e\xb1\x8f\xb0\xa1\xa4\xa2\x8f\xb0", "\xb1\x82\xa0\xff", "~{Dc:C~}~~~\n~x~", "~{D\xffc\n",
		"\x1b$B$3$s\x1b(B hello \x1b(I12\x1b(J\x1b$(D0!\x1b$@$3\n\x1b$", "\x1b$B$\x1b(B\xff\x1b$(E", "Hi +AOQ-+- a+-b",
	} {
		for i := range encodings() {
			f.Add(uint8(i), []byte(text), uint8(0))
		}
	}
	fast := NewDecoders()
	f.Fuzz(func(t *testing.T, number uint8, octets []byte, room uint8) {
		e := encodings()[int(number)%len(encodings())]
		want, err := e.NewDecoder().Bytes(octets)
		if err != nil {
			t.Fatal(err)
		}
		var got []byte
		d := fast.decoder(e)
		d.Reset()
		for src, dst := octets, make([]byte, 8+int(room)); ; {
			// A piece of the text, then all of it, with whatever room there is.
			given := src[:len(src)-len(src)/3]
			n, size, err := d.Transform(dst, given, false)
			got, src = append(got, dst[:n]...), src[size:]
			if err != nil && !errors.Is(err, transform.ErrShortDst) && !errors.Is(err, transform.ErrShortSrc) {
				t.Fatal(err)
			}
			n, size, err = d.Transform(dst, src, true)
			got, src = append(got, dst[:n]...), src[size:]
			if err == nil {
				break
			}
			if !errors.Is(err, transform.ErrShortDst) {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(want, got) || !utf8.Valid(got) {
			t.Fatalf("encoding %d: %q, by x/text %q", number, got, want)
		}
	})
}

// Each letter of a charset is decoded as x/text does, those of four octets too.
func TestTables(t *testing.T) {
	fast := NewDecoders()
	for i, e := range encodings() {
		var all []byte
		for c := range 1 << 16 {
			all = append(all, byte(c>>8), byte(c), ' ')
		}
		if e == simplifiedchinese.GB18030 {
			for n := range 126 * 126 * 100 / 7 {
				n *= 7
				all = append(all, byte(0x81+n/12600), byte(0x30+n/1260%10), byte(0x81+n/10%126), byte(0x30+n%10))
			}
		}
		want, err := e.NewDecoder().Bytes(all)
		if err != nil {
			t.Fatal(err)
		}
		got := measure(fast.decoder(e), all)
		if got.String() != string(want) || got.Size() != len(want) {
			t.Errorf("encoding %d: %d octets differ from %d", i, got.Size(), len(want))
		}
	}
}

func BenchmarkTables(b *testing.B) {
	const octets = 8 << 20
	fast := NewDecoders()
	for name, c := range map[string]struct {
		e    encoding.Encoding
		text string
	}{
		"windows-1252":           {charmap.Windows1252, "Grüße aus Köln, und Jürgen prüft sie noch. "},
		"koi8-r":                 {charmap.KOI8R, "Съешь же ещё этих мягких французских булок. "},
		"windows-874":            {charmap.Windows874, "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า"},
		"gb18030":                {simplifiedchinese.GB18030, "第三季度的销售数字比预期的要好，我们还在核对。"},
		"gb18030 of four octets": {simplifiedchinese.GB18030, "ÀÁÂÃÄÅ"},
		"hz":                     {simplifiedchinese.HZGB2312, "第三季度的销售数字比预期的要好，我们还在核对。\n"},
		"big5":                   {traditionalchinese.Big5, "第三季度的銷售數字比預期的要好，我們還在核對。"},
		"euc-jp":                 {japanese.EUCJP, "いろはにほへと散りぬるを。"},
		"shift_jis":              {japanese.ShiftJIS, "いろはにほへと散りぬるを。"},
		"iso-2022-jp":            {japanese.ISO2022JP, "いろはにほへと散りぬるを。 hello "},
		"iso-2022-jp of shifts":  {japanese.ISO2022JP, "い a"},
		"euc-kr":                 {korean.EUCKR, "다람쥐 헌 쳇바퀴에 타고파."},
		"utf-16":                 {unicode.UTF16(unicode.LittleEndian, unicode.IgnoreBOM), "Grüße aus Köln, 第三季度的"},
	} {
		line, err := c.e.NewEncoder().Bytes([]byte(c.text))
		if err != nil {
			b.Fatal(err)
		}
		text := bytes.Repeat(line, octets/len(line))
		for _, d := range []struct {
			name    string
			decoder transform.Transformer
		}{{"tables", fast.decoder(c.e)}, {"exact", exact(c.e)}} {
			b.Run(name+"/"+d.name, func(b *testing.B) {
				b.SetBytes(int64(len(text)))
				for b.Loop() {
					measure(d.decoder, text)
				}
			})
		}
	}
}
