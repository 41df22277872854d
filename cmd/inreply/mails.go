package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/mail"
	"os"
	"path/filepath"
	"strings"

	"inreply"
	"inreply/local"
	"inreply/local/ses"
)

// mailFile is a mail that is to be sent through.
type mailFile struct {
	name string
	raw  []byte
	from string // mailbox of its author, as far as it can be read
}

// localMails sends mails through AWS on this machine, prints what became of
// each, and returns when all of them have ended.
func (a app) localMails(ctx context.Context, files []string) error {
	verdicts, err := parseVerdicts(a.verdicts)
	if err != nil {
		return err
	}
	mails, err := readMails(files)
	if err != nil {
		return err
	}
	l, err := a.startLaptop(ctx, "127.0.0.1:0", len(mails))
	if err != nil {
		return err
	}
	dead, err := a.sendThrough(ctx, l, mails, verdicts)
	if err := errors.Join(err, l.close(ctx)); err != nil {
		return err
	}
	if dead > 0 {
		return &coded{fmt.Errorf("%d of %d mails dead-lettered", dead, len(mails)), exitDead}
	}
	return nil
}

// readMails reads all files before anything is started.
func readMails(files []string) ([]mailFile, error) {
	var mails []mailFile
	var faults []error
	for _, name := range files {
		m, err := readMail(name)
		mails, faults = append(mails, m), append(faults, err)
	}
	return mails, errors.Join(faults...)
}

func readMail(name string) (mailFile, error) {
	stat, err := os.Stat(name)
	if errors.Is(err, os.ErrNotExist) {
		return mailFile{}, fmt.Errorf("%s: there is no such file; samples/ has mails to try", name)
	}
	if err != nil {
		return mailFile{}, fmt.Errorf("look at the mail: %w", err)
	}
	if stat.IsDir() {
		return mailFile{}, fmt.Errorf("%s: it is a directory; name the mails in it, such as %s", name, filepath.Join(name, "*.eml"))
	}
	raw, err := os.ReadFile(name)
	if err != nil {
		return mailFile{}, fmt.Errorf("read the mail: %w", err)
	}
	if len(bytes.TrimSpace(raw)) == 0 {
		return mailFile{}, fmt.Errorf("%s: the file is empty; save a mail with its header, as .eml", name)
	}
	m, err := inreply.ReadMail(raw)
	if err != nil {
		return mailFile{}, fmt.Errorf("%s: it is no mail that can be read: %w", name, err)
	}
	return mailFile{name: name, raw: raw, from: m.From.Mailbox}, nil
}

// sendThrough has all mails received, waits for their ends in order, and returns
// how many are dead.
func (a app) sendThrough(ctx context.Context, l *laptop, mails []mailFile, verdicts ses.Verdicts) (dead int, err error) {
	keys := make([]string, len(mails))
	for i, m := range mails {
		keys[i], err = l.receive(local.Mail{Envelope: envelope(m, l.config.Mailer.From), Raw: m.raw, Verdicts: verdicts})
		if err != nil {
			return 0, fmt.Errorf("%s: %w", m.name, err)
		}
	}
	ended := map[string]ending{}
	for i, m := range mails {
		e, ok := ended[keys[i]]
		for ; !ok; e, ok = ended[keys[i]] {
			select {
			case x := <-l.way.shared.ended:
				ended[x.key] = x
			case <-ctx.Done():
				return dead, errors.New("stopped before every mail had ended")
			case err := <-l.stopped:
				l.stopped <- nil
				return dead, fmt.Errorf("the daemon ended: %w", err)
			}
		}
		if e.outcome == "dead-lettered" {
			dead++
		}
		if err := a.show(l, m.name, e); err != nil {
			return dead, err
		}
	}
	return dead, nil
}

// envelope is what the sender's server would have said: the reverse-path from
// the mail's own Return-Path if it has one, else from its From.
func envelope(m mailFile, to string) ses.Envelope {
	e := ses.Envelope{From: m.from, Recipients: []string{to}}
	if read, err := mail.ReadMessage(bytes.NewReader(m.raw)); err == nil {
		if path, ok := read.Header["Return-Path"]; ok {
			e.From = strings.Trim(strings.TrimSpace(path[0]), "<>")
		}
	}
	return e
}

// show prints the way of a mail and its end, and writes its reply to a file.
func (a app) show(l *laptop, name string, e ending) error {
	fmt.Fprintln(a.stdout, name)
	printWay(a.stdout, l.way.shared.of(e.key))
	if e.ses == "" {
		fmt.Fprintf(a.stdout, "  %s: %s\n\n", e.outcome, e.reason)
		return nil
	}
	for _, sent := range l.world.SES.Sent() {
		if sent.ID != e.ses {
			continue
		}
		file, err := a.writeReply(name, l.world.SES.Wire(sent))
		if err != nil {
			return err
		}
		fmt.Fprintf(a.stdout, "  %s: %s\n\n", e.outcome, file)
		return a.printReply(l.world.SES.Wire(sent))
	}
	return fmt.Errorf("SES knows of no mail %s", e.ses)
}

// writeReply writes the reply as a file that any mail program opens.
func (a app) writeReply(name string, wire []byte) (file string, err error) {
	if err := os.MkdirAll(a.out, 0o755); err != nil {
		return "", fmt.Errorf("--out: make the folder for the replies: %w", err)
	}
	base := strings.TrimSuffix(filepath.Base(name), filepath.Ext(name))
	file = filepath.Join(a.out, base+".reply.eml")
	if err := os.WriteFile(file, wire, 0o644); err != nil {
		return "", fmt.Errorf("--out: write the reply: %w", err)
	}
	return file, nil
}

// printReply shows the text of a reply.
func (a app) printReply(wire []byte) error {
	m, err := inreply.ReadMail(wire)
	if err != nil {
		return fmt.Errorf("read the reply: %w", err)
	}
	fmt.Fprintf(a.stdout, "  | From: %s\n  | To: %s\n  | Subject: %s\n  |\n", m.From.Mailbox, m.To[0].Mailbox, m.Subject)
	for line := range strings.Lines(strings.TrimSpace(m.Text)) {
		fmt.Fprintf(a.stdout, "  | %s\n", strings.TrimRight(line, "\r\n"))
	}
	for _, at := range m.Attachments {
		fmt.Fprintf(a.stdout, "  | [%s, %s, %d octets]\n", at.Name, at.ContentType, at.Size)
	}
	fmt.Fprintln(a.stdout)
	return nil
}
