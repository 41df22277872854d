package sqs

import (
	"fmt"
	"net/http"
)

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

// Shape is the error's name in the JSON protocol; SDKs pick their error type
// by it.
func (e *Error) Shape() string {
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
