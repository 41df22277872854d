package configs

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v4"
)

// prefix begins every variable that overrides a setting.
const prefix = "INREPLY_"

// variables are the settings that the environment can override, by variable:
// INREPLY_CONSUMER_BACKOFF_MAX is consumer.backoff.max. A list or a map is
// overridden as a whole, and see entries.
func (s *schema) variables() map[string]path {
	all := map[string]path{}
	var walk func(s *schema, at path)
	walk = func(s *schema, at path) {
		if len(s.Properties) == 0 {
			all[prefix+strings.ToUpper(strings.Join(at, "_"))] = at
		}
		for key, below := range s.Properties {
			walk(below, at.with(key))
		}
	}
	walk(s, nil)
	return all
}

// entries are the settings of what the tree has in maps, by variable: where the file
// has webhook.order-desk, INREPLY_WEBHOOK_ORDER_DESK_AUTH_SECRETS is its auth.secrets.
// The name itself has to be in the file, for a variable does not tell where it ends.
func (s *schema) entries(t *tree) map[string]path {
	all := map[string]path{}
	for name, at := range s.variables() {
		of := s.at(at)
		if of.Others.schema == nil {
			continue
		}
		_, value, _, there := t.find(at)
		if !there || followed(value).Kind != yaml.MappingNode {
			continue
		}
		content := followed(value).Content
		for i := 0; i+1 < len(content); i += 2 {
			key := content[i].Value
			begin := name + "_" + strings.ToUpper(strings.ReplaceAll(key, "-", "_"))
			for below, p := range of.Others.schema.variables() {
				all[begin+"_"+strings.TrimPrefix(below, prefix)] = append(at.with(key), p...)
			}
		}
	}
	return all
}

// override puts the variables of environ (each NAME=value) into the tree.
func (v *validator) override(t *tree, environ []string) []*fault {
	known := v.variables()
	maps.Copy(known, v.entries(t))
	var faults []*fault
	for _, variable := range environ {
		name, text, _ := strings.Cut(variable, "=")
		if !strings.HasPrefix(name, prefix) {
			continue
		}
		p, ok := known[name]
		if !ok {
			what := "there is no setting of this name"
			if meant := nearest(name, slices.Sorted(maps.Keys(known))); meant != "" {
				what += "; did you mean " + meant + "?"
			}
			faults = append(faults, &fault{variable: name, what: what})
			continue
		}
		value, err := v.at(p).node(text)
		if err != nil {
			faults = append(faults, &fault{variable: name, path: p.String(), what: err.Error()})
			continue
		}
		t.set(p, value, name)
	}
	return faults
}

// node is the text of a variable as the setting's kind needs it. Text stays as it
// is: "8080" or "no" needs no quotes. A list of texts is separated by commas.
// Everything else is YAML, a list of sections for example:
// [{name: sales, processor: digest}].
func (s *schema) node(text string) (*yaml.Node, error) {
	if s.allows("string") {
		return scalar("!!str", text), nil
	}
	if s.Items.allows("string") && !strings.HasPrefix(strings.TrimSpace(text), "[") {
		list := &yaml.Node{Kind: yaml.SequenceNode, Tag: "!!seq"}
		for part := range strings.SplitSeq(text, ",") {
			if part = strings.TrimSpace(part); part != "" {
				list.Content = append(list.Content, scalar("!!str", part))
			}
		}
		return list, nil
	}
	var document yaml.Node
	if err := yaml.Load([]byte(text), &document); err != nil || len(document.Content) != 1 {
		return nil, fmt.Errorf("%s cannot be read", quoted(text))
	}
	return document.Content[0], nil
}

// place is the number in a path's step; schema and tree agree that it is one.
func place(part string) int {
	i, _ := strconv.Atoi(part)
	return i
}
