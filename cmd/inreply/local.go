package main

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"

	"inreply"
	"inreply/cmd/inreply/telemetry"
	"inreply/configs"
	"inreply/local"
	"inreply/local/ses"
)

// region is where AWS on this machine claims to be.
const region = "us-east-1"

// laptop is AWS in this process with the daemon in front of it. The two speak
// the real protocols over loopback.
type laptop struct {
	config   configs.Config
	world    *local.World
	endpoint string
	way      *way
	traced   *telemetry.Traces
	stopped  chan error
	cancel   context.CancelFunc
}

// startLaptop starts AWS at address, sets up what a deployment has, and runs the
// daemon. endings is how many mails may end before somebody looks.
func (a app) startLaptop(ctx context.Context, address string, endings int) (*laptop, error) {
	config, err := a.localConfig()
	if err != nil {
		return nil, err
	}
	if !config.Feedback.Enabled() {
		config.Feedback.Queue = "inreply-feedback"
	}
	if config.Mailer.ConfigurationSet == "" {
		config.Mailer.ConfigurationSet = "inreply"
	}
	world := local.New(local.Config{Region: region})
	l := &laptop{config: config, world: world, way: newWay(endings), stopped: make(chan error, 1)}
	if l.endpoint, err = world.Listen(ctx, address); err != nil {
		world.Close()
		return nil, fmt.Errorf("--listen %s: %w", address, err)
	}
	if _, err = world.Provision(local.Names(inreply.ResourcesOf(config))); err != nil {
		world.Close()
		return nil, err
	}
	log := a.loggerFor(l.way, config.Log)
	if l.traced, err = telemetry.NewTraces(ctx, config.Metrics, version, a.environ, log.Named("traces")); err != nil {
		world.Close()
		return nil, err
	}
	if err := l.runDaemon(ctx, log); err != nil {
		l.traced.Close(ctx)
		world.Close()
		return nil, err
	}
	return l, nil
}

// localConfig is the settings of --config, or the shipped ones for a laptop.
func (a app) localConfig() (configs.Config, error) {
	if a.config != "" {
		return configs.Load(a.config, a.environ)
	}
	return configs.Parse("configs/local.yaml", configs.Local(), a.environ)
}

// loggerFor shows the daemon's steps to the way, and what goes wrong to eyes.
func (a app) loggerFor(w *way, settings configs.Log) *zap.Logger {
	encoding := zap.NewDevelopmentEncoderConfig()
	encoding.EncodeTime = zapcore.TimeEncoderOfLayout("15:04:05.000")
	level := zapcore.ErrorLevel
	if settings.Level == "debug" {
		level = zapcore.DebugLevel
	}
	eyes := zapcore.NewCore(zapcore.NewConsoleEncoder(encoding), zapcore.Lock(zapcore.AddSync(a.stderr)), level)
	return zap.New(zapcore.NewTee(w, eyes))
}

func (l *laptop) runDaemon(ctx context.Context, log *zap.Logger) error {
	l.config.AWS = configs.AWS{}
	// The emulator notices a poll whose client has gone, and keeps its messages.
	// AWS does not, so there an open poll is waited for.
	l.config.Consumer.Stop.PollGrace, l.config.Relay.PollGrace = 0, 0
	clients := inreply.ClientsFrom(aws.Config{
		Region: region, BaseEndpoint: aws.String(l.endpoint),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
	}, awshttp.NewBuildableClient(), l.config.AWS)
	d, err := inreply.New(ctx, l.config, clients, inreply.Parts{Logger: log, Tracer: l.traced.Tracer()})
	if err != nil {
		return err
	}
	// The daemon outlives ctx for as long as close takes.
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	l.cancel = cancel
	go func() { l.stopped <- d.Run(running) }()
	return nil
}

// close stops the daemon, and then AWS.
func (l *laptop) close(ctx context.Context) error {
	l.cancel()
	err := <-l.stopped
	l.world.Close()
	l.traced.Close(ctx)
	return err
}

// receive takes a mail in as SES would, and returns the key that it is stored
// under.
func (l *laptop) receive(m local.Mail) (key string, err error) {
	at := time.Now()
	stored, err := l.world.Receive(m)
	if err != nil {
		return "", err
	}
	first := stored[0]
	l.way.shared.begin(first.Key, step{at: at, name: "stored", what: map[string]any{"bucket": first.Bucket, "key": first.Key}})
	return first.Key, nil
}

// localServe serves on until a signal ends it.
func (a app) localServe(ctx context.Context) error {
	verdicts, err := parseVerdicts(a.verdicts)
	if err != nil {
		return err
	}
	l, err := a.startLaptop(ctx, a.listen, 1000)
	if err != nil {
		return err
	}
	door, err := l.world.ListenSMTP(ctx, a.smtp, verdicts)
	if err != nil {
		return errors.Join(fmt.Errorf("--smtp %s: %w", a.smtp, err), l.close(ctx))
	}
	fmt.Fprintf(a.stdout, `inreply is ready. Ctrl-C stops it.

  AWS endpoint   %[1]s
                 AWS_DEFAULT_REGION=%[2]s AWS_ACCESS_KEY_ID=test AWS_SECRET_ACCESS_KEY=test aws --endpoint-url %[1]s sqs list-queues
  mail to        %[3]s by SMTP at %[4]s
                 swaks --server %[4]s --from you@example.com --to %[3]s --attach @samples/sales-2026q3.csv
  sent mail      %[5]s/ and %[1]s/_local/ses

`, l.endpoint, region, l.config.Mailer.From, door, a.out)
	for {
		select {
		case e := <-l.way.shared.ended:
			if err := a.show(l, e.key, e); err != nil {
				return errors.Join(err, l.close(ctx))
			}
		case <-ctx.Done():
			fmt.Fprintln(a.stdout, "stopping")
			return l.close(ctx)
		case err := <-l.stopped:
			l.stopped <- nil
			return errors.Join(err, l.close(ctx))
		}
	}
}

// parseVerdicts reads what SES is to say of mails, such as "dmarc=fail".
func parseVerdicts(flags []string) (v ses.Verdicts, err error) {
	for _, f := range flags {
		check, verdict, _ := strings.Cut(f, "=")
		into := map[string]*ses.Verdict{"spam": &v.Spam, "virus": &v.Virus, "spf": &v.SPF, "dkim": &v.DKIM, "dmarc": &v.DMARC}[strings.ToLower(check)]
		said := ses.Verdict(strings.ToUpper(verdict))
		switch {
		case into == nil:
			return v, fmt.Errorf("--verdict %s: %q is none of spam, virus, spf, dkim, dmarc", f, check)
		case said != ses.Pass && said != ses.Fail && said != ses.Gray && said != ses.ProcessingFailed:
			return v, fmt.Errorf("--verdict %s: %q is none of pass, fail, gray, processing_failed", f, verdict)
		}
		*into = said
	}
	return v, nil
}
