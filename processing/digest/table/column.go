package table

import (
	"hash/maphash"
	"strings"

	"inreply/processing/digest/report"
)

// mostDistinct is how many distinct values of a column are counted.
const mostDistinct = 100_000

// column takes in the cells of one column. At first it only counts how often each
// value comes; what they are is found out at the end, when all of them are known,
// and once for each. Where there are too many distinct values for that, what came
// so far is tallied, and from then on every cell as it comes.
type column struct {
	name    string
	values  int
	missing int

	seed     maphash.Seed
	counts   *counts   // nil once there were too many
	size     int       // of counts, when they grew last
	frequent *frequent // in their place
	distinct distinct
	tally    *tally // nil while all is in counts

	pending pending // cells that are in none of these yet
	memory  *memory
	style   style // the table's; once it was reported, its own
}

// memory is what a table may still spend, in octets. A column that finds nothing
// left goes on with less.
type memory struct {
	counts  int // on values with their counts
	sets    int // on hashes of values
	numbers int // on numbers
	room    int // entries of a frequent
}

func newMemory(columns int) *memory {
	return &memory{counts: 24 << 20, sets: 40 << 20, numbers: 48 << 20, room: min(max(200_000/columns, 512), 4096)}
}

func newColumn(name string, seed maphash.Seed, m *memory, s style) *column {
	return &column{name: name, seed: seed, counts: newCounts(), memory: m, style: s}
}

// fewDistinct is how many distinct values are counted as they come: their counts stay
// in the processor's cache.
const fewDistinct = 512

func (c *column) add(cell []byte) {
	if isMissing(cell) {
		c.missing++
		return
	}
	c.values++
	hash := maphash.Bytes(c.seed, cell)
	if c.counts != nil && c.counts.len() < fewDistinct {
		c.count(hash, cell)
		return
	}
	if c.pending.add(hash, cell) {
		c.flush()
	}
}

// flush counts the cells that wait.
func (c *column) flush() {
	p := &c.pending
	done := 0
	if c.counts != nil {
		p.found = c.counts.find(p.hashes, p.found)
	}
	for ; done < len(p.hashes) && c.counts != nil; done++ {
		if !c.counts.addAt(p.found[done]) {
			c.count(p.hashes[done], p.cell(done))
		}
	}
	c.tallyAll(done)
	p.clear()
}

// tallyAll tallies the cells that wait, from the first one on.
func (c *column) tallyAll(first int) {
	p := &c.pending
	for i := first; i < len(p.hashes); i++ {
		c.frequent.add(p.hashes[i], p.cell(i))
	}
	c.distinct.addAll(p.hashes[first:], c.memory)
	for i := first; i < len(p.hashes); i++ {
		c.tally.add(p.cell(i), 1)
	}
}

// count counts one cell.
func (c *column) count(hash uint64, cell []byte) {
	if c.counts != nil && (c.counts.add(hash, cell) || c.grow() && c.counts.add(hash, cell)) {
		if c.counts.len() > mostDistinct {
			c.leave()
		}
		return
	}
	if c.counts != nil {
		c.leave()
	}
	c.frequent.add(hash, cell)
	c.distinct.add(hash, c.memory)
	c.tally.add(cell, 1)
}

// isMissing knows what programs write for nothing.
func isMissing(cell []byte) bool {
	switch len(cell) {
	case 0:
		return true
	case 1:
		return cell[0] == '-'
	case 2, 3, 4, 5:
		switch cell[0] {
		case 'n', 'N', '#', '<', '-':
			return missingWord(string(cell))
		}
		return len(cell) == 3 && (string(cell) == "—" || string(cell) == "–")
	}
	return false
}

func missingWord(word string) bool {
	switch strings.ToLower(word) {
	case "n/a", "na", "n.a.", "null", "none", "nan", "nil", "#n/a", "<na>", "--":
		return true
	}
	return false
}

// grow makes room for twice as many values; false if that would cost more than
// there is.
func (c *column) grow() bool {
	size := c.counts.size()
	c.memory.counts -= size - c.size
	c.size = size
	if c.memory.counts < size {
		return false
	}
	c.counts.grow()
	return true
}

// leave goes over from counting values to tallying cells. What is counted is not
// lost: it is tallied first.
func (c *column) leave() {
	all := c.counts
	c.memory.counts += c.size
	c.counts = nil
	c.distinct.begin(all, c.memory)
	c.tally = newTally(c.surveyOf(all).decide(c.style), c.memory)
	for entry := range all.len() {
		c.tally.add(all.text(entry), all.times(entry))
	}
	c.frequent = newFrequent(all, c.memory.room)
}

// survey is what the values of the column say of how they are to be read.
func (c *column) survey() survey {
	c.flush()
	if c.counts == nil {
		return survey{}
	}
	return c.surveyOf(c.counts)
}

func (c *column) surveyOf(all *counts) survey {
	var s survey
	for entry := range all.len() {
		s.see(all.text(entry), all.times(entry))
	}
	return s
}

// report says it all. Style is how its values are read where they do not say.
func (c *column) report(s style) report.Column {
	c.flush()
	r := report.Column{Name: c.name, Values: c.values, Missing: c.missing, Top: []report.Value{}}
	t := c.tally
	switch {
	case c.counts != nil:
		r.Distinct = c.counts.len()
		t = newTally(c.survey().decide(s), nil)
		for entry := range c.counts.len() {
			t.add(c.counts.text(entry), c.counts.times(entry))
		}
	default:
		r.Distinct, r.More = c.distinct.count, c.distinct.more
	}
	t.report(&r)
	c.top(&r, t.style)
	c.style = t.style
	return r
}

// mostTop is how many values are told of by name.
const mostTop = 10

// top are the most frequent values, each more than once.
func (c *column) top(r *report.Column, s style) {
	all, missed := c.counts, 0
	if all == nil {
		all, missed = c.frequent.counts, int(c.frequent.missed)
	}
	order := all.byTimes()
	for _, entry := range order[:min(mostTop, len(order))] {
		times := all.times(int(entry))
		if times < 2 || times <= missed {
			break
		}
		value := report.Shown(string(all.text(int(entry))))
		if r.Type == report.Number && s.point && strings.Contains(value, ".") {
			value = withoutZeros(value)
		}
		r.Top = append(r.Top, report.Value{Value: value, Times: times, Least: missed > 0})
	}
}

// withoutZeros takes the zeros away that end the decimals of a number.
func withoutZeros(value string) string {
	end := strings.LastIndexAny(value, "0123456789.") + 1
	return strings.TrimSuffix(strings.TrimRight(value[:end], "0"), ".") + value[end:]
}

// distinct counts distinct values by their hashes, where the values themselves are
// too many to keep.
type distinct struct {
	slots []uint64
	count int
	more  bool   // there are more, and nobody counts them any more
	seen  uint64 // means nothing: the compiler leaves out no look that is kept
}

func (d *distinct) begin(all *counts, m *memory) {
	d.count = all.len()
	if d.count > mostDistinct {
		d.count, d.more = mostDistinct, true
		return
	}
	d.resize(len(all.slots), m)
	for _, e := range all.entries {
		d.put(e.hash)
	}
}

// resize sets the number of slots, a power of two; where there is no memory for
// them, counting ends.
func (d *distinct) resize(slots int, m *memory) {
	m.sets += 8 * (len(d.slots) - slots)
	if m.sets < 0 {
		d.end(m, slots)
		return
	}
	old := d.slots
	d.slots = make([]uint64, slots)
	for _, hash := range old {
		if hash != 0 {
			d.put(hash)
		}
	}
}

func (d *distinct) end(m *memory, slots int) {
	m.sets += 8 * slots
	d.slots, d.more = nil, true
}

// put reports whether the hash is new.
func (d *distinct) put(hash uint64) bool {
	if d.slots == nil {
		return false
	}
	hash = max(hash, 1) // 0 is a free slot
	mask := uint64(len(d.slots)) - 1
	at := hash & mask
	for d.slots[at] != 0 {
		if d.slots[at] == hash {
			return false
		}
		at = (at + 1) & mask
	}
	d.slots[at] = hash
	return true
}

// addAll adds hashes. Before, it looks at where they belong, so that memory answers for
// many at once.
func (d *distinct) addAll(hashes []uint64, m *memory) {
	if d.more || len(hashes) == 0 {
		return
	}
	mask := uint64(len(d.slots)) - 1
	for _, hash := range hashes {
		d.seen += d.slots[hash&mask]
	}
	for _, hash := range hashes {
		d.add(hash, m)
	}
}

func (d *distinct) add(hash uint64, m *memory) {
	if d.more || !d.put(hash) {
		return
	}
	d.count++
	switch {
	case d.count > mostDistinct:
		d.count = mostDistinct
		d.end(m, len(d.slots))
	case 8*d.count > 7*len(d.slots):
		d.resize(2*len(d.slots), m)
	}
}
