package simulation

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"inreply/local"
)

// wire is the way of a process to AWS: the HTTP client of its AWS clients.
type wire struct {
	scheduler *scheduler
	process   *process
	world     *local.Client
	saw       func(call) // a call took effect
	hit       func(call) // a call went wrong, before or after it took effect
}

// call is one call of a process that took effect.
type call struct {
	process   *process
	operation string
	path      string
	body      []byte
	status    int
	header    http.Header
	answer    []byte
}

// Do makes the call when the scheduler lets it, or has it go wrong.
func (w *wire) Do(r *http.Request) (*http.Response, error) {
	body, err := drain(r)
	if err != nil {
		return nil, err
	}
	operation := operation(r, body)
	key := w.process.name + " " + operation + " " + r.URL.Path + " " + digest(body)
	f := w.scheduler.pass(r.Context(), &gate{process: w.process, key: key, sends: operation == "query.SendRawEmail"})
	if f.hit != spared && f.hit != partial && operation == "s3.PUT" {
		w.hit(call{process: w.process, operation: operation, path: r.URL.Path})
	}
	switch f.hit {
	case ended:
		return nil, errEnded
	case impatient:
		return nil, r.Context().Err()
	case lost:
		return nil, fmt.Errorf("%s: connection reset before the request: %w", operation, io.ErrUnexpectedEOF)
	case throttled:
		return refusal(r, http.StatusBadRequest, "ThrottlingException"), nil
	case failed:
		return refusal(r, http.StatusInternalServerError, "InternalFailure"), nil
	case spared, partial:
	}
	keep := body
	var refused []string
	if f.hit == partial {
		keep, refused = split(operation, body)
	}
	c, err := w.reach(r, operation, keep)
	if err != nil {
		return nil, err
	}
	// Two calls may be the same to the letter, and their answers not.
	f = w.scheduler.pass(r.Context(), &gate{process: w.process, key: key + " answer " + digest(c.answer), returns: true})
	switch f.hit {
	case ended:
		w.hit(c)
		return nil, errEnded
	case impatient:
		w.hit(c)
		return nil, r.Context().Err()
	case lost:
		w.hit(c)
		return nil, fmt.Errorf("%s: connection reset before the answer: %w", operation, io.ErrUnexpectedEOF)
	default:
		return response(r, merge(c, refused)), nil
	}
}

// reach makes the call take effect.
func (w *wire) reach(r *http.Request, operation string, body []byte) (call, error) {
	out := r.Clone(r.Context())
	out.Body = io.NopCloser(bytes.NewReader(body))
	out.ContentLength = int64(len(body))
	out.Header.Set("Content-Length", fmt.Sprint(len(body)))
	response, err := w.world.Do(out)
	if err != nil {
		return call{}, err
	}
	answer, err := io.ReadAll(response.Body)
	_ = response.Body.Close()
	if err != nil {
		return call{}, err
	}
	c := call{process: w.process, operation: operation, path: r.URL.Path, body: body, status: response.StatusCode, header: response.Header, answer: answer}
	w.saw(c)
	return c, nil
}

// response is the answer as the process gets it.
func response(r *http.Request, c call) *http.Response {
	header := c.header.Clone()
	header.Set("Content-Length", fmt.Sprint(len(c.answer)))
	return &http.Response{
		StatusCode: c.status, Status: http.StatusText(c.status), Header: header, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(bytes.NewReader(c.answer)), ContentLength: int64(len(c.answer)),
	}
}

func drain(r *http.Request) ([]byte, error) {
	if r.Body == nil {
		return nil, nil
	}
	defer r.Body.Close()
	return io.ReadAll(r.Body)
}

// operation is the name of what is called, such as "sqs.ReceiveMessage".
func operation(r *http.Request, body []byte) string {
	if target := r.Header.Get("X-Amz-Target"); target != "" {
		return "sqs." + target[strings.LastIndexByte(target, '.')+1:]
	}
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded") {
		form, _ := url.ParseQuery(string(body))
		return "query." + form.Get("Action")
	}
	return "s3." + r.Method
}

func digest(body []byte) string {
	sum := sha256.Sum256(body)
	return hex.EncodeToString(sum[:8])
}

// refusal is an error of the service, as far as the SDK reads it.
func refusal(r *http.Request, status int, code string) *http.Response {
	body := fmt.Sprintf(`<ErrorResponse><Error><Code>%[1]s</Code><Message>%[1]s</Message></Error></ErrorResponse>`, code)
	header := http.Header{"Content-Type": {"text/xml"}}
	switch {
	case r.Header.Get("X-Amz-Target") != "":
		body = fmt.Sprintf(`{"__type":"%s","message":"%[1]s"}`, code)
		header = http.Header{"Content-Type": {"application/x-amz-json-1.0"}}
	case !strings.HasPrefix(r.Header.Get("Content-Type"), "application/x-www-form-urlencoded"):
		if code == "ThrottlingException" {
			status, code = http.StatusServiceUnavailable, "SlowDown"
		}
		body = fmt.Sprintf(`<Error><Code>%[1]s</Code><Message>%[1]s</Message></Error>`, code)
	}
	return &http.Response{
		StatusCode: status, Status: http.StatusText(status), Header: header, Request: r,
		Proto: "HTTP/1.1", ProtoMajor: 1, ProtoMinor: 1,
		Body: io.NopCloser(strings.NewReader(body)), ContentLength: int64(len(body)),
	}
}

// split takes every second entry out of a batch of SQS. Their ids are to be
// answered as failed.
func split(operation string, body []byte) (keep []byte, refused []string) {
	if !strings.HasPrefix(operation, "sqs.") || !strings.HasSuffix(operation, "Batch") {
		return body, nil
	}
	var batch map[string]any
	if json.Unmarshal(body, &batch) != nil {
		return body, nil
	}
	entries, _ := batch["Entries"].([]any)
	var kept []any
	for i, e := range entries {
		if i%2 == 0 {
			kept = append(kept, e)
			continue
		}
		entry, _ := e.(map[string]any)
		id, _ := entry["Id"].(string)
		refused = append(refused, id)
	}
	if len(refused) == 0 {
		return body, nil
	}
	batch["Entries"] = kept
	keep, err := json.Marshal(batch)
	if err != nil {
		return body, nil
	}
	return keep, refused
}

// merge adds the refused entries to the answer of a batch.
func merge(c call, refused []string) call {
	var answer map[string]any
	if len(refused) == 0 || json.Unmarshal(c.answer, &answer) != nil {
		return c
	}
	failed, _ := answer["Failed"].([]any)
	for _, id := range refused {
		failed = append(failed, map[string]any{"Id": id, "Code": "InternalError", "SenderFault": false})
	}
	answer["Failed"] = failed
	if merged, err := json.Marshal(answer); err == nil {
		c.answer = merged
	}
	return c
}
