package configs

import (
	"cmp"
	"encoding"
	"encoding/json"
	"flag"
	"go/ast"
	"go/parser"
	"go/token"
	"maps"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"
	"go.yaml.in/yaml/v4"

	"inreply/email"
	"inreply/mailer"
	"inreply/processing"
	"inreply/processing/webhook"
	"inreply/relay"
)

var update = flag.Bool("update", false, "write configs/schema.json anew from the Go types")

// The published schema is what the Go types say: their keys, their kinds, their
// defaults, and their doc comments as descriptions.
func TestSchemaIsInStepWithTheTypes(t *testing.T) {
	g := &generator{t: t, packages: map[string]map[string]*ast.File{}}
	generated := g.of(nil, reflect.ValueOf(Defaults()), "The settings of inreply.")
	generated["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	generated["title"] = "inreply"
	generated["type"] = "object"
	want, err := json.MarshalIndent(generated, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	want = append(want, '\n')
	if *update {
		if err := os.WriteFile("schema.json", want, 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := gocmp.Diff(string(want), string(Schema())); diff != "" {
		t.Errorf("schema.json is not what the types say (-types +file); run: go test ./configs -run Schema -update\n%s", diff)
	}
}

// Whoever sets a value needs to know what it means.
func TestEverySettingIsDescribed(t *testing.T) {
	v, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	var described struct {
		Properties map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(Schema(), &described); err != nil {
		t.Fatal(err)
	}
	for variable, p := range v.variables() {
		var at any = map[string]any{"properties": described.Properties}
		for _, key := range p {
			at = at.(map[string]any)["properties"].(map[string]any)[key]
		}
		if text, _ := at.(map[string]any)["description"].(string); text == "" {
			t.Errorf("%s (%s) has no comment in its Go type", p, variable)
		}
	}
}

// Two settings must not be overridden by one variable.
func TestEverySettingHasAVariableOfItsOwn(t *testing.T) {
	v, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	var count func(s *schema) int
	count = func(s *schema) int {
		if len(s.Properties) == 0 {
			return 1
		}
		n := 0
		for _, below := range s.Properties {
			n += count(below)
		}
		return n
	}
	if got, want := len(v.variables()), count(v.schema); got != want {
		t.Errorf("%d variables for %d settings", got, want)
	}
}

// closedSets are the words that a setting may be, where it may be only a few.
// Validate decides; see TestWordsAreWhatIsValid.
func closedSets() map[string][]string {
	trust := []string{string(email.DMARC), string(email.Aligned), string(email.Any)}
	return map[string][]string{
		"log.level":                         {LevelDebug, LevelInfo, LevelWarn, LevelError},
		"log.format":                        {FormatJSON, FormatConsole},
		"processing.unrouted":               {processing.UnroutedSilent, processing.UnroutedDeadLetter},
		"processing.policy.trust":           trust,
		"processing.routes[0].policy.trust": trust,
		"relay.group":                       {relay.GroupSender, relay.GroupRecipient, relay.GroupPrefix, relay.GroupKey},
		"relay.object_group":                {relay.GroupPrefix, relay.GroupKey},
		"mailer.unknown":                    {mailer.Resend, mailer.DeadLetter},
		"webhook[0].auth.kind":              {"", webhook.AuthNone, webhook.AuthSignature, webhook.AuthSigV4},
	}
}

// The schema names the words of a setting that has only a few, and Validate takes
// these and no others.
func TestWordsAreWhatIsValid(t *testing.T) {
	v, err := newValidator()
	if err != nil {
		t.Fatal(err)
	}
	complained := func(p path, word string) bool {
		config, err := Parse("local.yaml", Local(), nil)
		if err != nil {
			t.Fatal(err)
		}
		setting(t, reflect.ValueOf(&config).Elem(), p).SetString(word)
		empty := &tree{root: &yaml.Node{Kind: yaml.MappingNode}}
		return slices.ContainsFunc(config.validate(empty, nil), func(f *fault) bool { return f.path == p.String() })
	}
	tried := 0
	for _, p := range v.variables() {
		words := v.at(p).Enum
		for _, word := range words {
			if complained(p, word) {
				t.Errorf("%s: the schema has %q, which is not valid", p, word)
			}
		}
		if len(words) > 0 && !complained(p, "none-of-these") {
			t.Errorf("%s: Validate takes any word", p)
		}
		tried += len(words)
	}
	if tried == 0 {
		t.Error("no setting has words")
	}
}

// setting is the field at a path.
func setting(t *testing.T, v reflect.Value, p path) reflect.Value {
	t.Helper()
	for _, key := range p {
		of := v
		for i := range of.NumField() {
			if of.Type().Field(i).Tag.Get("yaml") == key {
				v = of.Field(i)
			}
		}
	}
	return v
}

// generator writes the schema of a Go value: types, defaults and comments.
type generator struct {
	t        *testing.T
	packages map[string]map[string]*ast.File // by import path and file name
}

// of is the schema of the setting at a path: v holds its default.
func (g *generator) of(at path, v reflect.Value, description string) map[string]any {
	s := map[string]any{}
	if description != "" {
		s["description"] = description
	}
	if v.Kind() != reflect.Struct && v.Kind() != reflect.Slice && !v.IsZero() {
		s["default"] = v.Interface()
	}
	typ := v.Type()
	switch {
	case typ.Kind() == reflect.Pointer:
		return g.of(at, reflect.Zero(typ.Elem()), description)
	case typ == reflect.TypeFor[time.Duration]():
		s["type"], s["pattern"] = "string", duration
		if d := v.Interface().(time.Duration); d != 0 {
			s["default"] = short(d)
		}
		return s
	case typ.Implements(reflect.TypeFor[encoding.TextMarshaler]()) && typ.Kind() != reflect.String:
		s["type"] = "string"
		return s
	}
	switch typ.Kind() {
	case reflect.String:
		s["type"] = "string"
		if closed := closedSets()[at.String()]; len(closed) > 0 {
			s["enum"] = closed
		}
		if last := at[len(at)-1]; strings.HasSuffix(last, "secret") || strings.HasSuffix(last, "_key") || last == "password" || typ == reflect.TypeFor[webhook.Secret]() {
			s["writeOnly"] = true
		}
	case reflect.Bool:
		s["type"] = "boolean"
	case reflect.Int, reflect.Int64:
		s["type"], s["minimum"], s["maximum"] = "integer", math.MinInt32, math.MaxInt32
	case reflect.Float64:
		s["type"] = "number"
	case reflect.Slice:
		s["type"] = []string{"array", "null"}
		s["items"] = g.of(at.with("0"), reflect.Zero(typ.Elem()), "")
	case reflect.Map:
		s["type"] = []string{"object", "null"}
		s["additionalProperties"] = g.of(at.with("0"), reflect.Zero(typ.Elem()), "")
	case reflect.Struct:
		s["type"] = []string{"object", "null"}
		s["additionalProperties"] = false
		s["properties"] = g.fields(at, v)
	default:
		g.t.Fatalf("%s: no schema for a setting of this kind", typ)
	}
	return s
}

func (g *generator) fields(at path, v reflect.Value) map[string]any {
	all := map[string]any{}
	for i := range v.NumField() {
		field := v.Type().Field(i)
		key, _, _ := strings.Cut(field.Tag.Get("yaml"), ",")
		if key == "-" {
			continue
		}
		if key == "" {
			g.t.Errorf("%s.%s has no yaml tag", v.Type(), field.Name)
			continue
		}
		description := g.comment(v.Type(), field.Name)
		if description == "" && field.Type.Kind() == reflect.Struct {
			description = g.comment(field.Type, "")
		}
		all[key] = g.of(at.with(key), v.Field(i), cmp.Or(description, g.comment(v.Type(), "")))
	}
	return all
}

// short is a length of time as a person writes it: 2m, not 2m0s.
func short(d time.Duration) string {
	s := d.String()
	if strings.HasSuffix(s, "m0s") {
		s = strings.TrimSuffix(s, "0s")
	}
	if strings.HasSuffix(s, "h0m") {
		s = strings.TrimSuffix(s, "0m")
	}
	return s
}

// comment is what the source says of a field, above it and behind it, or of the
// type when no field is named.
func (g *generator) comment(typ reflect.Type, field string) string {
	var said string
	for _, declared := range g.types(typ.PkgPath()) {
		if declared.Name.Name != typ.Name() {
			continue
		}
		if field == "" {
			said = declared.Doc.Text()
			continue
		}
		for _, f := range declared.Type.(*ast.StructType).Fields.List {
			if slices.ContainsFunc(f.Names, func(n *ast.Ident) bool { return n.Name == field }) {
				said = f.Doc.Text() + f.Comment.Text()
			}
		}
	}
	return strings.Join(strings.Fields(said), " ")
}

// types are the declared types. The comment above a declaration of one type
// belongs to the declaration, not to the type.
func (g *generator) types(importPath string) []*ast.TypeSpec {
	var all []*ast.TypeSpec
	for _, d := range g.declarations(importPath) {
		for _, spec := range d.Specs {
			typ, ok := spec.(*ast.TypeSpec)
			if !ok {
				continue
			}
			if typ.Doc == nil {
				typ.Doc = d.Doc
			}
			all = append(all, typ)
		}
	}
	return all
}

// declarations are those of a package of ours, in the order of the source.
func (g *generator) declarations(importPath string) []*ast.GenDecl {
	if g.packages[importPath] == nil {
		g.packages[importPath] = g.parse(importPath)
	}
	files := g.packages[importPath]
	var all []*ast.GenDecl
	for _, name := range slices.Sorted(maps.Keys(files)) {
		for _, decl := range files[name].Decls {
			if d, ok := decl.(*ast.GenDecl); ok {
				all = append(all, d)
			}
		}
	}
	return all
}

func (g *generator) parse(importPath string) map[string]*ast.File {
	folder := filepath.Join("..", filepath.FromSlash(strings.TrimPrefix(importPath, "inreply/")))
	names, err := filepath.Glob(filepath.Join(folder, "*.go"))
	if err != nil || len(names) == 0 {
		g.t.Fatalf("%s: no source in %s (%v)", importPath, folder, err)
	}
	files := map[string]*ast.File{}
	for _, name := range names {
		if strings.HasSuffix(name, "_test.go") {
			continue
		}
		file, err := parser.ParseFile(token.NewFileSet(), name, nil, parser.ParseComments)
		if err != nil {
			g.t.Fatal(err)
		}
		files[name] = file
	}
	return files
}
