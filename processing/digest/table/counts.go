package table

import (
	"bytes"
	"math"
	"slices"
)

// longestKept is how much of a value is kept, in octets. No number and no date is
// longer, and no more of a text is shown.
const longestKept = 240

// counts counts how often values come. Values are told apart by a keyed hash of 64
// bits and by nothing else, so that they need not be compared, nor long ones kept:
// two of 100,000 are taken for one with a chance of one in three thousand million,
// and nobody can look for such a pair.
type counts struct {
	slots   []uint32 // a number of an entry, from 1; 0 is free
	entries []entry  // in the order in which they came
	texts   []byte
}

type entry struct {
	hash  uint64
	times uint32
	end   uint32 // where its text ends
}

func newCounts() *counts { return &counts{slots: make([]uint32, 64)} }

// size is how much memory they take, in octets.
func (c *counts) size() int { return 4*len(c.slots) + 16*cap(c.entries) + cap(c.texts) }

func (c *counts) len() int { return len(c.entries) }

func (c *counts) text(number int) []byte {
	begin := uint32(0)
	if number > 0 {
		begin = c.entries[number-1].end
	}
	return c.texts[begin:c.entries[number].end]
}

func (c *counts) times(number int) int { return int(c.entries[number].times) }

// full reports whether one more entry needs more slots.
func (c *counts) full() bool { return 4*(len(c.entries)+1) > 3*len(c.slots) }

// add counts a value by its hash. It reports false, and has done nothing, when the
// value is new and there is no slot for it: grow, and try again.
func (c *counts) add(hash uint64, value []byte) bool {
	mask := uint64(len(c.slots)) - 1
	at := hash & mask
	for c.slots[at] != 0 {
		if e := &c.entries[c.slots[at]-1]; e.hash == hash {
			e.times = plus(e.times, 1)
			return true
		}
		at = (at + 1) & mask
	}
	if c.full() {
		return false
	}
	c.put(at, hash, 1, value[:min(len(value), longestKept)])
	return true
}

// find finds the entries of hashes as far as they are in the first slot where they
// may be; 0 are the others. Nothing here waits for what comes before it.
func (c *counts) find(hashes []uint64, found []uint32) []uint32 {
	found = found[:0]
	mask := uint64(len(c.slots)) - 1
	for _, hash := range hashes {
		found = append(found, c.slots[hash&mask])
	}
	for i, number := range found {
		if c.entries[max(number, 1)-1].hash != hashes[i] {
			number = 0
		}
		found[i] = number
	}
	return found
}

// addAt counts a value whose entry was found; false if it was not.
func (c *counts) addAt(found uint32) bool {
	if found == 0 {
		return false
	}
	e := &c.entries[found-1]
	e.times = plus(e.times, 1)
	return true
}

func (c *counts) put(at, hash uint64, times uint32, text []byte) {
	c.texts = append(c.texts, text...)
	c.entries = append(c.entries, entry{hash, times, uint32(len(c.texts))}) //nolint:gosec // the memory of a table is bounded far below
	c.slots[at] = uint32(len(c.entries))                                    //nolint:gosec // likewise
}

func plus(a, b uint32) uint32 {
	if sum := a + b; sum >= a {
		return sum
	}
	return math.MaxUint32
}

// grow doubles the slots.
func (c *counts) grow() {
	c.slots = make([]uint32, 2*len(c.slots))
	c.settle()
}

// settle finds slots for all entries.
func (c *counts) settle() {
	for number, e := range c.entries {
		c.slots[c.free(e.hash)] = uint32(number + 1)
	}
}

// free is the slot for a hash that is not there.
func (c *counts) free(hash uint64) uint64 {
	mask := uint64(len(c.slots)) - 1
	at := hash & mask
	for c.slots[at] != 0 {
		at = (at + 1) & mask
	}
	return at
}

// byTimes are the numbers of the entries, the most frequent first, and of equals
// the one that came first.
func (c *counts) byTimes() []uint32 {
	keys := make([]uint64, len(c.entries))
	for number, e := range c.entries {
		keys[number] = uint64(^e.times)<<32 | uint64(number)
	}
	slices.Sort(keys)
	order := make([]uint32, len(keys))
	for i, key := range keys {
		order[i] = uint32(key) //nolint:gosec // the lower half
	}
	return order
}

// frequent keeps the most frequent of any number of values in bounded memory
// (lossy counting): when there is no room, the rarer half is forgotten. A value
// that is not there, or came back, was seen at most missed times more than it
// says.
type frequent struct {
	counts *counts
	room   int
	missed uint32
}

func newFrequent(all *counts, room int) *frequent {
	f := &frequent{counts: all, room: room}
	if all.len() > room {
		f.forget()
		f.counts.shrink(room + 1)
	}
	return f
}

func (f *frequent) add(hash uint64, value []byte) {
	if !f.counts.add(hash, value) {
		f.counts.grow()
		f.counts.add(hash, value)
	}
	if f.counts.len() > f.room {
		f.forget()
	}
}

// forget keeps half of the room.
func (f *frequent) forget() {
	times, more := f.counts.ranked(f.room / 2)
	f.missed = plus(f.missed, times)
	f.counts.keep(times, f.room/2-more)
}

// ranked is how often the value came of which n came before it by byTimes, and how
// many values came more often.
func (c *counts) ranked(n int) (times uint32, more int) {
	var having [256]int // how many came so often; nearly all came less often than that
	for _, e := range c.entries {
		having[min(e.times, uint32(len(having)-1))]++
	}
	for times := len(having) - 1; times >= 0; times-- {
		if more+having[times] > n && times < len(having)-1 {
			return uint32(times), more
		}
		if more += having[times]; more > n {
			break
		}
	}
	order := c.byTimes()
	times = c.entries[order[n]].times
	for more = n; more > 0 && c.entries[order[more-1]].times == times; {
		more--
	}
	return times, more
}

// keep forgets values that came less often than this, and of those that came as
// often all but the first few.
func (c *counts) keep(times uint32, equal int) {
	kept, begin := c.entries[:0], uint32(0)
	texts := c.texts[:0]
	for _, e := range c.entries {
		text := c.texts[begin:e.end]
		begin = e.end
		if e.times == times {
			equal--
		}
		if e.times < times || e.times == times && equal < 0 {
			continue
		}
		texts = append(texts, text...)
		kept = append(kept, entry{e.hash, e.times, uint32(len(texts))}) //nolint:gosec // it was one before
	}
	c.entries, c.texts = kept, texts
	clear(c.slots)
	c.settle()
}

// shrink gives memory back that is not needed for so many entries.
func (c *counts) shrink(most int) {
	slots := 64
	for 3*slots < 4*most {
		slots *= 2
	}
	c.slots = make([]uint32, slots)
	c.entries = append(make([]entry, 0, most), c.entries...)
	c.texts = bytes.Clone(c.texts)
	c.settle()
}
