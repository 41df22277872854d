package main

import (
	"testing"
	"time"
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
		"other groups do not matter": {[]report{do("s", 2), do("s", 0), do("e", 2), do("e", 0)}, verdict{}},
	} {
		if got := judge(messages, c.reports); got != c.want {
			t.Errorf("%s: %+v, want %+v", name, got, c.want)
		}
	}
}

func TestLost(t *testing.T) {
	m := measured{messages: make([]message, 5), visible: 1, inFlight: 1, dead: 1, reports: []report{{number: 0}}}
	if got := m.lost(); got != 1 {
		t.Errorf("%d lost of five, one of which was handled, one is visible, one in flight, one dead; want 1", got)
	}
}
