//go:build unix

package guard

import (
	"syscall"
	"testing"
	"time"
)

// processorTime is what all threads of this process have taken so far, the garbage
// collector's included. It is much the same on a machine that is busy.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		tb.Fatal(err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
}
