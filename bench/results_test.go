package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestARunKeepsWhatOthersHaveMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	earlier := "# old\n\n## Reading\n\nBy hand.\n\n## W2\n\nold W2\n\n## W8\n\nold W8\n"
	if err := os.WriteFile(file, []byte(earlier), 0o600); err != nil {
		t.Fatal(err)
	}
	b := bench{measured: results{texts: map[string]string{}}}
	b.measured.put("W8", "new W8")
	b.measured.put("W3", "new W3")
	for range 2 {
		if err := b.write(file); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := preface + "\n## Reading\n\nBy hand.\n\n## W2\n\nold W2\n\n## W3\n\nnew W3\n\n## W8\n\nnew W8\n"
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

func TestTheFirstReportNeedsNoOther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	b := bench{measured: results{texts: map[string]string{}}}
	b.measured.put("W1 h20 l20", "rows")
	if err := b.write(file); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if want := preface + "\n## W1 h20 l20\n\nrows\n"; err != nil || string(got) != want {
		t.Errorf("the report is %q, %v; want %q", got, err, want)
	}
}
