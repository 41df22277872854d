// Command memory measures what the daemon's process takes at most, as the kernel
// counts it (VmHWM in /proc/PID/status), while large mails come in together:
//
//	go run ./bench/memory
//
// It builds the command, sets AWS up in this process, and for each kind of mail
// starts a daemon as a process of its own, with the settings for a laptop and
// GOMEMLIMIT as in the task definition. It exits with 1 if one took more than
// -most, or if a mail ended otherwise than answered.
package main

import (
	"bytes"
	"context"
	"encoding/base64"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"inreply/local"
	"inreply/local/ses"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt)
	err := run(ctx)
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "memory:", err)
		os.Exit(1)
	}
}

// measurement is what is measured.
type measurement struct {
	binary string
	mails  int
	octets int
	limit  string // GOMEMLIMIT
}

func run(ctx context.Context) error {
	var m measurement
	flag.IntVar(&m.mails, "mails", 16, "mails that come in together, each of a sender of its own")
	mib := flag.Int("mib", 40, "size of a mail, in MiB")
	flag.StringVar(&m.limit, "limit", "820MiB", "GOMEMLIMIT of the daemon; off for none")
	most := flag.Int("most", 512, "what the process may take, in MiB")
	only := flag.String("only", "", "measure this kind of mail alone")
	flag.Parse()
	m.octets = *mib << 20

	scratch, err := os.MkdirTemp("", "inreply-memory-")
	if err != nil {
		return fmt.Errorf("make a scratch folder: %w", err)
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	m.binary = filepath.Join(scratch, "inreply")
	//nolint:gosec // the folder is our own
	if out, err := exec.CommandContext(ctx, "go", "build", "-o", m.binary, "inreply/cmd/inreply").CombinedOutput(); err != nil {
		return fmt.Errorf("build the command: %w\n%s", err, out)
	}
	fmt.Printf("%d mails of %d MiB, GOMEMLIMIT=%s\n\n| mails | peak resident, MiB | seconds |\n| --- | --- | --- |\n", m.mails, *mib, m.limit)
	var faults []error
	for _, k := range kinds() {
		if *only != "" && k.name != *only {
			continue
		}
		peak, took, err := m.measure(ctx, k)
		if err != nil {
			return fmt.Errorf("%s: %w", k.name, err)
		}
		fmt.Printf("| %s | %d | %.1f |\n", k.name, peak>>20, took.Seconds())
		if peak > *most<<20 {
			faults = append(faults, fmt.Errorf("%s: %d MiB are more than %d", k.name, peak>>20, *most))
		}
	}
	return errors.Join(faults...)
}

// kind is one kind of mail.
type kind struct {
	name  string
	write func(b *bytes.Buffer, octets int)
}

func kinds() []kind {
	part := func(b *bytes.Buffer, fields string) {
		b.WriteString("MIME-Version: 1.0\r\n" + fields + "\r\n")
	}
	random := rand.New(rand.NewPCG(1, 1))
	return []kind{
		{"one that says hello", func(b *bytes.Buffer, _ int) {
			part(b, "Content-Type: text/plain\r\n")
			b.WriteString("Hello\r\n")
		}},
		{"a file, base64", func(b *bytes.Buffer, octets int) {
			part(b, "Content-Type: application/zip; name=a.zip\r\nContent-Transfer-Encoding: base64\r\n")
			file := make([]byte, octets/78*57)
			for i := range file {
				file[i] = byte(random.Uint32N(256)) //nolint:gosec // it is below 256
			}
			encode(b, file)
		}},
		{"a table that the digest reads, base64", func(b *bytes.Buffer, octets int) {
			part(b, "Content-Type: text/csv; name=a.csv\r\nContent-Transfer-Encoding: base64\r\n")
			var table bytes.Buffer
			table.WriteString("id,name,amount\n")
			for n := 0; table.Len() < octets/78*57; n++ {
				fmt.Fprintf(&table, "%d,customer %d,%d.%02d\n", n, random.IntN(10_000_000), random.IntN(100_000), random.IntN(100))
			}
			encode(b, table.Bytes())
		}},
		{"a text, 8bit", func(b *bytes.Buffer, octets int) {
			part(b, "Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
			fill(b, octets, "The quick brown fox jumps over the lazy dog, häufig und gern.\r\n")
		}},
		{"a text, quoted-printable, windows-1252", func(b *bytes.Buffer, octets int) {
			part(b, "Content-Type: text/plain; charset=windows-1252\r\nContent-Transfer-Encoding: quoted-printable\r\n")
			fill(b, octets, "The quick brown fox jumps over the lazy dog, h=E4ufig und gern.\r\n")
		}},
		{"an HTML text, 8bit", func(b *bytes.Buffer, octets int) {
			part(b, "Content-Type: text/html; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n")
			fill(b, octets, "<tr><td>The quick brown fox</td><td><a href=\"https://example.com/\">jumps</a></td></tr>\r\n")
		}},
	}
}

// encode writes a file in lines of 76 characters.
func encode(b *bytes.Buffer, file []byte) {
	for line := range slices.Chunk(file, 57) {
		b.Write(base64.StdEncoding.AppendEncode(b.AvailableBuffer(), line))
		b.WriteString("\r\n")
	}
}

func fill(b *bytes.Buffer, octets int, line string) {
	for b.Len()+len(line) < octets {
		b.WriteString(line)
	}
}

// measure sends mails of one kind through a daemon, and returns the most that its
// process has taken, in octets.
func (m measurement) measure(ctx context.Context, k kind) (peak int, took time.Duration, err error) {
	world := local.New(local.Config{Region: "us-east-1", Quota: ses.Quota{Daily: -1, Rate: -1}})
	defer world.Close()
	endpoint, err := world.Listen(ctx, "127.0.0.1:0")
	if err != nil {
		return 0, 0, fmt.Errorf("listen: %w", err)
	}
	// As configs/local.yaml names it.
	if _, err := world.Provision(local.Names{
		Bucket: "inreply-mail", Prefix: "inbound/", Topic: "inreply-events", Intake: "inreply-intake", IntakeDeadLetters: "inreply-intake-dead",
		FifoTopic: "inreply-mail.fifo", Queue: "inreply-mail.fifo", DeadLetters: "inreply-mail-dead.fifo", Identities: []string{"inreply.example"},
	}); err != nil {
		return 0, 0, fmt.Errorf("set AWS up: %w", err)
	}
	var content bytes.Buffer
	k.write(&content, m.octets)
	for n := range m.mails {
		from := fmt.Sprintf("sender-%d@example.com", n)
		raw := slices.Concat(fmt.Appendf(nil, "From: %s\r\nTo: data@inreply.example\r\nSubject: %d\r\nMessage-ID: <%d@example.com>\r\n", from, n, n), content.Bytes())
		if _, err := world.Receive(local.Mail{Envelope: ses.Envelope{From: from, Recipients: []string{"data@inreply.example"}}, Raw: raw}); err != nil {
			return 0, 0, fmt.Errorf("receive a mail: %w", err)
		}
	}
	var log bytes.Buffer
	daemon := exec.CommandContext(ctx, m.binary, "--config", "configs/local.yaml") //nolint:gosec // built a moment ago
	daemon.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "INREPLY_") }),
		"AWS_ACCESS_KEY_ID=test", "AWS_SECRET_ACCESS_KEY=test", "INREPLY_AWS_ENDPOINT="+endpoint, "INREPLY_ADMIN_LISTEN=", "GOMEMLIMIT="+m.limit)
	daemon.Stderr = &log
	began := time.Now()
	if err := daemon.Start(); err != nil {
		return 0, 0, fmt.Errorf("start the daemon: %w", err)
	}
	defer func() {
		_ = daemon.Process.Signal(os.Interrupt)
		_ = daemon.Wait()
	}()
	ticker := time.NewTicker(20 * time.Millisecond)
	defer ticker.Stop()
	deadline := time.After(10 * time.Minute)
	for len(world.SES.Sent()) < m.mails {
		select {
		case <-ticker.C:
		case <-ctx.Done():
			return 0, 0, context.Cause(ctx)
		case <-deadline:
			return 0, 0, fmt.Errorf("%d of %d mails answered within ten minutes", len(world.SES.Sent()), m.mails)
		}
	}
	took = time.Since(began)
	peak, err = peakOf(daemon.Process.Pid)
	return peak, took, err
}

// peakOf is the most memory that a process had resident, in octets.
func peakOf(pid int) (int, error) {
	status, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0, fmt.Errorf("ask the kernel: %w", err)
	}
	_, after, found := strings.Cut(string(status), "VmHWM:")
	if !found {
		return 0, errors.New("the kernel does not say VmHWM")
	}
	kib, err := strconv.Atoi(strings.Fields(after)[0])
	if err != nil {
		return 0, fmt.Errorf("read VmHWM: %w", err)
	}
	return kib << 10, nil
}
