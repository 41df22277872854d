package inreply_test

import (
	"io/fs"
	"os"
	"regexp"
	"strings"
	"testing"
)

// The page that says what proves what must not name a test that is gone.
func TestProofNamesTestsThatExist(t *testing.T) {
	page, err := os.ReadFile("docs/proof.md")
	if err != nil {
		t.Fatal(err)
	}
	there := map[string]bool{}
	declared := regexp.MustCompile(`(?m)^func (Test\w+)\(`)
	err = fs.WalkDir(os.DirFS("."), ".", func(path string, _ fs.DirEntry, err error) error {
		if err != nil || !strings.HasSuffix(path, "_test.go") {
			return err
		}
		source, err := os.ReadFile(path)
		for _, d := range declared.FindAllSubmatch(source, -1) {
			there[string(d[1])] = true
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	named := regexp.MustCompile("`(Test\\w+)`").FindAllSubmatch(page, -1)
	if len(named) < 15 {
		t.Errorf("the page names %d tests", len(named))
	}
	for _, n := range named {
		if !there[string(n[1])] {
			t.Errorf("there is no %s", n[1])
		}
	}
}
