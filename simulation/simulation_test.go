package simulation

import (
	"flag"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

var (
	seedFlag = flag.Uint64("sim.seed", 0, "run this seed alone, and show its log if it fails")
	forFlag  = flag.Duration("sim.for", 0, "run on with new seeds for this long")
)

// simulate runs one seed in a bubble.
func simulate(t *testing.T, seed uint64) (report Report) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		var err error
		if report, err = Simulate(seed); err != nil {
			t.Fatal(err)
		}
	})
	return report
}

// TestSeeds runs a fixed set of seeds, up to the first that
// fails.
func TestSeeds(t *testing.T) {
	if *seedFlag != 0 {
		check(t, simulate(t, *seedFlag))
		return
	}
	for seed := uint64(1); seed <= fixedSeeds && !t.Failed(); seed++ {
		check(t, simulate(t, seed))
	}
	for _, seed := range chosen() {
		if !t.Failed() {
			check(t, simulate(t, seed))
		}
	}
}

// chosen are seeds that show what none of the first do.
func chosen() []uint64 {
	return []uint64{
		1795665771082883293, // A try whose lease SQS has ended early is not charged to the next.
		1795667329048419570, // One process answers what another gives up.
		1795665876467093849, // A process is stopped between a reply and the delete of its mail.
	}
}

func check(t *testing.T, r Report) {
	t.Helper()
	for _, b := range r.Broken {
		t.Errorf("seed %d: %s", r.Seed, b)
	}
	if len(r.Broken) > 0 && *seedFlag != 0 {
		t.Log(strings.Join(r.Log, "\n"))
	}
	if testing.Verbose() {
		t.Logf("seed %d: %d mails, %d processes (%d ended at once), %d calls, faults %v, %s of virtual time", r.Seed, r.Mails, r.Processes, r.Deaths, r.Calls, r.Faults, r.Lasted.Round(time.Second))
	}
}

// TestOn runs on for as long as -sim.for says, and says what it went through.
func TestOn(t *testing.T) {
	if *forFlag == 0 {
		t.Skip("runs with -sim.for")
	}
	var mails, processes, deaths, calls, runs int
	faults := map[string]int{}
	var lasted time.Duration
	seed := uint64(time.Now().UnixNano())
	for began := time.Now(); time.Since(began) < *forFlag && !t.Failed(); seed++ {
		r := simulate(t, seed)
		check(t, r)
		runs++
		mails += r.Mails
		processes += r.Processes
		deaths += r.Deaths
		calls += r.Calls
		lasted += r.Lasted
		for name, n := range r.Faults {
			faults[name] += n
		}
	}
	fmt.Printf("%d runs, %d mails, %d processes of which %d ended at once, %d calls, faults %v, %.1f hours of virtual time\n", runs, mails, processes, deaths, calls, faults, lasted.Hours())
}

// TestReplays shows that a seed is a case: every call of it goes the same
// way every time.
func TestReplays(t *testing.T) {
	if replays == 0 {
		t.Skip("runs without the race detector, which makes it too slow")
	}
	for _, seed := range []uint64{3, 7} {
		first := simulate(t, seed)
		for range replays {
			if again := simulate(t, seed); first.Course != again.Course {
				t.Errorf("seed %d: %d calls in %s with faults %v, and again %d calls in %s with faults %v",
					seed, first.Calls, first.Lasted, first.Faults, again.Calls, again.Lasted, again.Faults)
			}
		}
	}
}
