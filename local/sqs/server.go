package sqs

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"go.uber.org/zap"
)

// maxRequest bounds a request's body: 1 MiB of messages, each byte of which
// JSON may write as six.
const maxRequest = 8 << 20

// operation answers one call; the result is what becomes the response's JSON.
type operation func(ctx context.Context, body []byte) (any, error)

// offered lists the operations of this Server by their names in the API.
func (s *Server) offered() map[string]operation {
	return map[string]operation{
		"CancelMessageMoveTask":        decode(s.cancelMessageMoveTask),
		"ChangeMessageVisibility":      decode(s.changeMessageVisibility),
		"ChangeMessageVisibilityBatch": decode(s.changeMessageVisibilityBatch),
		"CreateQueue":                  decode(s.createQueue),
		"DeleteMessage":                decode(s.deleteMessage),
		"DeleteMessageBatch":           decode(s.deleteMessageBatch),
		"DeleteQueue":                  decode(s.deleteQueue),
		"GetQueueAttributes":           decode(s.getQueueAttributes),
		"GetQueueUrl":                  decode(s.getQueueURL),
		"ListDeadLetterSourceQueues":   decode(s.listDeadLetterSourceQueues),
		"ListMessageMoveTasks":         decode(s.listMessageMoveTasks),
		"ListQueueTags":                decode(s.listQueueTags),
		"ListQueues":                   decode(s.listQueues),
		"PurgeQueue":                   decode(s.purgeQueue),
		"ReceiveMessage":               decode(s.receiveMessage),
		"SendMessage":                  decode(s.sendMessage),
		"SendMessageBatch":             decode(s.sendMessageBatch),
		"SetQueueAttributes":           decode(s.setQueueAttributes),
		"StartMessageMoveTask":         decode(s.startMessageMoveTask),
		"TagQueue":                     decode(s.tagQueue),
		"UntagQueue":                   decode(s.untagQueue),
	}
}

// decode makes an operation of a function that takes its input as a struct.
func decode[In any](f func(context.Context, In) (any, error)) operation {
	return func(ctx context.Context, body []byte) (any, error) {
		var in In
		if err := json.Unmarshal(body, &in); err != nil {
			return nil, refuse("SerializationException", "The request body is not what the operation takes: %v.", err)
		}
		return f(ctx, in)
	}
}

// ServeHTTP answers one call of the JSON protocol: a POST whose X-Amz-Target
// is "AmazonSQS." and the operation.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	name := strings.TrimPrefix(r.Header.Get("X-Amz-Target"), "AmazonSQS.")
	op, ok := s.operations[name]
	if !ok {
		s.refuse(w, name, notOffered("SQS operation "+strconv.Quote(name)))
		return
	}
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, maxRequest))
	if err != nil {
		s.refuse(w, name, refuse("SerializationException", "The request body could not be read: %v.", err))
		return
	}
	out, err := op(r.Context(), body)
	if err != nil {
		s.refuse(w, name, err)
		return
	}
	s.answer(w, http.StatusOK, out)
}

// refuse answers with err in the form in which the SDKs recognise it: the JSON
// name in __type, the Query name in a header.
func (s *Server) refuse(w http.ResponseWriter, operation string, err error) {
	var e *Error
	if !errors.As(err, &e) {
		e = &Error{Code: "InternalError", Message: err.Error(), Status: http.StatusInternalServerError}
	}
	s.log.Debug("refused", zap.String("operation", operation), zap.String("code", e.Code), zap.String("message", e.Message))
	fault := "Receiver"
	if e.senderFault() {
		fault = "Sender"
	}
	w.Header().Set("X-Amzn-Query-Error", e.Code+";"+fault)
	s.answer(w, e.Status, map[string]string{"__type": "com.amazonaws.sqs#" + e.shapeName(), "message": e.Message})
}

func (s *Server) answer(w http.ResponseWriter, status int, out any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if out == nil {
		out = struct{}{}
	}
	if err := enc.Encode(out); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	h := w.Header()
	h.Set("Content-Type", "application/x-amz-json-1.0")
	h.Set("Content-Length", strconv.Itoa(body.Len()))
	h.Set("X-Amzn-Requestid", s.requestID())
	w.WriteHeader(status)
	// The caller may have gone; there is nobody left to tell.
	_, _ = w.Write(body.Bytes())
}

// unlock releases the lock that a changing operation took, once the polls of
// every queue that it changed were served. Serving a poll can bury a message
// and so change another queue, hence the loop.
func (s *Server) unlock() {
	for len(s.changed) > 0 {
		q := s.changed[0]
		s.changed = s.changed[1:]
		s.serve(q)
	}
	s.mu.Unlock()
}

// touch notes that polls of q may have become answerable.
func (s *Server) touch(q *queue) {
	if !slices.Contains(s.changed, q) {
		s.changed = append(s.changed, q)
	}
}

// byURL finds the queue that a request names by its URL.
func (s *Server) byURL(url string) (*queue, error) {
	if url == "" {
		return nil, missing("QueueUrl")
	}
	name, ok := afterLast(url, "/")
	if !ok || name == "" {
		e := refuse("InvalidAddress", "The address %s is not valid for this endpoint.", url)
		e.Status = http.StatusNotFound
		return nil, e
	}
	return s.byName(name)
}

func (s *Server) byARN(arn string) (*queue, error) {
	name, _ := afterLast(arn, ":")
	q, err := s.byName(name)
	if err != nil {
		return nil, err
	}
	if q.arn != arn {
		return nil, noSuchQueue()
	}
	return q, nil
}

func (s *Server) byName(name string) (*queue, error) {
	q, ok := s.queues[name]
	if !ok {
		return nil, noSuchQueue()
	}
	return q, nil
}

// requestID numbers the answers. It takes nothing from Config.Rand: two calls
// answered at once would make the ids of messages depend on which came first.
func (s *Server) requestID() string {
	return fmt.Sprintf("00000000-0000-4000-8000-%012x", s.requests.Add(1))
}

// newID returns a random UUID (RFC 9562, version 4).
func (s *Server) newID() string {
	var b [16]byte
	s.random(b[:])
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

// random fills b. A source that fails would make identifiers collide, so that
// it cannot be passed over.
func (s *Server) random(b []byte) {
	if _, err := io.ReadFull(s.rand, b); err != nil {
		panic(fmt.Errorf("read random bytes: %w", err))
	}
}

// afterLast is what follows the last sep in s.
func afterLast(s, sep string) (after string, found bool) {
	i := strings.LastIndex(s, sep)
	if i < 0 {
		return "", false
	}
	return s[i+len(sep):], true
}

// Error is a refusal as SQS words it. Code is the name that SDKs match on, the
// one of the older Query protocol, such as "InvalidParameterValue" or
// "AWS.SimpleQueueService.NonExistentQueue".
type Error struct {
	Code    string
	Message string
	Status  int // of HTTP

	shape string // the error's name in the JSON protocol where it differs from Code
}

// Error returns code and message.
func (e *Error) Error() string { return e.Code + ": " + e.Message }

// shapeName is the error's name in the JSON protocol; SDKs pick their error type
// by it.
func (e *Error) shapeName() string {
	if e.shape != "" {
		return e.shape
	}
	return e.Code
}

// senderFault says whether the caller is to blame, as opposed to the server.
func (e *Error) senderFault() bool { return e.Status < http.StatusInternalServerError }

func refuse(code, format string, args ...any) *Error {
	return &Error{Code: code, Message: fmt.Sprintf(format, args...), Status: http.StatusBadRequest}
}

// refuseShape is refuse for the errors that carry one name in the Query
// protocol and another one in the JSON protocol.
func refuseShape(shape, format string, args ...any) *Error {
	e := refuse("AWS.SimpleQueueService."+shape, format, args...)
	e.shape = shape
	return e
}

func invalidParameter(format string, args ...any) *Error {
	return refuse("InvalidParameterValue", format, args...)
}

func invalidValue(value any, parameter, reason string) *Error {
	return invalidParameter("Value %v for parameter %s is invalid. Reason: %s", value, parameter, reason)
}

func invalidAttribute(name string) *Error {
	return refuse("InvalidAttributeValue", "Invalid value for the parameter %s.", name)
}

func unknownAttribute(name string) *Error {
	return refuse("InvalidAttributeName", "Unknown Attribute %s.", name)
}

func missing(parameter string) *Error {
	return refuse("MissingParameter", "The request must contain the parameter %s.", parameter)
}

func noSuchQueue() *Error {
	e := refuse("AWS.SimpleQueueService.NonExistentQueue", "The specified queue does not exist.")
	e.shape = "QueueDoesNotExist"
	return e
}

func queueExists() *Error {
	e := refuse("QueueAlreadyExists", "A queue already exists with the same name and a different value for an attribute.")
	e.shape = "QueueNameExists"
	return e
}

func badHandle() *Error {
	e := refuse("ReceiptHandleIsInvalid", "The input receipt handle is invalid.")
	e.Status = http.StatusNotFound
	return e
}

func notAvailable(handle string) *Error {
	return invalidValue(handle, "ReceiptHandle", "Message does not exist or is not available for visibility timeout change.")
}

func wrongType(value any, parameter string) *Error {
	return invalidValue(value, parameter, "The request include parameter that is not valid for this queue type.")
}

func notOffered(operation string) *Error {
	return &Error{
		Code:    "NotImplemented",
		Message: fmt.Sprintf("%s is not offered here.", operation),
		Status:  http.StatusNotImplemented,
	}
}
