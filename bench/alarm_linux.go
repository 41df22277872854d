package main

import (
	"fmt"
	"os"
	"sync"
	"syscall"
	"time"
	"unsafe"
)

// alarms are timers of the kernel. Go's own wake a process that has nothing else
// to do up to a millisecond late, because epoll counts in milliseconds: that would
// be an eighth of a handler of 5 ms, and be counted against every peer.
type alarms struct {
	mu   sync.Mutex
	idle []*alarm
}

type alarm struct {
	fd   int
	file *os.File // the same, waited for by the runtime without a thread
}

// sleep returns when d is over.
func (a *alarms) sleep(d time.Duration) error {
	alarm, err := a.take()
	if err != nil {
		return err
	}
	// struct itimerspec: no interval, and when to fire (timerfd_settime(2)).
	in := [2]syscall.Timespec{{}, syscall.NsecToTimespec(d.Nanoseconds())}
	_, _, errno := syscall.RawSyscall6(syscall.SYS_TIMERFD_SETTIME, uintptr(alarm.fd), 0, uintptr(unsafe.Pointer(&in)), 0, 0, 0) //nolint:gosec // that is how the call is made
	if errno != 0 {
		return fmt.Errorf("set a timer: %w", errno)
	}
	var fired [8]byte
	if _, err := alarm.file.Read(fired[:]); err != nil {
		return fmt.Errorf("wait for a timer: %w", err)
	}
	a.mu.Lock()
	defer a.mu.Unlock()
	a.idle = append(a.idle, alarm)
	return nil
}

func (a *alarms) take() (*alarm, error) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if n := len(a.idle); n > 0 {
		alarm := a.idle[n-1]
		a.idle = a.idle[:n-1]
		return alarm, nil
	}
	const monotonic = 1
	fd, _, errno := syscall.RawSyscall(syscall.SYS_TIMERFD_CREATE, monotonic, syscall.O_NONBLOCK|syscall.O_CLOEXEC, 0)
	if errno != 0 {
		return nil, fmt.Errorf("make a timer: %w", errno)
	}
	return &alarm{int(fd), os.NewFile(fd, "timer")}, nil
}
