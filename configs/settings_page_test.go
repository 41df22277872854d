package configs

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"
)

// docs/configuration.md lists every setting that the schema has, in the order of the
// shipped file and with what that says of it, else with what the schema says.
func TestTheManualListsTheSchema(t *testing.T) {
	// From the file, which a run with -update has just written, and not as embedded.
	text, err := os.ReadFile("schema.json")
	if err != nil {
		t.Fatal(err)
	}
	var described description
	if err := json.Unmarshal(text, &described); err != nil {
		t.Fatal(err)
	}
	want := page(described, shownFile(t, "fargate.yaml"))
	name := filepath.Join("..", "docs", "configuration.md")
	if *update {
		if err := os.WriteFile(name, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	got, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	if diff := gocmp.Diff(want, string(got)); diff != "" {
		t.Errorf("docs/configuration.md is not what the schema says (-schema +page); run: go test ./configs -run 'Schema' -update\n%s", diff)
	}
}

// description is what a reader of schema.json is told of one setting.
type description struct {
	schema
	Text       string                  `json:"description"`
	Default    any                     `json:"default"`
	Properties map[string]*description `json:"properties"`
	Items      *description            `json:"items"`
	Others     describedOthers         `json:"additionalProperties"`
}

// describedOthers is what a map holds; nil where no other keys may be.
type describedOthers struct{ *description }

func (o *describedOthers) UnmarshalJSON(text []byte) error {
	if string(text) == "false" {
		return nil
	}
	return json.Unmarshal(text, &o.description)
}

// shownFile is a shipped file with all of its defaults, for its order.
func shownFile(t *testing.T, name string) *yaml.Node {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	shown, broken := grow(name, regexp.MustCompile(`(?m)^( *)#(\w)`).ReplaceAll(text, []byte("$1$2")))
	if broken != nil {
		t.Fatal(broken)
	}
	return shown.root
}

const preamble = `# Configuration

One YAML file, named by ` + "`--config`" + `. ` + "[configs/fargate.yaml](../configs/fargate.yaml)" + ` and
` + "[configs/local.yaml](../configs/local.yaml)" + ` show every setting with its default and say at
length what it does; ` + "[configs/schema.json](../configs/schema.json)" + ` is for your editor. This page
is made from the schema: ` + "`go test ./configs -run Schema -update`" + `.

- An unknown setting or a value of the wrong kind is refused at start. All that is wrong is said
  at once, as ` + "`file:line:col: setting: what`" + `.
- Every setting can be overridden by a variable: ` + "`consumer.backoff.max`" + ` is
  ` + "`INREPLY_CONSUMER_BACKOFF_MAX`" + `. A list or map is overridden as a whole: texts with commas between
  them, everything else as YAML on one line.
- A length of time has its unit: ` + "`500ms`, `30s`, `1h30m`" + `.
- ` + "`a[].b`" + ` is setting ` + "`b`" + ` of each entry of the list ` + "`a`, `a.*.b`" + ` that of each entry of a map.
- Secrets are best set by a variable (ECS: ` + "`secrets`" + `), and are never shown in a complaint.
`

// page is the page of all settings.
func page(all description, shown *yaml.Node) string {
	var b strings.Builder
	b.WriteString(preamble)
	for _, key := range inOrder(all, shown) {
		section := all.Properties[key]
		fmt.Fprintf(&b, "\n## %s\n\n%s.\n\n| setting | default | what |\n| --- | --- | --- |\n", key, sentence(section.Text))
		rows(&b, key, *section, value(shown, key))
	}
	return b.String()
}

// rows writes one line for each setting below another.
func rows(b *strings.Builder, at string, of description, shown *yaml.Node) {
	for _, key := range inOrder(of, shown) {
		below := *of.Properties[key]
		if below.Text == of.Text {
			below.Text = "" // the type's comment, which stands above already
		}
		if said := comment(shown, key); said != "" {
			below.Text = said
		}
		row(b, at+"."+key, below, value(shown, key))
	}
}

func row(b *strings.Builder, name string, s description, shown *yaml.Node) {
	fmt.Fprintf(b, "| `%s` | %s | %s |\n", name, defaultOf(s), escaped(about(s)))
	entry := s.Items
	deeper := name + "[]"
	if s.Others.description != nil {
		entry, deeper = s.Others.description, name+".*"
	}
	if entry != nil {
		var first *yaml.Node
		if shown != nil && len(shown.Content) > 0 {
			first = shown.Content[len(shown.Content)-1]
		}
		rows(b, deeper, *entry, first)
	}
	rows(b, name, s, shown)
}

// escaped is a text that Markdown leaves as it is.
func escaped(text string) string {
	return strings.NewReplacer("|", `\|`, "*", `\*`, "<", "&lt;").Replace(text)
}

// about is what a setting means, and which values it takes.
func about(s description) string {
	text := strings.TrimSuffix(s.Text, ".")
	switch {
	case s.WriteOnly:
		text += ". A secret"
	case len(s.Enum) > 0 && !saysAll(text, s.Enum):
		text += ". One of " + strings.Join(s.Enum, ", ")
	}
	return strings.TrimPrefix(text, ". ")
}

func saysAll(text string, words []string) bool {
	return !slices.ContainsFunc(words, func(w string) bool { return !strings.Contains(text, w) })
}

// defaultOf is the default as it would stand in the file.
func defaultOf(s description) string {
	switch d := s.Default.(type) {
	case nil:
		if s.isDuration() {
			return "`0s`"
		}
		for typ, zero := range map[string]string{"integer": "`0`", "number": "`0`", "boolean": "`false`"} {
			if s.allows(typ) {
				return zero
			}
		}
		return ""
	case float64:
		return fmt.Sprintf("`%.0f`", d)
	default:
		return fmt.Sprintf("`%v`", d)
	}
}

// sentence begins with a capital letter and has no stop at its end.
func sentence(text string) string {
	return strings.ToUpper(text[:1]) + strings.TrimSuffix(text[1:], ".")
}

// inOrder are the keys of a section as the file has them, and behind these what it
// does not show.
func inOrder(s description, shown *yaml.Node) []string {
	keys := slices.Sorted(maps.Keys(s.Properties))
	place := func(key string) int {
		if shown == nil || entry(shown, key) < 0 {
			return len(keys) * 1000
		}
		return entry(shown, key)
	}
	slices.SortStableFunc(keys, func(a, b string) int { return place(a) - place(b) })
	return keys
}

// comment is what the file says above a key.
func comment(mapping *yaml.Node, key string) string {
	if mapping == nil {
		return ""
	}
	i := entry(mapping, key)
	if i < 0 {
		return ""
	}
	said := strings.ReplaceAll(mapping.Content[i].HeadComment, "#", "")
	return strings.Join(strings.Fields(said), " ")
}

// value is what stands under a key, or nil.
func value(mapping *yaml.Node, key string) *yaml.Node {
	if mapping == nil {
		return nil
	}
	if i := entry(mapping, key); i >= 0 {
		return mapping.Content[i+1]
	}
	return nil
}
