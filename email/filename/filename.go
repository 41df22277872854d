// Package filename makes names of files in a mail safe to write to disk, on any
// system: the sender chose them.
package filename

import (
	"fmt"
	"path"
	"strings"
	"unicode"
	"unicode/utf8"
)

// longest is how many octets a name has at most; file systems take 255.
const longest = 200

// Safe returns a name without path, control characters, characters that turn text
// around or that some system does not take, without a dot in front, and not the
// name of a device. Where nothing is left, it is made from the media type and a
// number. It is never empty, and valid UTF-8.
func Safe(name, mediaType string, number int) string {
	name = path.Base(strings.ReplaceAll(strings.ToValidUTF8(name, "_"), `\`, "/"))
	name = strings.Map(safe, name)
	name = strings.TrimLeft(strings.Trim(strings.Join(strings.Fields(name), " "), " ."), "-~ .")
	if device(name) {
		name = "_" + name
	}
	name = shortened(name)
	if strings.Trim(name, "_ .-") == "" {
		return fmt.Sprintf("part-%d%s", number, Extension(mediaType))
	}
	return name
}

func safe(r rune) rune {
	switch {
	case r == '\t' || r == '\n' || r == '\r' || unicode.Is(unicode.Z, r):
		return ' '
	case unicode.IsControl(r) || unicode.In(r, unicode.Cf, unicode.Co, unicode.Cs), strings.ContainsRune(`/\:*?"<>|`, r):
		return '_'
	}
	return r
}

// shortened keeps the extension, as far as it is one.
func shortened(name string) string {
	if len(name) <= longest {
		return name
	}
	extension := path.Ext(name)
	if len(extension) > 20 {
		extension = ""
	}
	return strings.TrimRight(truncated(strings.TrimSuffix(name, extension), longest-len(extension)), " .") + extension
}

// truncated is the beginning of s that has at most n octets.
func truncated(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// device reports whether Windows takes a name for a device.
func device(name string) bool {
	stem, _, _ := strings.Cut(strings.ToLower(name), ".")
	switch stem = strings.TrimSpace(stem); stem {
	case "con", "prn", "aux", "nul", "conin$", "conout$":
		return true
	}
	if len(stem) < 4 || stem[:3] != "com" && stem[:3] != "lpt" {
		return false
	}
	switch stem[3:] {
	case "0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "\u00b9", "\u00b2", "\u00b3":
		return true
	}
	return false
}

// Numbered is a name with a number before its extension.
func Numbered(name string, n int) string {
	extension := path.Ext(name)
	if len(extension) > 20 {
		extension = ""
	}
	suffix := fmt.Sprintf(" (%d)", n)
	return truncated(strings.TrimSuffix(name, extension), longest-len(extension)-len(suffix)) + suffix + extension
}

// Extension is the usual one of a media type, the same on every machine.
func Extension(mediaType string) string {
	switch mediaType {
	case "text/plain", "message/delivery-status", "text/rfc822-headers", "message/disposition-notification", "message/feedback-report":
		return ".txt"
	case "text/html":
		return ".html"
	case "text/csv":
		return ".csv"
	case "text/calendar":
		return ".ics"
	case "text/vcard", "text/x-vcard":
		return ".vcf"
	case "text/xml", "application/xml":
		return ".xml"
	case "message/rfc822", "message/global":
		return ".eml"
	case "application/json":
		return ".json"
	case "application/pdf":
		return ".pdf"
	case "application/zip", "application/x-zip-compressed":
		return ".zip"
	case "application/gzip":
		return ".gz"
	case "application/rtf", "text/rtf":
		return ".rtf"
	case "application/msword":
		return ".doc"
	case "application/vnd.ms-excel":
		return ".xls"
	case "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet":
		return ".xlsx"
	case "application/vnd.openxmlformats-officedocument.wordprocessingml.document":
		return ".docx"
	case "image/jpeg", "image/jpg", "image/pjpeg":
		return ".jpg"
	case "image/png", "image/gif", "image/webp", "image/bmp", "image/heic":
		return "." + strings.TrimPrefix(mediaType, "image/")
	case "image/svg+xml":
		return ".svg"
	case "application/pgp-signature":
		return ".asc"
	case "application/pkcs7-signature", "application/x-pkcs7-signature":
		return ".p7s"
	case "application/ms-tnef":
		return ".dat"
	}
	return ".bin"
}
