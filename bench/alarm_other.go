//go:build !linux

package main

import "time"

// alarms are Go's timers.
type alarms struct{}

// sleep returns when d is over, or up to a millisecond later.
func (a *alarms) sleep(d time.Duration) error {
	<-time.After(d)
	return nil
}
