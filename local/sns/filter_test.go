package sns_test

import (
	"context"
	"testing"

	"github.com/aws/aws-sdk-go-v2/aws"
	awssns "github.com/aws/aws-sdk-go-v2/service/sns"
	"github.com/aws/aws-sdk-go-v2/service/sns/types"

	"inreply/local/sns"
)

func TestFilterOnBody(t *testing.T) {
	for _, c := range []struct {
		policy, message string
		passes          bool
	}{
		{`{"a":["x"]}`, `{"a":"x"}`, true},
		{`{"a":["x"]}`, `{"a":"y"}`, false},
		{`{"a":["x"]}`, `{"b":"x"}`, false},
		{`{"a":["x"]}`, `no JSON`, false},
		{`{"a":["x","y"]}`, `{"a":"y"}`, true},
		{`{"a":["x"],"b":["y"]}`, `{"a":"x"}`, false},
		{`{"a":["x"]}`, `{"a":["w","x"]}`, true},
		{`{"a":[1]}`, `{"a":1.0}`, true},
		{`{"a":[1]}`, `{"a":"1"}`, false},
		{`{"a":[true]}`, `{"a":true}`, true},
		{`{"a":[null]}`, `{"a":null}`, true},
		{`{"a":[null]}`, `{}`, false},
		{`{"a":[{"prefix":"ab"}]}`, `{"a":"abc"}`, true},
		{`{"a":[{"prefix":"ab"}]}`, `{"a":"b"}`, false},
		{`{"a":[{"suffix":".eml"}]}`, `{"a":"x.eml"}`, true},
		{`{"a":[{"suffix":".eml"}]}`, `{"a":7}`, false},
		{`{"a":[{"equals-ignore-case":"MaIl"}]}`, `{"a":"mAiL"}`, true},
		{`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.0.255"}`, true},
		{`{"a":[{"cidr":"10.0.0.0/24"}]}`, `{"a":"10.0.1.0"}`, false},
		{`{"a":[{"anything-but":"x"}]}`, `{"a":"y"}`, true},
		{`{"a":[{"anything-but":"x"}]}`, `{"a":"x"}`, false},
		{`{"a":[{"anything-but":"x"}]}`, `{}`, false},
		{`{"a":[{"anything-but":["x",1]}]}`, `{"a":1}`, false},
		{`{"a":[{"anything-but":{"prefix":"ab"}}]}`, `{"a":"abc"}`, false},
		{`{"a":[{"anything-but":{"prefix":"ab"}}]}`, `{"a":"xyz"}`, true},
		{`{"a":[{"numeric":["=",3.015e2]}]}`, `{"a":301.5}`, true},
		{`{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":5}`, true},
		{`{"a":[{"numeric":[">",0,"<=",5]}]}`, `{"a":0}`, false},
		{`{"a":[{"numeric":["<",0]}]}`, `{"a":"-1"}`, false},
		{`{"a":[{"numeric":[">=",2]}]}`, `{"a":2}`, true},
		{`{"a":[{"exists":true}]}`, `{"a":null}`, true},
		{`{"a":[{"exists":true}]}`, `{}`, false},
		{`{"a":[{"exists":false}]}`, `{}`, true},
		{`{"a":[{"exists":false}]}`, `{"a":1}`, false},
		{`{"a":["x",{"exists":false}]}`, `{}`, true},
		{`{"a":{"b":["x"]}}`, `{"a":{"b":"x"}}`, true},
		{`{"a":{"b":["x"]}}`, `{"a":{"b":"y"}}`, false},
		{`{"a":{"b":["x"]}}`, `{"a":"x"}`, false},
		{`{"a":{"b":["x"]}}`, `{"a":[{"b":"y"},{"b":"x"}]}`, true},
		{`{"a":{"b":[{"exists":false}]}}`, `{}`, true},
		{`{"$or":[{"a":["x"]},{"b":["y"]}]}`, `{"b":"y"}`, true},
		{`{"$or":[{"a":["x"]},{"b":["y"]}]}`, `{"b":"x"}`, false},
		{`{"c":["z"],"$or":[{"a":["x"]},{"b":["y"]}]}`, `{"b":"y"}`, false},
	} {
		t.Run(c.policy+" "+c.message, func(t *testing.T) {
			r := newRig(t, sns.Config{})
			topic := r.topic(t, "std")
			r.subscribe(t, topic, standardQueue, "RawMessageDelivery", "true", "FilterPolicyScope", "MessageBody", "FilterPolicy", c.policy)
			r.publish(t, topic, c.message, "", "")
			if passed := len(r.queues.in(standardQueue)) == 1; passed != c.passes {
				t.Errorf("passed %t", passed)
			}
		})
	}
}

func TestFilterOnAttributes(t *testing.T) {
	attributes := map[string]types.MessageAttributeValue{
		"type":  text("mail"),
		"size":  {DataType: aws.String("Number"), StringValue: aws.String("12")},
		"tags":  {DataType: aws.String("String.Array"), StringValue: aws.String(`["a",7,null]`)},
		"bytes": {DataType: aws.String("Binary"), BinaryValue: []byte("x")},
	}
	for _, c := range []struct {
		policy string
		passes bool
	}{
		{`{"type":["mail"]}`, true},
		{`{"type":["other"]}`, false},
		{`{"type":[{"prefix":"ma"}],"size":[{"numeric":[">",10]}]}`, true},
		{`{"size":["12"]}`, false},
		{`{"tags":["a"]}`, true},
		{`{"tags":[7]}`, true},
		{`{"tags":["b"]}`, false},
		{`{"bytes":[{"exists":true}]}`, true},
		{`{"bytes":["x"]}`, false},
		{`{"none":[{"exists":false}]}`, true},
		{`{"$or":[{"type":["other"]},{"size":[12]}]}`, true},
	} {
		t.Run(c.policy, func(t *testing.T) {
			r := newRig(t, sns.Config{})
			topic := r.topic(t, "std")
			r.subscribe(t, topic, standardQueue, "FilterPolicy", c.policy, "RawMessageDelivery", "true")
			if _, err := r.Publish(context.Background(), &awssns.PublishInput{TopicArn: &topic, Message: aws.String("x"), MessageAttributes: attributes}); err != nil {
				t.Fatal(err)
			}
			if passed := len(r.queues.in(standardQueue)) == 1; passed != c.passes {
				t.Errorf("passed %t", passed)
			}
		})
	}
}

func TestFilterIsRefused(t *testing.T) {
	r := newRig(t, sns.Config{})
	topic := r.topic(t, "std")
	for _, policy := range []string{
		`[]`, `{"a":"x"}`, `{"a":[]}`, `{"a":[["x"]]}`, `{"a":[{"prefix":1}]}`, `{"a":[{"like":"x"}]}`, `{"a":[{"prefix":"x","suffix":"y"}]}`,
		`{"a":[{"exists":"yes"}]}`, `{"a":[{"numeric":["~",1]}]}`, `{"a":[{"numeric":["="]}]}`, `{"a":[{"numeric":["=","1"]}]}`, `{"a":[{"cidr":"10/8"}]}`,
		`{"a":{"b":["x"]}}`, `{"$or":["x"]}`, `{"a":["1"],"b":["1"],"c":["1"],"d":["1"],"e":["1"],"f":["1"]}`, `{"a":[{"anything-but":{"like":"x"}}]}`,
	} {
		t.Run(policy, func(t *testing.T) {
			_, err := r.Subscribe(context.Background(), &awssns.SubscribeInput{
				TopicArn: &topic, Protocol: aws.String("sqs"), Endpoint: aws.String(standardQueue), Attributes: map[string]string{"FilterPolicy": policy},
			})
			wantRefusal(t, err, "InvalidParameter", "")
		})
	}
}
