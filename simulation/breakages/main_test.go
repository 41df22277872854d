package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// What is to be broken is there, once: else a breakage would only be noticed to have
// gone when somebody runs all of them, which takes an hour.
func TestBreakagesFindWhatTheyBreak(t *testing.T) {
	for _, b := range breakages() {
		scratch := t.TempDir()
		for _, e := range b.edits {
			broken := filepath.Join(scratch, filepath.FromSlash(e.file))
			if _, err := os.Stat(broken); err == nil {
				continue // it is edited a second time
			}
			text, err := os.ReadFile(filepath.Join("..", "..", filepath.FromSlash(e.file)))
			if err != nil {
				t.Fatal(err)
			}
			if err := os.MkdirAll(filepath.Dir(broken), 0o700); err != nil {
				t.Fatal(err)
			}
			if err := os.WriteFile(broken, text, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		for _, e := range b.edits {
			if err := e.apply(scratch); err != nil {
				t.Errorf("%s: %v", b.name, err)
			}
		}
	}
}

// The manual has the table of all breakages, and of none that is gone.
func TestTheManualHasEveryBreakage(t *testing.T) {
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "proof.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(page), "| breakage |")
	table, _, _ = strings.Cut(table, "\n\n")
	rows := map[string]string{}
	for _, row := range regexp.MustCompile(`(?m)^\| ([^|]+) \| (yes|no) \|`).FindAllStringSubmatch(table, -1) {
		rows[row[1]] = row[2]
	}
	if rows["(none)"] != "no" {
		t.Error("it does not say what comes of none")
	}
	delete(rows, "(none)")
	for _, b := range breakages() {
		if rows[b.name] != "yes" {
			t.Errorf("docs/proof.md does not say that %q is caught", b.name)
		}
		delete(rows, b.name)
	}
	for name := range rows {
		t.Errorf("docs/proof.md tells of %q, and there is none", name)
	}
}
