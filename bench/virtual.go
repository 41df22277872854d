package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
)

// section is what TestTargets has found of one workload, in virtual time.
type section struct {
	Table   string
	Figures map[string]float64 // by what the target is of
}

// virtual reports whether a workload has anything to show in virtual time: without
// latency there is none, and faults are those of the wire.
func (w workload) virtual() bool { return w.latency > 0 && w.faults == (faults{}) }

// withoutProcessor is the workload with the columns that mean something in virtual
// time.
func (w workload) withoutProcessor() workload {
	w.columns = slices.DeleteFunc(slices.Clone(w.columns), func(c column) bool {
		return c.head == "CPU" || c.head == "peak memory" || c.head == "handler"
	})
	return w
}

// inVirtualTime runs TestTargets. That a target is missed there shows in the report,
// and is no error here.
func inVirtualTime(ctx context.Context) (map[string]section, error) {
	folder, err := os.MkdirTemp("", "bench")
	if err != nil {
		return nil, fmt.Errorf("make a folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(folder) }() // It is a temporary one.
	file := filepath.Join(folder, "figures.json")
	//nolint:gosec // it is this package's own test
	output, failed := exec.CommandContext(ctx, "go", "test", "./bench", "-run", "^TestTargets$", "-count=1", "-args", "-figures", file).CombinedOutput()
	written, err := os.ReadFile(file)
	if err != nil {
		return nil, fmt.Errorf("measure in virtual time: %w, %w\n%s", failed, err, output)
	}
	var found map[string]section
	if err := json.Unmarshal(written, &found); err != nil {
		return nil, fmt.Errorf("read what was measured in virtual time: %w", err)
	}
	return found, nil
}
