package table

import (
	"hash/maphash"
	"math/big"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"

	"pgregory.net/rapid"

	"inreply/processing/digest/report"
)

// A sum is what exact arithmetic finds.
func TestATotalLosesNothing(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		var sum total
		want := new(big.Rat)
		for _, text := range rapid.SliceOfN(rapid.StringMatching(`-?[1-9][0-9]{0,12}(\.[0-9]{1,5})?`), 1, 50).Draw(rt, "numbers") {
			n, _, ok := numeralOf([]byte(text))
			if !ok || !n.isPoint {
				rt.Fatalf("%s is no number", text)
			}
			times := rapid.IntRange(1, 1_000_000).Draw(rt, "times")
			sum.add(n.point, times)
			exact, _ := new(big.Rat).SetString(text)
			want.Add(want, exact.Mul(exact, big.NewRat(int64(times), 1)))
		}
		got, ok := new(big.Rat).SetString(sum.text().String())
		if !ok || got.Cmp(want) != 0 {
			rt.Fatalf("%s, want %s", sum.text(), want.FloatString(6))
		}
	})
}

// Quartiles are those of the sorted numbers, and where not all could be kept, off
// by no more ranks than is said.
func TestQuartilesAreAsExactAsTheySay(t *testing.T) {
	for _, memory := range []int{64 << 20, 0} {
		var sorted []float64
		n := &numbers{memory: &memory}
		x := uint64(88172645463325252)
		for range 700_000 {
			x ^= x << 13
			x ^= x >> 7
			x ^= x << 17
			f := float64(int64(x)) / 1e9
			n.add(f, 1)
			sorted = append(sorted, f)
		}
		slices.Sort(sorted)
		q, off := n.quartiles()
		if (off == 0) != (n.sketch == nil) || off > 0.1 {
			t.Fatalf("off by %v", off)
		}
		for i, got := range q {
			rank, _ := slices.BinarySearch(sorted, got)
			at := float64(i+1) / 4 * float64(len(sorted)-1)
			if d := float64(rank) - at; d > 1+off/100*float64(len(sorted)) || -d > 1+off/100*float64(len(sorted)) {
				t.Errorf("quartile %d is of rank %d, want %.0f, off by %v %%", i+1, rank, at, off)
			}
		}
		if want := quartilesOf(len(sorted), func(rank int) float64 { return sorted[rank] }); off == 0 && q != want {
			t.Errorf("%v, want %v", q, want)
		}
	}
}

// With more distinct values than are counted everything but the most frequent ones
// is as exact as before.
func TestMoreDistinctValuesThanAreCounted(t *testing.T) {
	c := newColumn("n", maphash.MakeSeed(), newMemory(1), style{})
	sum := 0
	for i := range 250_000 {
		value := i
		if i%5 == 0 {
			value = 7
		}
		sum += value
		c.add([]byte(strconv.Itoa(value)))
	}
	r := c.report(style{})
	if r.Type != report.Number || r.Values != 250_000 || r.Distinct != mostDistinct || !r.More || r.Numbers.Total.String() != strconv.Itoa(sum) ||
		r.Numbers.Error != 0 || r.Numbers.Max != 249_999 {
		t.Errorf("%+v %+v", r, r.Numbers)
	}
	if len(r.Top) == 0 || r.Top[0].Value != "7" || !r.Top[0].Least || r.Top[0].Times > 50_001 || r.Top[0].Times < 49_000 {
		t.Errorf("%+v", r.Top)
	}
}

// Columns that count their cells many at a time say what a plain count of them says.
func TestManyValuesAgainstAPlainCount(t *testing.T) {
	const rows = 40_000
	m := newMemory(3)
	seed := maphash.MakeSeed()
	r := rand.New(rand.NewPCG(1, 2))
	var columns []*column
	var plain []map[string]int
	var sums []int
	distinct := []int{700, 5_000, 100_000}
	for range distinct {
		columns = append(columns, newColumn("n", seed, m, style{}))
		plain = append(plain, map[string]int{})
		sums = append(sums, 0)
	}
	for range rows {
		for i, n := range distinct {
			value := r.IntN(n)
			if r.IntN(3) == 0 {
				value = r.IntN(15) * r.IntN(15) // some come often
			}
			text := strconv.Itoa(value)
			if value%1000 == 999 {
				text += strings.Repeat(" ", 30) + strings.Repeat("x", 2*value%6000) // long, and told apart behind what is kept
			} else {
				sums[i] += value
			}
			columns[i].add([]byte(text))
			plain[i][text]++
		}
	}
	for i, c := range columns {
		got := c.report(style{})
		if got.Distinct != len(plain[i]) || got.More || got.Values != rows || got.Numbers.Total.String() != strconv.Itoa(sums[i]) {
			t.Errorf("column %d: %d distinct and a total of %s, want %d and %d", i, got.Distinct, got.Numbers.Total, len(plain[i]), sums[i])
		}
		if len(got.Top) != mostTop {
			t.Errorf("column %d: %+v", i, got.Top)
		}
		for _, top := range got.Top {
			if top.Times != plain[i][top.Value] || top.Least {
				t.Errorf("column %d: %+v, want %d", i, top, plain[i][top.Value])
			}
		}
	}
}

// What is forgotten are the rarest values, and of equals those that came last.
func TestForgetting(t *testing.T) {
	rapid.Check(t, func(rt *rapid.T) {
		most := rapid.SampledFrom([]int{2, 10, 1000}).Draw(rt, "most times")
		times := rapid.SliceOfN(rapid.IntRange(1, most), 5, 60).Draw(rt, "times")
		c := newCounts()
		for value, n := range times {
			for !c.add(uint64(value+1)<<32, []byte(strconv.Itoa(value))) {
				c.grow()
			}
			c.entries[value].times = uint32(n)
		}
		room := len(times) - 1
		order := c.byTimes()
		var want []string
		for _, number := range slices.Sorted(slices.Values(order[:room/2])) {
			want = append(want, string(c.text(int(number)))+" "+strconv.Itoa(c.times(int(number))))
		}
		f := newFrequent(c, room)
		var got []string
		for number := range f.counts.len() {
			got = append(got, string(f.counts.text(number))+" "+strconv.Itoa(f.counts.times(number)))
		}
		if !slices.Equal(got, want) || int(f.missed) != times[order[room/2]] {
			rt.Fatalf("of %v %v is left, want %v; missed %d", times, got, want, f.missed)
		}
		f.add(1<<32, []byte("0"))
		if times[0] > int(f.missed) && f.counts.times(0) != times[0]+1 {
			rt.Errorf("the first one is found no more")
		}
	})
}

// A column that finds no memory left for its values goes on without them.
func TestNoMemoryLeft(t *testing.T) {
	m := newMemory(1)
	m.counts = 1 << 10
	c := newColumn("n", maphash.MakeSeed(), m, style{})
	for i := range 60_000 {
		c.add([]byte(strconv.Itoa(i % 30_000)))
	}
	r := c.report(style{})
	if r.Distinct != 30_000 || r.More || r.Numbers.Median != 14_999.5 {
		t.Errorf("%+v %+v", r, r.Numbers)
	}
	m.sets = 0
	c = newColumn("n", maphash.MakeSeed(), m, style{})
	m.counts = 1 << 10
	for i := range 30_000 {
		c.add([]byte(strconv.Itoa(i)))
	}
	if r = c.report(style{}); !r.More || r.Values != 30_000 {
		t.Errorf("%+v", r)
	}
}

// What can be read as a number or as a date can be read without harm.
func FuzzCell(f *testing.F) {
	for _, s := range []string{"1,234.5", "(€ 12)", "-€5", "12 EUR", "3/4/2026 10:00 PM", "5. März 2026", "1e5", "%", "(", "R$ 1", "2026-01-01T00:00:00+02:00"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		before := s
		cell := []byte(s)
		if n, _, ok := numeralOf(cell); ok && n.point.exact && n.point.scale > 18 {
			t.Errorf("%+v", n)
		}
		momentOf(cell)
		if string(cell) != before {
			t.Errorf("%q became %q", before, cell)
		}
	})
}
