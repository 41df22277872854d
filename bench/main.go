// Command bench measures the consumer against what others would use, on the same
// emulated queue, in the same run, and beside what is possible at all:
//
//	go run ./bench                     every workload, written to bench/RESULTS.md
//	go run ./bench -only W1,W3 -peers ours,plain -runs 2
//
// The report keeps the sections of workloads that were not measured this time, and
// those that were written by hand. A whole run takes about twelve minutes.
//
// The queue is package local in this process, with latency added to every call,
// half before it takes effect and half after (stage.go). A peer is a child process
// that reports each start and end of a handler over a pipe (peer.go, measure.go);
// order, duplicates and losses are judged from that (check.go), calls are counted
// at the queue, CPU and memory by the kernel. What is measured is in workload.go,
// what is shown of it in columns.go, what is wanted of it in targets.go.
//
// What does not hang on the processor is measured once more in virtual time, by
// TestTargets, which fails where a target is missed (virtual_test.go).
//
// The peers: ours is the consumer without reading objects, ours+get reads one of
// 50 kB for each message, plain and plain-fast are loops round the SDK that keep
// the order and that do not, and sqs-consumer and sqs-consumer-fast are the
// library of that name on Node, which is installed from npm if there is one.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"strings"
	"sync"
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
	peers := set.String("peers", "ours,ours+get,plain,plain-fast,sqs-consumer,sqs-consumer-fast", "peers to run")
	runs := set.Int("runs", 1, "runs of each")
	out := set.String("out", "bench/RESULTS.md", "file for the tables; empty: none")
	if err := set.Parse(args); err != nil {
		return fmt.Errorf("read flags: %w", err)
	}
	if child.peer != "" {
		return runPeer(ctx, child)
	}
	b := bench{peers: strings.Split(*peers, ","), runs: *runs, profile: child.profile, measured: results{texts: map[string]string{}}}
	b.installNode(ctx)
	var err error
	if b.virtual, err = inVirtualTime(ctx); err != nil {
		return err
	}
	for _, w := range workloads() {
		if *only != "" && !chosen(*only, w.name) {
			continue
		}
		if err := b.measure(ctx, w); err != nil {
			return errors.Join(err, b.write(*out))
		}
	}
	if *only == "" {
		if err := b.engine(ctx); err != nil {
			return errors.Join(err, b.write(*out))
		}
	}
	return b.write(*out)
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

// bench is one run of the command.
type bench struct {
	peers   []string
	runs    int
	profile string
	virtual map[string]section
	// measured are the sections of this run.
	measured results
}

// measure runs all peers through one workload, and shows what came of it.
func (b *bench) measure(ctx context.Context, w workload) error {
	fmt.Fprintf(os.Stdout, "%s: %s\n", w.name, w.about)
	var table strings.Builder
	var runs []map[string]measured
	for range b.runs {
		of, err := b.once(ctx, w)
		for _, peer := range b.peers {
			if m, ran := of[peer]; ran {
				table.WriteString(w.row(peer, m))
			}
		}
		runs = append(runs, of)
		b.measured.put(w.name, w.section(table.String(), b.virtual[w.name], runs))
		if err != nil {
			return err
		}
	}
	return nil
}

// once runs each peer once, one after the other, or side by side where they
// hardly need the processor.
func (b *bench) once(ctx context.Context, w workload) (map[string]measured, error) {
	var mu sync.Mutex
	var running sync.WaitGroup
	all, errs := map[string]measured{}, make([]error, len(b.peers))
	for i, peer := range b.peers {
		if w.leavesOut(peer) {
			continue
		}
		running.Go(func() {
			m, err := w.measure(ctx, peer, b.profile)
			if err != nil {
				errs[i] = fmt.Errorf("%s of %s: %w", w.name, peer, err)
				return
			}
			fmt.Fprint(os.Stdout, w.row(peer, m))
			mu.Lock()
			defer mu.Unlock()
			all[peer] = m
		})
		if !w.sideBySide {
			running.Wait()
		}
	}
	running.Wait()
	return all, errors.Join(errs...)
}
