package main

import (
	"context"
	"fmt"
	"regexp"
	"time"

	"github.com/spf13/pflag"

	"inreply"
	"inreply/configs"
)

// redriveFlags are the flags of a redrive.
type redriveFlags struct {
	on     bool
	intake bool
	dryRun bool
	max    int
	rate   float64
	reason string
	from   string
	route  string
	older  time.Duration
	newer  time.Duration
}

func (f *redriveFlags) register(set *pflag.FlagSet) {
	set.BoolVar(&f.on, "redrive", false, "move dead letters back to the queue that they failed in")
	set.BoolVar(&f.intake, "redrive-intake", false, "with --redrive: those of the relay's intake queue")
	set.BoolVar(&f.dryRun, "dry-run", false, "with --redrive: only list what would move, and why it is dead")
	set.IntVar(&f.max, "max", 0, "with --redrive: move at most `N` (0: all)")
	set.Float64Var(&f.rate, "rate", 0, "with --redrive: move at most `N` a second (0: as fast as it goes)")
	set.StringVar(&f.reason, "match-reason", "", "with --redrive: only those whose reason matches this `REGEXP`")
	set.StringVar(&f.from, "match-from", "", "with --redrive: only those whose sender matches this `REGEXP`")
	set.StringVar(&f.route, "match-route", "", "with --redrive: only those whose route matches this `REGEXP`")
	set.DurationVar(&f.older, "older", 0, "with --redrive: only those dead for longer than this")
	set.DurationVar(&f.newer, "newer", 0, "with --redrive: only those dead for less than this")
}

// match compiles what the flags choose by.
func (f redriveFlags) match() (m inreply.RedriveMatch, err error) {
	m.Older, m.Newer = f.older, f.newer
	for _, x := range []struct {
		flag, pattern string
		into          **regexp.Regexp
	}{{"--match-reason", f.reason, &m.Reason}, {"--match-from", f.from, &m.From}, {"--match-route", f.route, &m.Route}} {
		if x.pattern == "" {
			continue
		}
		if *x.into, err = regexp.Compile(x.pattern); err != nil {
			return m, fmt.Errorf("%s: %w", x.flag, err)
		}
	}
	return m, nil
}

func (a app) runRedrive(ctx context.Context) error {
	config, err := configs.Load(a.config, a.environ)
	if err != nil {
		return err
	}
	match, err := a.redrive.match()
	if err != nil {
		return err
	}
	clients, err := inreply.NewClients(ctx, config.AWS)
	if err != nil {
		return err
	}
	options := inreply.RedriveOptions{DryRun: a.redrive.dryRun, Match: match, Max: a.redrive.max, Rate: a.redrive.rate}
	summary, err := inreply.Redrive(ctx, config, clients, a.redrive.intake, options, a.letter)
	a.summary(summary)
	if err != nil {
		return err
	}
	if ctx.Err() != nil {
		return fmt.Errorf("stopped with %d left", summary.Left)
	}
	return nil
}

// letter prints one dead letter.
func (a app) letter(l inreply.DeadLetter, err error) {
	verb := "moved"
	if a.redrive.dryRun {
		verb = "would move"
	}
	if err != nil {
		verb = fmt.Sprintf("refused (%v)", err)
	}
	what := l.Message.ID
	if l.Key != "" {
		what = l.Bucket + "/" + l.Key
	}
	fmt.Fprintf(a.stdout, "%s  %s  group %s  dead since %s  tries %d  from %q  route %q  reason: %s\n",
		verb, what, l.Group, l.At.Format(time.RFC3339), l.Tries, l.From, l.Route, l.Reason)
}

func (a app) summary(s inreply.RedriveSummary) {
	fmt.Fprintf(a.stdout, "%d dead letters seen, %d matched, %d moved, %d left", s.Seen, s.Matched, s.Moved, s.Left)
	if s.Doubled > 0 {
		fmt.Fprintf(a.stdout, ", %d sent but still in the dead-letter queue (redrive within five minutes and the queue drops the second copy)", s.Doubled)
	}
	fmt.Fprintln(a.stdout)
}
