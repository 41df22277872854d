package s3_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"testing"
	"testing/synctest"

	"github.com/aws/aws-sdk-go-v2/aws"
	awss3 "github.com/aws/aws-sdk-go-v2/service/s3"
	"github.com/aws/aws-sdk-go-v2/service/s3/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local/s3"
)

// zeros is a source of ids that are all the same.
type zeros struct{}

func (zeros) Read(b []byte) (int, error) {
	clear(b)
	return len(b), nil
}

func TestEventIsWrittenAsOnAWS(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, s3.Config{Rand: zeros{}})
		r.notify(t, "s3:ObjectCreated:*")
		r.put(t, "in/mail é+1.eml", "hello")
		id, host := strings.Repeat("0", 16), strings.Repeat("A", 75)+"="
		want := []string{
			`{"Service":"Amazon S3","Event":"s3:TestEvent","Time":"2000-01-01T00:00:00.000Z","Bucket":"bucket","RequestId":"` + id + `","HostId":"` + host + `"}`,
			`{"Records":[{"eventVersion":"2.1","eventSource":"aws:s3","awsRegion":"us-east-1","eventTime":"2000-01-01T00:00:00.000Z","eventName":"ObjectCreated:Put",` +
				`"userIdentity":{"principalId":"AWS:000000000000"},"requestParameters":{"sourceIPAddress":"127.0.0.1"},` +
				`"responseElements":{"x-amz-request-id":"` + id + `","x-amz-id-2":"` + host + `"},"s3":{"s3SchemaVersion":"1.0","configurationId":"mail",` +
				`"bucket":{"name":"bucket","ownerIdentity":{"principalId":"000000000000"},"arn":"arn:aws:s3:::bucket"},` +
				`"object":{"key":"in/mail+%C3%A9%2B1.eml","size":5,"eTag":"5d41402abc4b2a76b9719d911017c592","sequencer":"000D234CCF52430000"}}}]}`,
		}
		if diff := cmp.Diff(want, r.listeners.told); diff != "" {
			t.Error(diff)
		}
		if diff := cmp.Diff([]string{"Amazon S3 Notification", "Amazon S3 Notification"}, r.listeners.subjects); diff != "" {
			t.Error(diff)
		}
	})
}

func TestWhatIsAnnounced(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	r.notify(t, "s3:ObjectCreated:*", "s3:ObjectRemoved:Delete")
	r.put(t, "in/1.eml", "")
	r.put(t, "out/1.eml", "x")
	r.put(t, "in/1.txt", "x")
	if _, err := r.PutObject(ctx, &awss3.PutObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/1.eml"), Body: strings.NewReader("x"), IfNoneMatch: aws.String("*")}); err == nil {
		t.Fatal("a refused write was accepted")
	}
	if _, err := r.CopyObject(ctx, &awss3.CopyObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/2.eml"), CopySource: aws.String("bucket/out/1.eml")}); err != nil {
		t.Fatal(err)
	}
	if err := r.server.Put(bucket, "in/3.eml", "message/rfc822", []byte("x")); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/1.eml")}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.DeleteObjects(ctx, &awss3.DeleteObjectsInput{Bucket: aws.String(bucket), Delete: &types.Delete{Objects: []types.ObjectIdentifier{{Key: aws.String("in/2.eml")}}}}); err != nil {
		t.Fatal(err)
	}
	want := []string{"ObjectCreated:Put in/1.eml", "ObjectCreated:Copy in/2.eml", "ObjectCreated:Put in/3.eml", "ObjectRemoved:Delete in/1.eml", "ObjectRemoved:Delete in/2.eml"}
	if diff := cmp.Diff(want, r.listeners.names(t)); diff != "" {
		t.Error(diff)
	}
}

func TestDeletionTellsNoSize(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	r.notify(t, "s3:ObjectCreated:*", "s3:ObjectRemoved:*")
	_, err := r.PutBucketVersioning(ctx, &awss3.PutBucketVersioningInput{Bucket: aws.String(bucket), VersioningConfiguration: &types.VersioningConfiguration{Status: types.BucketVersioningStatusEnabled}})
	if err != nil {
		t.Fatal(err)
	}
	put := r.put(t, "in/1.eml", "")
	deleted, err := r.DeleteObject(ctx, &awss3.DeleteObjectInput{Bucket: aws.String(bucket), Key: aws.String("in/1.eml")})
	if err != nil {
		t.Fatal(err)
	}
	events := r.listeners.events(t)
	if len(events) != 2 {
		t.Fatalf("events %v", events)
	}
	created, removed := events[0].Records[0], events[1].Records[0]
	if created.S3.Object.VersionID != *put.VersionId || created.S3.Object.Size == nil || *created.S3.Object.Size != 0 {
		t.Errorf("created %v", created)
	}
	if removed.EventName != "ObjectRemoved:DeleteMarkerCreated" || removed.S3.Object.VersionID != *deleted.VersionId || removed.S3.Object.Size != nil {
		t.Errorf("removed %v", removed)
	}
}

func TestSequencersIncrease(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // the clock stands still
		r := newRig(t, s3.Config{})
		r.notify(t, "s3:ObjectCreated:*")
		last := ""
		for range 20 {
			r.put(t, "in/1.eml", "x")
			now := r.listeners.events(t)[0].Records[0].S3.Object.Sequencer
			if len(now) != 18 || now <= last {
				t.Fatalf("%s after %s", now, last)
			}
			last = now
		}
	})
}

func TestEventMayComeTwice(t *testing.T) {
	r := newRig(t, s3.Config{DuplicateEvent: func(key string) bool { return key == "in/2.eml" }})
	r.notify(t, "s3:ObjectCreated:Put")
	r.put(t, "in/1.eml", "x")
	r.put(t, "in/2.eml", "x")
	events := r.listeners.events(t)
	if len(events) != 3 {
		t.Fatalf("events %v", events)
	}
	if diff := cmp.Diff(events[1], events[2]); diff != "" {
		t.Error(diff)
	}
}

func TestRefusedEventDoesNotFailTheWrite(t *testing.T) {
	r := newRig(t, s3.Config{})
	r.notify(t, "s3:ObjectCreated:Put")
	r.listeners.refusing = true
	r.put(t, "in/1.eml", "x")
	if r.get(t, "in/1.eml") != "x" {
		t.Error("it was not stored")
	}
}

func topicConfiguration(id, arn string, rules []types.FilterRule, events ...types.Event) types.TopicConfiguration {
	return types.TopicConfiguration{
		Id: aws.String(id), TopicArn: &arn, Events: events,
		Filter: &types.NotificationConfigurationFilter{Key: &types.S3KeyFilter{FilterRules: rules}},
	}
}

func rule(name types.FilterRuleName, value string) types.FilterRule {
	return types.FilterRule{Name: name, Value: &value}
}

func TestNotificationIsReadBack(t *testing.T) {
	r := newRig(t, s3.Config{})
	ctx := context.Background()
	in := &types.NotificationConfiguration{
		TopicConfigurations: []types.TopicConfiguration{topicConfiguration("t", topicARN, []types.FilterRule{rule("prefix", "in/")}, "s3:ObjectCreated:*")},
		QueueConfigurations: []types.QueueConfiguration{{QueueArn: aws.String(queueARN), Events: []types.Event{"s3:ObjectRemoved:*"}}},
	}
	if _, err := r.PutBucketNotificationConfiguration(ctx, &awss3.PutBucketNotificationConfigurationInput{Bucket: aws.String(bucket), NotificationConfiguration: in}); err != nil {
		t.Fatal(err)
	}
	if len(r.listeners.told) != 2 || !strings.Contains(r.listeners.told[1], "s3:TestEvent") {
		t.Errorf("test events %v", r.listeners.told)
	}
	out, err := r.GetBucketNotificationConfiguration(ctx, &awss3.GetBucketNotificationConfigurationInput{Bucket: aws.String(bucket)})
	if err != nil {
		t.Fatal(err)
	}
	topic, queue := out.TopicConfigurations[0], out.QueueConfigurations[0]
	if *topic.TopicArn != topicARN || *topic.Id != "t" || *topic.Filter.Key.FilterRules[0].Value != "in/" || topic.Events[0] != "s3:ObjectCreated:*" {
		t.Errorf("topic %v", topic)
	}
	if *queue.QueueArn != queueARN || *queue.Id == "" {
		t.Errorf("queue %v", queue)
	}
	// An empty one takes it back.
	if _, err := r.PutBucketNotificationConfiguration(ctx, &awss3.PutBucketNotificationConfigurationInput{Bucket: aws.String(bucket), NotificationConfiguration: &types.NotificationConfiguration{}}); err != nil {
		t.Fatal(err)
	}
	r.listeners.told = nil
	r.put(t, "in/1.eml", "x")
	if len(r.listeners.told) != 0 {
		t.Errorf("told %v", r.listeners.told)
	}
}

func TestNotificationIsRefused(t *testing.T) {
	created := types.Event("s3:ObjectCreated:*")
	for _, c := range []struct {
		name   string
		code   string
		config types.NotificationConfiguration
	}{
		{"FIFO topic", "InvalidArgument", types.NotificationConfiguration{TopicConfigurations: []types.TopicConfiguration{topicConfiguration("t", topicARN+".fifo", nil, created)}}},
		{"FIFO queue", "InvalidArgument", types.NotificationConfiguration{QueueConfigurations: []types.QueueConfiguration{{QueueArn: aws.String(queueARN + ".fifo"), Events: []types.Event{created}}}}},
		{"no such topic", "InvalidArgument", types.NotificationConfiguration{TopicConfigurations: []types.TopicConfiguration{topicConfiguration("t", "arn:aws:sns:us-east-1:000000000000:none", nil, created)}}},
		{"unknown event", "InvalidArgument", types.NotificationConfiguration{TopicConfigurations: []types.TopicConfiguration{topicConfiguration("t", topicARN, nil, "s3:ObjectSold:*")}}},
		{"unknown rule", "InvalidArgument", types.NotificationConfiguration{TopicConfigurations: []types.TopicConfiguration{topicConfiguration("t", topicARN, []types.FilterRule{rule("infix", "x")}, created)}}},
		{"two prefixes", "InvalidArgument", types.NotificationConfiguration{TopicConfigurations: []types.TopicConfiguration{topicConfiguration("t", topicARN, []types.FilterRule{rule("prefix", "x"), rule("Prefix", "y")}, created)}}},
		{"overlap", "InvalidArgument", types.NotificationConfiguration{TopicConfigurations: []types.TopicConfiguration{
			topicConfiguration("t", topicARN, []types.FilterRule{rule("prefix", "in/")}, created), topicConfiguration("u", topicARN, []types.FilterRule{rule("prefix", "in/a")}, "s3:ObjectCreated:Put"),
		}}},
		{"Lambda", "NotImplemented", types.NotificationConfiguration{LambdaFunctionConfigurations: []types.LambdaFunctionConfiguration{{LambdaFunctionArn: aws.String("arn"), Events: []types.Event{created}}}}},
		{"EventBridge", "NotImplemented", types.NotificationConfiguration{EventBridgeConfiguration: &types.EventBridgeConfiguration{}}},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t, s3.Config{})
			_, err := r.PutBucketNotificationConfiguration(context.Background(), &awss3.PutBucketNotificationConfigurationInput{Bucket: aws.String(bucket), NotificationConfiguration: &c.config})
			status := http.StatusBadRequest
			if c.code == "NotImplemented" {
				status = http.StatusNotImplemented
			}
			wantRefusal(t, err, status, c.code)
			r.put(t, "in/a.eml", "x")
			if r.listeners.told != nil {
				t.Errorf("told %v", r.listeners.told)
			}
		})
	}
	r := newRig(t, s3.Config{})
	var refused *s3.Error
	if err := r.server.Notify("none", s3.Notification{}); !errors.As(err, &refused) || refused.Code != "NoSuchBucket" {
		t.Errorf("notification of no bucket: %v", err)
	}
	if w := r.request(t, http.MethodPut, "/bucket?notification", "<x"); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), "MalformedXML") {
		t.Errorf("broken XML: %d %s", w.Code, w.Body)
	}
}

func TestSideBySideConfigurationsDoNotOverlap(t *testing.T) {
	r := newRig(t, s3.Config{})
	config := types.NotificationConfiguration{TopicConfigurations: []types.TopicConfiguration{
		topicConfiguration("mail", topicARN, []types.FilterRule{rule("prefix", "in/"), rule("suffix", ".eml")}, "s3:ObjectCreated:*"),
		topicConfiguration("text", topicARN, []types.FilterRule{rule("prefix", "in/"), rule("suffix", ".txt")}, "s3:ObjectCreated:*"),
		topicConfiguration("gone", topicARN, []types.FilterRule{rule("prefix", "in/"), rule("suffix", ".eml")}, "s3:ObjectRemoved:*"),
	}}
	if _, err := r.PutBucketNotificationConfiguration(context.Background(), &awss3.PutBucketNotificationConfigurationInput{Bucket: aws.String(bucket), NotificationConfiguration: &config}); err != nil {
		t.Fatal(err)
	}
	r.put(t, "in/1.txt", "x")
	if events := r.listeners.events(t); len(events) != 1 || events[0].Records[0].S3.ConfigurationID != "text" {
		t.Errorf("events %v", events)
	}
}
