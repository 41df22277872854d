package table

import (
	"math"
	"slices"
)

// Numbers are kept in blocks, so that no block is ever copied into a larger one.
const blockSize = 8192

// widestRun is how many numbers a level of a sketch holds.
const widestRun = 32768

// numbers are the numbers of a column. All of them are kept as long as the memory
// of the table allows; after that they become a sketch.
type numbers struct {
	blocks [][]float64
	count  int
	memory *int // octets that the table may still spend
	sketch *sketch
}

func (n *numbers) add(f float64, times int) {
	for range times {
		n.one(f)
	}
}

func (n *numbers) one(f float64) {
	n.count++
	if n.sketch != nil {
		n.sketch.add(f)
		return
	}
	if last := len(n.blocks) - 1; last >= 0 && len(n.blocks[last]) < blockSize {
		n.blocks[last] = append(n.blocks[last], f)
		return
	}
	if *n.memory < 8*blockSize {
		n.toSketch()
		n.sketch.add(f)
		return
	}
	*n.memory -= 8 * blockSize
	n.blocks = append(n.blocks, append(make([]float64, 0, blockSize), f))
}

func (n *numbers) toSketch() {
	n.sketch = &sketch{}
	for i, block := range n.blocks {
		for _, f := range block {
			n.sketch.add(f)
		}
		n.blocks[i] = nil
		*n.memory += 8 * blockSize
	}
	n.blocks = nil
}

// quartiles interpolate between the two nearest numbers (as Excel's QUARTILE.INC
// and NumPy do). off is how many ranks of a hundred they may be off; 0 if they are
// exact.
func (n *numbers) quartiles() (q [3]float64, off float64) {
	kth := n.kth
	if n.sketch != nil {
		kth = n.sketch.kth()
		off = 100 * n.sketch.off() / float64(n.count)
	}
	return quartilesOf(n.count, kth), off
}

func quartilesOf(count int, kth func(int) float64) (q [3]float64) {
	for i := range q {
		at := float64(i+1) / 4 * float64(count-1)
		below := math.Floor(at)
		q[i] = between(kth(int(below)), kth(int(math.Ceil(at))), at-below)
	}
	return q
}

func between(a, b, share float64) float64 {
	if a == b || share == 0 {
		return a
	}
	if d := b - a; !math.IsInf(d, 0) {
		return a + d*share
	}
	return a*(1-share) + b*share
}

// kth is the number of a rank, from 0: found 16 bits at a time, so that nothing is
// sorted or copied.
func (n *numbers) kth(rank int) float64 {
	var prefix uint64
	counts := make([]int, 1<<16)
	for shift := 48; shift >= 0; shift -= 16 {
		clear(counts)
		known := ^uint64(0) << (shift + 16)
		if shift == 48 {
			known = 0
		}
		for _, block := range n.blocks {
			for _, f := range block {
				if bits := sortable(f); bits&known == prefix {
					counts[bits>>shift&0xFFFF]++
				}
			}
		}
		for digit, count := range counts {
			if rank < count {
				prefix |= uint64(digit) << shift
				break
			}
			rank -= count
		}
	}
	return unsortable(prefix)
}

// sortable are bits that are in the order of the numbers that they stand for.
func sortable(f float64) uint64 {
	bits := math.Float64bits(f)
	if bits>>63 == 1 {
		return ^bits
	}
	return bits | 1<<63
}

func unsortable(bits uint64) float64 {
	if bits>>63 == 1 {
		return math.Float64frombits(bits &^ (1 << 63))
	}
	return math.Float64frombits(^bits)
}

// sketch keeps of any number of numbers a choice that is even in their order
// (Munro and Paterson): of a full level every second number, in order, goes one
// level up, where it stands for twice as many. What is left out is alternately the
// larger and the smaller of a pair. One such step moves a rank by at most what one
// number of the level stands for, so the error is known, and is no matter of luck.
type sketch struct {
	levels [][]float64
	moves  []int // how often a level was halved
}

func (s *sketch) add(f float64) { s.put(0, f) }

func (s *sketch) put(level int, f ...float64) {
	if level == len(s.levels) {
		s.levels = append(s.levels, make([]float64, 0, widestRun))
		s.moves = append(s.moves, 0)
	}
	s.levels[level] = append(s.levels[level], f...)
	if len(s.levels[level]) < widestRun {
		return
	}
	full := s.levels[level]
	slices.Sort(full)
	half := full[:0]
	for i := s.moves[level] % 2; i < len(full); i += 2 {
		half = append(half, full[i])
	}
	s.moves[level]++
	s.levels[level] = full[:0]
	s.put(level+1, half...)
}

// off is how many ranks an answer may be off.
func (s *sketch) off() float64 {
	off := 0.0
	for level, moves := range s.moves {
		off += float64(moves) * math.Ldexp(1, level)
	}
	return off + math.Ldexp(1, len(s.levels)-1)
}

// kth returns the function from ranks to numbers.
func (s *sketch) kth() func(int) float64 {
	type weighed struct {
		f      float64
		weight int
	}
	var all []weighed
	for level, run := range s.levels {
		for _, f := range run {
			all = append(all, weighed{f, 1 << level})
		}
	}
	slices.SortFunc(all, func(a, b weighed) int {
		switch {
		case a.f < b.f:
			return -1
		case a.f > b.f:
			return 1
		}
		return 0
	})
	return func(rank int) float64 {
		for _, w := range all {
			if rank -= w.weight; rank < 0 {
				return w.f
			}
		}
		return all[len(all)-1].f
	}
}
