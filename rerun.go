package inreply

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"inreply/configs"
	"inreply/email"
	"inreply/event"
	"inreply/processing"
	"inreply/queue"
	"inreply/relay/rerun"
	"inreply/store"
)

// RerunOptions say which stored objects to announce again, and how.
type RerunOptions = rerun.Options

// RerunMark is what a rerun says with each notice: its id, and whether what was
// answered is answered once more.
type RerunMark = event.Rerun

// RerunSummary is how a rerun goes, or went.
type RerunSummary = rerun.Summary

// RerunReport is told how a rerun goes.
type RerunReport = rerun.Report

// StoredObject is one object as S3 lists it.
type StoredObject = store.Object

// Rerun announces stored objects again to the relay's intake, which passes over
// what it would pass over when S3 announced it. It ends when there is no more, or
// when ctx does: the summary says behind which key to go on.
func Rerun(ctx context.Context, config configs.Config, clients Clients, options RerunOptions, report RerunReport) (RerunSummary, error) {
	name := config.Relay.Queue
	if name == "" {
		return RerunSummary{}, errors.New("relay.queue: the settings name no intake queue, so nobody would relay what is announced: set it to the queue that a daemon's relay polls; where something else relays, as an EventBridge pipe does, let that send the notices (docs/operate.md)")
	}
	passOver, err := newPassOver(config, clients)
	if err != nil {
		return RerunSummary{}, err
	}
	url, attributes, err := findQueue(ctx, clients, "relay.queue", name)
	if err != nil {
		return RerunSummary{}, err
	}
	if attributes.Fifo {
		return RerunSummary{}, fmt.Errorf("relay.queue: %s is a FIFO queue; S3 announces to a standard queue only: name that", name)
	}
	return rerun.New(store.New(clients.S3), queue.New(clients.SQS, url), passOver, options, report).Run(ctx)
}

// Capped reports whether any route caps what its senders get.
func Capped(config configs.Config) bool {
	c := config.Processing
	return c.Policy.Capped() || slices.ContainsFunc(c.Routes, func(r processing.Route) bool { return r.Policy != nil && r.Policy.Capped() })
}

// newPassOver returns what the relay asks itself of each object.
func newPassOver(config configs.Config, clients Clients) (func(o store.Object) bool, error) {
	parts := Parts{}.withDefaults()
	records := store.NewRecords(store.New(clients.S3), config.Store)
	sender, err := newMailer(config, clients, records, parts)
	if err != nil {
		return nil, err
	}
	handle, err := newProcessing(config, clients, sender, records, parts)
	if err != nil {
		return nil, err
	}
	return func(o store.Object) bool {
		// The filters are not for what a route of kind object takes.
		_, object := handle.Takes(email.Object{Bucket: o.Bucket, Key: o.Key, ETag: o.ETag, Size: o.Size})
		return records.Owns(o.Bucket, o.Key) || !object && config.Relay.PassesOver(o.Key) != ""
	}, nil
}
