package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"mime"
	"os"
	"path"
	"strings"

	"go.uber.org/zap"

	"inreply"
	"inreply/configs"
	"inreply/local/ses"
)

// What --explain may be given.
const (
	explainOnly = "only" // nobody outside is asked
	explainCall = "call" // application services are
)

// explainMails tells of each mail what would happen to it, with no AWS at all.
func (a app) explainMails(ctx context.Context, files []string) error {
	if a.explain != explainOnly && a.explain != explainCall {
		return fmt.Errorf("--explain=%s: it is --explain, or --explain=%s to ask application services too", a.explain, explainCall)
	}
	if len(files) == 0 {
		return errors.New("--explain: name the mails, or - for standard input")
	}
	verdicts, err := parseVerdicts(a.verdicts)
	if err != nil {
		return err
	}
	mail, err := a.lying()
	if err != nil {
		return err
	}
	config, named, err := a.explainConfig()
	if err != nil {
		return err
	}
	explainer, err := inreply.NewExplainer(ctx, config, inreply.Parts{Logger: zap.NewNop()}, a.explain == explainCall)
	if err != nil {
		return err
	}
	fmt.Fprintf(a.stdout, "with the settings of %s\n", named)
	dead := 0
	for _, name := range files {
		content, err := a.readExplained(name)
		if err != nil {
			return err
		}
		stored := mail
		if stored.Bytes = content; len(a.verdicts) > 0 {
			stored = judged(stored, verdicts)
		}
		e := explainer.Explain(ctx, stored)
		if e.Dead {
			dead++
		}
		fmt.Fprintf(a.stdout, "\n%s\n", name)
		if err := a.printExplanation(e); err != nil {
			return err
		}
	}
	if dead > 0 {
		return &coded{fmt.Errorf("%d of %d mails would be dead-lettered", dead, len(files)), exitDead}
	}
	return nil
}

// explainConfig is the settings of --config, or the built-in ones, and their name.
func (a app) explainConfig() (config configs.Config, named string, err error) {
	config, err = a.localConfig()
	if a.config != "" {
		return config, a.config, err
	}
	return config, "configs/local.yaml, which is built in", err
}

// lying is a file that lies where --at says. Its type is the one that uploads commonly
// say.
func (a app) lying() (inreply.Stored, error) {
	if a.at == "" {
		return inreply.Stored{}, nil
	}
	bucket, key, err := location(a.at)
	if err != nil || key == "" {
		return inreply.Stored{}, errors.New("--at: say s3://BUCKET/KEY, such as s3://example-mail/drop/report.csv")
	}
	return inreply.Stored{Bucket: bucket, Key: key, ContentType: cmp.Or(mime.TypeByExtension(path.Ext(key)), "binary/octet-stream")}, nil
}

// judged is a mail as SES would announce it, with what --verdict says of it. What that
// leaves out is as SES has said it, and a pass where SES has said nothing.
func judged(mail inreply.Stored, said ses.Verdicts) inreply.Stored {
	m, err := inreply.ReadMail(mail.Bytes)
	if err != nil {
		return mail // what it is instead will be explained
	}
	e := envelope(mailFile{raw: mail.Bytes, from: m.From.Mailbox}, "")
	if m.ReturnPath != "" || m.NullPath {
		e.From = m.ReturnPath
	}
	seen := m.Verdicts
	mail.Announced, mail.Recipients = true, m.Recipients
	mail.Bytes = ses.New(ses.Config{}).Receive(e, mail.Bytes, ses.Verdicts{
		Spam: cmp.Or(said.Spam, ses.Verdict(seen.Spam)), Virus: cmp.Or(said.Virus, ses.Verdict(seen.Virus)),
		SPF: cmp.Or(said.SPF, ses.Verdict(seen.SPF)), DKIM: cmp.Or(said.DKIM, ses.Verdict(seen.DKIM)), DMARC: cmp.Or(said.DMARC, ses.Verdict(seen.DMARC)),
	}).Raw
	return mail
}

// readExplained reads one mail from a file, or from standard input.
func (a app) readExplained(name string) ([]byte, error) {
	if name == "-" {
		raw, err := io.ReadAll(a.stdin)
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		return raw, nil
	}
	raw, err := os.ReadFile(name)
	if errors.Is(err, os.ErrNotExist) {
		return nil, fmt.Errorf("%s: there is no such file; samples/ has mails to try", name)
	}
	if err != nil {
		return nil, fmt.Errorf("read the mail: %w", err)
	}
	return raw, nil
}

// printExplanation prints what would happen to one mail, and the reply that would
// go out, as its reader would see it.
func (a app) printExplanation(e inreply.Explanation) error {
	for line := range strings.Lines(e.Steps()) {
		fmt.Fprintf(a.stdout, "  %s", line)
	}
	if !e.Asked && e.Processor != "" {
		fmt.Fprintf(a.stdout, "  %-12s --explain=%s asks %s too\n", "hint", explainCall, e.Processor)
	}
	if e.Mail == nil {
		return nil
	}
	fmt.Fprintf(a.stdout, "  %-12s %d octets\n\n", "reply", len(e.Mail))
	return a.printReply(e.Mail)
}
