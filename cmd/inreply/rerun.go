package main

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"time"

	"github.com/spf13/pflag"

	"inreply"
	"inreply/configs"
)

// rerunFlags are the flags of a rerun beside those that it shares with a redrive.
type rerunFlags struct {
	from  string
	since string
	until string
	after string

	again    string
	uncapped bool
}

// newRerun is what --again says when it says no id.
const newRerun = "new"

func (f *rerunFlags) register(set *pflag.FlagSet) {
	set.StringVar(&f.from, "rerun", "", "announce the stored mails under `s3://BUCKET/PREFIX` again to the relay's intake; what was answered is not answered again, but by --again")
	set.StringVar(&f.since, "since", "", "with --rerun: only mails stored at or after this `TIME`: 2026-11-25 (UTC), 2026-11-25T10:00:00Z or \"36h ago\"")
	set.StringVar(&f.until, "until", "", "with --rerun: only mails stored before this `TIME`; a date is until its end")
	set.StringVar(&f.after, "after", "", "with --rerun: only keys behind this `KEY`, at which another --rerun ended")
	set.StringVar(&f.again, "again", "", "with --rerun: what was answered is answered once more; --again=`ID` goes on with a rerun that printed this id, and answers nothing twice that it answered")
	set.Lookup("again").NoOptDefVal = newRerun
	set.BoolVar(&f.uncapped, "uncapped", false, "with --rerun: answer whatever the senders got already; the replies do not count against their caps")
}

// wanted reports whether a rerun is asked for.
func (f rerunFlags) wanted() bool { return f.from != "" }

// given names a flag that says nothing without --rerun, if there is one.
func (f rerunFlags) given() string {
	switch {
	case f.since != "":
		return "--since"
	case f.until != "":
		return "--until"
	case f.after != "":
		return "--after"
	case f.again != "":
		return "--again"
	case f.uncapped:
		return "--uncapped"
	}
	return ""
}

// rerunID is what an id of ours looks like: when it began, and something random.
var rerunID = regexp.MustCompile(`^\d{8}-\d{6}-[0-9a-f]{4}$`)

// mark is what goes with every notice. Each run is a decision of its own, unless it
// goes on with another.
func (f rerunFlags) mark(now time.Time) (inreply.RerunMark, error) {
	m := inreply.RerunMark{ID: f.again, Again: f.again != "", Uncapped: f.uncapped}
	if f.again != "" && f.again != newRerun {
		if !rerunID.MatchString(f.again) {
			return m, fmt.Errorf("--again=%s: it is the id that a --rerun --again printed, such as 20261125-101500-3f9a; say --again alone for a new one", f.again)
		}
		return m, nil
	}
	var random [2]byte
	if _, err := rand.Read(random[:]); err != nil {
		return m, fmt.Errorf("make the id of the rerun: %w", err)
	}
	m.ID = now.UTC().Format("20060102-150405-") + hex.EncodeToString(random[:])
	return m, nil
}

// apart reports what of --redrive and --rerun does not go together.
func (a app) apart() error {
	if a.redrive.wanted() && a.rerun.wanted() {
		return errors.New("--redrive and --rerun are two things: dead letters that go back, and stored mails that are announced again; say one")
	}
	if flag := a.rerun.given(); flag != "" && !a.rerun.wanted() {
		return fmt.Errorf("%s says nothing without --rerun", flag)
	}
	if flag := a.redrive.given(); flag != "" && !a.redrive.wanted() && !a.rerun.wanted() {
		return fmt.Errorf("%s says nothing without --redrive or --rerun", flag)
	}
	return nil
}

// rerunOptions reads what the flags say.
func (a app) rerunOptions(now time.Time) (o inreply.RerunOptions, err error) {
	shared := a.redrive
	shared.match = nil // its keys are others
	common, err := shared.options()
	if err != nil {
		return o, err
	}
	o = inreply.RerunOptions{After: a.rerun.after, DryRun: common.DryRun, Max: common.Max, Rate: common.Rate}
	if o.Mark, err = a.rerun.mark(now); err != nil {
		return o, err
	}
	if o.Bucket, o.Prefix, err = location(a.rerun.from); err != nil {
		return o, fmt.Errorf("--rerun %s: %w", a.rerun.from, err)
	}
	if o.Since, err = instant(a.rerun.since, now, 0); err != nil {
		return o, fmt.Errorf("--since %s: %w", a.rerun.since, err)
	}
	if o.Until, err = instant(a.rerun.until, now, 1); err != nil {
		return o, fmt.Errorf("--until %s: %w", a.rerun.until, err)
	}
	if !o.Until.IsZero() && !o.Since.Before(o.Until) {
		return o, fmt.Errorf("--since %s is not before --until %s: nothing is between", a.rerun.since, a.rerun.until)
	}
	for _, said := range a.redrive.match {
		if err := matchKey(said, &o.Key); err != nil {
			return o, fmt.Errorf("--match %s: %w", said, err)
		}
	}
	return o, nil
}

// location reads s3://BUCKET/PREFIX. The prefix is taken as it is: keys are no URLs.
func location(said string) (bucket, prefix string, err error) {
	rest, s3 := strings.CutPrefix(said, "s3://")
	bucket, prefix, _ = strings.Cut(rest, "/")
	if !s3 || bucket == "" {
		return "", "", errors.New("say s3://BUCKET/PREFIX, such as s3://example-mail/inbound/")
	}
	return bucket, prefix, nil
}

// instant reads a time. A date begins at midnight UTC, days later.
func instant(said string, now time.Time, days int) (time.Time, error) {
	if said == "" {
		return time.Time{}, nil
	}
	if at, err := time.Parse(time.RFC3339, said); err == nil {
		return at, nil
	}
	if at, err := time.Parse(time.DateOnly, said); err == nil {
		return at.AddDate(0, 0, days), nil
	}
	if ago, is := strings.CutSuffix(said, "ago"); is {
		if d, err := time.ParseDuration(strings.TrimSpace(ago)); err == nil && d >= 0 {
			return now.Add(-d), nil
		}
	}
	return time.Time{}, errors.New("say 2026-11-25, 2026-11-25T10:00:00Z or \"36h ago\"")
}

func matchKey(said string, into **regexp.Regexp) error {
	key, value, _ := strings.Cut(said, "=")
	if key != "key" || value == "" {
		return errors.New("with --rerun it is key=REGEXP, such as key=2026/11/")
	}
	return pattern(value, into)
}

func (a app) runRerun(ctx context.Context) error {
	options, err := a.rerunOptions(time.Now())
	if err != nil {
		return err
	}
	config, clients, err := a.operator(ctx)
	if err != nil {
		return err
	}
	shown := newProgress(a.stdout, options.DryRun)
	shown.rerunBegins(options, config)
	summary, err := inreply.Rerun(ctx, config, clients, options, inreply.RerunReport{Object: shown.object, Progress: shown.rerun})
	if summary.Seen > 0 || err == nil {
		shown.rerunSummary(summary, options)
	}
	switch stopped := ctx.Err() != nil; {
	case err != nil && summary.Last != "":
		return fmt.Errorf("%w; go on with %s", err, goesOn(options, summary))
	case err != nil:
		return err
	case stopped && summary.Last != "":
		return fmt.Errorf("stopped; go on with %s", goesOn(options, summary))
	case stopped:
		return errors.New("stopped before anything was announced")
	case summary.Refused > 0:
		return fmt.Errorf("%d mails were not announced: the intake refused them, see above", summary.Refused)
	}
	return nil
}

// goesOn is what goes on where a rerun ended.
func goesOn(o inreply.RerunOptions, s inreply.RerunSummary) string {
	after := fmt.Sprintf("--after '%s'", s.Last)
	if o.Mark.Again && !o.DryRun {
		return "--again=" + o.Mark.ID + " " + after
	}
	return after
}

// rerunBegins says what will become of the mails: the daemon answers them, and here
// nobody would see that it does not.
func (p *progress) rerunBegins(o inreply.RerunOptions, c configs.Config) {
	begins, answered, caps := "rerun "+o.Mark.ID, "what was answered is not answered again", ""
	if p.dryRun {
		begins = "dry run"
	}
	if o.Mark.Again {
		answered = "what was answered is answered once more"
	}
	switch {
	case o.Mark.Uncapped:
		caps = "; caps per sender do not hold"
	case inreply.Capped(c):
		caps = "; caps per sender hold, and what is over them ends as silent (--uncapped lifts them)"
	}
	fmt.Fprintf(p.out, "%s: %s%s\n", begins, answered, caps)
}

// object shows one object. Those that are announced are only counted on a terminal.
func (p *progress) object(o inreply.StoredObject, err error) {
	verb := "announced"
	switch {
	case err != nil:
		verb = fmt.Sprintf("refused (%v)", err)
	case p.dryRun:
		verb = "would announce"
	case p.terminal:
		return
	}
	p.clear()
	fmt.Fprintf(p.out, "%s  %s  stored %s  %d octets\n", verb, printable(o.Bucket+"/"+o.Key), o.LastModified.UTC().Format(time.RFC3339), o.Size)
	p.shown = time.Now()
}

// rerun shows how far a rerun is.
func (p *progress) rerun(s inreply.RerunSummary) {
	p.draw(func() string {
		return fmt.Sprintf("%d objects seen, %d announced%s, at %s", s.Seen, s.Announced, p.speed(s.Announced), printable(s.Last))
	})
}

// rerunSummary shows how a rerun ended.
func (p *progress) rerunSummary(s inreply.RerunSummary, o inreply.RerunOptions) {
	p.clear()
	verb := "announced"
	if p.dryRun {
		verb = "would be announced"
	}
	fmt.Fprintf(p.out, "%d objects seen, %d %s, %d not chosen, %d not for the relay", s.Seen, s.Announced, verb, s.Kept, s.PassedOver)
	if s.Refused > 0 {
		fmt.Fprintf(p.out, ", %d refused", s.Refused)
	}
	if s.More {
		fmt.Fprintf(p.out, "; there are more: go on with %s", goesOn(o, s))
	}
	fmt.Fprintln(p.out)
}
