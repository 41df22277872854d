// Command breakages shows that the simulation can fail. It breaks inreply on
// purpose, one promise at a time, each time in a copy of its own, runs the seeds
// on it, and prints what was caught:
//
//	go run ./simulation/breakages
//
// It exits with 1 if a breakage went unnoticed.
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
	"strings"
	"time"
)

// breakage is one thing done wrong.
type breakage struct {
	name  string
	edits []edit
	test  []string // package and pattern of the test that is to catch it; nil: the seeds
}

// edit replaces a text that must be in the file exactly once.
type edit struct{ file, from, to string }

func breakages() []breakage {
	return []breakage{
		{name: "delete before send", edits: []edit{{
			"consumer/group.go", "		l.started = time.Now()\n",
			"		l.started = time.Now()\n		go c.parts.Queue.Delete(context.Background(), []string{l.message.Handle})\n",
		}}},
		{name: "no heartbeat for followers", edits: []edit{{
			"consumer/lease.go", "		l.extending = make(chan struct{})\n",
			"		if l.group.run[0] != l {\n			continue\n		}\n		l.extending = make(chan struct{})\n",
		}}},
		{name: "followers run after the head's lease is lost", edits: []edit{
			{"consumer/lease.go", "	gone := g.run[at:]\n	g.run = g.run[:at:at]\n", "	gone := []*lease{l}\n	g.run = slices.Delete(slices.Clone(g.run), at, at+1)\n"},
			{"consumer/lease.go", "	if at == 0 {\n		g.run = nil\n", "	if at == 0 {\n"},
		}},
		{name: "no claim", edits: []edit{{
			"mailer/mailer.go", "	c, err := m.claim(ctx, r.Mail)\n",
			"	c, err := claim{record: store.MailRecord{Token: m.newID(), Until: time.Now().Add(m.config.Claim)}}, error(nil)\n",
		}}},
		{name: "claim without its until", edits: []edit{{
			"mailer/claim.go", "if wait := time.Until(m.over(found)); wait > 0 {", "if wait := time.Until(m.over(found)); wait > 1000*time.Hour {",
		}}},
		{name: "followers charged", edits: []edit{{
			"consumer/group.go", "		l.try = tries + 1\n", "		l.try = max(tries+1, l.message.ReceiveCount)\n",
		}}},
		{name: "deduplication id kept on redrive", edits: []edit{
			{"consumer/deadletter.go", "Group: l.message.ID, DeduplicationID: l.message.ID,", "Group: l.message.ID, DeduplicationID: l.message.DeduplicationID,"},
			{"consumer/redrive/redrive.go", "= l.Group, l.Message.ID\n", "= l.Group, l.Message.DeduplicationID\n"},
		}},
		{name: "acknowledgement dropped at stop", edits: []edit{{
			"consumer/delete.go", "	d.closing = true\n", "	d.closing = true\n	for range d.pending {\n		d.landed.Done()\n	}\n	d.pending = nil\n",
		}}},
		{name: "outage charged as a try", edits: []edit{
			{"consumer/disposition.go", `o.Outage() != "" && held < outlived {`, `o.Outage() != "" && held < outlived && try < c.config.Attempts {`},
			{"consumer/disposition.go", "after: c.jittered(c.config.Probe.Max), outage: name}", "after: c.jittered(c.config.Probe.Max), outage: name, counted: true}"},
		}},
		{
			name: "caps in memory",
			edits: []edit{
				{"processing/processing.go", "parser: parser, mailer: mailer,", "parser: parser, mailer: &forgetful{Mailer: mailer, records: map[string]store.SenderRecord{}},"},
				{"processing/history.go", "// thread names the thread of a mail by its first message.\n", forgetful},
			},
			test: []string{"./processing", "TestTheCapHoldsOverTwoProcessesAndARestart"},
		},
	}
}

// forgetful keeps what is remembered of senders in the memory of its process.
const forgetful = `type forgetful struct {
	Mailer
	records map[string]store.SenderRecord
}

func (f *forgetful) Recall(_ context.Context, address string) (store.SenderRecord, string, error) {
	return f.records[address], "", nil
}

func (f *forgetful) Remember(_ context.Context, address, _ string, r store.SenderRecord) error {
	f.records[address] = r
	return nil
}

`

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "breakages:", err)
		os.Exit(1)
	}
}

func run(ctx context.Context) error {
	root, err := moduleRoot(ctx)
	if err != nil {
		return err
	}
	var unnoticed []string
	fmt.Printf("| breakage | caught | by |\n| --- | --- | --- |\n")
	for _, b := range append([]breakage{{name: "(none)"}}, breakages()...) {
		broken, err := try(ctx, root, b)
		if err != nil {
			return fmt.Errorf("%s: %w", b.name, err)
		}
		caught := "yes"
		if broken == "" {
			caught = "no"
		}
		fmt.Printf("| %s | %s | %s |\n", b.name, caught, broken)
		if (broken == "") != (len(b.edits) == 0) {
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

// try runs the seeds on a broken copy, and returns the first promise that was
// seen broken, or nothing.
func try(ctx context.Context, root string, b breakage) (broken string, err error) {
	scratch, err := os.MkdirTemp("", "inreply-breakage-")
	if err != nil {
		return "", fmt.Errorf("make a scratch folder: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(scratch)) }()
	if err := os.CopyFS(scratch, os.DirFS(root)); err != nil {
		return "", fmt.Errorf("copy the module: %w", err)
	}
	for _, e := range b.edits {
		if err := e.apply(scratch); err != nil {
			return "", err
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 5*time.Minute)
	defer cancel()
	in, pattern := "./simulation", "TestSeeds"
	if b.test != nil {
		in, pattern = b.test[0], b.test[1]
	}
	test := exec.CommandContext(ctx, "go", "test", in, "-count=1", "-run", pattern)
	test.Dir = scratch
	out, err := test.CombinedOutput()
	if err == nil {
		return "", nil
	}
	if promise := regexp.MustCompile(`(seed \d+: )?promise \d.*`).Find(out); promise != nil {
		return string(promise), nil
	}
	return "", fmt.Errorf("the test failed otherwise: %w\n%s", err, out)
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
