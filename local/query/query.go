// Package query speaks the AWS Query protocol, the wire form of SNS and of version 1 of SES.
//
// A request is a form: Action names the operation, and every parameter is flattened into the
// form's keys. A list becomes Name.member.1, Name.member.2 ..., a map becomes
// Name.entry.1.key and Name.entry.1.value, and a structure joins its fields with dots:
// Destination.ToAddresses.member.1. A response is XML: one element named after the operation,
// holding one element with the result and one with the request's id. A refusal is an
// ErrorResponse with a code that the SDKs turn into their typed errors.
//
// [Read] turns a request into [Parameters], which know the three flattened shapes; [Write] and
// [Refuse] answer. What the operations mean is no matter of this package: local/sns and
// local/ses say that.
//
// See https://docs.aws.amazon.com/sns/latest/api/CommonParameters.html and
// https://smithy.io/2.0/aws/protocols/aws-query-protocol.html.
package query

import (
	"encoding/xml"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strconv"
	"strings"
)

// Parameters are the flattened parameters of one request. The zero value has none.
type Parameters struct {
	form   url.Values
	prefix string
}

// Read takes the parameters from the body of a POST, or from the query of a GET (a
// confirmation link is one). The body is limited to maxBytes; a longer one, or one that is no
// form, is an error.
func Read(w http.ResponseWriter, r *http.Request, maxBytes int64) (Parameters, error) {
	r.Body = http.MaxBytesReader(w, r.Body, maxBytes)
	if err := r.ParseForm(); err != nil {
		return Parameters{}, fmt.Errorf("read form: %w", err)
	}
	return Parameters{form: r.Form}, nil
}

// Get returns a parameter's value, "" when it was not sent.
func (p Parameters) Get(name string) string {
	return p.form.Get(p.prefix + name)
}

// Has tells whether a parameter was sent at all, be it empty.
func (p Parameters) Has(name string) bool {
	_, sent := p.form[p.prefix+name]
	return sent
}

// Any tells whether any field of a structure was sent.
func (p Parameters) Any(name string) bool {
	prefix := p.prefix + name + "."
	for key := range p.form {
		if strings.HasPrefix(key, prefix) {
			return true
		}
	}
	return false
}

// Strings returns the list Name.member.1, Name.member.2 ... in order; nil when there is none.
func (p Parameters) Strings(name string) []string {
	var list []string
	for i := 1; ; i++ {
		key := name + ".member." + strconv.Itoa(i)
		if !p.Has(key) {
			return list
		}
		list = append(list, p.Get(key))
	}
}

// Structures returns the list of structures Name.KIND.1.Field, Name.KIND.2.Field ..., in
// order, each as parameters of its own. The kind is "member" for lists and "entry" for maps.
func (p Parameters) Structures(name, kind string) []Parameters {
	var list []Parameters
	for i := 1; ; i++ {
		key := name + "." + kind + "." + strconv.Itoa(i)
		if !p.Any(key) {
			return list
		}
		list = append(list, Parameters{form: p.form, prefix: p.prefix + key + "."})
	}
}

// Map returns the map Name.entry.N.key and Name.entry.N.value; nil when there is none.
func (p Parameters) Map(name string) map[string]string {
	var entries map[string]string
	for _, entry := range p.Structures(name, "entry") {
		if entries == nil {
			entries = make(map[string]string)
		}
		entries[entry.Get("key")] = entry.Get("value")
	}
	return entries
}

// Error is a refusal as AWS words it.
type Error struct {
	// Status is the HTTP status; 0 means 400.
	Status int
	// Code is AWS's error code, e.g. "InvalidParameter".
	Code string
	// Message is AWS's sentence about it.
	Message string
}

func (e *Error) Error() string { return e.Code + ": " + e.Message }

// NotOffered is the refusal of an operation that the local service does not have.
func NotOffered(service, operation string) *Error {
	return &Error{
		Status:  http.StatusNotImplemented,
		Code:    "NotImplemented",
		Message: "the local " + service + " does not offer " + operation,
	}
}

// Entries is a map in a response, in the order of the slice.
type Entries struct {
	Entry []Entry `xml:"entry"`
}

// Entry is one key of a map in a response.
type Entry struct {
	Key   string `xml:"key"`
	Value any    `xml:"value"`
}

// Write answers an operation. The result's fields become the elements of the result; a nil
// result leaves it empty.
func Write(w http.ResponseWriter, namespace, operation, requestID string, result any) error {
	if result == nil {
		result = struct{}{}
	}
	return write(w, http.StatusOK, requestID, []element{
		{name: xml.Name{Space: namespace, Local: operation + "Response"}},
		{name: xml.Name{Local: operation + "Result"}, value: result},
		{name: xml.Name{Local: "ResponseMetadata"}, value: requestMetadata{requestID}},
	})
}

// Refuse answers with an error: an [*Error] as it is, any other as an InternalError.
func Refuse(w http.ResponseWriter, namespace, requestID string, err error) error {
	refusal := &Error{Status: http.StatusInternalServerError, Code: "InternalError", Message: err.Error()}
	errors.As(err, &refusal)
	status := refusal.Status
	if status == 0 {
		status = http.StatusBadRequest
	}
	kind := "Sender"
	if status >= http.StatusInternalServerError {
		kind = "Receiver"
	}
	return write(w, status, requestID, []element{
		{name: xml.Name{Space: namespace, Local: "ErrorResponse"}},
		{name: xml.Name{Local: "Error"}, value: fault{kind, refusal.Code, refusal.Message}},
		{name: xml.Name{Local: "RequestId"}, value: requestID},
	})
}

type requestMetadata struct {
	RequestID string `xml:"RequestId"`
}

type fault struct {
	Type    string
	Code    string
	Message string
}

// element is an XML element whose name is known only at run time.
type element struct {
	name  xml.Name
	value any
}

// write sends the first element with the others inside it.
func write(w http.ResponseWriter, status int, requestID string, elements []element) error {
	var body strings.Builder
	encoder := xml.NewEncoder(&body)
	root := xml.StartElement{Name: elements[0].name}
	if err := encoder.EncodeToken(root); err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	for _, e := range elements[1:] {
		if err := encoder.EncodeElement(e.value, xml.StartElement{Name: e.name}); err != nil {
			return fmt.Errorf("encode response: %w", err)
		}
	}
	if err := encoder.EncodeToken(root.End()); err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	if err := encoder.Close(); err != nil {
		return fmt.Errorf("encode response: %w", err)
	}
	w.Header().Set("Content-Type", "text/xml")
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.Header().Set("X-Amzn-Requestid", requestID)
	w.WriteHeader(status)
	if _, err := w.Write([]byte(body.String())); err != nil {
		return fmt.Errorf("write response: %w", err)
	}
	return nil
}
