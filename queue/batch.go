package queue

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/smithy-go"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
)

// EntryError is why one entry of a batch was refused.
type EntryError struct {
	Code        string
	Message     string
	SenderFault bool // the entry is wrong, not the service
}

func (e *EntryError) Error() string {
	return strings.TrimSuffix(e.Code+": "+e.Message, ": ")
}

// errUnanswered is the error of an entry that a successful call said nothing of.
var errUnanswered = errors.New("the call said nothing of this entry")

// Lost reports whether err says that a message is no longer held under the
// handle that was used: its visibility timeout has passed, or it is gone. A FIFO
// queue refuses an expired handle as an invalid parameter.
func Lost(err error) bool {
	code, message := codeOf(err)
	switch code {
	case "ReceiptHandleIsInvalid", "MessageNotInflight", "AWS.SimpleQueueService.MessageNotInflight":
		return true
	case "InvalidParameterValue":
		return strings.Contains(strings.ToLower(message), "expired")
	}
	return false
}

// Missing reports whether err says that there is no such queue.
func Missing(err error) bool {
	if _, ok := errors.AsType[*types.QueueDoesNotExist](err); ok {
		return true
	}
	code, _ := codeOf(err)
	return code == "AWS.SimpleQueueService.NonExistentQueue" || code == "QueueDoesNotExist"
}

// codeOf is the error code of an entry or of a whole call. Some emulators put a
// namespace before it.
func codeOf(err error) (code, message string) {
	if e, ok := errors.AsType[*EntryError](err); ok {
		code, message = e.Code, e.Message
	} else if e, ok := errors.AsType[smithy.APIError](err); ok {
		code, message = e.ErrorCode(), e.ErrorMessage()
	}
	if at := strings.LastIndexByte(code, '#'); at >= 0 {
		code = code[at+1:]
	}
	return code, message
}

// entryID is the id of the i-th entry of a call: its position, so that two
// deliveries of one message can stand in the same batch.
func entryID(i int) *string { return aws.String(strconv.Itoa(i)) }

// inCalls cuts entries into calls of ten. call fills in an error, or nil, for
// each of its entries.
func inCalls[E any](entries []E, call func(entries []E, errs []error)) []error {
	errs := make([]error, len(entries))
	for at := 0; at < len(entries); at += perCall {
		end := min(at+perCall, len(entries))
		call(entries[at:end], errs[at:end])
	}
	return errs
}

// sendInCalls cuts messages into calls of at most ten entries and limit octets.
// After a call that failed as a whole nothing more is sent: it would overtake
// what has to be sent again.
func sendInCalls(messages []Outgoing, limit int, call func(messages []Outgoing, results []Result) error) []Result {
	results := make([]Result, len(messages))
	for at := 0; at < len(messages); {
		end, octets := at, 0
		for end < len(messages) && end-at < perCall {
			octets += messages[end].octets()
			if octets > limit && end > at {
				break
			}
			end++
		}
		if err := call(messages[at:end], results[at:end]); err != nil {
			for i := range results[at:] {
				results[at+i].Err = err
			}
			return results
		}
		at = end
	}
	return results
}

// fill gives every entry of a call that failed the same error.
func fill(errs []error, err error) {
	for i := range errs {
		errs[i] = err
	}
}

// unanswered holds the errors of a call's entries, all of them unanswered at
// first.
type unanswered []error

func answers(errs []error) unanswered {
	fill(errs, errUnanswered)
	return errs
}

// ok notes that the entry succeeded and returns its position, or -1 for an id
// that was not given.
func (u unanswered) ok(id *string) int {
	i := u.position(id)
	if i >= 0 {
		u[i] = nil
	}
	return i
}

// failed notes why the entry failed.
func (u unanswered) failed(id, code, message *string, senderFault bool) {
	if i := u.position(id); i >= 0 {
		u[i] = fmt.Errorf("refused: %w", &EntryError{Code: aws.ToString(code), Message: aws.ToString(message), SenderFault: senderFault})
	}
}

func (u unanswered) position(id *string) int {
	i, err := strconv.Atoi(aws.ToString(id))
	if err != nil || i < 0 || i >= len(u) {
		return -1
	}
	return i
}
