// Command parse compares our parser of mail with others on the same mails: how
// many megabytes each reads in a second of processor time, that of the garbage
// collector included, and how many octets it allocates for each octet of mail.
// Processor time is much the same on a machine that is busy with something else.
//
//	go run .                                   mails made here
//	go run . -corpora FOLDER                   and all .eml files below each folder in FOLDER
//
// It prints a table in Markdown. Beyond what the others do, inreply/email guards
// against hostile mail, judges who wrote the mail and whether a program did, and
// finds what of the text is a quote. A corpus has mails in it that some parsers
// refuse; the table says how many, and their octets count as read.
package main

import (
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"syscall"
	"time"
)

func main() {
	folder := flag.String("corpora", "", "a folder with folders of .eml files")
	flag.Parse()
	if err := run(os.Stdout, *folder); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func run(out io.Writer, folder string) error {
	contestants, err := parsers()
	if err != nil {
		return err
	}
	all := samples()
	if folder != "" {
		found, err := corpora(folder)
		if err != nil {
			return err
		}
		all = append(all, found...)
	}
	fmt.Fprintf(out, "| mail | parser | MB per CPU second | octets allocated per octet | refused |\n| --- | --- | ---: | ---: | ---: |\n")
	for _, s := range all {
		for _, p := range contestants {
			m, err := measure(p, s)
			if err != nil {
				return err
			}
			fmt.Fprintf(out, "| %s | %s | %.0f | %.2g | %d |\n", s.name, p.name, m.speed, m.allocated, m.refused)
		}
	}
	return nil
}

// measured is what a parser did with a sample.
type measured struct {
	speed     float64 // MB in a second of processor time
	allocated float64 // octets for each octet of mail
	refused   int     // mails
}

// measure parses a sample again and again, for at least half a second of processor
// time and five rounds. The first round is not counted.
func measure(p parser, s sample) (measured, error) {
	octets := 0
	for _, raw := range s.mails {
		octets += len(raw)
	}
	refused := s.parse(p)
	runtime.GC()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	began, err := processorTime()
	rounds, took := 0, time.Duration(0)
	for err == nil && (rounds < 5 || took < time.Second/2) {
		s.parse(p)
		rounds++
		var now time.Duration
		now, err = processorTime()
		took = now - began
	}
	if err != nil {
		return measured{}, err
	}
	runtime.ReadMemStats(&after)
	all := float64(octets) * float64(rounds)
	return measured{
		speed:     all / 1e6 / took.Seconds(),
		allocated: float64(after.TotalAlloc-before.TotalAlloc) / all,
		refused:   refused,
	}, nil
}

// processorTime is what all threads of this process have taken so far.
func processorTime() (time.Duration, error) {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err != nil {
		return 0, fmt.Errorf("ask for the processor time: %w", err)
	}
	return time.Duration(usage.Utime.Nano() + usage.Stime.Nano()), nil
}

// parse reads all mails of a sample, and returns how many were refused.
func (s sample) parse(p parser) (refused int) {
	for _, raw := range s.mails {
		if _, err := p.parse(raw, s.files); err != nil {
			refused++
		}
	}
	return refused
}
