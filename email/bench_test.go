package email

import (
	"bytes"
	"encoding/base64"
	"strings"
	"testing"
	"time"

	"github.com/jhillyerd/enmime/v2"
)

// encoded is base64 in lines.
func encoded(content []byte) string {
	digits := base64.StdEncoding.EncodeToString(content)
	var b strings.Builder
	for len(digits) > 76 {
		b.WriteString(digits[:76] + "\r\n")
		digits = digits[76:]
	}
	b.WriteString(digits)
	return b.String()
}

// The parser beside enmime alone, with the settings that are usual for it.
func BenchmarkParse(b *testing.B) {
	text := strings.Repeat("Some w=C3=B6rds that a person might write in a mail to somebody els=\r\ne.\r\n", 1400)
	row := "<tr><td align=3D\"left\">Region</td><td>12,345.00</td><td><a href=3D\"https://ex=\r\nample.com/\">more</a></td></tr>\r\n"
	head := "From: a@b.example\r\nContent-Transfer-Encoding: quoted-printable\r\nContent-Type: "
	for name, mail := range map[string]string{
		"text":       head + "text/plain; charset=utf-8\r\n\r\n" + text,
		"html":       head + "text/html; charset=utf-8\r\n\r\n<table>" + strings.Repeat(row, 1000) + "</table>",
		"attachment": mailWith(make([]byte, 15<<20)),
		"small":      head + "text/plain; charset=utf-8\r\n\r\nHello.\r\n",
	} {
		raw := []byte(mail)
		b.Run(name+"/inreply", func(b *testing.B) {
			p := newParser(b)
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := p.Parse(Raw{Bytes: raw}); err != nil {
					b.Fatal(err)
				}
			}
		})
		b.Run(name+"/enmime", func(b *testing.B) {
			b.SetBytes(int64(len(raw)))
			b.ReportAllocs()
			for b.Loop() {
				if _, err := enmime.ReadEnvelope(bytes.NewReader(raw)); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

// How many times as fast as enmime alone a mail with a file of 15 MB is, both in turn.
func BenchmarkAttachmentRatio(b *testing.B) {
	raw := []byte(mailWith(make([]byte, 15<<20)))
	p := newParser(b)
	var ours, alone time.Duration
	for b.Loop() {
		began := processorTime(b)
		if _, err := p.Parse(Raw{Bytes: raw}); err != nil {
			b.Fatal(err)
		}
		between := processorTime(b)
		if _, err := enmime.ReadEnvelope(bytes.NewReader(raw)); err != nil {
			b.Fatal(err)
		}
		ours, alone = ours+between-began, alone+processorTime(b)-between
	}
	b.ReportMetric(float64(alone)/float64(ours), "times")
}
