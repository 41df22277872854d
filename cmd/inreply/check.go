package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"inreply"
)

// What --check may be told.
const (
	checkRead  = "read"  // only ask, and say it in lines: the default
	checkWrite = "write" // try a write too
	checkJSON  = "json"  // one JSON document
)

// runCheck asks AWS whether everything is as the settings need it.
func (a app) runCheck(ctx context.Context) error {
	for _, how := range a.check {
		if !slices.Contains([]string{checkRead, checkWrite, checkJSON}, how) {
			return fmt.Errorf("--check=%s: it is neither %s nor %s", how, checkWrite, checkJSON)
		}
	}
	config, clients, err := a.operator(ctx)
	if err != nil {
		return err
	}
	report := a.finding
	found := []inreply.CheckFinding{}
	if slices.Contains(a.check, checkJSON) {
		report = func(f inreply.CheckFinding) { found = append(found, f) }
	}
	right := inreply.Check(ctx, config, clients, slices.Contains(a.check, checkWrite), report)
	if ctx.Err() != nil {
		return errors.New("stopped before everything was asked")
	}
	if slices.Contains(a.check, checkJSON) {
		if err := a.printFindings(right, found); err != nil {
			return err
		}
	}
	if !right {
		return &coded{errors.New("something is wrong: see above"), exitWrong}
	}
	return nil
}

// finding prints one finding for eyes.
func (a app) finding(f inreply.CheckFinding) {
	fmt.Fprintf(a.stdout, "%-6s  %s: %s\n", f.State, f.About, f.Says)
	if f.Do != "" {
		fmt.Fprintf(a.stdout, "        do: %s\n", f.Do)
	}
	if f.Command != "" {
		fmt.Fprintf(a.stdout, "        %s\n", f.Command)
	}
}

// printFindings prints all of them for a script.
func (a app) printFindings(right bool, found []inreply.CheckFinding) error {
	encoder := json.NewEncoder(a.stdout)
	encoder.SetEscapeHTML(false)
	encoder.SetIndent("", "  ")
	err := encoder.Encode(struct {
		OK       bool                   `json:"ok"`
		Findings []inreply.CheckFinding `json:"findings"`
	}{right, found})
	if err != nil {
		return fmt.Errorf("print the findings: %w", err)
	}
	return nil
}
