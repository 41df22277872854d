package main

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"inreply"
)

// redriveFlags are the flags of a redrive.
type redriveFlags struct {
	on     bool
	intake bool
	dryRun bool
	max    int
	rate   float64
	match  []string
}

func (f *redriveFlags) register(set *pflag.FlagSet) {
	set.BoolVar(&f.on, "redrive", false, "move dead letters back to the queue that they failed in")
	set.BoolVar(&f.intake, "redrive-intake", false, "the same with those of the relay's intake")
	set.BoolVar(&f.dryRun, "dry-run", false, "with --redrive: only list what would move, and why it is dead; with --rerun: what would be announced")
	set.StringArrayVar(&f.match, "match", nil, "with --redrive: only those with this `KEY=VALUE`: reason, from or route (a regular expression), older or newer (dead for longer or less than 2h30m); may be repeated. With --rerun: key=REGEXP")
	set.IntVar(&f.max, "max", 0, "with --redrive or --rerun: move or announce at most `N` (0: all)")
	set.Float64Var(&f.rate, "rate", 0, "with --redrive or --rerun: move or announce at most `N` a second (0: as fast as it goes)")
}

// wanted reports whether a redrive is asked for.
func (f redriveFlags) wanted() bool { return f.on || f.intake }

// given names a flag that says nothing without --redrive or --rerun, if there is
// one: a daemon must not start because somebody has forgotten these.
func (f redriveFlags) given() string {
	switch {
	case f.dryRun:
		return "--dry-run"
	case len(f.match) > 0:
		return "--match"
	case f.max != 0:
		return "--max"
	case f.rate != 0:
		return "--rate"
	}
	return ""
}

// options reads what the flags say.
func (f redriveFlags) options() (o inreply.RedriveOptions, err error) {
	o = inreply.RedriveOptions{DryRun: f.dryRun, Max: f.max, Rate: f.rate}
	if f.max < 0 {
		return o, fmt.Errorf("--max %d: it is how many move at most, 0 for all", f.max)
	}
	if f.rate < 0 {
		return o, fmt.Errorf("--rate %g: it is how many move in a second, 0 for as fast as it goes", f.rate)
	}
	for _, m := range f.match {
		if err := match(m, &o.Match); err != nil {
			return o, fmt.Errorf("--match %s: %w", m, err)
		}
	}
	return o, nil
}

// match adds one KEY=VALUE to what is matched by.
func match(said string, m *inreply.RedriveMatch) error {
	key, value, both := strings.Cut(said, "=")
	if !both || value == "" {
		return errors.New("say KEY=VALUE, such as reason=timeout or older=2h")
	}
	switch key {
	case "reason":
		return pattern(value, &m.Reason)
	case "from", "sender":
		return pattern(value, &m.From)
	case "route":
		return pattern(value, &m.Route)
	case "older":
		return age(value, &m.Older)
	case "newer":
		return age(value, &m.Newer)
	}
	return fmt.Errorf("there is no %q: it is reason, from, route, older or newer", key)
}

func pattern(value string, into **regexp.Regexp) error {
	if *into != nil {
		return errors.New("it was said before: both in one pattern are (?:A|B)")
	}
	re, err := regexp.Compile(value)
	if err != nil {
		return err //nolint:wrapcheck // the caller names the flag
	}
	*into = re
	return nil
}

func age(value string, into *time.Duration) error {
	d, err := time.ParseDuration(value)
	if err != nil || d <= 0 {
		return fmt.Errorf("%q is no length of time, such as 90s or 2h30m", value)
	}
	*into = d
	return nil
}

func (a app) runRedrive(ctx context.Context) error {
	options, err := a.redrive.options()
	if err != nil {
		return err
	}
	config, clients, err := a.operator(ctx)
	if err != nil {
		return err
	}
	shown := newProgress(a.stdout, a.redrive.dryRun)
	summary, err := inreply.Redrive(ctx, config, clients, a.redrive.intake, options, inreply.RedriveReport{Letter: shown.letter, Progress: shown.progress})
	if summary.Queue == "" {
		return err
	}
	shown.summary(summary)
	if err == nil && ctx.Err() != nil {
		return fmt.Errorf("stopped; run it again for the rest: about %d dead letters are left in %s", summary.After, summary.Queue)
	}
	return err
}
