package sqs

import (
	"crypto/md5" //nolint:gosec // The protocol's checksum, not a safeguard.
	"encoding/binary"
	"encoding/hex"
	"slices"
	"strconv"
	"strings"
)

// Attribute is a message attribute. DataType is "String", "Number" or
// "Binary", or one of these with a label of the sender's such as
// "Number.float"; a Binary has BinaryValue, the others StringValue.
type Attribute struct {
	DataType    string
	StringValue string `json:",omitempty"`
	BinaryValue []byte `json:",omitempty"`
}

func (a Attribute) binary() bool { return kind(a.DataType) == "Binary" }

// size is what the attribute counts toward the message's size.
func (a Attribute) size() int { return len(a.DataType) + len(a.StringValue) + len(a.BinaryValue) }

func kind(dataType string) string {
	k, _, _ := strings.Cut(dataType, ".")
	return k
}

// maxAttributes is how many attributes a message may have.
const maxAttributes = 10

func checkAttributes(attributes map[string]Attribute) error {
	if len(attributes) > maxAttributes {
		return invalidParameter("Number of message attributes [%d] exceeds the allowed maximum [%d].", len(attributes), maxAttributes)
	}
	for _, name := range sortedKeys(attributes) {
		if err := checkAttribute(name, attributes[name]); err != nil {
			return err
		}
	}
	return nil
}

func checkAttribute(name string, a Attribute) error {
	lower := strings.ToLower(name)
	switch {
	case len(name) > 256 || !wellFormedName(name),
		strings.HasPrefix(name, "."), strings.HasSuffix(name, "."), strings.Contains(name, ".."),
		strings.HasPrefix(lower, "aws."), strings.HasPrefix(lower, "amazon."):
		return invalidParameter("The message attribute name '%s' is invalid.", name)
	case a.DataType == "":
		return invalidParameter("The message attribute '%s' must contain a non-empty message attribute type.", name)
	case len(a.DataType) > 256 || !slices.Contains([]string{"String", "Number", "Binary"}, kind(a.DataType)):
		return invalidParameter("The message attribute '%s' has an invalid message attribute type, the set of supported type prefixes is Binary, Number, and String.", name)
	case a.binary() && len(a.BinaryValue) == 0, !a.binary() && a.StringValue == "":
		return invalidParameter("The message attribute '%s' must contain a non-empty message attribute value for message attribute type '%s'.", name, a.DataType)
	case kind(a.DataType) == "Number" && !isNumber(a.StringValue):
		return invalidParameter("Can't cast the value of message attribute '%s' to a number.", name)
	case !xmlText(a.StringValue):
		return invalidCharacters()
	}
	return nil
}

func isNumber(s string) bool {
	_, err := strconv.ParseFloat(s, 64)
	return err == nil
}

// wellFormedName says whether name has only alphanumeric characters,
// underscores, hyphens and dots.
func wellFormedName(name string) bool {
	for _, c := range []byte(name) {
		if !alphanumeric(c) && c != '_' && c != '-' && c != '.' {
			return false
		}
	}
	return name != ""
}

// token says whether s may be a group id, a deduplication id or an attempt id:
// 1 to 128 alphanumeric characters and ASCII punctuation.
func token(s string) bool {
	for _, c := range []byte(s) {
		if c <= ' ' || c > '~' {
			return false
		}
	}
	return s != "" && len(s) <= 128
}

func alphanumeric(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9'
}

// xmlText says whether s has only the characters that XML 1.0 allows (W3C
// Recommendation "Extensible Markup Language (XML) 1.0", section 2.2).
func xmlText(s string) bool {
	for _, r := range s {
		ok := r == '\t' || r == '\n' || r == '\r' ||
			r >= 0x20 && r <= 0xD7FF || r >= 0xE000 && r <= 0xFFFD || r >= 0x10000
		if !ok {
			return false
		}
	}
	return true
}

func invalidCharacters() *Error {
	return refuse("InvalidMessageContents", "Invalid characters found. Valid unicode characters are #x9 | #xA | #xD | #x20 to #xD7FF | #xE000 to #xFFFD | #x10000 to #x10FFFF.")
}

func textMD5(s string) string {
	sum := md5.Sum([]byte(s)) //nolint:gosec // As above.
	return hex.EncodeToString(sum[:])
}

// attributesMD5 is the checksum over message attributes as SQS computes it
// (developer guide, "Calculating the MD5 message digest for message
// attributes"): name, type, one byte for the kind, and value of each, in the
// order of names, all but that byte with its length in front. It is empty for no
// attributes.
func attributesMD5(attributes map[string]Attribute) string {
	if len(attributes) == 0 {
		return ""
	}
	const stringKind, binaryKind = 1, 2
	var b []byte
	field := func(s string) {
		b = binary.BigEndian.AppendUint32(b, uint32(len(s))) //nolint:gosec // No longer than a message.
		b = append(b, s...)
	}
	for _, name := range sortedKeys(attributes) {
		a := attributes[name]
		field(name)
		field(a.DataType)
		if a.binary() {
			b = append(b, binaryKind)
			field(string(a.BinaryValue))
			continue
		}
		b = append(b, stringKind)
		field(a.StringValue)
	}
	return textMD5(string(b))
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
