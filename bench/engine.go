package main

import (
	"context"
	"fmt"
	"os/exec"
	"strings"
)

// cost is what a message costs in the engine alone, by its benchmark.
type cost struct {
	nanoseconds, octets, allocations float64
}

// alone is the section of what the engine costs alone.
const alone = "The engine alone"

// engine measures what a message costs without SQS.
func (b *bench) engine(ctx context.Context) error {
	output, err := exec.CommandContext(ctx, "go", "test", "./consumer", "-run", "^$", "-bench", "^BenchmarkEngine$", "-benchmem", "-benchtime", "300000x", "-count", "3").CombinedOutput()
	if err != nil {
		return fmt.Errorf("run the engine's benchmark: %w\n%s", err, output)
	}
	least, ok := engineCost(string(output))
	if !ok {
		return fmt.Errorf("read the engine's benchmark: no figures in\n%s", output)
	}
	b.measured.put(alone, fmt.Sprintf("`BenchmarkEngine` has a message go through the consumer without SQS, in runs of ten, on both processors: "+
		"%.1f µs, %.0f octets in %.0f allocations (the least of three). What a message costs with the SDK stands in W1 h0 l0.",
		least.nanoseconds/1000, least.octets, least.allocations))
	return nil
}

// engineCost is the least cost of several runs.
func engineCost(output string) (least cost, ok bool) {
	for line := range strings.Lines(output) {
		var runs int
		var one cost
		_, figures, found := strings.Cut(line, "BenchmarkEngine")
		_, figures, _ = strings.Cut(figures, "\t")
		if _, err := fmt.Sscanf(figures, "%d %f ns/op %f B/op %f allocs/op", &runs, &one.nanoseconds, &one.octets, &one.allocations); !found || err != nil {
			continue
		}
		if !ok || one.nanoseconds < least.nanoseconds {
			least, ok = one, true
		}
	}
	return least, ok
}
