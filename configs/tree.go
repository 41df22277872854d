package configs

import (
	"bytes"
	"cmp"
	"errors"
	"fmt"
	"io"
	"slices"
	"strconv"
	"time"

	"go.yaml.in/yaml/v4"
)

// tree is a settings file as YAML's nodes, which know where they stand. What the
// environment overrides is put into the same tree, and remembers its variable,
// so that whatever is found wrong later can say where it came from.
type tree struct {
	file     string
	root     *yaml.Node            // a mapping
	variable map[*yaml.Node]string // of the nodes that the environment brought
}

// grow reads one YAML document. A text that cannot be made a tree of gives one
// fault.
func grow(file string, text []byte) (*tree, *fault) {
	t := &tree{file: file, variable: map[*yaml.Node]string{}}
	loader, err := yaml.NewLoader(bytes.NewReader(text))
	if err != nil {
		return nil, t.broken(err)
	}
	var document, second yaml.Node
	switch err := loader.Load(&document); {
	case errors.Is(err, io.EOF), err == nil && isNull(document.Content[0]):
		return nil, &fault{file: file, line: 1, column: 1, what: "the file is empty: it has no settings"}
	case err != nil:
		return nil, t.broken(err)
	}
	switch err := loader.Load(&second); {
	case err == nil:
		return nil, &fault{file: file, line: second.Line, column: second.Column, what: "a second document begins here: keep all settings in one"}
	case !errors.Is(err, io.EOF):
		return nil, t.broken(err)
	}
	t.root = document.Content[0]
	if t.root.Kind != yaml.MappingNode {
		return nil, &fault{file: file, line: t.root.Line, column: t.root.Column, what: "these are no settings: write them as key: value"}
	}
	return t, nil
}

// broken places an error of YAML's own.
func (t *tree) broken(err error) *fault {
	f := &fault{file: t.file, line: 1, column: 1, what: "this is not YAML: " + err.Error()}
	var e *yaml.LoadError
	if errors.As(err, &e) {
		f.line, f.column = max(1, e.Mark.Line), max(1, e.Mark.Column)
		f.what = "this is not YAML: " + e.Message
	}
	if e != nil && e.ContextMsg != "" {
		f.what = "this is not YAML: " + e.ContextMsg + ", " + e.Message
	}
	return f
}

// entry finds a key in a mapping: its place in Content, or -1. An alias is
// followed.
func entry(mapping *yaml.Node, key string) int {
	if mapping.Kind != yaml.MappingNode {
		return -1
	}
	for i := 0; i+1 < len(mapping.Content); i += 2 {
		if mapping.Content[i].Value == key {
			return i
		}
	}
	return -1
}

func followed(n *yaml.Node) *yaml.Node {
	if n.Kind == yaml.AliasNode {
		return n.Alias
	}
	return n
}

// find goes as far as it can towards the setting at p. It returns the last key on
// the way with its value, the variable that either came from, and whether p was
// there to its end. Before the first step there is neither key nor value.
func (t *tree) find(p path) (key, value *yaml.Node, variable string, whole bool) {
	n := t.root
	for _, part := range p {
		k, v := step(followed(n), part)
		if v == nil {
			return key, value, variable, false
		}
		key, value, n = k, v, v
		variable = cmp.Or(t.variable[v], variable)
	}
	return key, value, variable, true
}

// fault places a complaint about the setting at p: at its value, or, when that
// begins on another line or is not there, at the last key that is on the way.
func (t *tree) fault(p path, what string) *fault {
	f := t.keyFault(p, what)
	key, value, variable, whole := t.find(p)
	if whole && variable == "" && value != nil && value.Line == key.Line {
		f.line, f.column = value.Line, value.Column
	}
	return f
}

// keyFault places a complaint about the key itself, not its value.
func (t *tree) keyFault(p path, what string) *fault {
	key, _, variable, _ := t.find(p)
	f := &fault{path: p.String(), what: what}
	switch {
	case variable != "":
		f.variable = variable
	case key != nil:
		f.file, f.line, f.column = t.file, key.Line, key.Column
	default:
		f.file, f.line, f.column = t.file, 1, 1
	}
	return f
}

// step goes one key or one place in a list down. The key of an item is the item.
func step(n *yaml.Node, part string) (key, value *yaml.Node) {
	if i := entry(n, part); i >= 0 {
		return n.Content[i], n.Content[i+1]
	}
	i, err := strconv.Atoi(part)
	if n.Kind != yaml.SequenceNode || err != nil || i < 0 || i >= len(n.Content) {
		return nil, nil
	}
	return n.Content[i], n.Content[i]
}

// set puts a value that the environment brought where p leads, and makes the
// sections on the way. What the file has there in place of a section stays, and
// the schema will complain of it.
func (t *tree) set(p path, value *yaml.Node, variable string) {
	n := t.root
	for _, part := range p[:len(p)-1] {
		i := entry(n, part)
		if i < 0 {
			n.Content = append(n.Content, scalar("!!str", part), &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map"})
			i = len(n.Content) - 2
		}
		section := followed(n.Content[i+1])
		switch {
		case section.Kind == yaml.MappingNode && section != n.Content[i+1]:
			// What an alias stands for stands elsewhere too, and is to stay as it is there.
			own := *section
			own.Anchor, own.Content = "", slices.Clone(section.Content)
			own.Line, own.Column = n.Content[i+1].Line, n.Content[i+1].Column
			n.Content[i+1] = &own
		case isNull(section):
			n.Content[i+1] = &yaml.Node{Kind: yaml.MappingNode, Tag: "!!map", Line: section.Line, Column: section.Column}
		case section.Kind != yaml.MappingNode:
			return
		}
		n = n.Content[i+1]
	}
	t.variable[value] = variable
	last := p[len(p)-1]
	if i := entry(n, last); i >= 0 {
		n.Content[i+1] = value
		return
	}
	n.Content = append(n.Content, scalar("!!str", last), value)
}

func scalar(tag, value string) *yaml.Node {
	return &yaml.Node{Kind: yaml.ScalarNode, Tag: tag, Value: value}
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.Tag == "!!null" }

// drop takes the setting at p out, so that its default holds while the rest is
// looked at. An item of a list leaves its place empty: the others keep theirs.
func (t *tree) drop(p path) {
	n := t.root
	for _, part := range p[:len(p)-1] {
		_, value := step(followed(n), part)
		if value == nil {
			return
		}
		n = value
	}
	n = followed(n)
	last := p[len(p)-1]
	if i := entry(n, last); i >= 0 {
		n.Content = slices.Delete(n.Content, i, i+2)
		return
	}
	if _, item := step(n, last); item != nil {
		*item = *scalar("!!null", "")
	}
}

// prune takes out of the tree, and complains of, what no mapping of settings may
// have: keys that are no text, and keys written twice. A section or list with
// nothing in it is taken out without a word: every line of it may have been
// commented out.
func (t *tree) prune(s *schema) []*fault { return t.pruneAt(nil, t.root, "", s) }

func (t *tree) pruneAt(p path, n *yaml.Node, variable string, s *schema) []*fault {
	variable = cmp.Or(t.variable[n], variable)
	switch n.Kind {
	case yaml.MappingNode:
		return t.pruneMapping(p, n, variable, s)
	case yaml.SequenceNode:
		var faults []*fault
		for i, item := range n.Content {
			part := strconv.Itoa(i)
			faults = append(faults, t.pruneAt(p.with(part), item, variable, s.step(part))...)
		}
		return faults
	default:
		return nil
	}
}

func (t *tree) pruneMapping(p path, n *yaml.Node, variable string, s *schema) []*fault {
	var faults []*fault
	kept := &yaml.Node{Kind: yaml.MappingNode}
	for i := 0; i+1 < len(n.Content); i += 2 {
		key, value := n.Content[i], n.Content[i+1]
		at, below := p.with(key.Value), s.step(key.Value)
		// These complaints have no path: they are about the key, and other settings
		// that it leads to can be right or wrong all the same.
		complain := func(what string) {
			faults = append(faults, &fault{file: t.file, line: key.Line, column: key.Column, variable: variable, what: what})
		}
		switch {
		case key.Kind != yaml.ScalarNode:
			complain("a list or a section cannot be the name of a setting")
		case key.Tag != "!!str" && key.Tag != "!!merge":
			complain(quoted(key.Value) + " cannot be the name of a setting: only text can")
		case entry(kept, key.Value) >= 0:
			complain(at.String() + " is set twice")
		case !isNull(value) || !below.allows("null"):
			faults = append(faults, t.pruneAt(at, value, variable, below)...)
			kept.Content = append(kept.Content, key, value)
		}
	}
	n.Content = kept.Content
	return faults
}

// value is the whole tree in the types that the schema's validator knows.
func (t *tree) value() (any, *fault) {
	var v any
	if err := t.root.Load(&v); err != nil {
		return nil, t.broken(err)
	}
	return plain(v), nil
}

// plain undoes what YAML knows and JSON does not: a date without quotes is text.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		for key := range v {
			v[key] = plain(v[key])
		}
	case map[any]any:
		texts := make(map[string]any, len(v))
		for key := range v {
			texts[fmt.Sprint(key)] = plain(v[key])
		}
		return texts
	case []any:
		for i := range v {
			v[i] = plain(v[i])
		}
	case time.Time:
		return v.Format(time.RFC3339)
	}
	return v
}
