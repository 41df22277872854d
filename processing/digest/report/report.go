// Package report has the nouns of a digest: what is said of the files of a mail,
// of their sheets and of the columns of these. It is also the shape of the JSON
// that goes out with a reply: schema.json describes it, and docs/digest.md tells
// it in words.
package report

import (
	_ "embed"
	"encoding/json"
	"fmt"
)

// Version is that of the JSON. Fields may be added under the same version; what is
// there keeps its name and meaning.
const Version = 1

//go:embed schema.json
var schema []byte

// Schema is the JSON Schema (2020-12) of a Report.
func Schema() []byte { return schema }

// Report is what is said of a mail's files.
type Report struct {
	Version int    `json:"version"`
	Files   []File `json:"files"`
	Unread  int    `json:"unread"` // files and sheets beyond the most that are told of
}

// File is one attachment.
type File struct {
	Name      string   `json:"name"`
	Size      int64    `json:"size"`                // octets, decoded
	Format    string   `json:"format,omitempty"`    // csv, xlsx; empty if it could not be read
	Charset   string   `json:"charset,omitempty"`   // of a csv
	Delimiter string   `json:"delimiter,omitempty"` // of a csv
	Problem   string   `json:"problem,omitempty"`   // why it could not be read, or not as a whole
	Notes     []string `json:"notes,omitempty"`
	Sheets    []Sheet  `json:"sheets"`
}

// Sheet is one table. A csv has one, without a name.
type Sheet struct {
	Name    string   `json:"name,omitempty"`
	Rows    int      `json:"rows"`    // without the heading
	Width   int      `json:"width"`   // columns that it has
	Columns []Column `json:"columns"` // those that are told of
	Notes   []string `json:"notes,omitempty"`
	Problem string   `json:"problem,omitempty"` // why it could not be read, or not as a whole
}

// The types of columns.
const (
	Empty   = "empty"
	Number  = "number"
	Date    = "date"
	Boolean = "boolean"
	Text    = "text"
)

// Column is what one column says.
type Column struct {
	Name     string   `json:"name"`
	Type     string   `json:"type"`
	Unit     string   `json:"unit,omitempty"` // currency sign or code, or %, that its numbers have
	Values   int      `json:"values"`         // cells that are not missing
	Missing  int      `json:"missing"`
	Other    int      `json:"other,omitempty"` // values that are not of the column's type
	Distinct int      `json:"distinct"`
	More     bool     `json:"more,omitempty"` // there are more than Distinct
	Numbers  *Numbers `json:"numbers,omitempty"`
	Dates    *Dates   `json:"dates,omitempty"`
	Top      []Value  `json:"top"` // most frequent first; those that came more than once
	Notes    []string `json:"notes,omitempty"`
}

// Numbers are the figures of a column of numbers. Every figure is exact, but for
// the rounding of the last binary digit, unless the next two say otherwise.
type Numbers struct {
	Total   json.Number `json:"total"` // as long as it has to be
	Mean    float64     `json:"mean"`
	Min     float64     `json:"min"`
	Lower   float64     `json:"lower_quartile"`
	Median  float64     `json:"median"`
	Upper   float64     `json:"upper_quartile"`
	Max     float64     `json:"max"`
	Places  int         `json:"decimals"`             // that the longest number has, up to 18
	Rounded bool        `json:"rounded,omitempty"`    // the total is a sum of rounded numbers
	Error   float64     `json:"rank_error,omitempty"` // quartiles may be off by so many ranks in a hundred
	Key     bool        `json:"key,omitempty"`        // they number something: a total means nothing
}

// Dates are the span of a column of dates, as 2006-01-02 or 2006-01-02T15:04:05.
type Dates struct {
	First string `json:"first"`
	Last  string `json:"last"`
	Days  int    `json:"days"` // from the first to the last, both counted
}

// Value is a frequent value.
type Value struct {
	Value string `json:"value"`
	Times int    `json:"times"`
	Least bool   `json:"at_least,omitempty"` // it may have come more often
}

// JSON is the report as it is attached: indented, and with <, > and & escaped.
func (r Report) JSON() ([]byte, error) {
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		return nil, fmt.Errorf("write the digest as JSON: %w", err)
	}
	return append(text, '\n'), nil
}
