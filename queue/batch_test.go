package queue_test

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"inreply/queue"
)

// verb is one of the verbs that work in batches.
type verb struct {
	operation string
	answer    func([]said) string
	refusal   string // the body of an error of the whole call
	run       func(ctx context.Context, w *wire, texts []string) []error
	sends     bool // nothing more is asked after a call that failed
}

func verbs() map[string]verb {
	const (
		json = `{"__type":"com.amazonaws.sqs#RequestThrottled","message":"slower"}`
		xml  = `<ErrorResponse><Error><Type>Sender</Type><Code>Throttled</Code><Message>slower</Message></Error></ErrorResponse>`
	)
	return map[string]verb{
		"delete": {"DeleteMessageBatch", sqsAnswer, json, func(ctx context.Context, w *wire, texts []string) []error {
			return queue.New(sqsOf(w), queueURL).Delete(ctx, texts)
		}, false},
		"extend": {"ChangeMessageVisibilityBatch", sqsAnswer, json, func(ctx context.Context, w *wire, texts []string) []error {
			var all []queue.Extension
			for _, handle := range texts {
				all = append(all, queue.Extension{Handle: handle, For: time.Minute})
			}
			return queue.New(sqsOf(w), queueURL).Extend(ctx, all)
		}, false},
		"release": {"ChangeMessageVisibilityBatch", sqsAnswer, json, func(ctx context.Context, w *wire, texts []string) []error {
			return queue.New(sqsOf(w), queueURL).Release(ctx, texts)
		}, false},
		"send": {"SendMessageBatch", sqsAnswer, json, func(ctx context.Context, w *wire, texts []string) []error {
			return errorsOf(queue.New(sqsOf(w), queueURL).Send(ctx, outgoing(texts)))
		}, true},
		"publish": {"PublishBatch", snsAnswer, xml, func(ctx context.Context, w *wire, texts []string) []error {
			return errorsOf(queue.NewTopic(snsOf(w), "arn:aws:sns:us-east-1:000000000000:mail.fifo").Publish(ctx, outgoing(texts)))
		}, true},
	}
}

func outgoing(texts []string) []queue.Outgoing {
	var all []queue.Outgoing
	for _, body := range texts {
		all = append(all, queue.Outgoing{Body: body, Group: "g", DeduplicationID: body})
	}
	return all
}

// errorsOf are the errors of results, after a look at the rest of them.
func errorsOf(results []queue.Result) []error {
	errs := make([]error, len(results))
	for i, r := range results {
		errs[i] = r.Err
		if (r.Err == nil) != (r.ID != "" && r.Sequence != "") {
			errs[i] = fmt.Errorf("result %d has id %q and sequence %q beside error %w", i, r.ID, r.Sequence, r.Err)
		}
	}
	return errs
}

// TestEntries: whatever a call says of its entries, each error stands where the
// entry stood that it is about.
func TestEntries(t *testing.T) {
	denied := refused(2, "AccessDenied", "not yours", true)
	deniedError := "refused: AccessDenied: not yours"
	unanswered := "the call said nothing of this entry"
	tests := map[string]struct {
		entries int
		answers [][]said // nil: the call fails as a whole
		want    map[int]string
		calls   int // of a verb that sends; 0: one for each answer
	}{
		"none":                        {0, [][]said{}, nil, 0},
		"one":                         {1, [][]said{ok(0)}, nil, 0},
		"ten":                         {10, [][]said{ok(upTo(10)...)}, nil, 0},
		"eleven":                      {11, [][]said{ok(upTo(10)...), ok(0)}, nil, 0},
		"in any order":                {3, [][]said{ok(2, 0, 1)}, nil, 0},
		"one refused":                 {3, [][]said{append(ok(0, 1), denied)}, map[int]string{2: deniedError}, 0},
		"all refused":                 {1, [][]said{{refused(0, "InternalError", "", false)}}, map[int]string{0: "refused: InternalError"}, 0},
		"refused in the second call":  {13, [][]said{ok(upTo(10)...), append(ok(0, 1), denied)}, map[int]string{12: deniedError}, 0},
		"one not mentioned":           {3, [][]said{ok(0, 2)}, map[int]string{1: unanswered}, 0},
		"nothing mentioned":           {2, [][]said{{}}, map[int]string{0: unanswered, 1: unanswered}, 0},
		"ids that nobody gave":        {1, [][]said{{{id: "0"}, {id: "1"}, {id: "-1"}, {id: "x"}, {id: ""}, refused(7, "Gone", "", true)}}, nil, 0},
		"first call fails as a whole": {12, [][]said{nil, ok(0, 1)}, whole(0, 10), 1},
		"last call fails as a whole":  {12, [][]said{ok(upTo(10)...), nil}, whole(10, 12), 0},
		"middle call fails as a whole": {
			23,
			[][]said{append(ok(0, 1, 3, 4, 5, 6, 7, 8, 9), denied), nil, ok(0, 1, 2)},
			join(map[int]string{2: deniedError}, whole(10, 20)), 2,
		},
	}
	for name, v := range verbs() {
		for what, test := range tests {
			t.Run(name+"/"+what, func(t *testing.T) {
				w := &wire{answer: func(call int, _ string) (int, string) {
					if test.answers[call] == nil {
						return http.StatusBadRequest, v.refusal
					}
					return http.StatusOK, v.answer(test.answers[call])
				}}
				want, calls := test.want, len(test.answers)
				if v.sends && test.calls > 0 {
					calls = test.calls
					want = join(want, whole(calls*10-10, test.entries)) // nothing may overtake
				}
				checkErrors(t, v.run(t.Context(), w, texts(test.entries)), test.entries, want)
				if len(w.asked) != calls {
					t.Errorf("%d calls, want %d", len(w.asked), calls)
				}
				for _, operation := range w.asked {
					if operation != v.operation {
						t.Errorf("asked %s, want %s", operation, v.operation)
					}
				}
				checkAskedOnce(t, w, test.entries, calls)
			})
		}
	}
}

// whole are the errors of entries whose call failed.
func whole(from, below int) map[int]string {
	all := map[int]string{}
	for i := from; i < below; i++ {
		all[i] = "slower"
	}
	return all
}

func join(a, b map[int]string) map[int]string {
	all := map[int]string{}
	maps.Copy(all, a)
	maps.Copy(all, b)
	return all
}

func checkErrors(t *testing.T, errs []error, entries int, want map[int]string) {
	t.Helper()
	if len(errs) != entries {
		t.Fatalf("%d answers to %d entries", len(errs), entries)
	}
	for i, err := range errs {
		part, fails := want[i]
		if !fails && err != nil {
			t.Errorf("entry %d: %v", i, err)
		}
		if fails && (err == nil || !strings.Contains(err.Error(), part)) {
			t.Errorf("entry %d: %v, want an error with %q", i, err, part)
		}
	}
}

// checkAskedOnce holds that every entry of the calls made was in one of them, in
// its order.
func checkAskedOnce(t *testing.T, w *wire, entries, calls int) {
	t.Helper()
	all := strings.Join(w.bodies, "")
	last := -1
	for i, text := range texts(min(entries, calls*10)) {
		at := strings.Index(all, text)
		if at <= last {
			t.Errorf("entry %d stands at %d, after one at %d", i, at, last)
		}
		last = at
	}
}

// TestConnectionDies: a call that got no answer fails all its entries.
func TestConnectionDies(t *testing.T) {
	for name, v := range verbs() {
		t.Run(name, func(t *testing.T) {
			w := &wire{answer: func(int, string) (int, string) { return 0, "" }}
			for i, err := range v.run(t.Context(), w, texts(2)) {
				if err == nil || !strings.Contains(err.Error(), "connection reset") {
					t.Errorf("entry %d: %v", i, err)
				}
			}
		})
	}
}

// TestEntryError: a refusal is found with its code.
func TestEntryError(t *testing.T) {
	for name, v := range verbs() {
		t.Run(name, func(t *testing.T) {
			w := &wire{answer: func(int, string) (int, string) {
				return http.StatusOK, v.answer([]said{refused(0, "AccessDenied", "not yours", true)})
			}}
			got, ok := errors.AsType[*queue.EntryError](v.run(t.Context(), w, texts(1))[0])
			want := &queue.EntryError{Code: "AccessDenied", Message: "not yours", SenderFault: true}
			if !ok || *got != *want {
				t.Errorf("got %+v, want %+v", got, want)
			}
		})
	}
}

// TestSizes: a call takes ten entries or so many octets, whatever is less, and an
// entry that none can take is refused alone.
func TestSizes(t *testing.T) {
	const kib = 1 << 10
	tests := map[string]struct {
		octets   []int
		attached int   // octets of an attribute's value
		sent     []int // entries per call to SQS
		post     []int // entries per call to SNS
		tooLong  map[string][]int
	}{
		"small":             {[]int{kib, kib, kib}, 0, []int{3}, []int{3}, nil},
		"twelve small":      {[]int{kib, kib, kib, kib, kib, kib, kib, kib, kib, kib, kib, kib}, 0, []int{10, 2}, []int{10, 2}, nil},
		"just as much":      {[]int{128 * kib, 128 * kib, 256 * kib}, 0, []int{3}, []int{2, 1}, nil},
		"a little more":     {[]int{128 * kib, 129 * kib, 127 * kib}, 0, []int{3}, []int{1, 2}, nil},
		"one octet more":    {[]int{128 * kib, 128*kib + 1}, 0, []int{2}, []int{1, 1}, nil},
		"longest":           {[]int{256 * kib, 1}, 0, []int{2}, []int{1, 1}, nil},
		"one octet longer":  {[]int{256*kib + 1, 1}, 0, []int{2}, []int{1}, map[string][]int{"publish": {0}}},
		"one too long":      {[]int{kib, 300 * kib, kib}, 0, []int{3}, []int{1, 1}, map[string][]int{"publish": {1}}},
		"too long for both": {[]int{kib, 1025 * kib, kib, kib}, 0, []int{1, 2}, []int{1, 2}, map[string][]int{"publish": {1}, "send": {1}}},
		"only too long":     {[]int{2000 * kib}, 0, nil, nil, map[string][]int{"publish": {0}, "send": {0}}},
		"with attributes":   {[]int{128 * kib, 128 * kib, 256 * kib}, 2, []int{3}, []int{1, 1}, map[string][]int{"publish": {2}}},
		"a full mebibyte":   {[]int{512 * kib, 512 * kib, kib}, 0, []int{2, 1}, []int{1}, map[string][]int{"publish": {0, 1}}},
	}
	for name, test := range tests {
		for _, verb := range []string{"send", "publish"} {
			t.Run(verb+"/"+name, func(t *testing.T) {
				var messages []queue.Outgoing
				for i, n := range test.octets {
					m := queue.Outgoing{Body: strings.Repeat("x", n), Group: "g", DeduplicationID: fmt.Sprint(i)}
					if test.attached > 0 {
						m.Attributes = map[string]string{"a": strings.Repeat("v", test.attached)}
					}
					messages = append(messages, m)
				}
				var calls []int
				w := &wire{}
				w.answer = func(_ int, body string) (int, string) {
					n := strings.Count(body, `"MessageBody"`)
					if verb == "publish" {
						n = strings.Count(body, ".Message=")
					}
					calls = append(calls, n)
					if verb == "publish" {
						return http.StatusOK, snsAnswer(ok(upTo(n)...))
					}
					return http.StatusOK, sqsAnswer(ok(upTo(n)...))
				}
				want := test.sent
				var results []queue.Result
				if verb == "publish" {
					want = test.post
					results = queue.NewTopic(snsOf(w), "arn:aws:sns:us-east-1:000000000000:mail.fifo").Publish(t.Context(), messages)
				} else {
					results = queue.New(sqsOf(w), queueURL).Send(t.Context(), messages)
				}
				if diff := cmp.Diff(want, calls); diff != "" {
					t.Errorf("entries per call (-want +got):\n%s", diff)
				}
				checkTooLong(t, results, test.tooLong[verb])
			})
		}
	}
}

func checkTooLong(t *testing.T, results []queue.Result, want []int) {
	t.Helper()
	var got []int
	for i, r := range results {
		e, refused := errors.AsType[*queue.EntryError](r.Err)
		if refused && e.Permanent() {
			got = append(got, i)
			continue
		}
		if r.Err != nil || r.ID == "" {
			t.Errorf("message %d: id %q, error %v", i, r.ID, r.Err)
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("refused as too long (-want +got):\n%s", diff)
	}
}

func TestErrors(t *testing.T) {
	entry := func(code, message string, sender bool) error {
		return fmt.Errorf("refused: %w", &queue.EntryError{Code: code, Message: message, SenderFault: sender})
	}
	tests := map[string]struct {
		err             error
		lost, permanent bool
	}{
		"garbage for a handle": {entry("ReceiptHandleIsInvalid", "", true), true, false},
		"with a namespace":     {entry("com.amazonaws.sqs#ReceiptHandleIsInvalid", "", true), true, false},
		"no longer in flight":  {entry("MessageNotInflight", "", true), true, false},
		"by its old name":      {entry("AWS.SimpleQueueService.MessageNotInflight", "", true), true, false},
		"expired in FIFO":      {entry("InvalidParameterValue", "Value x for parameter ReceiptHandle is invalid. Reason: The receipt handle has expired.", true), true, false},
		"wrong value":          {entry("InvalidParameterValue", "Value 50000 for parameter VisibilityTimeout is invalid.", true), false, true},
		"wrong characters":     {entry("InvalidMessageContents", "", true), false, true},
		"wrong, says SNS":      {entry("InvalidParameter", "Invalid parameter: Message too long", true), false, true},
		"denied":               {entry("AccessDenied", "", true), false, false},
		"key taken away":       {entry("KMS.DisabledException", "", true), false, false},
		"throttled":            {entry("RequestThrottled", "", true), false, false},
		"their fault":          {entry("InvalidMessageContents", "", false), false, false},
		"internal":             {entry("InternalError", "", false), false, false},
		"another error":        {errors.New("ReceiptHandleIsInvalid"), false, false},
		"none":                 {nil, false, false},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			if got := queue.Lost(test.err); got != test.lost {
				t.Errorf("lost: %t", got)
			}
			var lasting interface{ Permanent() bool }
			if got := errors.As(test.err, &lasting) && lasting.Permanent(); got != test.permanent {
				t.Errorf("permanent: %t", got)
			}
			if queue.Missing(test.err) {
				t.Error("the queue is missing")
			}
		})
	}
}
