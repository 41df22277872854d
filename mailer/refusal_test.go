package mailer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	awshttp "github.com/aws/aws-sdk-go-v2/aws/transport/http"
	"github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/smithy-go"
	smithyhttp "github.com/aws/smithy-go/transport/http"
)

// apiError is an answer of SES as the SDK reports it.
func apiError(code, message string, status int) error {
	return &smithy.OperationError{ServiceID: "SES", OperationName: "SendRawEmail", Err: &awshttp.ResponseError{
		ResponseError: &smithyhttp.ResponseError{
			Response: &smithyhttp.Response{Response: &http.Response{StatusCode: status}},
			Err:      &smithy.GenericAPIError{Code: code, Message: message},
		},
	}}
}

// hangs never answers.
type hangs struct{ SES }

func (h *hangs) SendRawEmail(ctx context.Context, _ *ses.SendRawEmailInput, options ...func(*ses.Options)) (*ses.SendRawEmailOutput, error) {
	handOver(ctx, options)
	<-ctx.Done()
	return nil, ctx.Err()
}

// sorted is an error of a call, and its class.
type sorted struct {
	err  error
	want class
}

// everyError is every error of SES that is known: its own, those that are common to
// AWS, and what can happen on the way to it.
func everyError() []sorted {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	return []sorted{
		{apiError("Throttling", "Maximum sending rate exceeded.", 400), throttled},
		{apiError("ThrottlingException", "Rate exceeded", 400), throttled},
		{apiError("TooManyRequestsException", "Too many", 429), throttled},
		{apiError("RequestLimitExceeded", "Too many", 400), throttled},
		{apiError("Throttling", "Daily message quota exceeded.", 400), spent},
		{apiError("LimitExceededException", "You exceeded your sending quota", 400), spent},
		{apiError("LimitExceededException", "Too many", 400), throttled},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: data@inreply.example", 400), paused},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: inreply.example", 400), paused},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: ana@example.com", 400), refused},
		{apiError("MessageRejected", "Address blacklisted.", 400), refused},
		{apiError("MessageRejected", "Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account.", 400), paused},
		{apiError("MessageRejected", "Sending suspended for this account. For more information, please check the inbox of the email address associated with your AWS account.", 400), paused},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: ana@example.com, data@inreply.example", 400), paused},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: ask@xn--bcher-kva.example", 400), paused},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: ana@inreply.example.org", 400), refused},
		{apiError("MailFromDomainNotVerifiedException", "no MX record", 400), paused},
		{apiError("AccountSendingPausedException", "paused", 400), paused},
		{apiError("ConfigurationSetSendingPausedException", "paused", 400), paused},
		{apiError("ConfigurationSetDoesNotExist", "no such set", 400), paused},
		{apiError("ConfigurationSetDoesNotExistException", "no such set", 400), paused},
		{apiError("InvalidParameterValue", "Missing final '@domain'", 400), refused},
		{apiError("InvalidParameterCombination", "both", 400), refused},
		{apiError("ValidationError", "too long", 400), refused},
		{apiError("MissingParameter", "Source", 400), refused},
		{apiError("MalformedQueryString", "a syntax error", 404), refused},
		{apiError("RequestEntityTooLargeException", "too large", 413), refused},
		{apiError("AccessDenied", "User is not authorized to perform ses:SendRawEmail", 403), paused},
		{apiError("InvalidClientTokenId", "The security token is invalid.", 403), paused},
		{apiError("AccessDeniedException", "not authorized", 403), paused},
		{apiError("UnrecognizedClientException", "no such key", 403), paused},
		{apiError("IncompleteSignature", "no", 403), paused},
		{apiError("MissingAuthenticationToken", "no", 403), paused},
		{apiError("NotAuthorized", "no", 401), paused},
		{apiError("OptInRequired", "subscribe", 403), paused},
		{apiError("RequestExpired", "15 minutes", 400), paused},
		{apiError("ExpiredToken", "expired", 403), paused},
		{apiError("SignatureDoesNotMatch", "no", 403), paused},
		{apiError("ServiceUnavailable", "later", 503), down},
		{apiError("RequestAbortedException", "aborted before a reply was sent back", 400), unknown},
		{apiError("RequestTimeoutException", "reading the request timed out", 408), transient},
		{apiError("MalformedHttpRequestException", "cannot be decompressed", 400), transient},
		{apiError("UnknownOperationException", "no such action", 404), transient},
		{apiError("InternalFailure", "unknown", 500), unknown},
		{apiError("Whatever", "new", 502), unknown},
		{apiError("Whatever", "new", 400), transient},
		{&smithy.OperationError{Err: dial}, down},
		{&smithy.OperationError{Err: &net.DNSError{Err: "no such host", Name: "email.nowhere.amazonaws.com"}}, down},
		{&smithy.OperationError{Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, down},
		{&smithy.OperationError{Err: fmt.Errorf("read: %w", &net.OpError{Op: "read", Err: errors.New("connection reset")})}, unknown},
		{context.DeadlineExceeded, unknown},
		{context.Canceled, unknown},
	}
}

// No row of the table stands there that no known error needs, or that another one
// above it leaves nothing for.
func TestEveryRowOfTheTableIsNeeded(t *testing.T) {
	for i, r := range table() {
		first := slices.ContainsFunc(everyError(), func(c sorted) bool {
			api, ok := errors.AsType[smithy.APIError](c.err)
			return ok && i == slices.IndexFunc(table(), func(r row) bool { return r.fits(api.ErrorCode(), strings.ToLower(api.ErrorMessage())) })
		})
		if !first {
			t.Errorf("no error comes to %s %q, %s", r.code, r.says, r.class)
		}
	}
}

// Every error of SES that is known, and what follows from it: what the consumer
// is told, and whether the mail may be tried again at once by anybody.
func TestEveryErrorOfSES(t *testing.T) {
	settings := config()
	settings.Identities = []Identity{{From: "ask@bücher.example"}}
	for _, c := range everyError() {
		t.Run(fmt.Sprintf("%.60s", c.err), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				m, _ := w.newProcess(t, settings)
				if got := m.classify(c.err, true); got != c.want {
					t.Fatalf("class %s, want %s", got, c.want)
				}
				w.refuse = func() error { return c.err }
				_, err := m.Send(t.Context(), reply("mail-1"))
				r, ok := errors.AsType[*refusal](err)
				if !ok || !errors.Is(err, c.err) {
					t.Fatalf("error %v", err)
				}
				want := map[class]refusal{
					refused: {permanent: true}, throttled: {after: time.Second}, spent: {outage: true, after: outageFor}, paused: {outage: true, after: outageFor},
					down: {outage: true, after: outageFor}, transient: {}, unknown: {after: 40 * time.Second},
				}[c.want]
				_, answered := errors.AsType[smithy.APIError](c.err)
				want.outage = want.outage || c.want == unknown && answered
				if r.Permanent() != want.permanent || (r.Outage() == "ses") != want.outage || r.RetryAfter() != want.after {
					t.Errorf("permanent %v, outage %q, after %s; want %+v", r.Permanent(), r.Outage(), r.RetryAfter(), want)
				}
				// Who is sure that SES has not taken it leaves no claim behind.
				if open := w.mails["mail-1"].record.Token != ""; open != (c.want == unknown) {
					t.Errorf("an open claim: %v", open)
				}
			})
		})
	}
}

// What failed before it was handed to the network has not reached SES.
func TestWhatNeverLeftIsKnown(t *testing.T) {
	m, _ := newWorld().newProcess(t, config())
	if got := m.classify(errors.New("get credentials: no EC2 IMDS role found"), false); got != down {
		t.Errorf("class %s", got)
	}
}
