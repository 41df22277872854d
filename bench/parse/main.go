// Command parse compares our parser of mail with others on the same mails: how
// many megabytes a second each reads, and how many octets it allocates for each
// octet of mail.
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
	"slices"
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
	fmt.Fprintf(out, "| mail | parser | MB/s | octets allocated per octet | refused |\n| --- | --- | ---: | ---: | ---: |\n")
	for _, s := range all {
		for _, p := range contestants {
			m := measure(p, s)
			fmt.Fprintf(out, "| %s | %s | %.4g | %.3g | %d |\n", s.name, p.name, m.speed, m.allocated, m.refused)
		}
	}
	return nil
}

// measured is what a parser did with a sample.
type measured struct {
	speed     float64 // MB/s, the median of the rounds
	allocated float64 // octets for each octet of mail
	refused   int     // mails
}

// measure parses a sample again and again, for at least half a second and five
// rounds. The first round is not counted.
func measure(p parser, s sample) measured {
	octets := 0
	for _, raw := range s.mails {
		octets += len(raw)
	}
	refused := s.parse(p)
	runtime.GC()
	var before, after runtime.MemStats
	var rounds []float64
	runtime.ReadMemStats(&before)
	began := time.Now()
	for len(rounds) < 5 || time.Since(began) < time.Second/2 {
		start := time.Now()
		s.parse(p)
		rounds = append(rounds, float64(octets)/1e6/time.Since(start).Seconds())
	}
	runtime.ReadMemStats(&after)
	slices.Sort(rounds)
	return measured{
		speed:     rounds[len(rounds)/2],
		allocated: float64(after.TotalAlloc-before.TotalAlloc) / float64(octets) / float64(len(rounds)),
		refused:   refused,
	}
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
