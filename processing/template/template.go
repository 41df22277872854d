// Package template writes replies by templates that lie in a folder, so that whoever
// cares for the words needs no application for it.
//
//	order.txt       the text, by text/template
//	order.html      the HTML, by html/template, which escapes by context
//	order.subject   the subject, by text/template; without it, that of the mail, with Re:
//	order.json      the data to try the three with, as the application would send it
//	_footer.html    whatever begins with _ is there for the others to include:
//	                {{template "_footer.html" .}}
//
// A template sees the mail as .Mail and the data of whoever replies as .Data; see
// [Input]. Each is tried when the folder is loaded, with order.json and a mail made up
// for it. So what is misspelled is found at start, with file and line, and not when
// the first customer waits for his answer. A key that .Data does not have is such an
// error too.
//
// A processor names the template in its reply ([email.Reply], Template and Data), and
// [Set.Wrap] has it written. [Set.Processor] is one that says the same to everybody.
package template

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	htmltemplate "html/template"
	"io"
	"io/fs"
	"maps"
	"os"
	"path"
	"slices"
	"strings"
	texttemplate "text/template"
	"time"

	"inreply/email"
	"inreply/email/htmltext"
)

// Config says where the templates are.
type Config struct {
	Folder string `yaml:"folder"` // of the templates, from the working directory; empty: there are none
}

// Validate reports everything that is wrong with the settings, each by its key.
func (c Config) Validate() error {
	if c.Folder == "" {
		return nil
	}
	stat, err := os.Stat(c.Folder)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return fmt.Errorf("folder: %s is not there", c.Folder)
	case err != nil:
		return fmt.Errorf("folder: %w", err)
	case !stat.IsDir():
		return fmt.Errorf("folder: %s is no folder", c.Folder)
	}
	return nil
}

// Input is what a template sees.
type Input struct {
	Mail Mail
	Data any // as whoever replies gave it; JSON objects are maps
}

// Mail is what a template sees of the mail that is answered.
type Mail struct {
	From        email.Address
	Subject     string
	Date        time.Time
	Text        string // what the sender wrote, without quotes and signature
	Attachments []string
	Route       email.Route
}

// Set is the templates of one folder. It is safe for concurrent use.
type Set struct{ all map[string]*entry }

// entry is one template: what there is of it.
type entry struct {
	subject *texttemplate.Template
	text    *texttemplate.Template
	html    *htmltemplate.Template
}

// Load reads a folder, and tries every template in it. Its error names everything
// that is wrong, by file and line. Without a folder the set is empty.
func Load(config Config) (*Set, error) {
	if config.Folder == "" {
		return &Set{}, nil
	}
	return load(os.DirFS(config.Folder))
}

func load(folder fs.FS) (*Set, error) {
	files, err := fs.ReadDir(folder, ".")
	if err != nil {
		return nil, fmt.Errorf("read the templates: %w", err)
	}
	l := loader{folder: folder, set: &Set{all: map[string]*entry{}}, samples: map[string]any{}}
	l.text = texttemplate.New("").Option("missingkey=error")
	l.html = htmltemplate.New("").Option("missingkey=error")
	for _, file := range files {
		if !file.IsDir() && !strings.HasPrefix(file.Name(), ".") {
			l.parse(file.Name())
		}
	}
	if len(l.faults) == 0 {
		l.tryAll()
	}
	return l.set, errors.Join(l.faults...)
}

// loader loads a folder.
type loader struct {
	folder  fs.FS
	set     *Set
	text    *texttemplate.Template
	html    *htmltemplate.Template
	samples map[string]any
	faults  []error
}

func (l *loader) fault(err error) { l.faults = append(l.faults, err) }

// parse reads one file.
func (l *loader) parse(file string) {
	text, err := fs.ReadFile(l.folder, file)
	if err != nil {
		l.fault(fmt.Errorf("templates: %w", err))
		return
	}
	kind := path.Ext(file)
	name := strings.TrimSuffix(file, kind)
	switch kind {
	case ".txt", ".subject":
		_, err = l.text.New(file).Parse(string(text))
	case ".html":
		_, err = l.html.New(file).Parse(string(text))
	case ".json":
		var sample any
		if sample, err = decode(text); err != nil {
			err = fmt.Errorf("%s: %w", file, err)
		}
		l.samples[name] = sample
	default:
		err = fmt.Errorf("%s: it is neither .txt, .html, .subject nor .json", file)
	}
	if err != nil {
		l.fault(fmt.Errorf("templates: %w", err))
		return
	}
	if kind != ".json" && !strings.HasPrefix(name, "_") && l.set.all[name] == nil {
		l.set.all[name] = &entry{}
	}
}

// decode reads JSON as the webhook does: a large number stays as it is.
func decode(text []byte) (value any, err error) {
	decoder := json.NewDecoder(bytes.NewReader(text))
	decoder.UseNumber()
	if err := decoder.Decode(&value); err != nil {
		return nil, fmt.Errorf("this is not JSON: %w", err)
	}
	if _, err := decoder.Token(); !errors.Is(err, io.EOF) {
		return nil, errors.New("something follows the JSON")
	}
	return value, nil
}

// tryAll puts the entries together, and tries each.
func (l *loader) tryAll() {
	for _, name := range slices.Sorted(maps.Keys(l.samples)) {
		if l.set.all[name] == nil {
			l.fault(fmt.Errorf("templates: %s.json: there is no template to try with it", name))
		}
	}
	for _, name := range l.set.Names() {
		e := l.set.all[name]
		e.subject, e.text, e.html = l.text.Lookup(name+".subject"), l.text.Lookup(name+".txt"), l.html.Lookup(name+".html")
		if e.text == nil && e.html == nil {
			l.fault(fmt.Errorf("templates: %s.subject: there is neither %s.txt nor %s.html", name, name, name))
			continue
		}
		m := specimen()
		reply := m.Answer()
		sample, there := l.samples[name]
		reply.Data = sample
		err := e.fill(reply, input(reply, m), reply.Subject)
		if err != nil && there {
			l.fault(fmt.Errorf("templates: tried with %s.json: %w", name, err))
		} else if err != nil {
			l.fault(fmt.Errorf("templates: tried without data, for there is no %s.json: %w", name, err))
		}
	}
}

// specimen is the mail that templates are tried with.
func specimen() *email.Message {
	return &email.Message{
		From: email.Address{Name: "Ana Mendes", Mailbox: "ana.mendes@example.com"}, Subject: "Order 4711",
		Date: time.Date(2026, 10, 1, 9, 12, 44, 0, time.UTC), Text: "Where is it?", ReplyText: "Where is it?",
		Attachments: []email.Attachment{{Name: "order.pdf"}},
		Route:       email.Route{Name: "orders", Tag: "west", Captures: map[string]string{}},
	}
}

// Names are the names of the templates.
func (s *Set) Names() []string { return slices.Sorted(maps.Keys(s.all)) }

// unknown is the error of a template that is not there, or cannot write what it is
// given. It is permanent: somebody has to change something.
type unknown struct{ err error }

func (e *unknown) Error() string   { return e.err.Error() }
func (e *unknown) Unwrap() error   { return e.err }
func (e *unknown) Permanent() bool { return true }

// Fill writes what the reply leaves empty by the template that it names, if it names
// one. Its error is permanent.
func (s *Set) Fill(reply *email.Reply, m *email.Message) error {
	if reply.Template == "" {
		return nil
	}
	e := s.all[reply.Template]
	if e == nil {
		return &unknown{fmt.Errorf("reply.template: there is no template %.80q, but %s", reply.Template, listed(s.Names()))}
	}
	if err := e.fill(reply, input(reply, m), m.Answer().Subject); err != nil {
		return &unknown{fmt.Errorf("reply.template: %w", err)}
	}
	reply.Template, reply.Data = "", nil
	return nil
}

func listed(names []string) string {
	if len(names) == 0 {
		return "none at all"
	}
	return strings.Join(names, ", ")
}

func input(reply *email.Reply, m *email.Message) Input {
	in := Input{Data: reply.Data, Mail: Mail{From: m.From, Subject: m.Subject, Date: m.Date, Text: m.ReplyText, Route: m.Route}}
	for _, a := range m.Attachments {
		in.Mail.Attachments = append(in.Mail.Attachments, a.Name)
	}
	return in
}

// fill writes what is empty. usual is the subject that the reply has without a word of
// anybody, which counts as empty.
func (e *entry) fill(reply *email.Reply, in Input, usual string) error {
	if e.subject != nil && (reply.Subject == "" || reply.Subject == usual) {
		subject, err := written(e.subject, in)
		if err != nil {
			return err
		}
		reply.Subject = strings.Join(strings.Fields(subject), " ") // one line, whatever the data has in it
	}
	if e.html != nil && reply.HTML == "" {
		html, err := written(e.html, in)
		if err != nil {
			return err
		}
		reply.HTML = html
	}
	if reply.Text != "" {
		return nil
	}
	if e.text == nil {
		reply.Text = htmltext.Text(reply.HTML)
		return nil
	}
	text, err := written(e.text, in)
	reply.Text = text
	return err
}

// longest is more than a template may write, in octets.
const longest = 4 << 20

// written is what a template makes of its input.
func written(t interface{ Execute(io.Writer, any) error }, in Input) (string, error) {
	var out bounded
	if err := t.Execute(&out, in); err != nil {
		return "", err
	}
	return out.String(), nil
}

// bounded is a buffer that gets no longer than longest.
type bounded struct{ bytes.Buffer }

func (b *bounded) Write(p []byte) (int, error) {
	if b.Len()+len(p) > longest {
		return 0, fmt.Errorf("it would be longer than %d MiB", longest>>20)
	}
	return b.Buffer.Write(p)
}

// Processor answers a mail.
type Processor interface {
	Process(ctx context.Context, m *email.Message) (*email.Reply, error)
}

// Wrap has the replies of a processor written by the templates that they name.
func (s *Set) Wrap(p Processor) Processor { return &wrapped{s, p} }

type wrapped struct {
	set  *Set
	next Processor
}

func (w *wrapped) Process(ctx context.Context, m *email.Message) (*email.Reply, error) {
	reply, err := w.next.Process(ctx, m)
	if err != nil || reply == nil {
		return reply, err
	}
	if err := w.set.Fill(reply, m); err != nil {
		return nil, err
	}
	return reply, nil
}

// Processor answers every mail by one template, which has no data.
func (s *Set) Processor(name string) Processor { return &wrapped{s, always(name)} }

type always string

func (a always) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	reply := m.Answer()
	reply.Template = string(a)
	return reply, nil
}
