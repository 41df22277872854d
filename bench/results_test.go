package main

import (
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestARunKeepsWhatOthersHaveMeasured(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	earlier := "# old\n\n## Notes\n\nBy hand.\n\n## W2\n\nold W2\n\n## W8\n\nold W8\n"
	if err := os.WriteFile(file, []byte(earlier), 0o600); err != nil {
		t.Fatal(err)
	}
	b := bench{measured: results{texts: map[string]string{}}}
	b.measured.put("W8", "new W8")
	b.measured.put("W3", "new W3")
	for range 2 {
		if err := b.write(file); err != nil {
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	want := preface + "\n## Targets\n\nEvery target is met. They stand below the tables.\n" +
		"\n## Notes\n\nBy hand.\n\n## W2\n\nold W2\n\n## W3\n\nnew W3\n\n## W8\n\nnew W8\n"
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(string(got), "\n")); diff != "" {
		t.Errorf("the report differs (-want +got):\n%s", diff)
	}
}

func TestTheFirstReportNeedsNoOther(t *testing.T) {
	file := filepath.Join(t.TempDir(), "RESULTS.md")
	b := bench{measured: results{texts: map[string]string{}}}
	b.measured.put("W1 h20 l20", "rows")
	if err := b.write(file); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(file)
	if want := preface + "\n## Targets\n\nEvery target is met. They stand below the tables.\n\n## W1 h20 l20\n\nrows\n"; err != nil || string(got) != want {
		t.Errorf("the report is %q, %v; want %q", got, err, want)
	}
}

func TestATargetThatIsMissedIsSaid(t *testing.T) {
	w := workload{about: "Some.", targets: []target{
		atMost("exit", "%.2f s", 1.3, func(m measured) float64 { return m.exit.Seconds() }),
		{what: "times plain's", format: "%.1f", bound: 2, least: true, plain: true, of: func(ours, plain measured) float64 { return float64(ours.dead) / float64(plain.dead) }},
	}}
	run := func(exit time.Duration, dead int) map[string]measured {
		return map[string]measured{peerOurs: {exit: exit, dead: dead}, peerPlain: {dead: 10}}
	}
	got := w.section("rows\n", section{Table: "virtual rows\n", Figures: map[string]float64{"exit": 1}},
		[]map[string]measured{run(3*time.Second, 10), run(time.Second, 40), run(2*time.Second, 30)})
	want := "Some.\n\n| peer |\n| --- |\nrows\n\nIn virtual time:\n\nvirtual rows\n\n" +
		"- missed: exit 2.00 s, at most 1.30 s; in virtual time 1.00 s\n- met: times plain's 3.0, at least 2.0\n"
	if diff := cmp.Diff(strings.Split(want, "\n"), strings.Split(got, "\n")); diff != "" {
		t.Errorf("the section differs (-want +got):\n%s", diff)
	}
	r := results{texts: map[string]string{"W6": got}}
	if want := "Every target is met but these. They stand below the tables. One that is met in virtual\n" +
		"time was missed for want of processor, which the queue and the peers share here.\n\n- W6, exit 2.00 s, at most 1.30 s; in virtual time 1.00 s\n"; r.missed() != want {
		t.Errorf("%q, want %q", r.missed(), want)
	}
}

func TestTheBestRateCountsRounds(t *testing.T) {
	if got := bestRate(6*slots+1, time.Second, 500*time.Millisecond); math.Abs(got-float64(6*slots+1)/8) > 0.001 {
		t.Errorf("%f messages a second in seven rounds of a second and two calls of half of one", got)
	}
}

func TestTheEnginesCostIsReadFromItsBenchmark(t *testing.T) {
	output := "goos: linux\nBenchmarkEngine-2   \t  300000\t     41055 ns/op\t    3016 B/op\t      20 allocs/op\nPASS\n" +
		"BenchmarkEngine-2   \t  300000\t     1055 ns/op\t    1016 B/op\t      11 allocs/op\n"
	if got, ok := engineCost(output); !ok || got != (cost{1055, 1016, 11}) {
		t.Errorf("%+v, %t", got, ok)
	}
	if _, ok := engineCost("PASS\n"); ok {
		t.Error("nothing is taken for a cost")
	}
}
