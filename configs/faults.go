package configs

import (
	"cmp"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
)

// fault is one thing wrong with the settings. Its text names the place, the
// setting and what is wrong with it.
type fault struct {
	file         string // as given to Load or Parse
	line, column int    // from 1; of the nearest key above, when the setting in question is not there
	variable     string // the environment variable that the value came from, if it did
	path         string // of the setting, such as processing.routes[1].processor; empty for the whole file
	what         string // what is wrong and, where it helps, what would be right
}

// String renders the fault as file:line:col: path: what, or as VARIABLE: what.
func (f *fault) String() string {
	if f.variable != "" {
		return f.variable + ": " + f.what
	}
	where := fmt.Sprintf("%s:%d:%d: ", f.file, f.line, f.column)
	if f.path == "" {
		return where + f.what
	}
	return where + f.path + ": " + f.what
}

// joined makes one error of all faults, those of the file first and from top to
// bottom, then those of the environment by name.
func joined(faults []*fault) error {
	slices.SortStableFunc(faults, func(a, b *fault) int {
		return cmp.Or(
			strings.Compare(a.variable, b.variable),
			cmp.Compare(a.line, b.line),
			cmp.Compare(a.column, b.column),
		)
	})
	all := make([]error, len(faults))
	for i, f := range faults {
		all[i] = errors.New(f.String())
	}
	return errors.Join(all...)
}

// path leads to a setting: keys, and places in lists in decimal.
type path []string

func (p path) String() string {
	var b strings.Builder
	for i, part := range p {
		switch {
		case isIndex(part):
			fmt.Fprintf(&b, "[%s]", part)
		case i > 0:
			b.WriteString("." + part)
		default:
			b.WriteString(part)
		}
	}
	return b.String()
}

// with is the path one step further. The steps of p are copied: paths of
// siblings share nothing.
func (p path) with(part string) path { return append(slices.Clone(p), part) }

func isIndex(part string) bool {
	return part != "" && strings.Trim(part, "0123456789") == ""
}

// complaint is the form in which a package's Validate writes each of its errors:
// the path of a key, a colon, and what is wrong.
var complaint = regexp.MustCompile(`(?s)^([A-Za-z_][\w-]*(?:\[\d+\]|\.[\w-]+)*): (.*)$`)

// split takes a complaint apart. An error in another form is about the section
// as a whole.
func split(complained error) (path, string) {
	m := complaint.FindStringSubmatch(complained.Error())
	if m == nil {
		return nil, complained.Error()
	}
	return strings.FieldsFunc(m[1], func(r rune) bool { return strings.ContainsRune(".[]", r) }), m[2]
}

// flat lists the errors that were joined, however deeply. A join that was wrapped
// has a text of its own, and is one error.
func flat(err error) []error {
	if err == nil {
		return nil
	}
	many, ok := err.(interface{ Unwrap() []error })
	if !ok {
		return []error{err}
	}
	var all []error
	for _, e := range many.Unwrap() {
		all = append(all, flat(e)...)
	}
	return all
}

// nearest is the known name that differs least from the one written, or "" when
// none is close enough to have been meant.
func nearest(written string, known []string) string {
	best, least := "", 1+max(2, len(written)/3)
	for _, k := range known {
		if d := distance(strings.ToLower(written), strings.ToLower(k)); d < least {
			best, least = k, d
		}
	}
	return best
}

// distance counts the letters to insert, drop or change to make b of a.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			change := diagonal
			if a[i] != b[j] {
				change++
			}
			diagonal = row[j+1]
			row[j+1] = min(change, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}

// quoted shows a value in a complaint, cut short if it is long.
func quoted(s string) string {
	const most = 60
	if r := []rune(s); len(r) > most {
		s = string(r[:most]) + "..."
	}
	return fmt.Sprintf("%q", s)
}
