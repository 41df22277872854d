package inreply

import (
	"context"
	"net"

	"inreply/check"
	"inreply/configs"
)

// CheckFinding is the answer to one question of a check.
type CheckFinding = check.Finding

// CheckState is what a finding comes to.
type CheckState = check.State

// The states. Only CheckWrong is a fault.
const (
	CheckOK     = check.OK
	CheckAdvice = check.Advice
	CheckWrong  = check.Wrong
	CheckDenied = check.Denied
)

// Check asks AWS whether everything is as the settings need it, and tells report
// each finding. It changes nothing, unless write is set: then it writes one object
// beside the records. It reports whether nothing is wrong.
func Check(ctx context.Context, config configs.Config, clients Clients, write bool, report func(CheckFinding)) bool {
	options := check.Options{Write: write, Services: map[string]string{}}
	for name, service := range config.Webhook {
		options.Services[name] = service.URL
	}
	if clients.SES.Options().BaseEndpoint == nil {
		options.Resolver = net.DefaultResolver
	}
	return check.Run(ctx, config, check.Clients{
		SQS: clients.SQS, SNS: clients.SNS, S3: clients.S3, SES: clients.SES, STS: clients.STS,
	}, options, report)
}
