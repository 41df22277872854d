package main

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"inreply/local"
	"inreply/local/ses"
)

// SNS calls the daemon, which has no intake queue: from the subscription, which the
// daemon confirms by itself, to the reply.
func TestPushEndToEnd(t *testing.T) {
	for _, version := range []string{"1", "2", "raw"} {
		t.Run(version, func(t *testing.T) {
			world := startWorld(t)
			t.Setenv("AWS_ACCESS_KEY_ID", "test")
			t.Setenv("AWS_SECRET_ACCESS_KEY", "test")
			const topic = "arn:aws:sns:us-east-1:000000000000:inreply-events"
			const password = "correct-horse-battery"
			text, err := os.ReadFile(filepath.Join("..", "..", "configs", "local.yaml"))
			if err != nil {
				t.Fatal(err)
			}
			config := filepath.Join(t.TempDir(), "push.yaml")
			pushed := strings.Replace(string(text), "  queue: inreply-intake\n", "  dead_letters: inreply-intake-dead\n", 1)
			if err := os.WriteFile(config, []byte(pushed), 0o600); err != nil {
				t.Fatal(err)
			}
			ctx, stop := context.WithCancel(t.Context())
			var stdout, stderr lines
			ended := make(chan int, 1)
			go func() {
				ended <- run(ctx, []string{"--config", config}, []string{
					"INREPLY_AWS_ENDPOINT=" + world.Endpoint(), "INREPLY_ADMIN_LISTEN=", "INREPLY_CONSUMER_STOP_POLL_GRACE=0s",
					"INREPLY_RELAY_PUSH_LISTEN=127.0.0.1:0", "INREPLY_RELAY_PUSH_TOPICS=[" + topic + "]", "INREPLY_RELAY_PUSH_EMULATOR=" + world.Endpoint(),
					"INREPLY_RELAY_PUSH_PASSWORD=" + password, fmt.Sprintf("INREPLY_RELAY_PUSH_RAW=%t", version == "raw"),
				}, &stdout, &stderr)
			}()
			address := stderr.until(t, `pushes are taken.*"address": "([^"]+)"`)
			attributes := map[string]string{}
			if version == "raw" {
				attributes["RawMessageDelivery"] = "true"
			} else {
				setSignatureVersion(t, world, topic, version)
			}
			if _, err := world.SNS.Subscribe(topic, "http", "http://sns:"+password+"@"+address+"/sns", attributes); err != nil {
				t.Fatal(err)
			}
			stderr.until(t, `(subscription to a topic confirmed)`)
			for n := range 3 {
				raw := fmt.Sprintf("From: ana@example.com\r\nTo: data@inreply.example\r\nSubject: %d\r\nMessage-ID: <%d@example.com>\r\n\r\nHello\r\n", n, n)
				if _, err := world.Receive(local.Mail{Envelope: ses.Envelope{From: "ana@example.com", Recipients: []string{"data@inreply.example"}}, Raw: []byte(raw)}); err != nil {
					t.Fatal(err)
				}
			}
			for n := range 3 {
				stderr.until(t, fmt.Sprintf(`(?s)("outcome": "answered")(?:.*"outcome": "answered"){%d}`, n))
			}
			stop()
			if code := <-ended; code != exitOK {
				t.Errorf("exit %d\n%s", code, stderr.text())
			}
			if sent := len(world.SES.Sent()); sent != 3 {
				t.Errorf("%d replies", sent)
			}
		})
	}
}

func setSignatureVersion(t *testing.T, world *local.World, topic, version string) {
	t.Helper()
	response, err := http.PostForm(world.Endpoint(), url.Values{
		"Action": {"SetTopicAttributes"}, "Version": {"2010-03-31"}, "TopicArn": {topic},
		"AttributeName": {"SignatureVersion"}, "AttributeValue": {version},
	})
	if err != nil {
		t.Fatal(err)
	}
	response.Body.Close()
	if response.StatusCode != http.StatusOK {
		t.Fatal(response.Status)
	}
}
