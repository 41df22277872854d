package inreply

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"net/http"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	awsconfig "github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/smithy-go/logging"

	"inreply/configs"
)

// Clients are the AWS clients of a daemon. Each may have a region and an
// endpoint of its own: SES often sits elsewhere than the rest.
type Clients struct {
	SQS *sqs.Client
	SNS *sns.Client
	S3  *s3.Client
	SES *ses.Client
	STS *sts.Client // says who is asking; only a check needs it

	// For requests to application services that IAM is to let through.
	Credentials aws.CredentialsProvider
	Region      string
}

// NewClients makes the clients from the usual AWS environment (profiles, task
// roles, AWS_ENDPOINT_URL), overridden by settings.
func NewClients(ctx context.Context, settings configs.AWS) (Clients, error) {
	// The SDK would write lines of its own beside the log.
	options := []func(*awsconfig.LoadOptions) error{awsconfig.WithLogger(logging.Nop{})}
	if settings.Region != "" {
		options = append(options, awsconfig.WithRegion(settings.Region))
	}
	if settings.Profile != "" {
		options = append(options, awsconfig.WithSharedConfigProfile(settings.Profile))
	}
	config, err := awsconfig.LoadDefaultConfig(ctx, options...)
	if err != nil {
		return Clients{}, fmt.Errorf("load the AWS configuration: %w", err)
	}
	client, ok := config.HTTPClient.(*awshttp.BuildableClient)
	if !ok {
		client = awshttp.NewBuildableClient()
	}
	// One long poll, delete or extension at a time for each slot, all to one
	// host: the SDK's limit of idle connections would open a new one for most.
	client = client.WithTransportOptions(func(t *http.Transport) {
		t.MaxIdleConns = 0
		t.MaxIdleConnsPerHost = 512
	})
	return ClientsFrom(config, client, settings), nil
}

// ClientsFrom makes the clients from an AWS configuration and an HTTP client,
// which may be one that never leaves the process.
func ClientsFrom(config aws.Config, client aws.HTTPClient, settings configs.AWS) Clients {
	config.HTTPClient = KeepResponses(client)
	in := func(e configs.Endpoint) aws.Config {
		c := config.Copy()
		if e.Region != "" {
			c.Region = e.Region
		}
		return c
	}
	// Here, and not in aws.Config: there a variable such as AWS_ENDPOINT_URL_SQS, or
	// the services section of a profile, would outweigh the settings.
	at := func(e configs.Endpoint, endpoint **string) {
		if named := cmp.Or(e.Endpoint, settings.Endpoint); named != "" {
			*endpoint = &named
		}
	}
	return Clients{
		SQS: sqs.NewFromConfig(in(settings.SQS), func(o *sqs.Options) { at(settings.SQS, &o.BaseEndpoint) }),
		SNS: sns.NewFromConfig(in(settings.SNS), func(o *sns.Options) { at(settings.SNS, &o.BaseEndpoint) }),
		S3: s3.NewFromConfig(in(settings.S3), func(o *s3.Options) {
			at(settings.S3, &o.BaseEndpoint)
			// An endpoint of one's own seldom has a wildcard name for buckets.
			o.UsePathStyle = o.BaseEndpoint != nil
		}),
		SES: ses.NewFromConfig(in(settings.SES), func(o *ses.Options) { at(settings.SES, &o.BaseEndpoint) }),
		STS: sts.NewFromConfig(config, func(o *sts.Options) { at(configs.Endpoint{}, &o.BaseEndpoint) }),

		Credentials: config.Credentials, Region: config.Region,
	}
}

// KeepResponses mends an HTTP client for the AWS SDK. smithy-go closes the body
// of a request as soon as the header of its response is there, and from then on
// the body's WriteTo answers io.EOF. The write loop of net/http takes that for a
// failed write and closes the connection, and what is left of the response is
// lost: for a ReceiveMessage, up to ten leased messages. Without a WriteTo,
// net/http reads the body, and Read has no such fault.
func KeepResponses(client aws.HTTPClient) aws.HTTPClient { return keeping{client} }

type keeping struct{ client aws.HTTPClient }

func (k keeping) Do(r *http.Request) (*http.Response, error) {
	if r.Body != nil && r.Body != http.NoBody {
		r.Body = struct{ io.ReadCloser }{r.Body}
	}
	return k.client.Do(r)
}
