// Package docs is the manual. The tests here hold its pages against each other and
// against the source.
package docs

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

func read(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

func pages(t *testing.T) []string {
	t.Helper()
	all, err := filepath.Glob("*.md")
	if err != nil || len(all) < 5 {
		t.Fatalf("%v, %v", all, err)
	}
	return all
}

// The index names every page.
func TestEveryPageIsInTheIndex(t *testing.T) {
	index := read(t, "README.md")
	for _, page := range pages(t) {
		if page != "README.md" && !strings.Contains(index, "]("+page+")") {
			t.Errorf("docs/README.md does not name %s", page)
		}
	}
	if !strings.Contains(read(t, "../README.md"), "(docs/README.md)") {
		t.Error("the README does not name the manual")
	}
}

var (
	link    = regexp.MustCompile(`\]\(([^)\s]+)\)`)
	heading = regexp.MustCompile(`(?m)^#+ (.+)$`)
)

// Every link within the project leads somewhere.
func TestLinks(t *testing.T) {
	for _, page := range append(pages(t), "../README.md") {
		for _, found := range link.FindAllStringSubmatch(read(t, page), -1) {
			if strings.Contains(found[1], "://") {
				continue
			}
			file, anchor, _ := strings.Cut(found[1], "#")
			target := filepath.Join(filepath.Dir(page), file)
			if file == "" {
				target = page
			}
			if _, err := os.Stat(target); err != nil {
				t.Errorf("%s: a link to %s: %v", page, found[1], err)
				continue
			}
			if anchor != "" && !slices.Contains(anchors(read(t, target)), anchor) {
				t.Errorf("%s: a link to %s: there is no such heading", page, found[1])
			}
		}
	}
}

// anchors are those that GitHub gives the headings of a page.
func anchors(text string) []string {
	var all []string
	for _, found := range heading.FindAllStringSubmatch(text, -1) {
		name := strings.ReplaceAll(strings.ToLower(found[1]), " ", "-")
		all = append(all, regexp.MustCompile(`[^\w-]`).ReplaceAllString(name, ""))
	}
	return all
}

// literals are the texts in a Go file that make errors.
func literals(t *testing.T, file string) []string {
	t.Helper()
	parsed, err := parser.ParseFile(token.NewFileSet(), file, nil, 0)
	if err != nil {
		t.Fatal(err)
	}
	var all []string
	ast.Inspect(parsed, func(n ast.Node) bool {
		call, ok := n.(*ast.CallExpr)
		if !ok || len(call.Args) == 0 {
			return true
		}
		function, ok := call.Fun.(*ast.SelectorExpr)
		if !ok || function.Sel.Name != "Errorf" && function.Sel.Name != "New" {
			return true
		}
		if literal, ok := call.Args[0].(*ast.BasicLit); ok && literal.Kind == token.STRING {
			if text, err := strconv.Unquote(literal.Value); err == nil {
				all = append(all, text)
			}
		}
		return true
	})
	return all
}

var verb = regexp.MustCompile(`%[+#]?[a-z]`)

// longest is the longest part of a text that is always the same.
func longest(text string) string {
	best := ""
	for _, part := range verb.Split(text, -1) {
		if part = strings.Trim(part, " :,;()"); len(part) > len(best) {
			best = part
		}
	}
	return best
}

// starts are the files whose errors end the daemon, or an operator's command, before it
// has done anything.
func starts() []string {
	return []string{
		"../inreply.go", "../aws.go", "../feedback.go", "../redrive.go", "../rerun.go", "../setup.go", "../relay/push/push.go",
		"../cmd/inreply/daemon.go", "../cmd/inreply/log.go", "../cmd/inreply/main.go", "../cmd/inreply/check.go", "../cmd/inreply/setup.go",
		"../cmd/inreply/receive.go", "../cmd/inreply/redrive.go", "../cmd/inreply/rerun.go",
	}
}

// What can be wrong at start is explained, of the daemon and of every command of an
// operator.
func TestErrorsAtStartAreExplained(t *testing.T) {
	page := unescaped(read(t, "troubleshooting.md"))
	explained := 0
	for _, file := range starts() {
		for _, text := range literals(t, file) {
			part := longest(text)
			if len(part) < 20 {
				continue // a few words before the error that says it
			}
			if explained++; !strings.Contains(page, part) {
				t.Errorf("docs/troubleshooting.md does not say what to do about %q (%s)", part, file)
			}
		}
	}
	if explained < 10 {
		t.Errorf("only %d errors were found", explained)
	}
}

// unescaped is a table's text: a bar there has a backslash before it.
func unescaped(page string) string { return strings.ReplaceAll(page, `\|`, "|") }

// What is explained there exists: a text that was reworded is not found any more.
func TestWhatIsExplainedIsSaid(t *testing.T) {
	_, after, _ := strings.Cut(unescaped(read(t, "troubleshooting.md")), "## It does not start")
	section, _, _ := strings.Cut(after, "`--healthcheck` says")
	source := strings.ReplaceAll(goSource(t), `\"`, `"`)
	texts := 0
	for line := range strings.Lines(section) {
		cell, ok := strings.CutPrefix(line, "| `")
		if !ok {
			continue
		}
		cell, _, _ = strings.Cut(cell, " | ")
		for said := range strings.SplitSeq(cell, "`, `") {
			for part := range strings.SplitSeq(strings.Trim(said, "`"), "...") {
				part = strings.Trim(part, " ")
				if texts++; len(part) > 3 && !strings.Contains(source, part) {
					t.Errorf("nothing says %q any more", part)
				}
			}
		}
	}
	if texts < 20 {
		t.Errorf("only %d texts were found", texts)
	}
}

// goSource is the source that is no test, all in one.
func goSource(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	for _, folder := range []string{"..", "../cmd/inreply", "../cmd/inreply/telemetry", "../configs", "../store", "../processing", "../consumer", "../relay", "../relay/push", "../mailer"} {
		files, err := filepath.Glob(folder + "/*.go")
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if !strings.HasSuffix(file, "_test.go") {
				all.WriteString(read(t, file))
			}
		}
	}
	return all.String()
}

// Every reason of a silence has its row, and no other has.
func TestEveryReasonOfSilenceIsExplained(t *testing.T) {
	_, after, _ := strings.Cut(read(t, "troubleshooting.md"), "## A mail is not answered")
	section, _, _ := strings.Cut(after, "\n## ")
	var explained []string
	for _, found := range regexp.MustCompile("(?m)^\\| `([a-z-]+)` ").FindAllStringSubmatch(section, -1) {
		explained = append(explained, found[1])
	}
	var reasons []string
	for _, found := range regexp.MustCompile(`(?m)^\t[A-Z]\w+ += "([a-z-]+)" +// `).FindAllStringSubmatch(read(t, "../processing/policy.go"), -1) {
		reasons = append(reasons, found[1])
	}
	slices.Sort(explained)
	slices.Sort(reasons)
	if len(reasons) < 10 || !slices.Equal(explained, reasons) {
		t.Errorf("explained are %v\nthere are %v", explained, reasons)
	}
}
