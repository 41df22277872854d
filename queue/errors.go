package queue

import (
	"errors"
	"slices"
	"strings"

	"github.com/aws/aws-sdk-go-v2/service/sqs/types"
	"github.com/aws/smithy-go"
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

// tooLong is the code of an entry that no call can take.
const tooLong = "MessageTooLong"

// Permanent reports whether the same entry will be refused again: it is too long,
// or has characters or values that may not be sent. A sender's fault alone is not
// that: a missing permission and a key that was taken away are faults of the
// sender as well, and somebody mends them.
func (e *EntryError) Permanent() bool {
	lasting := []string{tooLong, "InvalidMessageContents", "InvalidParameter", "InvalidParameterValue"}
	return e.SenderFault && slices.Contains(lasting, withoutNamespace(e.Code)) && !Lost(e)
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

// codeOf is the error code of an entry or of a whole call.
func codeOf(err error) (code, message string) {
	if e, ok := errors.AsType[*EntryError](err); ok {
		return withoutNamespace(e.Code), e.Message
	}
	if e, ok := errors.AsType[smithy.APIError](err); ok {
		return withoutNamespace(e.ErrorCode()), e.ErrorMessage()
	}
	return "", ""
}

// withoutNamespace takes off what some emulators put before a code.
func withoutNamespace(code string) string {
	return code[strings.LastIndexByte(code, '#')+1:]
}
