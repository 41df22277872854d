package inreply_test

import (
	"context"
	"fmt"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"inreply"
	"inreply/configs"
	"inreply/email"
	"inreply/local"
	"inreply/local/ses"
	"inreply/processing"
)

// shout is a processor of one's own.
type shout struct{ done func() }

func (s shout) Process(_ context.Context, m *email.Message) (*email.Reply, error) {
	defer s.done()
	reply := m.Answer()
	reply.Text = strings.ToUpper(m.Text)
	return reply, nil
}

// A program may embed the daemon and bring its own processor. Here it runs
// against AWS in this process; with NewClients it runs against AWS.
func Example() {
	config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
	if err != nil {
		fmt.Println(err)
		return
	}
	config.Processing.Routes = []processing.Route{{Name: "all", Processor: "shout"}}
	config.Consumer.Stop.PollGrace, config.Relay.PollGrace = 0, 0
	world := local.New(local.Config{})
	defer world.Close()
	_, err = world.Provision(local.Names{
		Bucket: "inreply-mail", Prefix: "inbound/", Topic: "events", Intake: "inreply-intake", IntakeDeadLetters: "intake-dead",
		FifoTopic: "inreply-mail.fifo", Queue: "inreply-mail.fifo", DeadLetters: "dead.fifo", Identities: []string{"inreply.example"},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	clients := inreply.ClientsFrom(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://local"),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, world.Client(), configs.AWS{})

	ctx, stop := context.WithCancel(context.Background())
	d, err := inreply.New(ctx, config, clients, inreply.Parts{
		Processors: map[string]processing.Processor{"shout": shout{done: stop}},
	})
	if err != nil {
		fmt.Println(err)
		return
	}
	mail := "From: you@example.com\r\nTo: data@inreply.example\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nhello?\r\n"
	if _, err := world.Receive(local.Mail{Envelope: ses.Envelope{From: "you@example.com", Recipients: []string{"data@inreply.example"}}, Raw: []byte(mail)}); err != nil {
		fmt.Println(err)
		return
	}
	// The processor stops the daemon; what it was doing, it finishes.
	if err := d.Run(ctx); err != nil {
		fmt.Println(err)
		return
	}
	reply, err := inreply.ReadMail(world.SES.Sent()[0].Raw)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(reply.Subject + ": " + strings.TrimSpace(reply.Text))
	// Output: Re: Hello: HELLO?
}
