package inreply_test

import (
	"context"
	"fmt"
	"strings"

	"inreply"
	"inreply/configs"
	"inreply/email"
	"inreply/processing"
)

// shout is a processor of one's own. It is done after one mail.
type shout struct{ done func() }

func (s shout) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	defer s.done()
	reply := m.Answer()
	reply.Text = strings.ToUpper(m.Text)
	return reply, nil
}

// A program may embed the daemon and bring its own processor. The laptop is AWS in
// this process, with one mail in it; with NewClients the daemon runs against AWS.
func Example() {
	aws := newLaptop()
	defer aws.Close()
	config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	config.Processing.Routes = []processing.Route{{Name: "all", Processor: "shout"}}
	config.Consumer.Stop.PollGrace, config.Relay.PollGrace = 0, 0 // it stops at once

	ctx, stop := context.WithCancel(context.Background())
	daemon, err := inreply.New(ctx, config, aws.clients, inreply.Parts{
		Processors: map[string]processing.Processor{"shout": shout{done: stop}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	// The processor stops the daemon, which finishes what it is doing.
	if err := daemon.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(aws.answer())
	// Output: Re: Hello: HELLO?
}
