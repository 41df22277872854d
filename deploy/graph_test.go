package deploy

import (
	"os"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// graph is which resources each resource waits for.
type graph map[string][]string

// dependencies reads them from a template: what is referred to, in any branch, and
// what DependsOn names.
func dependencies(t *testing.T, file string) graph {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Load(text, &document); err != nil {
		t.Fatal(err)
	}
	resources := child(document.Content[0], "Resources")
	g := graph{}
	for name, r := range entries(resources) {
		for _, on := range names(r) {
			if child(resources, on) != nil {
				g[name] = append(g[name], on)
			}
		}
		if on := child(r, "DependsOn"); on != nil {
			for _, n := range append([]*yaml.Node{on}, on.Content...) {
				if n.Kind == yaml.ScalarNode {
					g[name] = append(g[name], n.Value)
				}
			}
		}
	}
	return g
}

// names are all names that a node refers to, also those of parameters.
func names(n *yaml.Node) []string {
	var all []string
	switch n.Tag {
	case "!Ref":
		all = append(all, n.Value)
	case "!GetAtt":
		name, _, _ := strings.Cut(n.Value, ".")
		all = append(all, name)
	case "!Sub":
		text := n
		if n.Kind == yaml.SequenceNode {
			text = n.Content[0]
		}
		for _, found := range placeholder.FindAllStringSubmatch(text.Value, -1) {
			name, _, _ := strings.Cut(found[1], ".")
			all = append(all, name)
		}
	}
	for _, below := range n.Content {
		all = append(all, names(below)...)
	}
	return all
}

// reaches reports whether one resource waits for another, directly or not.
func (g graph) reaches(from, to string) bool {
	seen := map[string]bool{}
	var walk func(name string) bool
	walk = func(name string) bool {
		for _, on := range g[name] {
			if on == to {
				return true
			}
			if !seen[on] {
				seen[on] = true
				if walk(on) {
					return true
				}
			}
		}
		return false
	}
	return walk(from)
}
