package main

import (
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

func TestARedriveOnATerminalShowsOneLineThatMoves(t *testing.T) {
	g := newGraveyard(t)
	for n := 1; n <= 25; n++ {
		g.bury(string(rune('a'+n)), n, "x@ana.example", "digest", "timeout", time.Now())
	}
	screen, tty := terminal(t)
	shown := make(chan string)
	go func() {
		var all strings.Builder
		_, _ = io.Copy(&all, screen) // ends with an error when the other side closes
		shown <- all.String()
	}()
	code, stderr := g.redrive(t.Context(), tty)
	_ = tty.Close()
	text := <-shown
	if code != exitOK {
		t.Fatalf("exit %d: %s", code, stderr)
	}
	if strings.Count(text, "\n") != 1 || !strings.Contains(text, "\r\x1b[K") || !strings.Contains(text, "of about 25 dead letters seen") || !strings.Contains(text, "25 moved, 0 left") {
		t.Errorf("shown: %q", text)
	}
}

// terminal is a pseudo-terminal: what its user sees, and what the command has.
func terminal(t *testing.T) (screen, tty *os.File) {
	t.Helper()
	screen, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	t.Cleanup(func() { _ = screen.Close() })
	fd := int(screen.Fd())
	if err := unix.IoctlSetPointerInt(fd, unix.TIOCSPTLCK, 0); err != nil {
		t.Skipf("no pseudo-terminals here: %v", err)
	}
	n, err := unix.IoctlGetInt(fd, unix.TIOCGPTN)
	if err != nil {
		t.Fatal(err)
	}
	tty, err = os.OpenFile(fmt.Sprintf("/dev/pts/%d", n), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	return screen, tty
}
