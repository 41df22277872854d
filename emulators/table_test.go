package emulators

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
)

// results are what becomes of each step of each rig.
type results struct {
	run map[string]emulator

	mu   sync.Mutex
	cell map[string]map[string]string // by rig and step
}

// newResults writes the table when the test is over, if a variable names a file for
// it.
func newResults(t *testing.T, run map[string]emulator) *results {
	t.Helper()
	r := &results{run: run, cell: map[string]map[string]string{}}
	file := os.Getenv("INREPLY_EMULATORS_TABLE")
	if file == "" {
		return r
	}
	t.Cleanup(func() {
		if err := os.WriteFile(file, []byte(r.table()), 0o600); err != nil {
			t.Error(err)
		}
	})
	return r
}

func (r *results) set(of rig, step, what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cell[of.name] == nil {
		r.cell[of.name] = map[string]string{}
	}
	r.cell[of.name][step] = what
}

// table is the results in Markdown: a line for each rig that was tried, and beneath
// what the test steps around. It has no times, so that two runs make the same.
func (r *results) table() string {
	r.mu.Lock()
	defer r.mu.Unlock()
	var b strings.Builder
	fmt.Fprintf(&b, "| AWS | %s |\n|---|%s\n", strings.Join(steps(), " | "), strings.Repeat("---|", len(steps())))
	notes := notes()
	for _, of := range rigs() {
		cells := r.cell[of.name]
		if cells == nil {
			continue
		}
		fmt.Fprintf(&b, "| %s |", r.describe(of))
		for _, step := range steps() {
			mark := ""
			if difference := of.differences[step]; difference != "" {
				mark = fmt.Sprintf(" (%d)", slices.Index(notes, difference)+1)
			}
			fmt.Fprintf(&b, " %s%s |", cells[step], mark)
		}
		b.WriteString("\n")
	}
	b.WriteString("\n")
	for i, note := range notes {
		fmt.Fprintf(&b, "%d. %s.\n", i+1, note)
	}
	return b.String()
}

// notes are all differences, each once, with the same numbers whatever runs.
func notes() (all []string) {
	for _, of := range rigs() {
		for _, step := range steps() {
			if d := of.differences[step]; d != "" && !slices.Contains(all, d) {
				all = append(all, d)
			}
		}
	}
	return all
}

// describe says which emulators a rig is made of.
func (r *results) describe(of rig) string {
	needs := of.needs()
	if len(needs) == 1 {
		return r.named(needs[0])
	}
	var parts []string
	for _, part := range []struct{ service, name string }{{"SQS", of.sqs}, {"SNS", of.sns}, {"S3", of.s3}, {"SES", of.ses}} {
		if part.name != "" {
			parts = append(parts, part.service+" "+r.named(part.name))
		}
	}
	return strings.Join(parts, ", ")
}

func (r *results) named(name string) string { return r.run[name].name + " " + r.run[name].version }
