package main

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// column is one figure of a row.
type column struct {
	head string
	of   func(measured) string
}

func everything(message) bool { return true }

// drainColumns are those of a workload whose limit is a rate; zero: none but the
// processor.
func drainColumns(limit float64) []column {
	columns := []column{{"messages/s", func(m measured) string { return fmt.Sprintf("%.0f", m.rate()) }}}
	if limit > 0 {
		columns = append(columns, column{"of the limit", func(m measured) string { return fmt.Sprintf("%.2f", m.rate()/limit) }})
	}
	columns = append(columns,
		column{"handler", func(m measured) string { return fmt.Sprintf("%.2f ms", m.handlerTime().Seconds()*1000) }},
		column{"waited p50", func(m measured) string { return quantile(m.waits(everything), 0.5) }},
		column{"p99", func(m measured) string { return quantile(m.waits(everything), 0.99) }},
	)
	columns = append(columns, commonColumns()...)
	if limit > 0 {
		return columns
	}
	return append(columns,
		column{"allocations/message", func(m measured) string { return perMessage(m, m.allocated.objects, "%.0f") }},
		column{"allocated/message", func(m measured) string { return perMessage(m, m.allocated.octets>>10, "%.1f kB") }},
	)
}

// perMessage is a count by messages; one that is not known is none.
func perMessage(m measured, n uint64, format string) string {
	if n == 0 {
		return "-"
	}
	return fmt.Sprintf(format, float64(n)/float64(len(m.messages)))
}

func exitColumn() column {
	return column{"exit", func(m measured) string {
		if m.killed {
			return "killed"
		}
		return seconds(m.exit)
	}}
}

// commonColumns are those of every workload that empties a queue.
func commonColumns() []column {
	calls := func(m measured, operation string) float64 {
		return float64(m.calls["sqs."+operation]) / float64(len(m.messages))
	}
	return []column{
		{"calls/message", func(m measured) string { return fmt.Sprintf("%.3f", m.callsPerMessage()) }},
		{"receive, delete, extend, send", func(m measured) string {
			return fmt.Sprintf("%.3f, %.3f, %.3f, %.3f", calls(m, "ReceiveMessage"),
				calls(m, "DeleteMessageBatch")+calls(m, "DeleteMessage"),
				calls(m, "ChangeMessageVisibilityBatch")+calls(m, "ChangeMessageVisibility"), calls(m, "SendMessageBatch"))
		}},
		{"order violations", func(m measured) string { return fmt.Sprint(m.verdict.violations) }},
		{"duplicates", func(m measured) string { return fmt.Sprint(m.verdict.duplicates) }},
		{"lost", func(m measured) string { return fmt.Sprint(m.lost()) }},
		{"CPU", func(m measured) string { return fmt.Sprintf("%.2f s", m.cpu.Seconds()) }},
		{"peak memory", func(m measured) string { return fmt.Sprintf("%d MB", m.memory) }},
	}
}

func (w workload) heading() string {
	heads := []string{"peer"}
	for _, c := range w.columns {
		heads = append(heads, c.head)
	}
	return "| " + strings.Join(heads, " | ") + " |\n|" + strings.Repeat(" --- |", len(heads)) + "\n"
}

func (w workload) row(peer string, m measured) string {
	cells := []string{peer}
	for _, c := range w.columns {
		cells = append(cells, c.of(m))
	}
	return "| " + strings.Join(cells, " | ") + " |\n"
}

func quantile(all []time.Duration, q float64) string {
	if len(all) == 0 {
		return "never"
	}
	slices.Sort(all)
	return fmt.Sprintf("%d ms", all[int(q*float64(len(all)-1))].Milliseconds())
}

func seconds(d time.Duration) string {
	if d == 0 {
		return "never"
	}
	return fmt.Sprintf("%.2f s", d.Seconds())
}
