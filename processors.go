package inreply

import (
	"errors"
	"fmt"
	"maps"
	"slices"

	"inreply/configs"
	"inreply/processing"
	"inreply/processing/digest"
	"inreply/processing/template"
	"inreply/processing/webhook"
	"inreply/store"
)

// newProcessors makes the processors that routes may name: the digest, those of the
// caller, the application services, and template:NAME for each template. The replies
// of all of them may be written by a template.
func newProcessors(config configs.Config, clients Clients, records *store.Records, parts Parts) (map[string]processing.Processor, error) {
	templates, err := template.Load(config.Templates)
	if err != nil {
		return nil, err
	}
	processors := map[string]processing.Processor{"digest": digest.New(config.Digest)}
	maps.Copy(processors, parts.Processors)
	for _, name := range templates.Names() {
		processors["template:"+name] = templates.Processor(name)
	}
	if err := addServices(processors, config, clients, records, parts); err != nil {
		return nil, err
	}
	for name, p := range processors {
		processors[name] = templates.Wrap(p)
	}
	return processors, nil
}

// addServices makes a processor of each application service. Its error names
// everything that is wrong with them.
func addServices(processors map[string]processing.Processor, config configs.Config, clients Clients, records *store.Records, parts Parts) error {
	var faults []error
	made := webhook.Parts{
		Records: records, Links: store.New(clients.S3), Files: store.NewParts(records), Refuser: processing.Refusal(config.Processing.Refusal),
		Logger: parts.Logger.Named("webhook"), Meter: parts.Meter, Random: parts.Random,
		Credentials: clients.Credentials, Region: clients.Region, Dial: parts.Dial,
	}
	if p := processors[config.Processing.Refuser]; p != nil {
		made.Refuser = p
	}
	for _, name := range slices.Sorted(maps.Keys(config.Webhook)) {
		service := config.Webhook[name]
		fault := func(format string, args ...any) {
			faults = append(faults, fmt.Errorf("webhook.%s%w", name, fmt.Errorf(format, args...)))
		}
		if longest := service.WithDefaults().Timeout; longest >= config.Consumer.Deadline {
			fault(".timeout: %s is not below consumer.deadline, which is %s", longest, config.Consumer.Deadline)
		}
		if most := service.WithDefaults().Breaker.Failures; most > config.Consumer.Attempts {
			fault(".breaker.failures: with %d, a mail would be dead-lettered after %d tries (consumer.attempts) before its service counts as out", most, config.Consumer.Attempts)
		}
		p, err := webhook.New(name, service, made)
		switch {
		case processors[name] != nil:
			fault(": there is another processor of this name: choose another one")
		case err != nil:
			fault(".%w", err)
		default:
			processors[name] = p
		}
	}
	return errors.Join(faults...)
}
