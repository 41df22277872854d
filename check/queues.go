package check

import (
	"context"
	"fmt"
	"strings"
	"time"

	"inreply/queue"
)

// found is a queue that was found.
type found struct {
	queue.Attributes
	url   string
	name  string
	known bool
}

const (
	// leastReceives is how often a message may be received at least before SQS takes it
	// away by itself: every outage, stop and lost lease counts there, and no try of ours.
	leastReceives = 100
	// shortest and longest visibility that make sense for the consumer: extensions must
	// come in time, and what a killed process held must come back soon.
	shortestVisibility = 30 * time.Second
	longestVisibility  = 15 * time.Minute
	// leastRetention is how long an outage may last without a loss.
	leastRetention = 4 * 24 * time.Hour
	fullRetention  = 14 * 24 * time.Hour
)

func (c *checker) queues(ctx context.Context) {
	c.queue = c.oneQueue(ctx, "queue", "consumer.queue", c.config.Consumer.Queue, true)
	if c.queue.known {
		c.consumed(c.queue)
		dead := c.deadLetters(ctx, c.queue, true)
		c.longest = c.queue.Retention + dead.Retention
	}
	if c.config.Relay.Queue == "" {
		return
	}
	c.intake = c.oneQueue(ctx, "intake", "relay.queue", c.config.Relay.Queue, false)
	if c.intake.known {
		c.retained("intake "+c.intake.name, c.intake)
		c.deadLetters(ctx, c.intake, false)
	}
}

// oneQueue finds a queue and says of which kind it is.
func (c *checker) oneQueue(ctx context.Context, what, setting, named string, fifo bool) found {
	about := what + " " + lastPart(named)
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	url, err := queue.Find(ctx, c.clients.SQS, named)
	var attributes queue.Attributes
	action := "sqs:GetQueueUrl"
	if err == nil {
		action = "sqs:GetQueueAttributes"
		attributes, err = queue.New(c.clients.SQS, url).Attributes(ctx)
	}
	create := "aws sqs create-queue --queue-name " + lastPart(named) + " --attributes MessageRetentionPeriod=1209600,VisibilityTimeout=60"
	if fifo {
		create += ",FifoQueue=true,DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId"
	}
	if queue.Missing(err) {
		c.wrong(about, "there is no such queue here", "correct "+setting+" or the region, or create it", create)
		return found{}
	}
	if err != nil {
		c.failed(about, action, err)
		return found{}
	}
	if attributes.Fifo != fifo {
		is, must := "standard", "FIFO"
		if attributes.Fifo {
			is, must = must, is
		}
		c.wrong(about, fmt.Sprintf("it is a %s queue, and must be a %s one", is, must), "name another in "+setting+", or create one", create)
		return found{}
	}
	c.ok(about, "it is there, with %d messages visible and %d in flight", attributes.Visible, attributes.InFlight)
	return found{Attributes: attributes, url: url, name: lastPart(named), known: true}
}

// consumed checks what only the FIFO queue needs.
func (c *checker) consumed(q found) {
	about := "queue " + q.name
	visibility, setting := q.Visibility, "its visibility timeout"
	if c.config.Consumer.Visibility > 0 {
		visibility, setting = c.config.Consumer.Visibility, "consumer.visibility"
	}
	change := setAttribute(q, "VisibilityTimeout=60")
	switch {
	case visibility < shortestVisibility:
		c.wrong(about, fmt.Sprintf("%s is %s, and one call of AWS may take as long as that", setting, visibility), "raise it to 60s", change)
	case visibility > longestVisibility:
		c.advise(about, fmt.Sprintf("%s is %s: for so long nobody gets what a killed process held", setting, visibility), "lower it to 60s; it is extended while work goes on", change)
	default:
		c.ok(about, "%s is %s, and is extended while a try (consumer.deadline %s) goes on", setting, visibility, c.config.Consumer.Deadline)
	}
	c.retained(about, q)
	if q.DeduplicationScope == "messageGroup" && q.FifoThroughputLimit == "perMessageGroupId" {
		c.ok(about, "deduplication and throughput are by group")
		return
	}
	c.advise(about, "deduplication is by queue, which bounds it to 300 calls a second", "let it be by group", setAttribute(q, "DeduplicationScope=messageGroup,FifoThroughputLimit=perMessageGroupId"))
}

// retained checks how long a queue keeps what nobody takes.
func (c *checker) retained(about string, q found) {
	longer := setAttribute(q, "MessageRetentionPeriod=1209600")
	switch {
	case q.Retention < leastRetention:
		c.wrong(about, fmt.Sprintf("it keeps messages for %s: an outage over a long weekend loses mails", days(q.Retention)), "keep them for 14 days", longer)
	case q.Retention < fullRetention:
		c.advise(about, fmt.Sprintf("it keeps messages for %s", days(q.Retention)), "keep them for 14 days", longer)
	default:
		c.ok(about, "it keeps messages for %s", days(q.Retention))
	}
}

// deadLetters checks the dead-letter queue of a queue.
func (c *checker) deadLetters(ctx context.Context, q found, fifo bool) found {
	about := "dead letters of " + q.name
	suffix := ""
	if fifo {
		suffix = ".fifo"
	}
	name := strings.TrimSuffix(q.name, ".fifo") + "-dead" + suffix
	policy := setAttribute(q, fmt.Sprintf(`'{"RedrivePolicy":"{\"deadLetterTargetArn\":\"%s\",\"maxReceiveCount\":\"1000\"}"}'`, strings.TrimSuffix(q.ARN, q.name)+name))
	if q.DeadLetterARN == "" {
		c.wrong(about, "it has no dead-letter queue: what cannot be worked on would come again for ever", "create "+name+" and name it", policy)
		return found{}
	}
	dead := c.oneQueue(ctx, "dead-letter queue", "the RedrivePolicy of "+q.name, q.DeadLetterARN, fifo)
	if q.MaxReceiveCount < leastReceives {
		c.wrong(about, fmt.Sprintf("maxReceiveCount is %d: SQS takes mails away that only waited, since it counts every receive. Tries are counted by consumer.attempts", q.MaxReceiveCount), "raise it to 1000", policy)
	} else {
		c.ok(about, "maxReceiveCount is %d", q.MaxReceiveCount)
	}
	if !dead.known {
		return dead
	}
	c.retained("dead-letter queue "+dead.name, dead)
	if n := dead.Visible + dead.InFlight; n > 0 {
		c.advise("dead-letter queue "+dead.name, fmt.Sprintf("%d messages lie in it", n), "see why, and move them back when the cause is mended", "inreply --config FILE --redrive --dry-run")
	}
	return dead
}

func setAttribute(q found, attributes string) string {
	return "aws sqs set-queue-attributes --queue-url " + q.url + " --attributes " + attributes
}

// lastPart is the name in an ARN or URL, or the name itself.
func lastPart(named string) string { return named[strings.LastIndexAny(named, ":/")+1:] }

func days(d time.Duration) string {
	if d%(24*time.Hour) == 0 {
		return fmt.Sprintf("%d days", d/(24*time.Hour))
	}
	return d.String()
}
