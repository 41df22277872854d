package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"os"
	"slices"
	"strconv"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/sqs"
	"github.com/aws/aws-sdk-go-v2/service/sqs/types"

	"inreply/local/sqs/groups"
	"inreply/queue"
)

// virtual is a FIFO queue without SQS, in time that passes only while everybody
// waits: each call takes as long as it shall, half before it takes effect and half
// after, and nothing else takes any. So what is lost on it is lost because a slot had
// no work while the queue had some, and a figure is the same on every machine.
type virtual struct {
	workload workload

	mu       sync.Mutex
	messages *groups.Queue[message]
	polls    []*virtualPoll
	alarm    *time.Timer
	measured measured
}

// virtualPoll is a receive that waits.
type virtualPoll struct {
	limit int
	given chan given
}

// given is its answer on the way.
type given struct {
	leases []groups.Lease[message]
	at     time.Time
}

// inVirtualTime runs a peer in Go through the workload.
func (w workload) inVirtualTime(t *testing.T, peer string) (m measured) {
	t.Helper()
	synctest.Test(t, func(t *testing.T) {
		v := &virtual{
			workload: w, messages: groups.New[message](true, [8]byte{}, 4*24*time.Hour),
			measured: measured{messages: w.messages, sent: map[int]time.Time{}, calls: map[string]int{}, first: time.Now(), last: time.Now()},
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error, 1)
		if w.messages != nil && w.messages[0].at == 0 {
			v.send()
		}
		go func() { ended <- v.run(ctx, peer) }()
		if w.messages != nil && w.messages[0].at > 0 {
			time.Sleep(500 * time.Millisecond)
			v.send()
		}
		v.attend()
		stopped := time.Now()
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		m = v.measured
		m.exit = time.Since(stopped)
		m.visible, m.inFlight, _ = v.messages.Counts()
		m.verdict = judge(m.messages, m.reports)
	})
	return m
}

// run is the peer.
func (v *virtual) run(ctx context.Context, peer string) error {
	h := &handler{say: v.say, sleep: func(d time.Duration) error { time.Sleep(d); return nil }}
	switch peer {
	case peerOurs:
		return ours(ctx, v.workload.visibility, v, v, h)
	case peerPlain:
		plain(ctx, "", virtualSDK{v}, h.oneByOne)
	case peerPlainFast:
		plain(ctx, "", virtualSDK{v}, h.atOnce())
	}
	return nil
}

func (v *virtual) say(kind byte, number int) {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.measured.reports = append(v.measured.reports, report{number: number, start: kind == 's', failed: kind == 'f', at: time.Now()})
}

// send sends everything at its time.
func (v *virtual) send() {
	start := time.Now()
	for _, m := range v.workload.messages {
		time.Sleep(time.Until(start.Add(m.at)))
		v.mu.Lock()
		v.messages.Add(&groups.Message[message]{Content: m, Group: strconv.Itoa(m.group), Sent: time.Now()}, 0)
		v.measured.sent[m.number] = time.Now()
		v.serve()
		v.mu.Unlock()
	}
}

// attend returns when the workload is over.
func (v *virtual) attend() {
	w, began := v.workload, time.Now()
	if w.idle > 0 {
		time.Sleep(w.idle)
		return
	}
	for over := false; !over && time.Since(began) < w.patience; {
		time.Sleep(time.Millisecond)
		v.mu.Lock()
		ends := len(v.measured.reports) / 2
		visible, inFlight, _ := v.messages.Counts()
		over = visible+inFlight == 0 || w.stopAt > 0 && ends >= w.stopAt
		v.mu.Unlock()
	}
}

// call is one call: f takes effect in the middle of it.
func (v *virtual) call(operation string, f func()) {
	time.Sleep(v.workload.latency / 2)
	v.mu.Lock()
	v.measured.calls["sqs."+operation]++
	v.messages.Tick(time.Now())
	f()
	v.serve()
	v.mu.Unlock()
	time.Sleep(v.workload.latency / 2)
}

// serve answers the receives that wait, the first first. v.mu is held.
func (v *virtual) serve() {
	v.messages.Tick(time.Now())
	for len(v.polls) > 0 {
		p := v.polls[0]
		leases := v.take(p.limit)
		if len(leases) == 0 {
			break
		}
		v.polls = v.polls[1:]
		p.given <- given{leases, time.Now()}
	}
	if v.alarm != nil {
		v.alarm.Stop()
		v.alarm = nil
	}
	if at, due := v.messages.Next(); due && len(v.polls) > 0 {
		v.alarm = time.AfterFunc(time.Until(at), func() {
			v.mu.Lock()
			defer v.mu.Unlock()
			v.serve()
		})
	}
}

// take leases up to limit messages. v.mu is held.
func (v *virtual) take(limit int) []groups.Lease[message] {
	now := time.Now()
	leases, dead := v.messages.Take(limit, now, now.Add(v.workload.visibility), func(m *groups.Message[message]) bool {
		return m.ReceivesHere() >= v.workload.receives
	})
	v.measured.dead += len(dead)
	return leases
}

var errHungUp = errors.New("hung up")

// receive is a long poll.
func (v *virtual) receive(ctx context.Context, limit int, wait time.Duration) ([]groups.Lease[message], error) {
	p := &virtualPoll{limit: limit, given: make(chan given, 1)}
	timer := time.NewTimer(v.workload.latency/2 + wait)
	defer timer.Stop()
	v.call("ReceiveMessage", func() { v.polls = append(v.polls, p) })
	select {
	case g := <-p.given:
		time.Sleep(time.Until(g.at.Add(v.workload.latency / 2)))
		return g.leases, nil
	case <-timer.C:
	case <-ctx.Done():
	}
	v.mu.Lock()
	defer v.mu.Unlock()
	v.polls = slices.DeleteFunc(v.polls, func(x *virtualPoll) bool { return x == p })
	select {
	case g := <-p.given:
		return g.leases, nil
	default:
	}
	if ctx.Err() != nil {
		return nil, errHungUp
	}
	return nil, nil
}

// lost is the answer to a handle that holds nothing any more.
func lost() error { return &queue.EntryError{Code: "ReceiptHandleIsInvalid", SenderFault: true} }

// each does something with messages by their handles, in calls of ten.
func (v *virtual) each(operation string, handles []string, do func(i int, m *groups.Message[message])) []error {
	errs := make([]error, len(handles))
	for at := 0; at < len(handles); at += 10 {
		v.call(operation, func() {
			for i := at; i < min(at+10, len(handles)); i++ {
				m, newest, ok := v.messages.Find(handles[i])
				if !ok || m == nil || !newest || !m.InFlight() {
					errs[i] = lost()
					continue
				}
				do(i, m)
			}
		})
	}
	return errs
}

// Receive is that of a consumer.Queue, as are Delete and Extend.
func (v *virtual) Receive(ctx context.Context, r queue.Receive) ([]queue.Message, error) {
	leases, err := v.receive(ctx, r.Max, r.Wait)
	messages := make([]queue.Message, len(leases))
	for i, l := range leases {
		messages[i] = queue.Message{
			ID: strconv.Itoa(l.Content.number), Handle: l.Handle, Body: l.Content.body(), Group: l.Group,
			Sequence: strconv.FormatUint(l.Sequence, 10), ReceiveCount: l.Receives, Sent: l.Sent,
		}
	}
	return messages, err
}

func (v *virtual) Delete(_ context.Context, handles []string) []error {
	errs := v.each("DeleteMessageBatch", handles, func(_ int, m *groups.Message[message]) { v.messages.Remove(m) })
	v.mu.Lock()
	defer v.mu.Unlock()
	v.measured.last = time.Now()
	return errs
}

func (v *virtual) Extend(_ context.Context, extensions []queue.Extension) []error {
	handles := make([]string, len(extensions))
	for i, e := range extensions {
		handles[i] = e.Handle
	}
	return v.each("ChangeMessageVisibilityBatch", handles, func(i int, m *groups.Message[message]) {
		if extensions[i].For == 0 {
			v.messages.Release(m)
			return
		}
		v.messages.Extend(m, time.Now().Add(extensions[i].For))
	})
}

// Send is that of a consumer.DeadLetters.
func (v *virtual) Send(_ context.Context, messages []queue.Outgoing) []queue.Result {
	v.call("SendMessageBatch", func() { v.measured.dead += len(messages) })
	return make([]queue.Result, len(messages))
}

// virtualSDK is the same queue for a loop round the SDK.
type virtualSDK struct{ *virtual }

func (v virtualSDK) ReceiveMessage(ctx context.Context, in *sqs.ReceiveMessageInput, _ ...func(*sqs.Options)) (*sqs.ReceiveMessageOutput, error) {
	leases, err := v.receive(ctx, int(in.MaxNumberOfMessages), time.Duration(in.WaitTimeSeconds)*time.Second)
	out := &sqs.ReceiveMessageOutput{}
	for _, l := range leases {
		out.Messages = append(out.Messages, types.Message{
			ReceiptHandle: &l.Handle, Body: aws.String(l.Content.body()), Attributes: map[string]string{"MessageGroupId": l.Group},
		})
	}
	return out, err
}

func (v virtualSDK) DeleteMessageBatch(ctx context.Context, in *sqs.DeleteMessageBatchInput, _ ...func(*sqs.Options)) (*sqs.DeleteMessageBatchOutput, error) {
	handles := make([]string, len(in.Entries))
	for i, e := range in.Entries {
		handles[i] = *e.ReceiptHandle
	}
	v.Delete(ctx, handles)
	return &sqs.DeleteMessageBatchOutput{}, nil
}

// figures is where the command of this package has them written.
var figures = flag.String("figures", "", "file for what was measured in virtual time")

// What the processor has no part in is as it is wanted: it is the same on every machine.
func TestTargets(t *testing.T) {
	found := map[string]section{}
	for _, w := range workloads() {
		if !w.virtual() {
			continue
		}
		t.Run(w.name, func(t *testing.T) {
			rows, by := "", map[string]measured{}
			for _, peer := range []string{peerOurs, peerPlain, peerPlainFast} {
				by[peer] = w.inVirtualTime(t, peer)
				rows += w.withoutProcessor().row(peer, by[peer])
			}
			s := section{Table: w.withoutProcessor().heading() + rows, Figures: map[string]float64{}}
			t.Log("\n" + s.Table)
			for _, target := range w.targets {
				figure := target.of(by[peerOurs], by[peerPlain])
				s.Figures[target.what] = figure
				if !target.met(figure) {
					t.Errorf("%s: "+target.format+", want %s", target.what, figure, target.wanted())
				}
			}
			found[w.name] = s
		})
	}
	if *figures == "" {
		return
	}
	written, err := json.Marshal(found)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(*figures, written, 0o600); err != nil {
		t.Fatal(err)
	}
}
