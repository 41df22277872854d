package mailer

import (
	"errors"
	"net"
	"strings"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/smithy-go"
)

// refusal is why a reply was not sent, and what follows from it.
type refusal struct {
	err       error
	permanent bool
	outage    bool
	unknown   bool          // SES may have taken the reply
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

// judge sorts SES's errors ("Amazon SES API errors" in the SES developer guide,
// and SendRawEmail in the SES API reference).
func (m *Mailer) judge(err error) *refusal {
	api, answered := errors.AsType[smithy.APIError](err)
	if !answered {
		return unanswered(err)
	}
	switch code, message := api.ErrorCode(), api.ErrorMessage(); code {
	case "MessageRejected":
		// In the sandbox the recipient must be verified too. That our own address is
		// not is nothing that one mail could do anything about.
		ours := m.config.From[strings.LastIndexByte(m.config.From, '@')+1:]
		if strings.Contains(message, "not verified") && strings.Contains(strings.ToLower(message), strings.ToLower(ours)) {
			return &refusal{err: err, outage: true}
		}
		return &refusal{err: err, permanent: true}
	case "InvalidParameterValue", "ValidationError", "InvalidParameter":
		return &refusal{err: err, permanent: true}
	case "Throttling", "ThrottlingException", "TooManyRequestsException", "LimitExceededException", "RequestLimitExceeded":
		if strings.Contains(strings.ToLower(message), "quota") {
			return &refusal{err: err, outage: true} // the daily one: nothing goes out before tomorrow
		}
		return &refusal{err: err, after: time.Second}
	case "AccountSendingPausedException", "ConfigurationSetSendingPausedException", "MailFromDomainNotVerifiedException",
		"ConfigurationSetDoesNotExist", "ConfigurationSetDoesNotExistException", "AccessDenied", "AccessDeniedException",
		"InvalidClientTokenId", "ExpiredToken", "ExpiredTokenException", "SignatureDoesNotMatch", "UnrecognizedClientException",
		"OptInRequired", "ServiceUnavailable", "ServiceUnavailableException":
		return &refusal{err: err, outage: true}
	}
	if r, ok := errors.AsType[*awshttp.ResponseError](err); ok && r.HTTPStatusCode() >= 500 {
		return &refusal{err: err, outage: true, unknown: true}
	}
	return &refusal{err: err}
}

// unanswered sorts the errors of a call that SES did not answer. Only if no
// connection was made has SES surely not taken the reply.
func unanswered(err error) *refusal {
	if op, ok := errors.AsType[*net.OpError](err); ok && op.Op == "dial" {
		return &refusal{err: err, outage: true}
	}
	if _, ok := errors.AsType[*net.DNSError](err); ok {
		return &refusal{err: err, outage: true}
	}
	if _, ok := errors.AsType[*smithy.SerializationError](err); ok {
		return &refusal{err: err}
	}
	return &refusal{err: err, unknown: true}
}
