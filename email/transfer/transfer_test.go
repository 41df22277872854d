package transfer

import (
	"bytes"
	"encoding/base64"
	"io"
	"mime/quotedprintable"
	"strings"
	"testing"
	"testing/iotest"

	"inreply/email/guard"
)

func decode(t *testing.T, r io.Reader) string {
	t.Helper()
	b, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestBase64(t *testing.T) {
	for _, c := range []struct{ encoded, want string }{
		{"", ""},
		{"QUJD", "ABC"},
		{"QU\r\nJDR\nA==", "ABCD"},
		{"QUJDRA", "ABCD"},
		{"QQ==QUI=QUJD", "AABABC"},
		{"QUJDRA=x=QUJD", "ABCDABC"},
		{"Q!U*J D", "ABC"},
		{"QUJDR", "ABC"},
		{"====", ""},
	} {
		if got := decode(t, Base64([]byte(c.encoded))); got != c.want {
			t.Errorf("%q: %q, not %q", c.encoded, got, c.want)
		}
		if got := decode(t, iotest.OneByteReader(Base64([]byte(c.encoded)))); got != c.want {
			t.Errorf("%q octet by octet: %q, not %q", c.encoded, got, c.want)
		}
	}
}

func TestQuotedPrintable(t *testing.T) {
	for _, c := range []struct{ encoded, want string }{
		{"", ""},
		{"a=3Db=c3=A9", "a=b\u00e9"},
		{"one =\r\ntwo=\nthree= \t\r\nfour", "one twothreefour"},
		{"end  \t\r\nnext \nlast  ", "end\r\nnext\nlast"},
		{"a = b =ZZ =4", "a = b =ZZ =4"},
		{"soft=", "soft"},
		{"123456789012345678901234=C3=A4 \n123456789012345678901234 \n", "123456789012345678901234\u00e4\n123456789012345678901234\n"},
		{"soft=\n\nline=\r\n\r\n==\n", "soft\nline\r\n="},
		{"a  b", "a  b"},
	} {
		if got := decode(t, QuotedPrintable([]byte(c.encoded))); got != c.want {
			t.Errorf("%q: %q, not %q", c.encoded, got, c.want)
		}
		if got := decode(t, iotest.OneByteReader(QuotedPrintable([]byte(c.encoded)))); got != c.want {
			t.Errorf("%q octet by octet: %q, not %q", c.encoded, got, c.want)
		}
	}
}

// What the standard library encodes comes back, however it is read, and what it
// decodes without an error decodes to the same here. The guard knows the size.
func FuzzTransfer(f *testing.F) {
	f.Add([]byte("hello = world \r\n"), 3)
	f.Add([]byte("QUJDRA=x=QUJD"), 1)
	f.Fuzz(func(t *testing.T, b []byte, piece int) {
		piece = max(1, min(piece, 100))
		read := func(r io.Reader) []byte {
			var out []byte
			p := make([]byte, piece)
			for {
				n, err := r.Read(p)
				out = append(out, p[:n]...)
				if err != nil {
					return out
				}
				if n == 0 {
					t.Fatal("nothing read, and no error")
				}
			}
		}
		encoded := base64.StdEncoding.EncodeToString(b)
		if got := read(Base64([]byte(encoded))); !bytes.Equal(got, b) {
			t.Fatalf("%q came back as %q", b, got)
		}
		var q strings.Builder
		w := quotedprintable.NewWriter(&q)
		w.Binary = true
		w.Write(b)
		w.Close()
		if got := read(QuotedPrintable([]byte(q.String()))); !bytes.Equal(got, b) {
			t.Fatalf("%q came back as %q from %q", b, got, q.String())
		}
		for name, r := range map[string]func([]byte) io.Reader{"base64": Base64, "quoted-printable": QuotedPrintable} {
			whole := make([]byte, len(b)+1)
			n, _ := io.ReadFull(r(b), whole)
			if got := read(r(b)); !bytes.Equal(got, whole[:n]) {
				t.Fatalf("%s: %q is %q whole, and %q in pieces", name, b, whole[:n], got)
			}
		}
		if strict, err := base64.StdEncoding.DecodeString(string(b)); err == nil {
			if got := read(Base64(b)); !bytes.Equal(got, strict) {
				t.Fatalf("%q decodes to %q, not %q", b, got, strict)
			}
		}
		raw := append([]byte("Content-Transfer-Encoding: base64\n\n"), b...)
		s, breach := guard.Scan(raw, guard.Limits{Size: 1 << 30, Header: 1 << 20, Fields: 9, Line: 1 << 30, Parts: 9, Depth: 9, Boundary: 99, Parameters: 99, BadBase64: 100})
		if breach != nil {
			t.Fatal(breach)
		}
		if got := read(Base64(b)); int64(len(got)) != s.Parts[0].Decoded {
			t.Fatalf("%q decodes to %d octets, and the guard said %d", b, len(got), s.Parts[0].Decoded)
		}
	})
}

func BenchmarkTransfer(b *testing.B) {
	lines := []byte(strings.Repeat(strings.Repeat("QUJDREVG", 9)+"QUJD\r\n", 100_000))
	text := []byte(strings.Repeat("Some w=C3=B6rds that a person might write in a mail to somebody els=\r\ne.\r\n", 100_000))
	for name, r := range map[string]func() (io.Reader, int){
		"base64":           func() (io.Reader, int) { return Base64(lines), len(lines) },
		"quoted-printable": func() (io.Reader, int) { return QuotedPrintable(text), len(text) },
	} {
		b.Run(name, func(b *testing.B) {
			b.ReportAllocs()
			p := make([]byte, 32<<10)
			for b.Loop() {
				reader, size := r()
				b.SetBytes(int64(size))
				for {
					if _, err := reader.Read(p); err != nil {
						break
					}
				}
			}
		})
	}
}
