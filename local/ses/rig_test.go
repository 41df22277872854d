package ses_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/aws/smithy-go"

	"inreply/local/ses"
)

const raw = "From: \"Bot\" <bot@example.com>\r\nTo: user@example.org\r\nSubject: hello\r\nMessage-ID: <own@example.com>\r\n" +
	"Date: Mon, 01 Jan 1990 00:00:00 +0000\r\nIn-Reply-To: <orig-1@example.org>\r\nReferences: <orig-0@example.org>\r\n <orig-1@example.org>\r\n" +
	"Bcc: hidden@example.org,\r\n\tmore@example.org\r\nX-SES-MESSAGE-TAGS: route=digest, try=1\r\n\r\nbody h\xc3\xa9\r\n.\r\nlast\r\n"

// inProcess calls a handler without a socket.
type inProcess struct{ http.Handler }

func (h inProcess) Do(r *http.Request) (*http.Response, error) {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w.Result(), nil
}

// rig is a Server that may send from example.com, with the SDK's client in front of it.
type rig struct {
	*awsses.Client
	server *ses.Server
}

func newRig(c ses.Config) rig {
	server := ses.New(c)
	server.Verify("example.com")
	return rig{server: server, Client: awsses.New(awsses.Options{
		Region:           "us-east-1",
		BaseEndpoint:     aws.String("http://ses.local"),
		HTTPClient:       inProcess{server},
		Credentials:      aws.AnonymousCredentials{},
		RetryMaxAttempts: 1,
	})}
}

// send sends a mail with what its headers say.
func (r rig) send(mail string) (string, error) {
	out, err := r.SendRawEmail(context.Background(), &awsses.SendRawEmailInput{RawMessage: &types.RawMessage{Data: []byte(mail)}})
	if err != nil {
		return "", err
	}
	return *out.MessageId, nil
}

// wantRefusal checks code and message of a refusal.
func wantRefusal(t *testing.T, err error, code, message string) {
	t.Helper()
	var refusal smithy.APIError
	if !errors.As(err, &refusal) {
		t.Fatalf("got %v, want %s", err, code)
	}
	if refusal.ErrorCode() != code || message != "" && refusal.ErrorMessage() != message {
		t.Errorf("got %s: %s\nwant %s: %s", refusal.ErrorCode(), refusal.ErrorMessage(), code, message)
	}
}
