// Package check asks AWS whether everything is as it must be, and says what to do
// where it is not. It changes nothing, unless it is told to try a write.
//
// Most of what it asks concerns two things at once: how long the queues keep a
// message and how long the bucket keeps the mail, what S3 announces and who listens
// there, what SES has verified and what DNS says. So the questions live together
// here, beside the packages that work, and know all of the settings.
//
//	check.go    what is found, and in which order is asked
//	queues.go   the FIFO queue, the intake, their dead-letter queues
//	topics.go   the topics and who is subscribed to them
//	bucket.go   the bucket: what it announces, what it expires, a write
//	policy.go   whether the bucket lets SES store mail there
//	ses.go      identities, quota, receipt rules
//	dns.go      what the world is told: MX and DKIM
//	services.go the application services
//
// Who asks may not be allowed to. That a question was denied says nothing of what it
// was about, so it is no fault: the finding names the action.
package check

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsmiddleware "github.com/aws/aws-sdk-go-v2/aws/middleware"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go"

	"inreply/configs"
)

// State is what a finding comes to.
type State string

// The states. Only Wrong is a fault.
const (
	OK     State = "ok"
	Advice State = "advice" // it works, and could be better
	Wrong  State = "wrong"
	Denied State = "denied" // whoever asks is not allowed to
)

// Finding is the answer to one question.
type Finding struct {
	State   State  `json:"state"`
	About   string `json:"about"`            // what was asked about: "queue inreply-mail.fifo"
	Says    string `json:"says"`             // what was found
	Do      string `json:"do,omitempty"`     // what to do; empty where nothing is to be done
	Command string `json:"command,omitzero"` // the command that does it, if one does
}

// Clients ask.
type Clients struct {
	SQS *sqs.Client
	SNS *sns.Client
	S3  *s3.Client
	SES *ses.Client
	STS *sts.Client
}

// Resolver asks DNS. [net.Resolver] is one.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupCNAME(ctx context.Context, host string) (string, error)
}

// Options say how to ask.
type Options struct {
	Write    bool                                                                 // try a write, too
	Resolver Resolver                                                             // nil: DNS is not asked
	Services map[string]string                                                    // URLs of the application services, by name
	Now      func() time.Time                                                     // the clock that is checked; nil: the machine's
	Dial     func(ctx context.Context, network, address string) (net.Conn, error) // nil: the machine's network
}

// Run asks everything, and tells report what was found as soon as it is. It reports
// whether nothing is wrong. The order is that in which one would mend it.
func Run(ctx context.Context, config configs.Config, clients Clients, options Options, report func(Finding)) bool {
	if options.Now == nil {
		options.Now = time.Now
	}
	if options.Dial == nil {
		options.Dial = (&net.Dialer{}).DialContext
	}
	c := &checker{config: config, clients: clients, options: options, report: report, right: true, partition: "aws"}
	if c.identity(ctx) {
		c.queues(ctx)
		c.topics(ctx)
		c.ses(ctx)
		c.buckets(ctx)
		c.dns(ctx)
	}
	c.services(ctx)
	return c.right
}

// checker is one run. What an early question brings to light, later ones use.
type checker struct {
	config  configs.Config
	clients Clients
	options Options
	report  func(Finding)
	right   bool

	queue, intake found // as far as they were found
	longest       time.Duration
	partition     string              // of AWS: "aws", "aws-cn"
	account       string              // of whoever asks; empty if that is not known
	stored        []place             // where the active receipt rules put mail
	rules         []storing           // those of them that need the bucket's leave
	domains       []string            // that mail is taken in for
	tokens        map[string][]string // of DKIM, by identity
}

// place is where objects lie.
type place struct{ bucket, prefix string }

// patience is how long one question may take.
const patience = 15 * time.Second

func (c *checker) find(f Finding) {
	if f.State == Wrong {
		c.right = false
	}
	c.report(f)
}

func (c *checker) ok(about, format string, a ...any) {
	c.find(Finding{State: OK, About: about, Says: fmt.Sprintf(format, a...)})
}

// wrong says what is wrong and what to do. A command may be empty.
func (c *checker) wrong(about, says, do, command string) {
	c.find(Finding{State: Wrong, About: about, Says: says, Do: do, Command: command})
}

func (c *checker) advise(about, says, do, command string) {
	c.find(Finding{State: Advice, About: about, Says: says, Do: do, Command: command})
}

// failed reports a question that was not answered.
func (c *checker) failed(about, action string, err error) {
	if denied(err) {
		c.find(Finding{State: Denied, About: about, Says: "not allowed to ask: " + action})
		return
	}
	c.wrong(about, fmt.Sprintf("%s was not answered: %v", action, err), "check the region, the endpoint and the network", "")
}

// denied reports whether a question was refused because of who asked it.
func denied(err error) bool {
	e, ok := errors.AsType[smithy.APIError](err)
	if !ok {
		return false
	}
	code := e.ErrorCode()
	for _, known := range []string{"AccessDenied", "AuthorizationError", "UnauthorizedOperation", "NotAuthorized", "Forbidden"} {
		if strings.Contains(code, known) {
			return true
		}
	}
	return false
}

func codeOf(err error) string {
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return e.ErrorCode()
	}
	return ""
}

const (
	drifts  = time.Minute     // a clock that somebody should look at
	refused = 5 * time.Minute // a clock whose signatures AWS refuses
)

// identity asks who is asking, and what time it is there. Without an answer nothing
// else will be answered either.
func (c *checker) identity(ctx context.Context) (known bool) {
	const about = "credentials"
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	out, err := c.clients.STS.GetCallerIdentity(ctx, &sts.GetCallerIdentityInput{})
	if code := codeOf(err); code == "RequestTimeTooSkewed" || code == "SignatureDoesNotMatch" && strings.Contains(err.Error(), "Signature expired") {
		c.wrong("clock", "AWS refuses what is signed with this clock: it is wrong by more than five minutes", "set the clock: chronyc makestep, or timedatectl set-ntp true", "")
		return false
	}
	if denied(err) {
		c.failed(about, "sts:GetCallerIdentity", err)
		return true
	}
	if err != nil {
		c.wrong(about, "AWS does not know who is asking: "+err.Error(), "set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, and the region", "aws sts get-caller-identity")
		return false
	}
	c.ok(about, "%s, region %s", *out.Arn, c.clients.SQS.Options().Region)
	c.account = aws.ToString(out.Account)
	if parts := strings.Split(*out.Arn, ":"); len(parts) > 1 {
		c.partition = parts[1]
	}
	there, ok := awsmiddleware.GetServerTime(out.ResultMetadata)
	if !ok {
		return true
	}
	off := c.options.Now().Sub(there).Round(time.Second)
	switch says := fmt.Sprintf("it differs by %s from that of AWS", off.Abs()); {
	case off.Abs() >= refused:
		c.wrong("clock", says+": AWS refuses what is signed with it", "set the clock: chronyc makestep, or timedatectl set-ntp true", "")
	case off.Abs() >= drifts:
		c.advise("clock", says, "let it be set over the network: timedatectl set-ntp true", "")
	default:
		c.ok("clock", "it is right")
	}
	return true
}
