package inreply_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"inreply"
)

// lateConn is a connection whose writes return late: the kernel has the octets,
// but the goroutine that sent them does not run yet, as on a busy machine.
type lateConn struct{ net.Conn }

func (c lateConn) Write(b []byte) (int, error) {
	n, err := c.Conn.Write(b)
	<-time.After(10 * time.Millisecond)
	return n, err
}

// lostReceives is how many of twenty receives fail although the server answers
// all of them, in two halves.
func lostReceives(t *testing.T, wrap func(aws.HTTPClient) aws.HTTPClient) (lost int) {
	t.Helper()
	answer := fmt.Sprintf(`{"Messages":[{"MessageId":"1","ReceiptHandle":"r","Body":"%s"}]}`, strings.Repeat("x", 60_000))
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		_, _ = io.WriteString(w, answer[:30_000])
		_ = http.NewResponseController(w).Flush()
		<-time.After(30 * time.Millisecond)
		_, _ = io.WriteString(w, answer[30_000:])
	}))
	defer server.Close()
	transport := &http.Transport{DialContext: func(ctx context.Context, network, address string) (net.Conn, error) {
		c, err := (&net.Dialer{}).DialContext(ctx, network, address)
		return lateConn{c}, err
	}}
	defer transport.CloseIdleConnections()
	client := sqs.NewFromConfig(aws.Config{
		Region: "us-east-1", BaseEndpoint: aws.String(server.URL), HTTPClient: wrap(&http.Client{Transport: transport}),
		Credentials: credentials.NewStaticCredentialsProvider("test", "test", ""),
		Retryer:     func() aws.Retryer { return aws.NopRetryer{} },
	}, func(o *sqs.Options) { o.DisableMessageChecksumValidation = true })
	for range 20 {
		if _, err := client.ReceiveMessage(t.Context(), &sqs.ReceiveMessageInput{QueueUrl: aws.String(server.URL + "/q")}); err != nil {
			lost++
		}
	}
	return lost
}

func TestKeepResponses(t *testing.T) {
	if lost := lostReceives(t, inreply.KeepResponses); lost > 0 {
		t.Errorf("%d of 20 answers were lost", lost)
	}
	// When this fails the SDK has been mended, and KeepResponses can go.
	if lost := lostReceives(t, func(c aws.HTTPClient) aws.HTTPClient { return c }); lost == 0 {
		t.Error("no answer is lost without KeepResponses: what it is there for is no longer so")
	}
}
