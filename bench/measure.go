package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"
)

// measure runs one peer through the workload.
func (w workload) measure(ctx context.Context, peer, profile string) (measured, error) {
	s, err := w.newStage(ctx)
	if err != nil {
		return measured{}, err
	}
	defer s.close()
	if err := s.fill(ctx); err != nil {
		return measured{}, err
	}
	m, err := s.runPeer(ctx, peer, profile)
	if err != nil {
		return measured{}, err
	}
	m.calls = s.world.CallCounts()
	m.first, m.last = s.times()
	m.visible, m.inFlight = s.counts(ctx, s.queue)
	visible, inFlight := s.counts(ctx, s.dead)
	m.dead = visible + inFlight
	m.verdict = judge(m.messages, m.reports)
	return m, nil
}

// command is the child that a peer runs in.
func (s *stage) command(ctx context.Context, peer, profile string) (*exec.Cmd, error) {
	url, dead, visibility := s.world.SQS.URL(queueName), s.world.SQS.URL(deadName), s.workload.visibility
	if strings.HasPrefix(peer, nodePeer) {
		//nolint:gosec // the harness chooses the arguments
		return exec.CommandContext(ctx, "node", "--no-warnings", nodeFolder+"/peer.js", peer, s.endpoint, url, strconv.Itoa(int(visibility.Seconds())), strconv.Itoa(slots)), nil
	}
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("find this program: %w", err)
	}
	//nolint:gosec // it is this program
	return exec.CommandContext(ctx, self, "-peer", peer, "-endpoint", s.endpoint, "-url", url,
		"-dead", dead, "-visibility", visibility.String(), "-cpuprofile", profile), nil
}

// longestStop is how long a peer may go on after SIGTERM.
const longestStop = 40 * time.Second

// runPeer runs the peer until the workload is over.
func (s *stage) runPeer(ctx context.Context, peer, profile string) (measured, error) {
	m := measured{messages: s.workload.messages, sent: map[int]time.Time{}}
	reader, writer, err := os.Pipe()
	if err != nil {
		return m, fmt.Errorf("open a pipe: %w", err)
	}
	defer func() { _ = reader.Close() }() // It was read to its end.
	child, err := s.command(ctx, peer, profile)
	if err != nil {
		return m, err
	}
	child.Stderr = os.Stderr
	child.ExtraFiles = []*os.File{writer}
	m.began = time.Now()
	if err := child.Start(); err != nil {
		return m, fmt.Errorf("start the peer: %w", err)
	}
	_ = writer.Close() // The child has its own.
	var reports reports
	var reading sync.WaitGroup
	reading.Go(func() {
		for lines := bufio.NewScanner(reader); lines.Scan(); {
			reports.add(lines.Text())
		}
	})
	err = s.attend(ctx, &m, &reports)
	m.memory = peakMemory(child.Process.Pid)
	term := time.Now()
	_ = child.Process.Signal(syscall.SIGTERM) // It may have ended by itself.
	kill := time.AfterFunc(longestStop, func() { _ = child.Process.Kill() })
	ended := child.Wait()
	m.exit = time.Since(term)
	// One that has to be killed is a result like others; one that fails is not.
	m.killed = !kill.Stop()
	reading.Wait()
	m.reports, m.allocated = reports.all, reports.allocated
	if ended != nil && !m.killed && !strings.HasPrefix(peer, nodePeer) {
		err = errors.Join(err, fmt.Errorf("the peer: %w", ended))
	}
	if usage, ok := child.ProcessState.SysUsage().(*syscall.Rusage); ok {
		m.cpu = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return m, err
}

// peakMemory is the most that a process had resident, in MB; zero where the
// kernel has no such file. The rusage of a child begins with what its parent had
// when it was forked.
func peakMemory(pid int) int64 {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for line := range strings.Lines(string(status)) {
		var kB int64
		if _, err := fmt.Sscanf(line, "VmHWM: %d kB", &kB); err == nil {
			return kB >> 10
		}
	}
	return 0
}

// reports are what the peer has said so far.
type reports struct {
	mu        sync.Mutex
	all       []report
	ends      int
	allocated allocated
}

func (r *reports) add(line string) {
	if a, ok := parseAllocated(line); ok {
		r.mu.Lock()
		defer r.mu.Unlock()
		r.allocated = a
		return
	}
	one, ok := parseReport(line)
	if !ok {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.all = append(r.all, one)
	if !one.start {
		r.ends++
	}
}

func (r *reports) ended() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.ends
}

// attend sends what is due while the peer runs, and returns when the workload is
// over: emptied, stopped in the middle, or out of patience.
func (s *stage) attend(ctx context.Context, m *measured, reports *reports) error {
	w := s.workload
	if w.idle > 0 {
		return sleep(ctx, w.idle)
	}
	if err := s.sendDue(ctx, m); err != nil {
		return err
	}
	for time.Since(m.began) < w.patience {
		if err := sleep(ctx, 10*time.Millisecond); err != nil {
			return err
		}
		ends := reports.ended()
		if w.stopAt > 0 && ends >= w.stopAt {
			return nil
		}
		if ends < len(w.messages)/2 {
			continue
		}
		if visible, inFlight := s.counts(ctx, s.queue); visible+inFlight == 0 {
			return nil
		}
	}
	return nil
}

// parseAllocated reads "a OBJECTS OCTETS".
func parseAllocated(line string) (a allocated, ok bool) {
	n, err := fmt.Sscanf(line, "a %d %d", &a.objects, &a.octets)
	return a, n == 2 && err == nil
}

// parseReport reads "s NUMBER NANOSECONDS", "e ..." or "f ..." (an end that failed).
func parseReport(line string) (report, bool) {
	kind, rest, _ := strings.Cut(line, " ")
	first, second, _ := strings.Cut(rest, " ")
	number, err := strconv.Atoi(first)
	if err != nil {
		return report{}, false
	}
	at, err := strconv.ParseInt(second, 10, 64)
	if err != nil {
		return report{}, false
	}
	return report{number: number, start: kind == "s", failed: kind == "f", at: time.Unix(0, at)}, true
}
