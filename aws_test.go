package inreply_test

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/credentials"
	"github.com/aws/aws-sdk-go-v2/service/sqs"

	"inreply"
	"inreply/configs"
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

// What the settings say outweighs what the environment says, and that of one
// service what all of AWS has.
func TestWhereAWSIs(t *testing.T) {
	for _, c := range []struct {
		name        string
		environment map[string]string
		settings    configs.AWS
		want        [4]string // of SQS, SNS, S3 and SES
	}{
		{name: "nothing said"},
		{
			name: "the environment", environment: map[string]string{"AWS_ENDPOINT_URL": "http://all"},
			want: [4]string{"http://all", "http://all", "http://all", "http://all"},
		},
		{
			name: "the environment for one", environment: map[string]string{"AWS_ENDPOINT_URL_S3": "http://s3"},
			want: [4]string{"", "", "http://s3", ""},
		},
		{
			name: "the settings", settings: configs.AWS{Endpoint: "http://set"},
			environment: map[string]string{"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_SQS": "http://sqs", "AWS_ENDPOINT_URL_S3": "http://s3"},
			want:        [4]string{"http://set", "http://set", "http://set", "http://set"},
		},
		{
			name: "the settings for one", settings: configs.AWS{Endpoint: "http://set", SES: configs.Endpoint{Endpoint: "http://setses"}},
			environment: map[string]string{"AWS_ENDPOINT_URL_SES": "http://ses"},
			want:        [4]string{"http://set", "http://set", "http://set", "http://setses"},
		},
		{
			name: "the settings for one, the environment for the rest", settings: configs.AWS{SQS: configs.Endpoint{Endpoint: "http://setsqs"}},
			environment: map[string]string{"AWS_ENDPOINT_URL": "http://all", "AWS_ENDPOINT_URL_SNS": "http://sns"},
			want:        [4]string{"http://setsqs", "http://sns", "http://all", "http://all"},
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			for _, name := range []string{"AWS_CONFIG_FILE", "AWS_SHARED_CREDENTIALS_FILE"} {
				t.Setenv(name, filepath.Join(t.TempDir(), "none"))
			}
			t.Setenv("AWS_REGION", "us-east-1")
			for name, value := range c.environment {
				t.Setenv(name, value)
			}
			clients, err := inreply.NewClients(t.Context(), c.settings)
			if err != nil {
				t.Fatal(err)
			}
			got := [4]string{
				aws.ToString(clients.SQS.Options().BaseEndpoint), aws.ToString(clients.SNS.Options().BaseEndpoint),
				aws.ToString(clients.S3.Options().BaseEndpoint), aws.ToString(clients.SES.Options().BaseEndpoint),
			}
			if got != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
			// bucket.127.0.0.1 is no name of anything.
			if path := clients.S3.Options().UsePathStyle; path != (c.want[2] != "") {
				t.Errorf("path style is %v at %q", path, c.want[2])
			}
		})
	}
}
