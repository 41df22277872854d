package mailer

import (
	"crypto/tls"
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// class is what one of SES's errors means for the reply.
type class string

const (
	refused   class = "refused"   // for good: this reply will never go out
	throttled class = "throttled" // too fast: a moment later it may go out
	spent     class = "spent"     // the daily quota: no reply goes out for a while
	paused    class = "paused"    // SES takes no reply of ours until somebody does something
	transient class = "transient" // not taken, and nothing is known about why
	down      class = "down"      // SES was not reached, or said that it cannot
	unknown   class = "unknown"   // SES may have taken the reply
)

// row is one line of the table: the first that fits an error says its class.
type row struct {
	code  string // SES's, with * at its end for all that begin so
	says  string // in the message, lower case; empty: anything
	class class
}

// table sorts SES's errors ("Common errors" and SendRawEmail in the SES API
// reference; "Errors related to the sending quotas" in the SES developer guide).
func table() []row {
	return []row{
		// The daily quota and the rate come under one code, and differ by their words.
		{"Throttling*", "quota", spent},
		{"Throttling*", "", throttled},
		{"TooManyRequests*", "", throttled},
		{"RequestLimitExceeded", "", throttled},
		{"LimitExceeded*", "quota", spent},
		{"LimitExceeded*", "", throttled},

		// That an identity is not verified is nothing that one reply could do anything
		// about, unless it is the recipient's: in the sandbox these must be too. Which
		// it is, [Mailer.classify] sees from the address.
		{"MessageRejected", "paused", paused},
		{"MessageRejected", "suspended", paused}, // by SES itself; paused is by the account's owner too
		{"MessageRejected", "", refused},
		{"MailFromDomainNotVerified*", "", paused},
		{"AccountSendingPaused*", "", paused},
		{"ConfigurationSetSendingPaused*", "", paused},
		{"ConfigurationSetDoesNotExist*", "", paused},

		{"InvalidParameter*", "", refused},
		{"ValidationError", "", refused},
		{"MissingParameter", "", refused},
		{"MalformedQueryString", "", refused},
		{"RequestEntityTooLarge*", "", refused},

		{"AccessDenied*", "", paused},
		{"InvalidClientTokenId", "", paused},
		{"UnrecognizedClient*", "", paused},
		{"SignatureDoesNotMatch", "", paused},
		{"IncompleteSignature", "", paused},
		{"MissingAuthenticationToken*", "", paused},
		{"ExpiredToken*", "", paused},
		{"RequestExpired", "", paused},
		{"NotAuthorized", "", paused},
		{"OptInRequired", "", paused},

		{"ServiceUnavailable*", "", down},

		// The connection was lost before SES could say what it had done.
		{"RequestAborted*", "", unknown},
	}
}

func (r row) fits(code, message string) bool {
	if prefix, open := strings.CutSuffix(r.code, "*"); open {
		return strings.HasPrefix(code, prefix) && strings.Contains(message, r.says)
	}
	return code == r.code && strings.Contains(message, r.says)
}

// classify sorts the error of a call. left says whether the request was handed to
// the network at all.
func (m *Mailer) classify(err error, left bool) class {
	api, answered := errors.AsType[smithy.APIError](err)
	if !answered {
		return unanswered(err, left)
	}
	code, message := api.ErrorCode(), strings.ToLower(api.ErrorMessage())
	if code == "MessageRejected" && strings.Contains(message, "not verified") && m.namesUs(message) {
		return paused
	}
	for _, r := range table() {
		if r.fits(code, message) {
			return r.class
		}
	}
	response, ok := errors.AsType[*awshttp.ResponseError](err)
	switch {
	case ok && response.HTTPStatusCode() >= http.StatusInternalServerError:
		return unknown // SES failed, and does not say how far it had come.
	case api.ErrorFault() == smithy.FaultServer:
		return unknown
	}
	return transient
}

// namesUs reports whether a message of SES, lower case, speaks of one of our own
// mailboxes or domains.
func (m *Mailer) namesUs(message string) bool {
	named := strings.FieldsFunc(message, func(r rune) bool { return r == ' ' || r == ',' })
	for _, i := range append([]Identity{{From: m.config.From}}, m.config.Identities...) {
		from := canonical(i.From)
		at := from[strings.LastIndexByte(from, '@'):]
		if slices.ContainsFunc(named, func(word string) bool { return word == at[1:] || strings.HasSuffix(word, at) }) {
			return true
		}
	}
	return false
}

// unanswered sorts the error of a call that SES did not answer.
func unanswered(err error, left bool) class {
	if !left || neverConnected(err) {
		return down
	}
	return unknown
}

// neverConnected reports whether a call failed before there was a connection that
// could have carried it: only then has SES surely not taken the reply.
func neverConnected(err error) bool {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return true
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return true
	}
	_, ok := errors.AsType[*tls.CertificateVerificationError](err)
	return ok
}

// refusal is why a reply was not sent, and what follows from it.
type refusal struct {
	err       error
	permanent bool
	outage    bool
	after     time.Duration // try again then
}

func (r *refusal) Error() string             { return r.err.Error() }
func (r *refusal) Unwrap() error             { return r.err }
func (r *refusal) Permanent() bool           { return r.permanent }
func (r *refusal) RetryAfter() time.Duration { return r.after }

// Outage is "ses" when SES takes no mail at all.
func (r *refusal) Outage() string {
	if r.outage {
		return "ses"
	}
	return ""
}

// outageFor is when a reply is tried again that an outage kept back, where nobody
// knows better.
const outageFor = time.Minute

// follow is what follows from an error of SES. An unknown end is waited out: over
// is when nobody can be asking under the claim any more.
func follow(c class, err error, over time.Time) *refusal {
	r := &refusal{err: err}
	switch c {
	case refused:
		r.permanent = true
	case throttled:
		r.after = time.Second
	case spent, paused, down:
		// Who has been held through more outages than the consumer believes in goes
		// back to the queue for a while, and still counts no try.
		r.outage, r.after = true, outageFor
	case unknown:
		_, answered := errors.AsType[smithy.APIError](err)
		r.outage = answered // a 5xx: the next mail would fare no better
		r.after = max(time.Second, time.Until(over))
	case transient:
	}
	return r
}
