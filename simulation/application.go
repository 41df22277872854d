package simulation

import (
	"context"
	"fmt"
	"time"

	"inreply/email"
)

// application is the customer's application service, as one process calls it.
// A call of it is an outside call as any other.
type application struct {
	run     *Run
	process *process
}

// fault is an error of the application.
type fault struct {
	why       string
	permanent bool
	outage    string
}

func (f *fault) Error() string   { return f.why }
func (f *fault) Permanent() bool { return f.permanent }
func (f *fault) Outage() string  { return f.outage }

// Process answers a mail as its nature says.
func (a *application) Process(ctx context.Context, m *email.Message) (*email.Reply, error) {
	n, ok := numberOf(m.Subject)
	if !ok {
		return nil, &fault{why: "no planned mail: " + m.Subject, permanent: true}
	}
	s, c := a.run.scheduler, a.run.checker
	key := fmt.Sprintf("%s app %04d", a.process.name, n)
	planned := a.run.plan.mails[n]
	if hit := s.pass(ctx, &gate{process: a.process, key: key, returns: true}).hit; hit != spared {
		return nil, c.cut(planned, m.ID, hit)
	}
	c.asked(planned)
	defer c.left(planned)
	select {
	case <-time.After(planned.takes):
	case <-ctx.Done():
		return nil, c.cut(planned, m.ID, impatient)
	}
	if hit := s.pass(ctx, &gate{process: a.process, key: key + " answer", returns: true}).hit; hit != spared {
		return nil, c.cut(planned, m.ID, hit)
	}
	if since := time.Since(a.run.started); since >= a.run.plan.outFrom && since < a.run.plan.outUntil {
		return nil, &fault{why: "the application is out", outage: "service:app"}
	}
	return a.answer(planned, m, c)
}

func (a *application) answer(planned *mail, m *email.Message, c *checker) (*email.Reply, error) {
	failed := c.failures(planned)
	switch {
	case planned.nature == permanent:
		c.refused(planned, m.ID)
		return nil, &fault{why: "never", permanent: true}
	case planned.nature == poison && !c.mended(), planned.nature == flaky && failed < planned.fails:
		c.refused(planned, m.ID)
		return nil, &fault{why: "not now"}
	case planned.nature == silent:
		c.silenced(planned, m.ID)
		return nil, nil //nolint:nilnil // silence, as Processor has it
	}
	c.answered(planned, m.ID)
	reply := m.Answer()
	reply.Text = fmt.Sprintf("This is the answer to mail %d.", planned.number)
	return reply, nil
}
