package configs

import (
	"bytes"
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"
	"golang.org/x/text/language"
	"golang.org/x/text/message"
)

//go:embed schema.json
var schemaJSON []byte

// Schema is the JSON Schema (2020-12) of the settings, for editors. It is the one
// that Parse validates by.
func Schema() []byte { return bytes.Clone(schemaJSON) }

// duration is the pattern of a length of time. The schema has no other patterns.
const duration = `^([0-9]+(\.[0-9]+)?(ns|us|ms|s|m|h))+$`

// schema is what this package itself reads in schema.json: which settings there
// are and of which kind. It is always written inline, without references.
type schema struct {
	Type       types              `json:"type"`
	Properties map[string]*schema `json:"properties"`
	Items      *schema            `json:"items"`
	Others     others             `json:"additionalProperties"`
	Pattern    string             `json:"pattern"`
	Enum       []string           `json:"enum"`
	WriteOnly  bool               `json:"writeOnly"` // a secret: its value is never shown
}

// types is one type's name, or several.
type types []string

func (t *types) UnmarshalJSON(text []byte) error {
	var one string
	if json.Unmarshal(text, &one) == nil {
		*t = types{one}
		return nil
	}
	return json.Unmarshal(text, (*[]string)(t))
}

// others is the schema of what a map holds, under keys of the user's choice; nil
// where no other keys may be.
type others struct{ *schema }

func (o *others) UnmarshalJSON(text []byte) error {
	if string(text) == "false" {
		return nil
	}
	return json.Unmarshal(text, &o.schema)
}

// step is the schema of the setting one key or one place in a list below; nil
// when there is none.
func (s *schema) step(part string) *schema {
	switch {
	case s == nil:
		return nil
	case s.Properties[part] != nil:
		return s.Properties[part]
	case s.Items != nil && isIndex(part):
		return s.Items
	}
	return s.Others.schema
}

func (s *schema) at(p path) *schema {
	for _, part := range p {
		s = s.step(part)
	}
	return s
}

func (s *schema) allows(typ string) bool { return s != nil && slices.Contains(s.Type, typ) }

func (s *schema) isDuration() bool { return s != nil && s.Pattern == duration }

func (s *schema) keys() []string {
	if s == nil {
		return nil
	}
	return slices.Sorted(maps.Keys(s.Properties))
}

// validator is schema.json twice: compiled, and as something to walk.
type validator struct {
	*schema
	compiled *jsonschema.Schema
}

func newValidator() (*validator, error) {
	const here = "schema.json"
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemaJSON))
	if err != nil {
		return nil, fmt.Errorf("read the schema of the settings: %w", err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource(here, document); err != nil {
		return nil, fmt.Errorf("read the schema of the settings: %w", err)
	}
	compiled, err := compiler.Compile(here)
	if err != nil {
		return nil, fmt.Errorf("compile the schema of the settings: %w", err)
	}
	v := &validator{compiled: compiled}
	if err := json.Unmarshal(schemaJSON, &v.schema); err != nil {
		return nil, fmt.Errorf("read the schema of the settings: %w", err)
	}
	return v, nil
}

// validate complains of everything in the tree that is not as the schema has it,
// and drops it from the tree. value is all of the tree.
func (v *validator) validate(t *tree, value any) []*fault {
	var invalid *jsonschema.ValidationError
	if !errors.As(v.compiled.Validate(value), &invalid) {
		return nil
	}
	var faults []*fault
	var wrong []path
	for _, leaf := range leaves(invalid) {
		p := path(leaf.InstanceLocation)
		if unknown, ok := leaf.ErrorKind.(*kind.AdditionalProperties); ok {
			for _, key := range unknown.Properties {
				faults = append(faults, t.keyFault(p.with(key), v.unknown(p, key)))
				wrong = append(wrong, p.with(key))
			}
			continue
		}
		faults = append(faults, t.fault(p, v.mismatch(leaf, value)))
		wrong = append(wrong, p)
	}
	for _, p := range wrong {
		t.drop(p)
	}
	return faults
}

// leaves are the errors that have no further cause.
func leaves(e *jsonschema.ValidationError) []*jsonschema.ValidationError {
	if len(e.Causes) == 0 {
		return []*jsonschema.ValidationError{e}
	}
	var all []*jsonschema.ValidationError
	for _, cause := range e.Causes {
		all = append(all, leaves(cause)...)
	}
	return all
}

// unknown says what could have been meant by a key that is no setting.
func (v *validator) unknown(in path, key string) string {
	known := v.at(in).keys()
	if meant := nearest(key, known); meant != "" {
		return fmt.Sprintf("unknown setting; did you mean %s?", meant)
	}
	return "unknown setting; there are " + strings.Join(known, ", ")
}

// mismatch says what was wanted, and what was found.
func (v *validator) mismatch(e *jsonschema.ValidationError, in any) string {
	s := v.at(e.InstanceLocation)
	found := shown(lookup(in, e.InstanceLocation))
	if s != nil && s.WriteOnly {
		found = "what is there"
	}
	switch k := e.ErrorKind.(type) {
	case *kind.Enum:
		return fmt.Sprintf("%s is none of %s", found, listed(k.Want))
	case *kind.Pattern:
		return fmt.Sprintf("%s is no length of time such as 500ms, 30s or 1h30m", found)
	case *kind.Type:
		if s.isDuration() {
			return fmt.Sprintf("%s is no length of time: write a number with its unit, such as 500ms, 30s or 1h30m", found)
		}
		want := k.Want[len(k.Want)-1] // a section or list may also be null, which sorts first
		if want == "string" && (k.Got == "number" || k.Got == "boolean") {
			return fmt.Sprintf("%s is not text: put it in quotes", found)
		}
		return fmt.Sprintf("%s is not %s", found, wanted(want))
	case *kind.Maximum:
		return found + " is too large"
	case *kind.Minimum:
		return found + " is too small"
	}
	return e.ErrorKind.LocalizedString(message.NewPrinter(language.English))
}

func wanted(typ string) string {
	switch typ {
	case "integer":
		return "a whole number"
	case "number":
		return "a number"
	case "boolean":
		return "true or false"
	case "array":
		return "a list"
	case "object":
		return "a section: its settings stand below it, indented"
	}
	return "text"
}

// shown is a value as a complaint shows it.
func shown(v any) string {
	switch v := v.(type) {
	case nil:
		return "nothing"
	case string:
		return quoted(v)
	case []any:
		return "a list"
	case map[string]any:
		return "a section"
	}
	return fmt.Sprint(v)
}

func lookup(in any, p path) any {
	for _, part := range p {
		switch v := in.(type) {
		case map[string]any:
			in = v[part]
		case []any:
			in = v[place(part)]
		}
	}
	return in
}

func listed(values []any) string {
	words := make([]string, len(values))
	for i, v := range values {
		words[i] = fmt.Sprint(v)
		if words[i] == "" {
			words[i] = `""`
		}
	}
	return strings.Join(words, ", ")
}
