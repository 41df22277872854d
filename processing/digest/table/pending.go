package table

// A column with many values counts its cells many at a time. What 200 columns keep
// fits into no cache, so each cell counted as it comes waits for memory, as long as a
// hundred additions take. Of one column's cells, counted in a row, the processor has
// many such waits under way at once.

// mostPending is how many cells of a column wait, and mostText how many octets of
// theirs, but for the last one.
const (
	mostPending = 256
	mostText    = 4096
)

// pending are cells that a column has taken in and not yet counted.
type pending struct {
	hashes []uint64
	ends   []uint32 // where each one's text ends
	text   []byte
	found  []uint32 // where each one's count is likely to be
}

// add takes a cell in, and reports whether that was the last one. Of a long cell its
// beginning will do: it is neither number nor date, and no more of it is shown.
func (p *pending) add(hash uint64, cell []byte) (full bool) {
	p.text = append(p.text, cell[:min(len(cell), longestKept)]...)
	p.hashes = append(p.hashes, hash)
	p.ends = append(p.ends, uint32(len(p.text))) //nolint:gosec // mostText bounds it
	return len(p.hashes) == mostPending || len(p.text) >= mostText
}

func (p *pending) cell(i int) []byte {
	begin := uint32(0)
	if i > 0 {
		begin = p.ends[i-1]
	}
	return p.text[begin:p.ends[i]]
}

func (p *pending) clear() { p.hashes, p.ends, p.text = p.hashes[:0], p.ends[:0], p.text[:0] }
