package digest

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"inreply/email"
)

// table is what one table says.
type table struct {
	rows    int  // without the heading
	more    bool // there were more rows than are read
	columns []*column
	dropped int // columns beyond the most that are told of
	ragged  int // rows with another number of cells than the heading
}

// readTable reads delimited text whose first row is its heading.
func readTable(ctx context.Context, a email.Attachment, config Config) (*table, error) {
	content, err := open(a)
	if err != nil {
		return nil, err
	}
	defer content.Close()
	in := bufio.NewReaderSize(content, sniffed)
	top, err := in.Peek(sniffed)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the attachment: %w", err)
	}
	r := newReader(in, delimiter(top))
	heading, err := r.Read()
	if err != nil {
		return nil, fmt.Errorf("its heading cannot be read: %w", err)
	}
	t := newTable(heading, config)
	width := len(heading)
	for {
		record, err := r.Read()
		if errors.Is(err, io.EOF) {
			return t, nil
		}
		if err != nil {
			return nil, fmt.Errorf("row %d cannot be read: %w", t.rows+1, err)
		}
		if t.rows%1024 == 0 && ctx.Err() != nil {
			return nil, fmt.Errorf("read row %d: %w", t.rows+1, context.Cause(ctx))
		}
		if t.rows == config.MaxRows {
			t.more = true
			return t, nil
		}
		t.add(record, width)
	}
}

func newTable(heading []string, config Config) *table {
	shown := min(len(heading), config.MaxColumns)
	t := &table{dropped: len(heading) - shown}
	for i, name := range heading[:shown] {
		name = shorten(strings.TrimSpace(name))
		if name == "" {
			name = fmt.Sprintf("column %d", i+1)
		}
		t.columns = append(t.columns, newColumn(name, shown))
	}
	return t
}

func (t *table) add(record []string, width int) {
	t.rows++
	if len(record) != width {
		t.ragged++
	}
	for i, c := range t.columns {
		if i < len(record) {
			c.add(strings.TrimSpace(record[i]))
		} else {
			c.missing++
		}
	}
}
