//go:build !unix

package guard

import (
	"testing"
	"time"
)

// processorTime is the time of day, where a process cannot ask for more.
func processorTime(tb testing.TB) time.Duration {
	tb.Helper()
	return time.Duration(time.Now().UnixNano())
}
