package inreply_test

import (
	"context"
	"fmt"
	"maps"
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"

	"inreply"
	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
	"inreply/processing"
)

// costed is a daemon against AWS in this process, in virtual time.
type costed struct {
	world *local.World
	sent  int
}

// receive has so many mails come in at once, each of another sender, and returns
// when they were answered.
func (c *costed) receive(t *testing.T, mails int) {
	t.Helper()
	for range mails {
		from := fmt.Sprintf("sender-%d@example.com", c.sent)
		raw := "From: " + from + "\r\nTo: data@inreply.example\r\nSubject: Hello\r\nMessage-ID: <" + from + ">\r\n\r\nhello?\r\n"
		if _, err := c.world.Receive(local.Mail{Envelope: ses.Envelope{From: from, Recipients: []string{"data@inreply.example"}}, Raw: []byte(raw)}); err != nil {
			t.Fatal(err)
		}
		c.sent++
	}
	for len(c.world.SES.Sent()) < c.sent {
		time.Sleep(50 * time.Millisecond)
	}
	time.Sleep(time.Second) // until what was answered is deleted
}

// calls are the calls of each operation while something happens.
func (c *costed) calls(what func()) map[string]int {
	before := maps.Clone(c.world.CallCounts())
	what()
	spent := map[string]int{}
	for operation, n := range c.world.CallCounts() {
		if n > before[operation] {
			spent[operation] = n - before[operation]
		}
	}
	return spent
}

// docs/operate.md says what a mail costs. The calls that it reckons with are those
// that are made for a mail that comes alone, where no call does for two, and the
// sums are right.
func TestCostOfAMail(t *testing.T) {
	const mails = 50
	var spent, idle map[string]int
	synctest.Test(t, func(t *testing.T) {
		c, stop := newCosted(t)
		c.receive(t, 1)
		spent = c.calls(func() {
			for range mails {
				c.receive(t, 1)
			}
		})
		time.Sleep(time.Minute)
		idle = c.calls(func() { time.Sleep(time.Hour) })
		stop()
	})
	text, err := os.ReadFile("docs/operate.md")
	if err != nil {
		t.Fatal(err)
	}
	var total float64
	rows := regexp.MustCompile("(?m)^\\| `(\\S+)` \\| [^|]+ \\| (\\d+) \\| \\$([0-9.]+) \\| \\$([0-9.]+) \\|$").FindAllStringSubmatch(string(text), -1)
	listed := map[string]int{}
	for _, row := range rows {
		calls, price, cost := number(t, row[2]), number(t, row[3]), number(t, row[4])
		listed[row[1]] += int(calls)
		total += cost
		if math.Abs(calls*price-cost) > 1e-9 {
			t.Errorf("%s: %v calls at $%v are not $%v", row[1], calls, price, cost)
		}
	}
	for operation, n := range spent {
		if listed[operation]*mails != n {
			t.Errorf("%s is called %d times for %d mails, the page says %d for each", operation, n, mails, listed[operation])
		}
	}
	if said := fmt.Sprintf("**$%.4f**", total); !strings.Contains(string(text), said) {
		t.Errorf("the sum is %s, and the page does not say so", said)
	}
	if said := fmt.Sprintf("%d receives an hour", idle["sqs.ReceiveMessage"]); len(idle) != 1 || !strings.Contains(string(text), said) {
		t.Errorf("an idle task calls %v in an hour, and the page does not say so", idle)
	}
}

func number(t *testing.T, text string) float64 {
	t.Helper()
	n, err := strconv.ParseFloat(text, 64)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

// newCosted starts a daemon. The function it returns stops it.
func newCosted(t *testing.T) (c *costed, stop func()) {
	t.Helper()
	config, err := configs.Parse("configs/local.yaml", configs.Local(), nil)
	if err != nil {
		t.Fatal(err)
	}
	config.Consumer.Stop.PollGrace, config.Relay.PollGrace = 0, 0
	// On a laptop there are no caps; by default there are.
	config.Processing.Policy = processing.Defaults().Policy
	if !config.Processing.Policy.Capped() {
		t.Fatal("the defaults have no caps")
	}
	world := local.New(local.Config{Quota: ses.Quota{Daily: -1, Rate: -1}})
	_, err = world.Provision(local.Names{
		Bucket: "inreply-mail", Prefix: "inbound/", Topic: "events", Intake: "inreply-intake", IntakeDeadLetters: "intake-dead",
		FifoTopic: "inreply-mail.fifo", Queue: "inreply-mail.fifo", DeadLetters: "dead.fifo", Identities: []string{"inreply.example"},
	})
	if err != nil {
		t.Fatal(err)
	}
	clients := inreply.ClientsFrom(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String("http://local"),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, world.Client(), configs.AWS{})
	ctx, cancel := context.WithCancel(t.Context())
	d, err := inreply.New(ctx, config, clients, inreply.Parts{})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error, 1)
	go func() { done <- d.Run(ctx) }()
	return &costed{world: world}, func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		world.Close()
	}
}
