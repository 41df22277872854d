package mailer

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/http"
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

// Every error of SES that is known, and what follows from it: what the consumer
// is told, and whether the mail may be tried again at once by anybody.
func TestEveryErrorOfSES(t *testing.T) {
	dial := &net.OpError{Op: "dial", Net: "tcp", Err: errors.New("connection refused")}
	for _, c := range []struct {
		err  error
		want class
	}{
		{apiError("Throttling", "Maximum sending rate exceeded.", 400), throttled},
		{apiError("ThrottlingException", "Rate exceeded", 400), throttled},
		{apiError("TooManyRequestsException", "Too many", 429), throttled},
		{apiError("RequestLimitExceeded", "Too many", 400), throttled},
		{apiError("Throttling", "Daily message quota exceeded.", 400), spent},
		{apiError("LimitExceededException", "You exceeded your sending quota", 400), spent},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: data@inreply.example", 400), paused},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: inreply.example", 400), paused},
		{apiError("MessageRejected", "Email address is not verified. The following identities failed the check in region US-EAST-1: ana@example.com", 400), refused},
		{apiError("MessageRejected", "Address blacklisted.", 400), refused},
		{apiError("MessageRejected", "Sending paused for this account. For more information, please check the inbox of the email address associated with your AWS account.", 400), paused},
		{apiError("MailFromDomainNotVerifiedException", "no MX record", 400), paused},
		{apiError("AccountSendingPausedException", "paused", 400), paused},
		{apiError("ConfigurationSetSendingPausedException", "paused", 400), paused},
		{apiError("ConfigurationSetDoesNotExist", "no such set", 400), paused},
		{apiError("ConfigurationSetDoesNotExistException", "no such set", 400), paused},
		{apiError("InvalidParameterValue", "Missing final '@domain'", 400), refused},
		{apiError("InvalidParameterCombination", "both", 400), refused},
		{apiError("ValidationError", "too long", 400), refused},
		{apiError("AccessDenied", "User is not authorized to perform ses:SendRawEmail", 403), paused},
		{apiError("InvalidClientTokenId", "The security token is invalid.", 403), paused},
		{apiError("ExpiredToken", "expired", 403), paused},
		{apiError("SignatureDoesNotMatch", "no", 403), paused},
		{apiError("ServiceUnavailable", "later", 503), down},
		{apiError("InternalFailure", "unknown", 500), unknown},
		{apiError("Whatever", "new", 502), unknown},
		{apiError("Whatever", "new", 400), transient},
		{&smithy.OperationError{Err: dial}, down},
		{&smithy.OperationError{Err: &net.DNSError{Err: "no such host", Name: "email.nowhere.amazonaws.com"}}, down},
		{&smithy.OperationError{Err: &tls.CertificateVerificationError{Err: errors.New("expired")}}, down},
		{&smithy.OperationError{Err: fmt.Errorf("read: %w", &net.OpError{Op: "read", Err: errors.New("connection reset")})}, unknown},
		{context.DeadlineExceeded, unknown},
		{context.Canceled, unknown},
	} {
		t.Run(fmt.Sprintf("%.60s", c.err), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld()
				m, _ := w.newProcess(t, config())
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
