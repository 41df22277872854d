package processing_test

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"golang.org/x/tools/txtar"

	"inreply/processing"
)

// rules are the names of all settings of routes and policy, and of all reasons of a
// silence.
func rules(t *testing.T) (settings, reasons []string) {
	t.Helper()
	for _, of := range []reflect.Type{reflect.TypeFor[processing.Config](), reflect.TypeFor[processing.Route](), reflect.TypeFor[processing.Policy]()} {
		for field := range of.Fields() {
			if key := field.Tag.Get("yaml"); key != "-" && key != "routes" {
				settings = append(settings, key)
			}
		}
	}
	source, err := os.ReadFile("policy.go")
	if err != nil {
		t.Fatal(err)
	}
	for _, found := range regexp.MustCompile(`(?m)^\t[A-Z]\w+ += "([a-z-]+)" +// `).FindAllStringSubmatch(string(source), -1) {
		reasons = append(reasons, found[1])
	}
	if len(settings) < 25 || len(reasons) < 16 {
		t.Fatalf("only %d settings and %d reasons were found", len(settings), len(reasons))
	}
	return settings, reasons
}

// The manual names every setting of routes and policy, and every reason of a
// silence.
func TestManual(t *testing.T) {
	page, err := os.ReadFile("../docs/answering.md")
	if err != nil {
		t.Fatal(err)
	}
	manual := string(page)
	named := func(what, word string) {
		t.Helper()
		if !strings.Contains(manual, "`"+word+"`") && !regexp.MustCompile("`"+word+": ").MatchString(manual) {
			t.Errorf("docs/answering.md does not name %s %q", what, word)
		}
	}
	settings, reasons := rules(t)
	for _, key := range settings {
		named("the setting", key)
	}
	for _, reason := range reasons {
		named("the reason", reason)
	}
}

// There is a case for every setting of routes and policy, and for every reason of a
// silence.
func TestEveryRuleHasACase(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txtar")
	if err != nil {
		t.Fatal(err)
	}
	var set, ends strings.Builder
	for _, file := range files {
		archive, err := txtar.ParseFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, f := range archive.Files {
			switch {
			case f.Name == "settings":
				set.Write(f.Data)
			case strings.HasSuffix(f.Name, ".want"):
				ends.Write(f.Data)
			}
		}
	}
	settings, reasons := rules(t)
	for _, key := range settings {
		if !regexp.MustCompile(`(?m)(^|[ {])` + key + `:`).MatchString(set.String()) {
			t.Errorf("no case sets %s", key)
		}
	}
	for _, reason := range reasons {
		if !regexp.MustCompile(`(?m)^silent[a-z ]*: ` + reason + `: `).MatchString(ends.String()) {
			t.Errorf("no case ends with the reason %s", reason)
		}
	}
}
