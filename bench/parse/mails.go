package main

import (
	"bytes"
	"encoding/base64"
	"fmt"
	"io"
	"io/fs"
	"math/rand/v2"
	"mime/quotedprintable"
	"os"
	"path/filepath"
	"strings"
)

// sample is a mail, or several, that all parsers are given.
type sample struct {
	name  string
	mails [][]byte
	files bool // read the contents of the files too
	text  int64
	file  int64 // octets of text and of files in it, 0 where they are not known
}

// samples are mails as people send them, and always the same.
func samples() []sample {
	german := strings.Repeat("Grüße aus Köln. Die Zahlen für das dritte Quartal sind größer als erwartet, und Jürgen prüft sie noch.\n", 950)
	latin := []byte(strings.NewReplacer("ü", "\xfc", "ß", "\xdf", "ö", "\xf6", "ä", "\xe4").Replace(german))
	file := randomOctets(15 << 20)
	attached := attachment(file)
	large, small := int64(len(file)), int64(len("Hello,\r\n\r\nwhat do you charge for a table for two on Sunday?\r\n\r\nAnn\r\n"))
	return []sample{
		{name: "a few lines of text", mails: [][]byte{short()}, text: small},
		{name: "text, 100 kB, UTF-8, quoted-printable", mails: [][]byte{quotedMail("text/plain; charset=utf-8", german)}, text: int64(len(german))},
		{name: "text, 100 kB, windows-1252, 8bit", mails: [][]byte{append([]byte(head("text/plain; charset=windows-1252", "8bit")), latin...)}, text: int64(len(german))},
		{name: "HTML, 100 kB, quoted-printable", mails: [][]byte{quotedMail("text/html; charset=utf-8", page())}},
		{name: "21 MB with one file in base64, not read", mails: [][]byte{attached}, file: large},
		{name: "21 MB with one file in base64, read", mails: [][]byte{attached}, files: true, file: large},
	}
}

func head(contentType, encoding string) string {
	return "Received: from mail.example.org (mail.example.org [192.0.2.1]) by mx.example.com; Mon, 2 Mar 2026 10:00:00 +0000\r\n" +
		"From: \"Ann Example\" <ann@example.org>\r\nTo: sales@example.com\r\n" +
		"Subject: =?utf-8?q?Zahlen_f=C3=BCr_das_dritte_Quartal?=\r\nDate: Mon, 2 Mar 2026 10:00:00 +0000\r\n" +
		"Message-ID: <1@example.org>\r\nMIME-Version: 1.0\r\n" +
		"Content-Type: " + contentType + "\r\nContent-Transfer-Encoding: " + encoding + "\r\n\r\n"
}

func short() []byte {
	return []byte(head("text/plain; charset=utf-8", "7bit") + "Hello,\r\n\r\nwhat do you charge for a table for two on Sunday?\r\n\r\nAnn\r\n")
}

func quotedMail(contentType, text string) []byte {
	var b bytes.Buffer
	b.WriteString(head(contentType, "quoted-printable"))
	w := quotedprintable.NewWriter(&b)
	// Writing to a buffer does not fail.
	_, _ = io.WriteString(w, text)
	_ = w.Close()
	return b.Bytes()
}

// page is HTML as newsletters and invoices have it: tables with styles.
func page() string {
	var b strings.Builder
	b.WriteString("<html><head><style>td{padding:4px}</style></head><body><div style=\"display:none\">Your invoice</div><table>")
	for i := range 450 {
		fmt.Fprintf(&b, "<tr><td style=\"font-family:Arial,sans-serif;font-size:12px\">Position %d</td>"+
			"<td><a href=\"https://example.org/items/%d?from=mail\">Stück à 12,50&nbsp;€</a></td><td align=right>%d&euro;</td></tr>\n", i, i*7, i*3)
	}
	b.WriteString("</table></body></html>\n")
	return b.String()
}

func randomOctets(n int) []byte {
	source := rand.NewChaCha8([32]byte{1})
	octets := make([]byte, n)
	_, _ = source.Read(octets) // it does not fail
	return octets
}

// attachment is a mail with a text and a file in base64.
func attachment(file []byte) []byte {
	var b bytes.Buffer
	b.WriteString(head("multipart/mixed; boundary=\"=_1\"", "7bit"))
	b.WriteString("--=_1\r\nContent-Type: text/plain\r\n\r\nSee the file.\r\n--=_1\r\n" +
		"Content-Type: application/zip; name=\"figures.zip\"\r\nContent-Disposition: attachment; filename=\"figures.zip\"\r\n" +
		"Content-Transfer-Encoding: base64\r\n\r\n")
	for len(file) > 0 {
		n := min(57, len(file))
		b.WriteString(base64.StdEncoding.EncodeToString(file[:n]) + "\r\n")
		file = file[n:]
	}
	b.WriteString("--=_1--\r\n")
	return b.Bytes()
}

// corpora are the folders below root, each with all mails in it.
func corpora(root string) ([]sample, error) {
	folders, err := os.ReadDir(root)
	if err != nil {
		return nil, fmt.Errorf("list the corpora: %w", err)
	}
	var all []sample
	for _, folder := range folders {
		if !folder.IsDir() {
			continue
		}
		s := sample{name: folder.Name(), files: true}
		if s.mails, err = mailsIn(filepath.Join(root, folder.Name())); err != nil {
			return nil, err
		}
		if len(s.mails) > 0 {
			s.name = fmt.Sprintf("%s, %d mails", s.name, len(s.mails))
			all = append(all, s)
		}
	}
	return all, nil
}

func mailsIn(folder string) ([][]byte, error) {
	var mails [][]byte
	tree := os.DirFS(folder)
	err := fs.WalkDir(tree, ".", func(path string, entry fs.DirEntry, err error) error {
		if err != nil || entry.IsDir() || filepath.Ext(path) != ".eml" {
			return err
		}
		raw, err := fs.ReadFile(tree, path)
		mails = append(mails, raw)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("read mails below %s: %w", folder, err)
	}
	return mails, nil
}
