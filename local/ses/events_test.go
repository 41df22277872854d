package ses_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awsses "github.com/aws/aws-sdk-go-v2/service/ses"
	"github.com/aws/aws-sdk-go-v2/service/ses/types"
	"github.com/google/go-cmp/cmp"

	"inreply/local/ses"
)

const topic = "arn:aws:sns:us-east-1:000000000000:ses-events"

// published is an event in short.
type published struct {
	EventType string
	Bounce    struct{ BounceType, BounceSubType string }
	Mail      struct {
		MessageID   string
		Destination []string
		Tags        map[string][]string
	}
}

func destinationOf(name, topicARN string, kinds ...types.EventType) *types.EventDestination {
	return &types.EventDestination{Name: &name, Enabled: true, MatchingEventTypes: kinds, SNSDestination: &types.SNSDestination{TopicARN: &topicARN}}
}

func TestEvents(t *testing.T) {
	ctx := context.Background()
	var events []string
	r := newRig(ses.Config{Events: func(topicARN, subject, message string) error {
		if topicARN != topic || subject != "Amazon SES Email Event Notification" {
			t.Errorf("published to %s as %q", topicARN, subject)
		}
		var e published
		if err := json.Unmarshal([]byte(message), &e); err != nil {
			t.Error(err)
		}
		events = append(events, strings.TrimSpace(fmt.Sprintf("%s %s %s %s", e.EventType, e.Mail.Destination[0], e.Mail.Tags["id"], e.Bounce.BounceSubType)))
		return nil
	}})
	set := aws.String("set")
	if _, err := r.CreateConfigurationSet(ctx, &awsses.CreateConfigurationSetInput{ConfigurationSet: &types.ConfigurationSet{Name: set}}); err != nil {
		t.Fatal(err)
	}
	if _, err := r.CreateConfigurationSetEventDestination(ctx, &awsses.CreateConfigurationSetEventDestinationInput{
		ConfigurationSetName: set, EventDestination: destinationOf("d", topic, types.EventTypeBounce, types.EventTypeComplaint, types.EventTypeDelivery),
	}); err != nil {
		t.Fatal(err)
	}
	send := func(to, set string) {
		t.Helper()
		in := &awsses.SendRawEmailInput{
			RawMessage: &types.RawMessage{Data: []byte("From: a@example.com\r\nTo: " + to + "\r\n\r\nx")},
			Tags:       []types.MessageTag{{Name: aws.String("id"), Value: aws.String("7")}},
		}
		if set != "" {
			in.ConfigurationSetName = &set
		}
		if _, err := r.SendRawEmail(ctx, in); err != nil {
			t.Fatal(err)
		}
	}
	send("a@example.org", "set")
	send("bounce+1@simulator.amazonses.com", "set")
	send("complaint@simulator.amazonses.com", "set")
	send("suppressionlist@simulator.amazonses.com", "set")
	send("bounce@simulator.amazonses.com", "") // without a set nobody is told
	want := []string{
		"Delivery a@example.org [7]", "Bounce bounce+1@simulator.amazonses.com [7] General", "Delivery complaint@simulator.amazonses.com [7]",
		"Complaint complaint@simulator.amazonses.com [7]", "Bounce suppressionlist@simulator.amazonses.com [7] Suppressed",
	}
	if diff := cmp.Diff(want, events); diff != "" {
		t.Errorf("published otherwise (-want +got):\n%s", diff)
	}
	statistics, err := r.GetSendStatistics(ctx, &awsses.GetSendStatisticsInput{})
	if err != nil || len(statistics.SendDataPoints) != 1 || statistics.SendDataPoints[0].Bounces != 3 || statistics.SendDataPoints[0].Complaints != 1 {
		t.Errorf("%+v, %v", statistics, err)
	}
	events = nil
	if _, err := r.UpdateConfigurationSetEventDestination(ctx, &awsses.UpdateConfigurationSetEventDestinationInput{
		ConfigurationSetName: set, EventDestination: destinationOf("d", topic, types.EventTypeSend),
	}); err != nil {
		t.Fatal(err)
	}
	send("bounce@simulator.amazonses.com", "set")
	if diff := cmp.Diff([]string{"Send bounce@simulator.amazonses.com [7]"}, events); diff != "" {
		t.Errorf("published otherwise (-want +got):\n%s", diff)
	}
}

func TestEventDestinations(t *testing.T) {
	ctx := context.Background()
	r := newRig(ses.Config{})
	r.server.SetDestination("set", topic)
	r.server.SetDestination("silent", "")
	described, err := r.DescribeConfigurationSet(ctx, &awsses.DescribeConfigurationSetInput{
		ConfigurationSetName: aws.String("set"), ConfigurationSetAttributeNames: []types.ConfigurationSetAttribute{types.ConfigurationSetAttributeEventDestinations},
	})
	if err != nil || len(described.EventDestinations) != 1 {
		t.Fatalf("%+v, %v", described, err)
	}
	d := described.EventDestinations[0]
	if !d.Enabled || *d.SNSDestination.TopicARN != topic || len(d.MatchingEventTypes) != 2 {
		t.Errorf("%+v", d)
	}
	create := func(set string, d *types.EventDestination) error {
		_, err := r.CreateConfigurationSetEventDestination(ctx, &awsses.CreateConfigurationSetEventDestinationInput{ConfigurationSetName: &set, EventDestination: d})
		return err
	}
	wantRefusal(t, create("none", destinationOf("d", topic, types.EventTypeBounce)), "ConfigurationSetDoesNotExist", "")
	wantRefusal(t, create("set", destinationOf("a b", topic, types.EventTypeBounce)), "InvalidParameterValue", "")
	wantRefusal(t, create("set", destinationOf("d", "nowhere", types.EventTypeBounce)), "InvalidSNSDestination", "")
	wantRefusal(t, create("set", destinationOf("feedback", topic, types.EventTypeBounce)), "EventDestinationAlreadyExists", "")
	remove := func() error {
		_, err := r.DeleteConfigurationSetEventDestination(ctx, &awsses.DeleteConfigurationSetEventDestinationInput{
			ConfigurationSetName: aws.String("set"), EventDestinationName: aws.String("feedback"),
		})
		return err
	}
	if err := remove(); err != nil {
		t.Error(err)
	}
	wantRefusal(t, remove(), "EventDestinationDoesNotExist", "")
}

// A topic that cannot be told is no reason to refuse the mail.
func TestAMailIsSentThoughNobodyCanBeTold(t *testing.T) {
	r := newRig(ses.Config{Events: func(string, string, string) error { return errors.New("no such topic") }})
	r.server.SetDestination("set", topic)
	_, err := r.SendRawEmail(context.Background(), &awsses.SendRawEmailInput{
		RawMessage: &types.RawMessage{Data: []byte("From: a@example.com\r\nTo: bounce@simulator.amazonses.com\r\n\r\nx")}, ConfigurationSetName: aws.String("set"),
	})
	if err != nil || len(r.server.Sent()) != 1 {
		t.Errorf("%v, %d sent", err, len(r.server.Sent()))
	}
}
