package queue

import (
	"cmp"
	"fmt"
	"strconv"

	"github.com/aws/aws-sdk-go-v2/aws"
)

// perCall is how many entries SQS and SNS take in one call.
const perCall = 10

// entryID is the id of the i-th entry of a call: its position, so that two
// deliveries of one message can stand in the same batch.
func entryID(i int) *string { return aws.String(strconv.Itoa(i)) }

// inCalls cuts entries into calls of ten. One that fails as a whole is the error of
// all its entries, and says nothing about the next.
func inCalls[E any](entries []E, call func(entries []E, answers answers) error) []error {
	errs := make([]error, 0, len(entries))
	for at := 0; at < len(entries); at += perCall {
		part := entries[at:min(at+perCall, len(entries))]
		answers := noAnswers(make([]Result, len(part)))
		failed := call(part, answers)
		for _, a := range answers {
			errs = append(errs, cmp.Or(failed, a.Err))
		}
	}
	return errs
}

// sendInCalls cuts messages into calls of at most ten entries and limit octets. A
// message that is longer by itself is refused here: with it in a call, SQS and SNS
// would refuse all that stand beside it. After a call that failed as a whole
// nothing more is sent: it would overtake what has to be sent again.
func sendInCalls(messages []Outgoing, limit int, call func(messages []Outgoing, results []Result) error) []Result {
	results := make([]Result, len(messages))
	for at := 0; at < len(messages); {
		if octets := messages[at].octets(); octets > limit {
			results[at].Err = &EntryError{Code: tooLong, Message: fmt.Sprintf("%d octets are more than the %d of a call", octets, limit), SenderFault: true}
			at++
			continue
		}
		end := at + fitting(messages[at:], limit)
		if err := call(messages[at:end], results[at:end]); err != nil {
			for i := range results[at:] {
				results[at+i] = Result{Err: err}
			}
			return results
		}
		at = end
	}
	return results
}

// fitting is how many of the first messages fit into one call.
func fitting(messages []Outgoing, limit int) int {
	octets := 0
	for n, m := range messages[:min(perCall, len(messages))] {
		octets += m.octets()
		if octets > limit {
			return n
		}
	}
	return min(perCall, len(messages))
}

// answers are what a call says of its entries, by their position.
type answers []Result

// noAnswers are the answers before the call said anything: what it says nothing of
// has not succeeded.
func noAnswers(results []Result) answers {
	for i := range results {
		results[i] = Result{Err: errUnanswered}
	}
	return results
}

// ok notes that the entry succeeded.
func (a answers) ok(id *string) { a.sent(id, nil, nil) }

// sent notes that the entry succeeded, and as what.
func (a answers) sent(id, message, sequence *string) {
	if i := a.position(id); i >= 0 {
		a[i] = Result{ID: aws.ToString(message), Sequence: aws.ToString(sequence)}
	}
}

// failed notes why the entry failed.
func (a answers) failed(id, code, message *string, senderFault bool) {
	if i := a.position(id); i >= 0 {
		refusal := &EntryError{Code: aws.ToString(code), Message: aws.ToString(message), SenderFault: senderFault}
		a[i] = Result{Err: fmt.Errorf("refused: %w", refusal)}
	}
}

// position is where the entry stood in the call, or -1 for an id that nobody gave.
func (a answers) position(id *string) int {
	i, err := strconv.Atoi(aws.ToString(id))
	if err != nil || i < 0 || i >= len(a) {
		return -1
	}
	return i
}
