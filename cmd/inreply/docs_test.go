package main

import (
	"io"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// spans are the lines of code and the code within lines of a page.
func spans(text string) []string {
	var all []string
	for line := range strings.Lines(text) {
		line = strings.TrimRight(line, "\n")
		if strings.HasPrefix(line, "    ") {
			all = append(all, line)
		}
		for _, found := range regexp.MustCompile("`([^`]+)`").FindAllStringSubmatch(line, -1) {
			all = append(all, found[1])
		}
	}
	return all
}

// command finds a call of inreply, by whatever way it is started.
var command = regexp.MustCompile(`(?:^|[\s"])(?:\./cmd/inreply|/?inreply|inreply:[\w.]+)((?: --?[a-z-]+[^|>&#]*)+)`)

// alone is a flag, or several, without a command before them.
var alone = regexp.MustCompile(`^--[a-z]`)

// other commands have flags of their own.
var other = regexp.MustCompile(`^\s*(?:\w+=\S*\()?(?:aws|docker|dig|jq|swaks|curl|--platform)\b`)

// The pages name no flag that is not there, and none with a value that it does not
// take.
func TestPagesNameFlagsThatAreThere(t *testing.T) {
	files, err := filepath.Glob("../../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	checked := 0
	for _, file := range append(files, "../../README.md") {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		// A command goes on behind a backslash.
		for _, span := range spans(strings.ReplaceAll(string(text), "\\\n", " ")) {
			arguments := ""
			if other.MatchString(span) {
				continue
			}
			if found := command.FindStringSubmatch(span); found != nil {
				arguments = found[1]
			} else if alone.MatchString(span) {
				arguments = span
			}
			if arguments == "" {
				continue
			}
			checked++
			c := newCommand(nil, io.Discard, io.Discard)
			c.InitDefaultHelpFlag()
			c.InitDefaultVersionFlag()
			if err := c.ParseFlags(words(arguments)); err != nil && !strings.Contains(err.Error(), "needs an argument") {
				t.Errorf("%s: %s: %v", filepath.Base(file), strings.TrimSpace(span), err)
			}
		}
	}
	if checked < 15 {
		t.Errorf("only %d commands were found", checked)
	}
}

// words are the words of a line of shell, as far as the pages write it.
func words(line string) []string {
	var all []string
	for _, found := range regexp.MustCompile(`(?:[^\s'"]|'[^']*'|"[^"]*")+`).FindAllString(line, -1) {
		all = append(all, strings.TrimRight(strings.NewReplacer("'", "", `"`, "").Replace(found), ":,;"))
	}
	return all
}
