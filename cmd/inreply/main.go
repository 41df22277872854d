// Command inreply answers e-mail with what an application says.
//
//	inreply --local mail.eml ...   AWS on this machine, the mails through it, their answers
//	inreply --local                the same, serving on
//	inreply --config FILE          the daemon, against AWS or whatever endpoint FILE names
//	inreply --setup --config FILE  what FILE names, made at an emulator
//	inreply --receive MAIL ...     the mails received by an emulator, as SES would
//	inreply --explain mail.eml     what would happen to the mails, and why, without AWS
//	inreply --redrive ...          dead letters back to where they failed
//	inreply --rerun s3://BUCKET/...  stored mails announced again
//	inreply --check                whether AWS is set up as the settings need it
//
// Here are flags, environment and signals, and nothing else: what happens is in
// the packages.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"inreply"
	"inreply/configs"
)

// version is stamped by the linker.
var version = "dev"

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	code := run(ctx, os.Args[1:], os.Environ(), os.Stdout, os.Stderr)
	stop()
	os.Exit(code)
}

// Exit codes: what a script can tell apart.
const (
	exitOK     = 0
	exitFailed = 1 // it could not start, or not go on
	exitDead   = 2 // a mail was dead-lettered
	exitWrong  = 3 // --check found something wrong
)

// coded is an error with an exit code of its own.
type coded struct {
	error
	code int
}

// run is main with the outside world passed in.
func run(ctx context.Context, args, environ []string, stdout, stderr io.Writer) int {
	command := newCommand(environ, stdout, stderr) //nolint:contextcheck // it gets the context when it is executed
	command.SetArgs(args)
	command.SetOut(stdout)
	command.SetErr(stderr)
	err := command.ExecuteContext(ctx)
	if err == nil {
		return exitOK
	}
	fmt.Fprintf(stderr, "inreply: %v\n", err)
	if c, ok := errors.AsType[*coded](err); ok {
		return c.code
	}
	return exitFailed
}

// flags are what the command line may say.
type flags struct {
	config      string
	local       bool
	listen      string
	smtp        string
	out         string
	verdicts    []string
	healthcheck bool
	setup       bool
	receive     bool
	explain     string
	at          string
	redrive     redriveFlags
	rerun       rerunFlags
	check       []string
}

func newCommand(environ []string, stdout, stderr io.Writer) *cobra.Command {
	var f flags
	command := &cobra.Command{
		Use:   "inreply [--local [MAIL...] | --explain MAIL... | --config FILE [--setup | --receive MAIL... | --redrive | --rerun URL]]",
		Short: "inreply answers e-mail with what your application says",
		Example: `  inreply --local samples/sales-2026q3.eml    send a mail through AWS on this machine
  inreply --local                             serve on, with an SMTP address to mail to
  inreply --config configs/fargate.yaml       run the daemon
  inreply --config FILE --check               ask AWS whether everything is as it must be
  inreply --explain samples/question.eml      tell what would happen to a mail, and why
  inreply --config FILE --redrive --dry-run   list dead letters and why they are dead`,
		Version:       version,
		SilenceUsage:  true,
		SilenceErrors: true,
		RunE: func(command *cobra.Command, args []string) error {
			a := app{flags: f, environ: environ, stdin: command.InOrStdin(), stdout: stdout, stderr: stderr}
			return a.run(command.Context(), args)
		},
	}
	command.SetFlagErrorFunc(func(_ *cobra.Command, err error) error {
		return fmt.Errorf("%w; inreply --help lists the flags", err)
	})
	set := command.Flags()
	set.SortFlags = false
	set.BoolVar(&f.local, "local", false, "start AWS in this process, on loopback; with MAIL files, send them through and exit")
	set.StringVar(&f.config, "config", "", "settings `FILE` (YAML); with --local, instead of the built-in ones")
	set.StringVar(&f.listen, "listen", "127.0.0.1:4570", "with --local and no mails: `ADDRESS` of the AWS endpoint")
	set.StringVar(&f.smtp, "smtp", "127.0.0.1:2525", "with --local and no mails: `ADDRESS` that takes mail")
	set.StringVar(&f.out, "out", "inreply-out", "with --local: `FOLDER` for the replies")
	set.StringSliceVar(&f.verdicts, "verdict", nil, "with --local, --receive or --explain: what SES says of the mails, such as `dmarc=fail` (spam, virus, spf, dkim, dmarc; default pass)")
	set.BoolVar(&f.healthcheck, "healthcheck", false, "ask a running daemon's admin port whether it is alive, for a container's health check")
	set.BoolVar(&f.setup, "setup", false, "make the queues, topics, bucket and identities that --config names, at an emulator such as LocalStack; never at AWS")
	set.BoolVar(&f.receive, "receive", false, "have the MAIL files received by an emulator, which takes none in by itself: SES's header on top, stored in the bucket")
	set.StringSliceVar(&f.check, "check", nil, "ask AWS whether everything is as the settings need it; `HOW`: write tries a write too, json is for scripts")
	set.Lookup("check").NoOptDefVal = checkRead
	set.StringVar(&f.explain, "explain", "", "tell of each MAIL (- is standard input) what would happen to it and why, without AWS; --explain=`call` asks application services too")
	set.Lookup("explain").NoOptDefVal = explainOnly
	set.StringVar(&f.at, "at", "", "with --explain: the file lies at `s3://BUCKET/KEY`, which routes may look at, and where it need not be a mail")
	f.redrive.register(set)
	f.rerun.register(set)
	return command
}

// app is one invocation.
type app struct {
	flags
	environ []string
	stdin   io.Reader
	stdout  io.Writer
	stderr  io.Writer
}

func (a app) run(ctx context.Context, args []string) error {
	if len(args) > 0 && !a.local && !a.receive && a.explain == "" {
		return fmt.Errorf("%s: mails are only taken with --local, --explain or --receive", args[0])
	}
	if err := a.apart(); err != nil {
		return err
	}
	switch {
	case a.healthcheck:
		return a.checkHealth(ctx)
	case a.explain != "" && (a.local || a.setup || a.receive || a.redrive.wanted() || a.rerun.wanted()):
		return errors.New("--explain tells what would happen, and does nothing: leave --local, --setup, --receive, --redrive and --rerun out")
	case a.at != "" && a.explain == "":
		return errors.New("--at says where a file lies that --explain is about")
	case a.explain != "":
		return a.explainMails(ctx, args)
	case a.local && (a.setup || a.receive):
		return errors.New("--setup and --receive need --config: --local sets up its own, and takes mails in by itself")
	case a.local && len(a.check) > 0:
		return errors.New("--check needs --config without --local: a --local is set up by itself")
	case a.local && a.redrive.wanted():
		return errors.New("--redrive needs --config: a --local that starts now has no dead letters")
	case a.local && a.rerun.wanted():
		return errors.New("--rerun needs --config: a --local that starts now has no stored mails")
	case a.local && len(args) > 0:
		return a.localMails(ctx, args)
	case a.local:
		return a.localServe(ctx)
	case a.setup:
		return a.runSetup(ctx)
	case a.receive:
		return a.runReceive(ctx, args)
	case a.config == "":
		return errors.New("say --local to try it on this machine, or --config FILE to run the daemon")
	case len(a.check) > 0:
		return a.runCheck(ctx)
	case a.redrive.wanted():
		return a.runRedrive(ctx)
	case a.rerun.wanted():
		return a.runRerun(ctx)
	}
	return a.daemon(ctx)
}

// operator is what an operator's command works with: the settings, and AWS as the
// environment lets it be asked.
func (a app) operator(ctx context.Context) (configs.Config, inreply.Clients, error) {
	config, err := configs.Load(a.config, a.environ)
	if err != nil {
		return config, inreply.Clients{}, err
	}
	clients, err := inreply.NewClients(ctx, config.AWS)
	return config, clients, err
}
