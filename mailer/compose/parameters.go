package compose

import "fmt"

// parameter is one of a Content-Type or Content-Disposition.
type parameter struct{ name, value string }

// longestValue is up to where a parameter stands on one line.
const longestValue = 60

// parameters writes a field with parameters, each on a line of its own. What is
// not ASCII, or too long for a line, is cut into sections (RFC 2231).
func (c *composer) parameters(name, value string, params []parameter) {
	c.out = append(c.out, name+": "+value...)
	for _, p := range params {
		if isToken(p.value) && len(p.value) <= longestValue {
			c.parameter(p.name, p.value)
			continue
		}
		if isASCII(p.value) && len(p.value) <= longestValue {
			c.parameter(p.name, quoted(p.value))
			continue
		}
		c.extended(p)
	}
	c.out = append(c.out, "\r\n"...)
}

func (c *composer) parameter(name, value string) {
	c.out = append(c.out, ";\r\n "+name+"="+value...)
}

// extended writes a parameter in sections of percent-encoded UTF-8. One that fits
// in a single section is not numbered.
func (c *composer) extended(p parameter) {
	const prefix = "utf-8''"
	var sections []string
	section := prefix
	for i := range len(p.value) {
		encoded := percent(p.value[i])
		if len(section)+len(encoded) > longestValue {
			sections = append(sections, section)
			section = ""
		}
		section += encoded
	}
	sections = append(sections, section)
	if len(sections) == 1 {
		c.parameter(p.name+"*", sections[0])
		return
	}
	for i, section := range sections {
		c.parameter(fmt.Sprintf("%s*%d*", p.name, i), section)
	}
}

// percent is an octet as RFC 2231, section 7, lets it stand.
func percent(octet byte) string {
	if octet >= 'a' && octet <= 'z' || octet >= 'A' && octet <= 'Z' || octet >= '0' && octet <= '9' || octet == '.' || octet == '-' || octet == '_' {
		return string(rune(octet))
	}
	return fmt.Sprintf("%%%02X", octet)
}
