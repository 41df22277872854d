// Command bench measures the consumer against the plain loop that most people
// would write, on the same emulated queue, in the same run, and beside what is
// possible at all:
//
//	go run ./bench                     every workload, written to bench/RESULTS.md
//	go run ./bench -only W1,W3 -runs 2
//
// The queue is package local in this process, with latency added to every call,
// half before it takes effect and half after. A peer is a child process that
// reports each start and end of a handler over a pipe; order, duplicates and
// losses are judged from that (check.go), calls are counted at the queue, CPU and
// memory by the kernel.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"syscall"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, args []string) error {
	set := flag.NewFlagSet("bench", flag.ContinueOnError)
	var child peerSettings
	child.register(set)
	only := set.String("only", "", "workloads to run, such as W1,W3; empty: all")
	peers := set.String("peers", "ours,plain", "peers to run")
	runs := set.Int("runs", 1, "runs of each")
	out := set.String("out", "bench/RESULTS.md", "file for the tables; empty: none")
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	if child.peer != "" {
		return runPeer(ctx, child)
	}
	var report strings.Builder
	for _, w := range workloads() {
		if *only != "" && !chosen(*only, w.name) {
			continue
		}
		fmt.Fprintf(&report, "\n## %s\n\n%s\n\n%s", w.name, w.about, w.heading())
		fmt.Fprintf(os.Stdout, "%s: %s\n", w.name, w.about)
		for range *runs {
			for peer := range strings.SplitSeq(*peers, ",") {
				m, err := w.measure(ctx, peer)
				if err != nil {
					return errors.Join(fmt.Errorf("%s of %s: %w", w.name, peer, err), write(*out, report.String()))
				}
				row := w.row(peer, m)
				report.WriteString(row)
				fmt.Fprint(os.Stdout, row)
			}
		}
	}
	return write(*out, report.String())
}

// chosen reports whether a list of beginnings has one of name.
func chosen(list, name string) bool {
	for one := range strings.SplitSeq(list, ",") {
		if strings.HasPrefix(name, one) {
			return true
		}
	}
	return false
}

const preface = `# The consumer, measured

Made by ` + "`go run ./bench`" + `: the consumer beside the plain loop (64 receivers, each takes ten,
handles them one by one, leaves out the rest of a failed group, deletes them in one
call), in one run on one machine with two cores, which the queue shares with them.
h is the time of a handler, l what is added to each call, both in ms; 64 slots
against 64 receivers. "limit" is what the workload allows at best.
`

func write(name, report string) error {
	if name == "" {
		return nil
	}
	if err := os.WriteFile(name, []byte(preface+report), 0o600); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
