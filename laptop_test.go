package inreply_test

import (
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"inreply"
	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
)

// laptop is AWS in this process, as configs/local.yaml names it, for the Example.
type laptop struct {
	*local.World
	clients inreply.Clients
}

// newLaptop has a mail that says hello. What it cannot do, no example can do without.
func newLaptop() laptop {
	world := local.New(local.Config{})
	if _, err := world.Provision(local.Names{
		Bucket: "inreply-mail", Prefix: "inbound/", Topic: "events", Intake: "inreply-intake", IntakeDeadLetters: "intake-dead",
		FifoTopic: "inreply-mail.fifo", Queue: "inreply-mail.fifo", DeadLetters: "dead.fifo", Identities: []string{"inreply.example"},
	}); err != nil {
		panic(err)
	}
	mail := "From: you@example.com\r\nTo: data@inreply.example\r\nSubject: Hello\r\nMessage-ID: <1@example.com>\r\n\r\nhello?\r\n"
	if _, err := world.Receive(local.Mail{Envelope: ses.Envelope{From: "you@example.com", Recipients: []string{"data@inreply.example"}}, Raw: []byte(mail)}); err != nil {
		panic(err)
	}
	return laptop{world, inreply.ClientsFrom(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://local"),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, world.Client(), configs.AWS{})}
}

// answer is what SES was given, in short.
func (l laptop) answer() string {
	var answers []string
	for _, sent := range l.SES.Sent() {
		reply, err := inreply.ReadMail(sent.Raw)
		if err != nil {
			return err.Error()
		}
		answers = append(answers, reply.Subject+": "+strings.TrimSpace(reply.Text))
	}
	return strings.Join(answers, "\n")
}
