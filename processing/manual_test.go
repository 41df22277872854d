package processing_test

import (
	"os"
	"reflect"
	"regexp"
	"strings"
	"testing"

	"inreply/processing"
)

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
	settings := 0
	for _, of := range []reflect.Type{reflect.TypeFor[processing.Config](), reflect.TypeFor[processing.Route](), reflect.TypeFor[processing.Policy]()} {
		for field := range of.Fields() {
			if key := field.Tag.Get("yaml"); key != "-" && key != "routes" {
				settings++
				named("the setting", key)
			}
		}
	}
	source, err := os.ReadFile("policy.go")
	if err != nil {
		t.Fatal(err)
	}
	reasons := regexp.MustCompile(`(?m)^\t[A-Z]\w+ += "([a-z-]+)" +// `).FindAllStringSubmatch(string(source), -1)
	for _, found := range reasons {
		named("the reason", found[1])
	}
	if settings < 25 || len(reasons) < 16 {
		t.Errorf("only %d settings and %d reasons were found", settings, len(reasons))
	}
}
