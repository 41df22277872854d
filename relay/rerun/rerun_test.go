package rerun_test

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"inreply/event"
	"inreply/queue"
	"inreply/relay/rerun"
	"inreply/store"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// stored are the objects of a bucket, and then perhaps an error.
type stored struct {
	n   int
	err error
}

func (s stored) List(_ context.Context, bucket, _, after string) iter.Seq2[store.Object, error] {
	return func(yield func(store.Object, error) bool) {
		for n := range s.n {
			if key := fmt.Sprintf("k%02d", n); key > after && !yield(store.Object{Bucket: bucket, Key: key}, nil) {
				return
			}
		}
		if s.err != nil {
			yield(store.Object{}, s.err)
		}
	}
}

// intake takes notices, unless it has an error for a key.
type intake struct {
	t      *testing.T
	taken  []string
	calls  int
	refuse func(key string, call int) error
}

func (i *intake) Send(_ context.Context, messages []queue.Outgoing) []queue.Result {
	i.calls++
	results := make([]queue.Result, len(messages))
	for n, m := range messages {
		notice, err := event.Decode([]byte(m.Body))
		if err != nil {
			i.t.Fatal(err)
		}
		key := notice.Objects[0].Key
		if i.refuse != nil {
			results[n].Err = i.refuse(key, i.calls)
		}
		if results[n].Err == nil {
			i.taken = append(i.taken, key)
		}
	}
	return results
}

func none(store.Object) bool { return false }

// An entry that is refused once goes out with the next try; one that is refused
// for good is reported; nobody else is held up.
func TestARefusedEntry(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		in := &intake{t: t, refuse: func(key string, call int) error {
			if key == "k03" && call == 1 || key == "k05" {
				return &queue.EntryError{Code: "InternalError"}
			}
			return nil
		}}
		var refused []string
		s, err := rerun.New(stored{n: 12}, in, none, rerun.Options{Bucket: "b"}, rerun.Report{Object: func(o store.Object, err error) {
			if err != nil {
				refused = append(refused, o.Key)
			}
		}}).Run(t.Context())
		want := rerun.Summary{Seen: 12, Announced: 11, Refused: 1, Last: "k11"}
		if diff := cmp.Diff(want, s); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if !slices.Equal(refused, []string{"k05"}) || len(in.taken) != 11 {
			t.Errorf("refused %v, taken %v", refused, in.taken)
		}
	})
}

// A call that fails as a whole ends the run, and the summary says where.
func TestACallThatFails(t *testing.T) {
	down := errors.New("nobody answers")
	in := &intake{t: t, refuse: func(_ string, call int) error {
		if call == 2 {
			return down
		}
		return nil
	}}
	s, err := rerun.New(stored{n: 25}, in, none, rerun.Options{Bucket: "b"}, rerun.Report{}).Run(t.Context())
	if !errors.Is(err, down) || s.Last != "k09" || s.Announced != 10 {
		t.Errorf("%+v, %v", s, err)
	}
	s, err = rerun.New(stored{n: 25}, in, none, rerun.Options{Bucket: "b", After: s.Last}, rerun.Report{}).Run(t.Context())
	if err != nil || s.Announced != 15 || s.Last != "k24" {
		t.Errorf("%+v, %v", s, err)
	}
}

// What was listed before a list fails is announced.
func TestAListThatFails(t *testing.T) {
	down := errors.New("S3 is out")
	in := &intake{t: t}
	s, err := rerun.New(stored{n: 3, err: down}, in, none, rerun.Options{Bucket: "b"}, rerun.Report{}).Run(t.Context())
	if !errors.Is(err, down) || s.Announced != 3 || s.Last != "k02" {
		t.Errorf("%+v, %v", s, err)
	}
}

func TestWhatIsPassedOverIsCounted(t *testing.T) {
	in := &intake{t: t}
	own := func(o store.Object) bool { return o.Key < "k04" }
	s, err := rerun.New(stored{n: 6}, in, own, rerun.Options{Bucket: "b", Max: 1}, rerun.Report{}).Run(t.Context())
	want := rerun.Summary{Seen: 5, Announced: 1, PassedOver: 4, Last: "k04", More: true}
	if diff := cmp.Diff(want, s); err != nil || diff != "" {
		t.Errorf("%v (-want +got):\n%s", err, diff)
	}
}

func TestRate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		began := time.Now()
		in := &intake{t: t}
		if _, err := rerun.New(stored{n: 21}, in, none, rerun.Options{Bucket: "b", Rate: 2}, rerun.Report{}).Run(t.Context()); err != nil {
			t.Fatal(err)
		}
		if took := time.Since(began); took < 9*time.Second || took > 10*time.Second || in.calls != 11 {
			t.Errorf("%d calls in %s", in.calls, took)
		}
	})
}
