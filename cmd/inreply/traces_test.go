package main

import (
	"bytes"
	"compress/gzip"
	"encoding/hex"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"
	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	common "go.opentelemetry.io/proto/otlp/common/v1"
	otlp "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/protobuf/proto"
)

// collected is a collector that keeps what it is sent.
type collected struct {
	mu        sync.Mutex
	spans     []*otlp.Span
	resources []map[string]string
	headers   []http.Header
}

// collect starts a collector, and has the variables name it.
func collect(t *testing.T) (c *collected, environ []string) {
	t.Helper()
	c = &collected{}
	server := httptest.NewServer(c)
	t.Cleanup(server.Close)
	// The SDK reads some by itself.
	for name, value := range map[string]string{
		"OTEL_EXPORTER_OTLP_ENDPOINT": server.URL, "OTEL_EXPORTER_OTLP_HEADERS": "x-key=secret", "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
		"OTEL_SERVICE_NAME": "mails", "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
	} {
		t.Setenv(name, value)
		environ = append(environ, name+"="+value)
	}
	return c, environ
}

func (c *collected) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	unzipped, err := gzip.NewReader(r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	body, err := io.ReadAll(unzipped)
	var request collector.ExportTraceServiceRequest
	if err == nil {
		err = proto.Unmarshal(body, &request)
	}
	if err != nil || r.URL.Path != "/v1/traces" {
		http.Error(w, fmt.Sprint(err), http.StatusBadRequest)
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.headers = append(c.headers, r.Header)
	for _, of := range request.ResourceSpans {
		c.resources = append(c.resources, texts(of.Resource.Attributes))
		for _, scope := range of.ScopeSpans {
			c.spans = append(c.spans, scope.Spans...)
		}
	}
}

func texts(attributes []*common.KeyValue) map[string]string {
	all := map[string]string{}
	for _, a := range attributes {
		text := a.Value.GetStringValue()
		if _, number := a.Value.Value.(*common.AnyValue_IntValue); number {
			text = fmt.Sprint(a.Value.GetIntValue())
		}
		all[a.Key] = text
	}
	return all
}

// tree is the spans of a trace, each beneath its parent and in the order in which
// they began.
func (c *collected) tree(trace []byte, parent []byte, depth int) string {
	var beneath []*otlp.Span
	for _, s := range c.spans {
		if bytes.Equal(s.TraceId, trace) && bytes.Equal(s.ParentSpanId, parent) {
			beneath = append(beneath, s)
		}
	}
	slices.SortStableFunc(beneath, func(a, b *otlp.Span) int { return int(int64(a.StartTimeUnixNano) - int64(b.StartTimeUnixNano)) })
	var b strings.Builder
	for _, s := range beneath {
		kind := strings.ToLower(strings.TrimPrefix(s.Kind.String(), "SPAN_KIND_"))
		fmt.Fprintf(&b, "%-44s %s\n", strings.Repeat("  ", depth)+s.Name, kind)
		b.WriteString(c.tree(trace, s.SpanId, depth+1))
	}
	return b.String()
}

// named are the spans of this name.
func (c *collected) named(name string) (found []*otlp.Span) {
	for _, s := range c.spans {
		if s.Name == name {
			found = append(found, s)
		}
	}
	return found
}

// A mail through everything is one trace, from the notice to the delete, and the
// manual shows it.
func TestTraceOfAMail(t *testing.T) {
	c, environ := collect(t)
	var told []string
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		told = append(told, r.Header.Get("Traceparent"))
		fmt.Fprint(w, `{"action": "reply", "reply": {"text": "Hello."}}`)
	}))
	defer service.Close()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"--local", "--config", filepath.Join("..", "..", "samples", "webhook.yaml"), "--out", t.TempDir()}, samples(t, "question.eml")...),
		append(environ, "INREPLY_WEBHOOK_DESK_URL="+service.URL+"/mails?key=secret"), &stdout, &stderr)
	if code != exitOK || !strings.Contains(stdout.String(), "answered: ") {
		t.Fatalf("exit %d\n%s%s", code, stdout.String(), stderr.String())
	}
	// S3 has sent its test event too, which ends in the relay.
	c.spans = slices.DeleteFunc(c.spans, func(s *otlp.Span) bool { return texts(s.Attributes)["inreply.outcome"] == "dropped" })
	tree := c.tree(c.named("SES.SendRawEmail")[0].TraceId, nil, 0)
	page, err := os.ReadFile(filepath.Join("..", "..", "docs", "metrics.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, shown, _ := strings.Cut(string(page), "```text\n")
	shown, _, _ = strings.Cut(shown, "```")
	if diff := cmp.Diff(strings.Split(shown, "\n"), strings.Split(tree, "\n")); diff != "" {
		t.Errorf("docs/metrics.md (-) and the trace of a mail (+):\n%s", diff)
	}
	if n := strings.Count(tree, "\n"); n != len(c.spans) {
		t.Errorf("%d spans are not in the trace", len(c.spans)-n)
	}
	c.checkAttributes(t)

	post := c.named("POST")[0]
	if want := "00-" + hex.EncodeToString(post.TraceId) + "-" + hex.EncodeToString(post.SpanId) + "-01"; len(told) != 1 || told[0] != want {
		t.Errorf("the service was told %q, want %s", told, want)
	}
	for _, s := range c.spans {
		if strings.Contains(s.String(), "secret") {
			t.Errorf("a key is in %s", s)
		}
		if s.Status.GetCode() == otlp.Status_STATUS_CODE_ERROR || s.EndTimeUnixNano < s.StartTimeUnixNano {
			t.Errorf("%s", s)
		}
	}
	for _, resource := range c.resources {
		if resource["service.name"] != "mails" || resource["deployment.environment.name"] != "test" || resource["service.version"] != version {
			t.Errorf("resource %v", resource)
		}
	}
	if c.headers[0].Get("X-Key") != "secret" {
		t.Errorf("headers %v", c.headers[0])
	}
}

// checkAttributes holds the attributes of a few spans against OpenTelemetry's
// conventions: messaging, HTTP, AWS.
func (c *collected) checkAttributes(t *testing.T) {
	t.Helper()
	for name, want := range map[string]map[string]string{
		"process inreply-intake": {
			"messaging.system": "aws_sqs", "messaging.destination.name": "inreply-intake",
			"messaging.operation.name": "process", "messaging.operation.type": "process", "inreply.outcome": "relayed",
		},
		"publish inreply-mail.fifo": {
			"messaging.system": "aws.sns", "messaging.destination.name": "arn:aws:sns:us-east-1:000000000000:inreply-mail.fifo",
			"messaging.operation.name": "publish", "messaging.operation.type": "send",
		},
		"receive inreply-mail.fifo": {
			"messaging.system": "aws_sqs", "messaging.operation.name": "receive", "messaging.operation.type": "receive",
		},
		"process inreply-mail.fifo": {
			"messaging.system": "aws_sqs", "messaging.destination.name": "inreply-mail.fifo",
			"messaging.operation.name": "process", "messaging.operation.type": "process",
			"inreply.try": "1", "inreply.disposition": "acknowledge", "inreply.outcome": "answered", "inreply.route": "questions",
		},
		"delete inreply-mail.fifo": {"messaging.operation.name": "delete", "messaging.operation.type": "settle"},
		"processor desk":           {"inreply.route": "questions"},
		"POST": {
			"http.request.method": "POST", "http.response.status_code": "200", "server.address": "127.0.0.1", "dependency": "service:desk",
		},
		"SES.SendRawEmail": {"rpc.system.name": "aws-api", "rpc.method": "SES/SendRawEmail"},
		"S3.GetObject":     {"rpc.system.name": "aws-api", "rpc.method": "S3/GetObject", "aws.s3.bucket": "inreply-mail"},
	} {
		for _, span := range c.named(name) {
			got := texts(span.Attributes)
			maps.DeleteFunc(got, func(name, _ string) bool { return want[name] == "" })
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	}
	for _, span := range c.spans {
		for name := range texts(span.Attributes) {
			if !strings.HasPrefix(name, "inreply.") && name != "dependency" && !slices.Contains(conventional(), attribute.Key(name)) {
				t.Errorf("%s: OpenTelemetry knows no %s", span.Name, name)
			}
		}
	}
	id := texts(c.named("receive inreply-mail.fifo")[0].Attributes)["messaging.message.id"]
	if settled := texts(c.named("delete inreply-mail.fifo")[0].Attributes)["messaging.message.id"]; id == "" || settled != id {
		t.Errorf("received %q, settled %q", id, settled)
	}
}

// conventional are the attributes of OpenTelemetry that a span may have here.
func conventional() []attribute.Key {
	return []attribute.Key{
		semconv.MessagingSystemKey, semconv.MessagingDestinationNameKey, semconv.MessagingOperationNameKey,
		semconv.MessagingOperationTypeKey, semconv.MessagingMessageIDKey, semconv.MessagingMessageBodySizeKey,
		semconv.HTTPRequestMethodKey, semconv.HTTPResponseStatusCodeKey, semconv.ServerAddressKey, semconv.ServerPortKey,
		semconv.RPCSystemNameKey, semconv.RPCMethodKey, semconv.AWSS3BucketKey, semconv.AWSS3KeyKey, semconv.ErrorTypeKey,
	}
}

// A mail that fails is as many spans as it has tries, all in one trace, and so is its
// dead letter.
func TestTraceOfADeadLetter(t *testing.T) {
	c, environ := collect(t)
	statuses := []int{http.StatusInternalServerError, http.StatusNotFound}
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(statuses[0])
		statuses = statuses[1:]
	}))
	defer service.Close()
	var stdout, stderr bytes.Buffer
	code := run(t.Context(), append([]string{"--local", "--config", filepath.Join("..", "..", "samples", "webhook.yaml"), "--out", t.TempDir()}, samples(t, "question.eml")...),
		append(environ, "INREPLY_WEBHOOK_DESK_URL="+service.URL, "INREPLY_CONSUMER_BACKOFF_BASE=1ms"), &stdout, &stderr)
	if code != exitDead {
		t.Fatalf("exit %d\n%s%s", code, stdout.String(), stderr.String())
	}
	tries := c.named("process inreply-mail.fifo")
	if len(tries) != 2 {
		t.Fatalf("%d tries", len(tries))
	}
	for i, want := range []string{"retry", "dead-letter"} {
		if got := texts(tries[i].Attributes)["inreply.disposition"]; got != want || tries[i].Status.GetCode() != otlp.Status_STATUS_CODE_ERROR {
			t.Errorf("try %d: %s, %s", i+1, got, tries[i].Status)
		}
		if !bytes.Equal(tries[i].TraceId, tries[0].TraceId) || !bytes.Equal(tries[i].ParentSpanId, tries[0].ParentSpanId) {
			t.Errorf("try %d is elsewhere", i+1)
		}
	}
	for _, name := range []string{"send dead letter", "delete inreply-mail.fifo"} {
		if ends := c.named(name); len(ends) != 1 || !bytes.Equal(ends[0].ParentSpanId, tries[1].SpanId) {
			t.Errorf("%s: %v", name, ends)
		}
	}
	if post := c.named("POST")[0]; post.Status.GetCode() != otlp.Status_STATUS_CODE_ERROR || texts(post.Attributes)["error.type"] != "500" {
		t.Errorf("%s", post)
	}
}

// A collector that hangs keeps no mail from its answer, and no process from its end.
func TestACollectorThatHangs(t *testing.T) {
	asked, ended := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {
		asked <- struct{}{}
		<-ended
	}))
	defer server.Close()
	defer close(ended)
	t.Setenv("OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", server.URL+"/v1/traces")
	var stdout bytes.Buffer
	var stderr lines // what is broken off may still say so
	code := run(t.Context(), append([]string{"--local", "--out", t.TempDir()}, samples(t, "question.eml")...),
		[]string{"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT=" + server.URL + "/v1/traces"}, &stdout, &stderr)
	if code != exitOK || !strings.Contains(stdout.String(), "answered: ") || !strings.Contains(stderr.text(), "traces are lost") {
		t.Errorf("exit %d\n%s%s", code, stdout.String(), stderr.text())
	}
	<-asked
}
