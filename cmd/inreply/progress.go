package main

import (
	"fmt"
	"io"
	"os"
	"time"

	"golang.org/x/term"

	"inreply"
)

// progress shows how a redrive or a rerun goes: on a terminal by one line that
// changes, and elsewhere by a line for each letter or object, and one now and then
// while none moves.
type progress struct {
	out      io.Writer
	terminal bool
	dryRun   bool
	began    time.Time
	shown    time.Time // when the last line was written
	drawn    bool      // a line stands on the terminal that may be overwritten
}

func newProgress(out io.Writer, dryRun bool) *progress {
	file, ok := out.(*os.File)
	return &progress{
		out: out, terminal: ok && term.IsTerminal(int(file.Fd())), dryRun: dryRun,
		began: time.Now(), shown: time.Now(),
	}
}

// How often progress shows.
const (
	redrawn = 100 * time.Millisecond
	written = 10 * time.Second
)

// letter shows one dead letter. Those that move are only counted on a terminal:
// there the line moves with them.
func (p *progress) letter(l inreply.DeadLetter, err error) {
	verb := "moved"
	switch {
	case err != nil:
		verb = fmt.Sprintf("refused (%v)", err)
	case p.dryRun:
		verb = "would move"
	case p.terminal:
		return
	}
	what := l.Message.ID
	if l.Key != "" {
		what = l.Bucket + "/" + l.Key
	}
	p.clear()
	fmt.Fprintf(p.out, "%s  %s  group %s  dead since %s  tries %d  from %q  route %q  reason: %s\n",
		verb, printable(what), printable(l.Group), l.At.Format(time.RFC3339), l.Tries, l.From, l.Route, printable(l.Reason))
	p.shown = time.Now()
}

// printable keeps what a sender may have chosen from steering the terminal, and
// on one line.
func printable(s string) string {
	for _, r := range s {
		if r < 0x20 || r >= 0x7F && r < 0xA0 {
			return fmt.Sprintf("%q", s)
		}
	}
	return s
}

// progress shows how far a redrive is.
func (p *progress) progress(s inreply.RedriveSummary) {
	p.draw(func() string {
		line := fmt.Sprintf("%d of about %d dead letters seen, %d match, %d moved", s.Seen, s.Before, s.Matched, s.Moved)
		line += p.speed(s.Moved)
		if s.Left > 0 {
			line += fmt.Sprintf(", %d stay", s.Left)
		}
		return line
	})
}

// speed is how many a second, once there are some.
func (p *progress) speed(n int) string {
	if n == 0 {
		return ""
	}
	return fmt.Sprintf(" (%.0f/s)", float64(n)/max(time.Since(p.began).Seconds(), 0.001))
}

// draw shows a line that says how far it is, unless one was shown a moment ago.
func (p *progress) draw(line func() string) {
	now := time.Now()
	pause := written
	if p.terminal {
		pause = redrawn
	}
	if now.Sub(p.shown) < pause && (p.drawn || !p.terminal) {
		return
	}
	p.shown = now
	if !p.terminal {
		fmt.Fprintln(p.out, line())
		return
	}
	fmt.Fprintf(p.out, "\r\x1b[K%s", line())
	p.drawn = true
}

// clear takes the line off the terminal that something else is written over.
func (p *progress) clear() {
	if p.drawn {
		fmt.Fprint(p.out, "\r\x1b[K")
		p.drawn = false
	}
}

// summary shows how it ended.
func (p *progress) summary(s inreply.RedriveSummary) {
	p.clear()
	fmt.Fprintf(p.out, "%d dead letters seen, %d matched, %d moved, %d left", s.Seen, s.Matched, s.Moved, s.Left)
	if s.Doubled > 0 {
		fmt.Fprintf(p.out, ", %d sent but still in the dead-letter queue (redrive within five minutes and the queue drops the second copy)", s.Doubled)
	}
	if s.Again > 0 {
		fmt.Fprintf(p.out, ", %d died again meanwhile: their cause is not mended", s.Again)
	}
	fmt.Fprintf(p.out, "; about %d in %s now\n", s.After, s.Queue)
}
