package mailer

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/ses"
)

// network is the HTTP client of a real client of SES. It fails as it is told, call
// by call, and then answers.
type network struct {
	fails []error
	calls int
}

func (n *network) Do(r *http.Request) (*http.Response, error) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return nil, err
	}
	answer := `<SendRawEmailResponse><SendRawEmailResult><MessageId>ses-1</MessageId></SendRawEmailResult></SendRawEmailResponse>`
	if strings.Contains(string(body), "Action=GetSendQuota") {
		answer = `<GetSendQuotaResponse><GetSendQuotaResult><Max24HourSend>-1</Max24HourSend><MaxSendRate>-1</MaxSendRate></GetSendQuotaResult></GetSendQuotaResponse>`
	} else if n.calls++; n.calls <= len(n.fails) {
		return nil, n.fails[n.calls-1]
	}
	return &http.Response{StatusCode: http.StatusOK, Body: io.NopCloser(strings.NewReader(answer)), Header: http.Header{}}, nil
}

// The SDK asks SES again only if the request surely never left.
func TestWhatTheSDKAsksAgain(t *testing.T) {
	dial := &net.OpError{Op: "dial", Err: errors.New("connection refused")}
	read := &net.OpError{Op: "read", Err: errors.New("connection reset by peer")}
	static := credentials.NewStaticCredentialsProvider("test", "test", "")
	none := aws.CredentialsProviderFunc(func(context.Context) (aws.Credentials, error) {
		return aws.Credentials{}, errors.New("there are none")
	})
	for _, c := range []struct {
		name        string
		credentials aws.CredentialsProvider
		fails       []error
		calls       int
		outage      bool
		open        bool // a claim is left behind
	}{
		{"nothing fails", static, nil, 1, false, false},
		{"no connection, twice", static, []error{dial, dial}, 3, false, false},
		{"no connection", static, []error{dial, dial, dial, dial}, 3, true, false},
		{"a connection that broke", static, []error{read, read}, 1, false, true},
		{"a connection at last, and it broke", static, []error{dial, read}, 2, false, true},
		{"nobody to ask as", none, nil, 0, true, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				n := &network{fails: c.fails}
				w := newWorld()
				m, _ := w.newProcess(t, config())
				client := ses.New(ses.Options{
					Region: "us-east-1", BaseEndpoint: aws.String("http://ses.example"), HTTPClient: n, Credentials: c.credentials,
				})
				m.client, m.pace = client, newPace(askQuota(client), zapNop())
				sent, err := m.Send(t.Context(), reply("mail-1"))
				if n.calls != c.calls {
					t.Errorf("SES was called %d times, want %d", n.calls, c.calls)
				}
				if (err == nil) != (sent.ID == "ses-1") || (err == nil) == (c.outage || c.open) {
					t.Errorf("%+v, %v", sent, err)
				}
				r, ok := errors.AsType[*refusal](err)
				if outage := ok && r.Outage() == "ses"; outage != c.outage {
					t.Errorf("outage %v: %v", outage, err)
				}
				record := w.mails["mail-1"].record
				if open := record.SES == "" && record.Token != ""; open != c.open {
					t.Errorf("an open claim: %v", open)
				}
			})
		})
	}
}

// A claim that could not be given up is known to be unused all the same, by the
// process that made it.
func TestAClaimThatCouldNotBeGivenUp(t *testing.T) {
	w := newWorld()
	m, _ := w.newProcess(t, config())
	w.refuse = func() error { return apiError("Throttling", "Maximum sending rate exceeded.", 400) }
	w.fate = once("replace mail", errCut, nil)
	if _, err := m.Send(t.Context(), reply("mail-1")); err == nil || w.mails["mail-1"].record.Token == "" {
		t.Fatalf("%v, %+v", err, w.mails["mail-1"].record)
	}
	w.refuse = nil
	if sent := send(t, m, reply("mail-1")); sent.Unknown {
		t.Errorf("%+v", sent)
	}
}
