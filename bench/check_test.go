package main

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestJudge(t *testing.T) {
	messages := []message{{number: 0}, {number: 1}, {number: 2, group: 1}, {number: 3, group: 2, poison: true}, {number: 4, group: 2}}
	at := time.Unix(0, 0)
	do := func(kind string, number int) report {
		at = at.Add(time.Millisecond)
		return report{number: number, start: kind == "s", failed: kind == "f", at: at}
	}
	for name, c := range map[string]struct {
		reports []report
		want    verdict
	}{
		"in order":                   {[]report{do("s", 0), do("s", 2), do("e", 0), do("s", 1), do("e", 1), do("e", 2)}, verdict{}},
		"the second first":           {[]report{do("s", 1), do("e", 1), do("s", 0), do("e", 0)}, verdict{violations: 1}},
		"two at once":                {[]report{do("s", 0), do("s", 1), do("e", 0), do("e", 1)}, verdict{violations: 1}},
		"twice":                      {[]report{do("s", 0), do("e", 0), do("s", 0), do("e", 0)}, verdict{duplicates: 1}},
		"after a failure":            {[]report{do("s", 0), do("f", 0), do("s", 1), do("e", 1)}, verdict{violations: 1}},
		"after what can only fail":   {[]report{do("s", 3), do("f", 3), do("s", 4), do("e", 4)}, verdict{}},
		"tried again after failing":  {[]report{do("s", 0), do("f", 0), do("s", 0), do("e", 0), do("s", 1), do("e", 1)}, verdict{}},
		"beside what can only fail":  {[]report{do("s", 3), do("s", 4), do("e", 4), do("f", 3)}, verdict{violations: 1}},
		"given up, and tried again":  {[]report{do("s", 3), do("f", 3), do("s", 4), do("e", 4), do("s", 3), do("f", 3)}, verdict{violations: 1}},
		"three times":                {[]report{do("s", 0), do("e", 0), do("s", 0), do("e", 0), do("s", 0), do("e", 0)}, verdict{duplicates: 2}},
		"reported out of order":      {reversed([]report{do("s", 0), do("e", 0), do("s", 1), do("e", 1)}), verdict{}},
		"other groups do not matter": {[]report{do("s", 2), do("s", 0), do("e", 2), do("e", 0)}, verdict{}},
	} {
		if got := judge(messages, c.reports); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func reversed(reports []report) []report {
	slices.Reverse(reports)
	return reports
}

func TestUntriedCountsWhatNeverStarted(t *testing.T) {
	m := measured{messages: []message{{number: 0}, {number: 1}, {number: 2}}, reports: []report{{number: 1, start: true}, {number: 1, failed: true}}}
	if got := m.untried(func(x message) bool { return x.number < 2 }); got != 1 {
		t.Errorf("%d untried of two, one of which started; want 1", got)
	}
}

func TestWaitsBeginWithTheSend(t *testing.T) {
	at := func(n int) time.Time { return time.Unix(int64(n), 0) }
	m := measured{
		messages: make([]message, 3), first: at(10), sent: map[int]time.Time{1: at(12)},
		reports: []report{{number: 0, start: true, at: at(11)}, {number: 1, start: true, at: at(14)}, {number: 1, start: true, at: at(20)}},
	}
	want := []time.Duration{time.Second, 2 * time.Second}
	if diff := cmp.Diff(want, m.waits(func(message) bool { return true })); diff != "" {
		t.Error(diff)
	}
}

func TestParseReport(t *testing.T) {
	want := report{number: 12, start: true, at: time.Unix(0, 34)}
	if got, ok := parseReport("s 12 34"); !ok || !got.at.Equal(want.at) || got.number != 12 || !got.start || got.failed {
		t.Errorf("%+v, %t", got, ok)
	}
	if got, ok := parseReport("f 1 2"); !ok || got.start || !got.failed {
		t.Errorf("%+v, %t", got, ok)
	}
	for _, line := range []string{"", "s", "s 1", "s x 1", "e 1 x"} {
		if _, ok := parseReport(line); ok {
			t.Errorf("%q is taken for a report", line)
		}
	}
}

func TestLost(t *testing.T) {
	m := measured{messages: make([]message, 5), visible: 1, inFlight: 1, dead: 1, reports: []report{{number: 0}}}
	if got := m.lost(); got != 1 {
		t.Errorf("%d lost of five, one of which was handled, one is visible, one in flight, one dead; want 1", got)
	}
}
