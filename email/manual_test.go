package email

import (
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// The manual names every defect and every reason that the mails in testdata have,
// and every limit with its default.
func TestManual(t *testing.T) {
	page, err := os.ReadFile(filepath.FromSlash("../docs/parsing.md"))
	if err != nil {
		t.Fatal(err)
	}
	manual := string(page)
	results, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(results) == 0 {
		t.Fatalf("no results: %v", err)
	}
	defect := regexp.MustCompile(`(?m)^defect ([a-z-]+):`)
	reasons := regexp.MustCompile(`(?m)^automatic: \[(.*)\]$`)
	for _, name := range results {
		result, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		var words []string
		for _, m := range defect.FindAllStringSubmatch(string(result), -1) {
			words = append(words, m[1])
		}
		for _, m := range reasons.FindAllStringSubmatch(string(result), -1) {
			words = append(words, strings.Fields(m[1])...)
		}
		for _, w := range words {
			if !strings.Contains(manual, "`"+w+"`") {
				t.Errorf("%s: the manual has no %q", name, w)
			}
		}
	}
	d := Defaults()
	for key, n := range map[string]int{
		"max_mib": d.MaxMiB, "max_header": d.MaxHeader, "max_fields": d.MaxFields, "max_line": d.MaxLine, "max_parts": d.MaxParts,
		"max_depth": d.MaxDepth, "max_boundary": d.MaxBoundary, "max_parameters": d.MaxParameters, "max_bad_base64": d.MaxBadBase64,
	} {
		row := regexp.MustCompile("(?m)^\\| `" + key + "` \\| " + strconv.Itoa(n) + " \\|")
		if !row.MatchString(manual) {
			t.Errorf("the manual does not say that %s is %d", key, n)
		}
	}
}
