// Command breakages shows that the simulation can fail. It breaks inreply on
// purpose, one promise at a time, each time in a copy of its own, runs the seeds
// on it, and prints what was caught:
//
//	go run ./simulation/breakages [NAME...]
//
// A seed that caught one is run twenty times more: a failing seed must fail every
// time, or nobody can look into it. It exits with 1 if a breakage went unnoticed.
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// breakage is one thing done wrong.
type breakage struct {
	name  string
	edits []edit
}

// edit replaces a text that must be in the file exactly once.
type edit struct{ file, from, to string }

func breakages() []breakage {
	return []breakage{
		{"delete before send", []edit{{
			"consumer/group.go", "		l.started = time.Now()\n",
			"		l.started = time.Now()\n		go c.parts.Queue.Delete(context.Background(), []string{l.message.Handle})\n",
		}}},
		{"no heartbeat for followers", []edit{{
			"consumer/lease.go", "		l.extending = make(chan struct{})\n",
			"		if l.group.run[0] != l {\n			continue\n		}\n		l.extending = make(chan struct{})\n",
		}}},
		{"followers run after the head's lease is lost", []edit{
			{"consumer/lease.go", "	gone := g.run[at:]\n	g.run = g.run[:at:at]\n", "	gone := []*lease{l}\n	g.run = slices.Delete(slices.Clone(g.run), at, at+1)\n"},
			{"consumer/lease.go", "	if at == 0 {\n		g.run = nil\n", "	if at == 0 {\n"},
		}},
		{"no claim", []edit{{
			"mailer/mailer.go", "	c, err := m.claim(ctx, r.Mail, r.Notice)\n",
			"	c, err := claim{record: store.MailRecord{Token: m.newID(), Until: time.Now().Add(m.config.Claim)}}, error(nil)\n",
		}}},
		{"claim without its until", []edit{{
			"mailer/claim.go", "if wait := time.Until(m.over(found)); wait > 0 {", "if wait := time.Until(m.over(found)); wait > 1000*time.Hour {",
		}}},
		{"followers charged", []edit{{
			"consumer/group.go", "		l.try = tries + 1\n", "		l.try = max(tries+1, l.message.ReceiveCount)\n",
		}}},
		{"deduplication id kept on redrive", []edit{
			{"consumer/deadletter.go", "Group: l.message.ID, DeduplicationID: l.message.ID,", "Group: l.message.ID, DeduplicationID: l.message.DeduplicationID,"},
			{"consumer/redrive/redrive.go", "= l.Group, l.Message.ID\n", "= l.Group, l.Message.DeduplicationID\n"},
		}},
		{"acknowledgement dropped at stop", []edit{{
			"consumer/delete.go", "	d.closing = true\n", "	d.closing = true\n	for range d.pending {\n		d.landed.Done()\n	}\n	d.pending = nil\n",
		}}},
		{"outage charged as a try", []edit{
			{"consumer/disposition.go", `o.Outage() != "" && held < outlived {`, `o.Outage() != "" && held < outlived && try < c.config.Attempts {`},
			{"consumer/disposition.go", "verdict{disposition: park, outage: name}", "verdict{disposition: park, outage: name, counted: true}"},
		}},
		{"dead-lettered without being given up", []edit{{
			"inreply.go", "Worker: reader, Claims: claims,", "Worker: reader,",
		}}},
		{"tries that have begun counted as failed", []edit{{
			"consumer/tries.go", "n := max(t.try, record.Tries+1)", "n := max(t.try, record.Tries+len(record.Begun)+1)",
		}}},
		{"caps in memory", []edit{
			{"mailer/mailer.go", "	known  map[string]knowledge ", "	senders map[string]store.SenderRecord\n	known  map[string]knowledge "},
			{"mailer/mailer.go", "known: map[string]knowledge{},", "known: map[string]knowledge{}, senders: map[string]store.SenderRecord{},"},
			{"mailer/senders.go", "	record, etag, err := m.records.Sender(ctx, address)\n", "	m.mu.Lock()\n	defer m.mu.Unlock()\n	record, etag, err := m.senders[address], \"memory\", error(nil)\n"},
			{"mailer/senders.go", "	var err error\n	if etag == \"\" {\n", "	m.mu.Lock()\n	defer m.mu.Unlock()\n	m.senders[address] = record\n	var err error\n	if etag == \"memory\" {\n	} else if etag == \"\" {\n"},
		}},
	}
}

// chosen are the breakages with these names, or all.
func chosen(names []string) []breakage {
	if len(names) == 0 {
		return append([]breakage{{name: "(none)"}}, breakages()...)
	}
	return slices.DeleteFunc(breakages(), func(b breakage) bool { return !slices.Contains(names, b.name) })
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "breakages:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context, names []string) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	var unnoticed []string
	fmt.Printf("| breakage | caught | fails again | by |\n| --- | --- | --- | --- |\n")
	for _, b := range chosen(names) {
		found, err := try(ctx, root, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		if found.broken == "" {
			fmt.Printf("| %s | no | | |\n", b.name)
		} else {
			fmt.Printf("| %s | yes | %d of %d | %s |\n", b.name, found.again, replays, found.broken)
		}
		if (found.broken == "") != (len(b.edits) == 0) || found.broken != "" && found.again < replays {
			unnoticed = append(unnoticed, b.name)
		}
	}
	if len(unnoticed) > 0 {
		return fmt.Errorf("not as it should be: %s", strings.Join(unnoticed, ", "))
	}
	return nil
}

func moduleRoot(ctx context.Context) (string, error) {
	out, err := exec.CommandContext(ctx, "go", "list", "-m", "-f", "{{.Dir}}", "inreply").Output()
	if err != nil {
		return "", fmt.Errorf("find the module: %w", err)
	}
	return strings.TrimSpace(string(out)), nil
}

// replays is how often a seed that has failed is run again.
const replays = 20

// caught is how a breakage showed. The zero value is not at all.
type caught struct {
	broken string // the first promise that was seen broken, and by which seed
	again  int    // how often of replays that seed failed again
}

// try runs the seeds on a broken copy.
func try(ctx context.Context, root string, b breakage) (found caught, err error) {
	scratch, err := os.MkdirTemp("", "inreply-breakage-")
	if err != nil {
		return found, fmt.Errorf("make a scratch folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := os.CopyFS(scratch, os.DirFS(root)); err != nil {
		return found, fmt.Errorf("copy the module: %w", err)
	}
	for _, e := range b.edits {
		if err := e.apply(scratch); err != nil {
			return found, err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Minute)
	defer cancel()
	binary := filepath.Join(scratch, "simulation.test")
	build := exec.CommandContext(ctx, "go", "test", "-c", "-o", binary, "./simulation") //nolint:gosec // the folder is our own
	build.Dir = scratch
	if out, err := build.CombinedOutput(); err != nil {
		return found, fmt.Errorf("build it: %w\n%s", err, out)
	}
	out, passed := seeds(ctx, binary, "0")
	if passed {
		return found, nil
	}
	shown := regexp.MustCompile(`seed (\d+): promise .*`).FindStringSubmatch(out)
	if shown == nil {
		return found, fmt.Errorf("the test failed otherwise: %s", out)
	}
	found.broken = shown[0]
	for range replays {
		if out, _ := seeds(ctx, binary, shown[1]); strings.Contains(out, found.broken) {
			found.again++
		}
	}
	return found, nil
}

// seeds runs the simulation on one seed, or on all with 0.
func seeds(ctx context.Context, binary, seed string) (out string, passed bool) {
	test := exec.CommandContext(ctx, binary, "-test.run", "TestSeeds", "-test.timeout", "5m", "-sim.seed", seed) //nolint:gosec // built a moment ago
	test.Dir = filepath.Dir(binary)
	said, err := test.CombinedOutput()
	return string(said), err == nil
}

func (e edit) apply(root string) error {
	name := filepath.Join(root, filepath.FromSlash(e.file))
	text, err := os.ReadFile(name)
	if err != nil {
		return fmt.Errorf("read what is to be broken: %w", err)
	}
	if n := strings.Count(string(text), e.from); n != 1 {
		return fmt.Errorf("%s has %d times, and not once: %s", e.file, n, e.from)
	}
	//nolint:gosec // the name is one of those above, in a scratch folder
	if err := os.WriteFile(name, []byte(strings.Replace(string(text), e.from, e.to, 1)), 0o600); err != nil {
		return fmt.Errorf("break it: %w", err)
	}
	return nil
}
