package chart

import (
	"fmt"
	"time"
)

// period is how long a bar of a chart over time is.
type period uint8

const (
	day period = iota
	week
	month
	quarter
	year
)

// periodOf is the one that makes about ten to forty bars of a span.
func periodOf(days int) period {
	switch {
	case days <= 31:
		return day
	case days <= 30*7:
		return week
	case days <= 3*366:
		return month
	case days <= 9*366:
		return quarter
	}
	return year
}

func (p period) name() string { return [...]string{"day", "week", "month", "quarter", "year"}[p] }

// begin is the first day of the period that a day is in. Weeks begin on Monday.
func (p period) begin(t time.Time) time.Time {
	t = time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	switch p {
	case week:
		return t.AddDate(0, 0, -(int(t.Weekday())+6)%7)
	case month:
		return t.AddDate(0, 0, 1-t.Day())
	case quarter:
		return time.Date(t.Year(), (t.Month()-1)/3*3+1, 1, 0, 0, 0, 0, time.UTC)
	case year:
		return time.Date(t.Year(), 1, 1, 0, 0, 0, 0, time.UTC)
	case day:
	}
	return t
}

func (p period) next(t time.Time) time.Time {
	switch p {
	case week:
		return t.AddDate(0, 0, 7)
	case month:
		return t.AddDate(0, 1, 0)
	case quarter:
		return t.AddDate(0, 3, 0)
	case year:
		return t.AddDate(1, 0, 0)
	case day:
	}
	return t.AddDate(0, 0, 1)
}

// index is how many periods a day is behind the first one.
func (p period) index(first, t time.Time) int {
	months := 12*(t.Year()-first.Year()) + int(t.Month()) - int(first.Month())
	switch p {
	case month:
		return months
	case quarter:
		return floor(months, 3)
	case year:
		return t.Year() - first.Year()
	case week:
		return floor(int(t.Unix()-first.Unix()), 7*24*60*60)
	case day:
	}
	return floor(int(t.Unix()-first.Unix()), 24*60*60)
}

func floor(n, by int) int {
	if n < 0 {
		return -1
	}
	return n / by
}

func (p period) label(t time.Time) string {
	switch p {
	case month:
		return t.Format("Jan 06")
	case quarter:
		return fmt.Sprintf("Q%d %s", (t.Month()-1)/3+1, t.Format("06"))
	case year:
		return t.Format("2006")
	case day, week:
	}
	return t.Format("2 Jan")
}
