package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"strings"
)

const preface = `# The consumer, measured

Made by ` + "`go run ./bench`" + ` on one machine with two cores, which the queue shares with the
peers. Every call takes as long as l says, half before it takes effect and half
after; h is the time of a handler, both in ms. All have 64 slots: the consumer as many
groups at once, the others as many receivers.

- ours: the consumer, without reading objects, as the others do not either
- ours+get: the same, with a GET of an object of 50 kB for each message
- plain: aws-sdk-go-v2, 64 receivers that take ten, handle them one by one, leave out
  the rest of a failed group, and delete the others in one call
- plain-fast: the same, the ten at once: it does not keep the order
- sqs-consumer: bbc/sqs-consumer 14.2.8 on Node, 64 consumers, handleMessageBatch one by
  one with a heartbeat; sqs-consumer-fast: handleMessage, which does not keep the order

Times begin with the peer's first call, and a drain ends when its last delete is
answered. "limit" is what the workload allows at best, "handler" how long the handlers
took by their own reports, "waited" the time from send (in a drain: from the first call)
to start. Where a handler took longer than it was told to, a peer cannot reach the limit.

A drain's limit is rounds in which every slot handles one message, and two calls. The
second table of a workload is of virtual time, which passes only while everybody waits:
the processor costs nothing there, and the figures are the same on every machine.
` + "`go test ./bench`" + ` fails when one of ours is not as wanted.
`

// heading begins a section of the report.
const heading = "\n## "

// results are one section for each workload, and those that were written by hand.
type results struct {
	names []string
	texts map[string]string
}

// readResults takes the sections of a report of earlier runs, which may be missing.
func readResults(name string) (results, error) {
	r := results{texts: map[string]string{}}
	earlier, err := os.ReadFile(name)
	if errors.Is(err, fs.ErrNotExist) {
		return r, nil
	}
	if err != nil {
		return r, fmt.Errorf("read the earlier report: %w", err)
	}
	for _, section := range strings.Split(string(earlier), heading)[1:] {
		title, text, _ := strings.Cut(section, "\n")
		r.put(title, text)
	}
	return r, nil
}

// put adds a section, or replaces the one of that name.
func (r *results) put(title, text string) {
	if _, known := r.texts[title]; !known {
		r.names = append(r.names, title)
	}
	r.texts[title] = strings.Trim(text, "\n")
}

// summary is the section that says which targets were missed.
const summary = "Targets"

// missed lists the targets that the sections say were missed.
func (r *results) missed() string {
	var missed strings.Builder
	for _, w := range workloads() {
		for line := range strings.Lines(r.texts[w.name] + "\n") {
			if rest, ok := strings.CutPrefix(line, missedLine); ok {
				missed.WriteString("- " + w.name + ", " + rest)
			}
		}
	}
	if missed.Len() == 0 {
		return "Every target is met. They stand below the tables."
	}
	return "Every target is met but these. They stand below the tables. One that is met in virtual\n" +
		"time was missed for want of processor, which the queue and the peers share here.\n\n" + missed.String()
}

// The beginnings of the lines below a table.
const (
	metLine    = "- met: "
	missedLine = "- missed: "
)

// section is the text of a workload in the report.
func (w workload) section(table string, virtual section, runs []map[string]measured) string {
	var text strings.Builder
	text.WriteString(w.about + "\n\n" + w.heading() + table)
	if virtual.Table != "" {
		text.WriteString("\nIn virtual time:\n\n" + virtual.Table)
	}
	text.WriteString("\n")
	for _, t := range w.targets {
		text.WriteString(t.line(virtual, runs))
	}
	return text.String()
}

// line says whether the target is met: here, by the median of the runs, and in virtual
// time.
func (t target) line(virtual section, runs []map[string]measured) string {
	var figures []float64
	for _, run := range runs {
		ours, here := run[peerOurs]
		plain, beside := run[peerPlain]
		if here && (beside || !t.plain) {
			figures = append(figures, t.of(ours, plain))
		}
	}
	if len(figures) == 0 {
		return ""
	}
	slices.Sort(figures)
	figure := figures[len(figures)/2]
	line := metLine
	if !t.met(figure) {
		line = missedLine
	}
	line += t.what + " " + fmt.Sprintf(t.format, figure) + ", " + t.wanted()
	if in, measured := virtual.Figures[t.what]; measured {
		line += "; in virtual time " + fmt.Sprintf(t.format, in)
	}
	return line + "\n"
}

// text is the report: what was written by hand, then the workloads in their order.
func (r *results) text() string {
	order := map[string]int{summary: -1, alone: 1000}
	for i, w := range workloads() {
		order[w.name] = 1 + i
	}
	names := slices.Clone(r.names)
	slices.SortStableFunc(names, func(a, b string) int { return order[a] - order[b] })
	var text strings.Builder
	text.WriteString(preface)
	for _, name := range names {
		text.WriteString(heading + name + "\n\n" + r.texts[name] + "\n")
	}
	return text.String()
}

// write puts what was measured into the report that is there.
func (b *bench) write(name string) error {
	if name == "" {
		return nil
	}
	r, err := readResults(name)
	if err != nil {
		return err
	}
	for _, title := range b.measured.names {
		r.put(title, b.measured.texts[title])
	}
	r.put(summary, r.missed())
	if err := os.WriteFile(name, []byte(r.text()), 0o600); err != nil {
		return fmt.Errorf("write the report: %w", err)
	}
	return nil
}
