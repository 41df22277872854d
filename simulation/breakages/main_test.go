package main

import (
	"os"
	"path/filepath"
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
