package local

import (
	"encoding/xml"
	"net/http"

	"inreply/local/query"
)

// The namespaces of the XML in which SNS and SES answer.
const (
	namespaceSNS = "http://sns.amazonaws.com/doc/2010-03-31/"
	namespaceSES = "http://ses.amazonaws.com/doc/2010-12-01/"
)

// refuseThrottled answers as each service answers who calls it too fast.
func refuseThrottled(service string, rw http.ResponseWriter) {
	switch service {
	case serviceSQS:
		answerJSON(rw, http.StatusForbidden, "RequestThrottled", "Request is throttled.")
	case serviceSNS:
		answerQuery(rw, namespaceSNS, http.StatusTooManyRequests, "Throttled", "Rate exceeded")
	case serviceSES:
		answerQuery(rw, namespaceSES, http.StatusBadRequest, "Throttling", "Maximum sending rate exceeded.")
	default:
		answerS3(rw, http.StatusServiceUnavailable, "SlowDown", "Please reduce your request rate.")
	}
}

// refuseFailed answers as each service answers when it breaks.
func refuseFailed(service string, rw http.ResponseWriter) {
	const message = "We encountered an internal error. Please try again."
	switch service {
	case serviceSQS:
		answerJSON(rw, http.StatusInternalServerError, "InternalFailure", message)
	case serviceSNS:
		answerQuery(rw, namespaceSNS, http.StatusInternalServerError, "InternalFailure", message)
	case serviceSES:
		answerQuery(rw, namespaceSES, http.StatusInternalServerError, "InternalFailure", message)
	default:
		answerS3(rw, http.StatusInternalServerError, "InternalError", message)
	}
}

const faultRequestID = "00000000-0000-4000-8000-00000000fa17"

func answerJSON(rw http.ResponseWriter, status int, code, message string) {
	fault := "Receiver"
	if status < http.StatusInternalServerError {
		fault = "Sender"
	}
	rw.Header().Set("Content-Type", "application/x-amz-json-1.0")
	rw.Header().Set("X-Amzn-Requestid", faultRequestID)
	rw.Header().Set("X-Amzn-Query-Error", code+";"+fault)
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte(`{"__type":"com.amazonaws.sqs#` + code + `","message":"` + message + `"}`)) // The caller may have gone.
}

func answerQuery(rw http.ResponseWriter, namespace string, status int, code, message string) {
	_ = query.Refuse(rw, namespace, faultRequestID, &query.Error{Status: status, Code: code, Message: message}) // As above.
}

func answerS3(rw http.ResponseWriter, status int, code, message string) {
	rw.Header().Set("Content-Type", "application/xml")
	rw.Header().Set("X-Amz-Request-Id", faultRequestID)
	rw.WriteHeader(status)
	_, _ = rw.Write([]byte(xml.Header)) // As above.
	_ = xml.NewEncoder(rw).Encode(struct {
		XMLName   xml.Name `xml:"Error"`
		Code      string
		Message   string
		RequestID string `xml:"RequestId"`
	}{Code: code, Message: message, RequestID: faultRequestID})
}
