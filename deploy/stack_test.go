// Package deploy holds what AWS is to be set up with. The tests here read the
// CloudFormation templates as CloudFormation would, and hold them against the
// settings and the source of the daemon.
//
//	stack_test.go    a template with its parameters filled in
//	inreply_test.go  what the stack must be
//	resources_test.go what of AWS each resource asks for, one by one
//	daemon_test.go   what the stack has in common with the settings that are shipped
//	actions_test.go  what the daemon's role may do, and what its source asks for
//	alarms_test.go   what is measured, and who is told
//	metrics_test.go  that the daemon writes what of its own is watched
//	image_test.go    the image, stopped with mails in work
package deploy

import (
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"go.yaml.in/yaml/v4"
)

// What CloudFormation knows of itself. They are those of the ARN in
// configs/fargate.yaml.
const (
	account = "123456789012"
	region  = "eu-central-1"
)

// stack is a template with its parameters filled in and its conditions decided.
// Values are text, lists and maps; numbers and booleans are text as well.
type stack struct {
	t          *testing.T
	template   *yaml.Node
	parameters map[string]any
}

// absent is what !Ref AWS::NoValue leaves.
type absent struct{}

// open fills a template in with its defaults, and with given values over these.
func open(t *testing.T, file string, given map[string]any) *stack {
	t.Helper()
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var document yaml.Node
	if err := yaml.Load(text, &document); err != nil {
		t.Fatal(err)
	}
	s := &stack{t: t, template: document.Content[0], parameters: map[string]any{
		"AWS::AccountId": account, "AWS::Region": region, "AWS::Partition": "aws", "AWS::NoValue": absent{},
	}}
	for name, parameter := range entries(child(s.template, "Parameters")) {
		if d := child(parameter, "Default"); d != nil {
			s.parameters[name] = d.Value
		}
		if value, ok := given[name]; ok {
			s.parameters[name] = value
		}
		if _, ok := s.parameters[name]; !ok {
			t.Fatalf("%s: parameter %s has no value", file, name)
		}
	}
	return s
}

// opened is inreply.yaml as its user deploys it, with given values over that.
func opened(t *testing.T, given map[string]any) *stack {
	t.Helper()
	said := map[string]any{
		"Domain": "mail.example.com", "Image": "inreply:1", "Vpc": "vpc-1", "Subnets": []any{"subnet-1", "subnet-2"},
		"AlarmEmail": "ops@example.com", "MonitoringEmail": "watch@example.com",
	}
	maps.Copy(said, given)
	return open(t, "cloudformation/inreply.yaml", said)
}

// resources are those whose condition holds, resolved.
func (s *stack) resources() map[string]any {
	all := map[string]any{}
	for name, r := range entries(child(s.template, "Resources")) {
		if c := child(r, "Condition"); c == nil || s.holds(c.Value) {
			all[name] = s.resolve(r)
		}
	}
	return all
}

// of are the properties of all resources of a type, by logical name.
func (s *stack) of(typ string) map[string]any {
	all := map[string]any{}
	for name, r := range s.resources() {
		if get(r, "Type") == typ {
			all[name] = at(r, "Properties")
		}
	}
	if len(all) == 0 {
		s.t.Fatalf("there is no %s", typ)
	}
	return all
}

// properties are those of one resource.
func (s *stack) properties(name string) any {
	s.t.Helper()
	r, ok := s.resources()[name]
	if !ok {
		s.t.Fatalf("there is no resource %s", name)
	}
	return at(r, "Properties")
}

func (s *stack) holds(condition string) bool {
	s.t.Helper()
	c := child(child(s.template, "Conditions"), condition)
	if c == nil {
		s.t.Fatalf("there is no condition %s", condition)
	}
	return s.decide(c)
}

func (s *stack) decide(n *yaml.Node) bool {
	switch n.Tag {
	case "!Condition":
		return s.holds(n.Value)
	case "!Equals":
		return s.resolve(n.Content[0]) == s.resolve(n.Content[1])
	case "!Not":
		return !s.decide(n.Content[0])
	case "!And":
		return !slices.ContainsFunc(n.Content, func(n *yaml.Node) bool { return !s.decide(n) })
	case "!Or":
		return slices.ContainsFunc(n.Content, s.decide)
	}
	s.t.Fatalf("line %d: %s is no condition", n.Line, n.Tag)
	return false
}

func (s *stack) resolve(n *yaml.Node) any {
	switch n.Tag {
	case "!Ref":
		return s.ref(n.Value)
	case "!GetAtt":
		return s.attribute(n.Value)
	case "!Sub":
		return s.substitute(n)
	case "!If":
		if s.holds(n.Content[0].Value) {
			return s.resolve(n.Content[1])
		}
		return s.resolve(n.Content[2])
	case "!Select":
		i, err := strconv.Atoi(n.Content[0].Value)
		if err != nil {
			s.t.Fatalf("line %d: %v", n.Line, err)
		}
		return s.resolve(n.Content[1].Content[i])
	}
	switch n.Kind {
	case yaml.MappingNode:
		all := map[string]any{}
		for key, v := range entries(n) {
			if r := s.resolve(v); r != any(absent{}) {
				all[key] = r
			}
		}
		return all
	case yaml.SequenceNode:
		all := []any{}
		for _, v := range n.Content {
			if r := s.resolve(v); r != any(absent{}) {
				all = append(all, r)
			}
		}
		return all
	case yaml.ScalarNode:
		if strings.HasPrefix(n.Tag, "!") && !strings.HasPrefix(n.Tag, "!!") {
			s.t.Fatalf("line %d: %s is not known here", n.Line, n.Tag)
		}
		return n.Value
	}
	s.t.Fatalf("line %d: a node of kind %v", n.Line, n.Kind)
	return nil
}

// placeholder is a name in !Sub; ${!x} stands for itself.
var placeholder = regexp.MustCompile(`\$\{([^!}]+)\}`)

func (s *stack) substitute(n *yaml.Node) any {
	text, local := n, map[string]any{}
	if n.Kind == yaml.SequenceNode {
		text = n.Content[0]
		for key, v := range entries(n.Content[1]) {
			local[key] = s.resolve(v)
		}
	}
	return placeholder.ReplaceAllStringFunc(text.Value, func(found string) string {
		name := placeholder.FindStringSubmatch(found)[1]
		if v, ok := local[name]; ok {
			return fmt.Sprint(v)
		}
		if strings.Contains(name, ".") {
			return fmt.Sprint(s.attribute(name))
		}
		return fmt.Sprint(s.ref(name))
	})
}

// ref is what !Ref gives: the parameter, or what identifies the resource.
func (s *stack) ref(name string) any {
	if v, ok := s.parameters[name]; ok {
		return v
	}
	r := child(child(s.template, "Resources"), name)
	if r == nil {
		s.t.Fatalf("there is neither a parameter nor a resource %s", name)
	}
	if c := child(r, "Condition"); c != nil && !s.holds(c.Value) {
		s.t.Errorf("%s is referred to where it is not made", name)
	}
	own := func(key string) string { return fmt.Sprint(s.resolve(child(child(r, "Properties"), key))) }
	switch child(r, "Type").Value {
	case "AWS::SNS::Topic":
		return arn("sns", own("TopicName"))
	case "AWS::SQS::Queue":
		return "https://sqs." + region + ".amazonaws.com/" + account + "/" + own("QueueName")
	case "AWS::S3::Bucket":
		return own("BucketName")
	case "AWS::SES::ReceiptRuleSet":
		return own("RuleSetName")
	case "AWS::SES::ConfigurationSet":
		return own("Name")
	case "AWS::Logs::LogGroup":
		return own("LogGroupName")
	case "AWS::ECS::Cluster":
		return own("ClusterName")
	}
	return "ref:" + name
}

// attribute is what !GetAtt gives, where it follows from the template.
func (s *stack) attribute(named string) any {
	name, attribute, _ := strings.Cut(named, ".")
	id := s.ref(name).(string)
	typ := child(child(child(s.template, "Resources"), name), "Type").Value
	switch {
	case typ == "AWS::SQS::Queue" && attribute == "Arn":
		return arn("sqs", id[strings.LastIndex(id, "/")+1:])
	case typ == "AWS::SQS::Queue" && attribute == "QueueName":
		return id[strings.LastIndex(id, "/")+1:]
	case typ == "AWS::S3::Bucket" && attribute == "Arn":
		return "arn:aws:s3:::" + id
	case typ == "AWS::Logs::LogGroup" && attribute == "Arn":
		return arn("logs", "log-group:"+id+":*")
	}
	return "attribute:" + named
}

// arn is that of a thing in the account and region.
func arn(service, name string) string {
	return "arn:aws:" + service + ":" + region + ":" + account + ":" + name
}

// entries are those of a mapping.
func entries(n *yaml.Node) func(yield func(string, *yaml.Node) bool) {
	return func(yield func(string, *yaml.Node) bool) {
		if n == nil {
			return
		}
		for i := 0; i+1 < len(n.Content); i += 2 {
			if !yield(n.Content[i].Value, n.Content[i+1]) {
				return
			}
		}
	}
}

func child(n *yaml.Node, key string) *yaml.Node {
	for k, v := range entries(n) {
		if k == key {
			return v
		}
	}
	return nil
}

// at goes down in a resolved value by keys; nil where there is nothing.
func at(v any, keys ...string) any {
	for _, key := range keys {
		switch of := v.(type) {
		case map[string]any:
			v = of[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(of) {
				return nil
			}
			v = of[i]
		default:
			return nil
		}
	}
	return v
}

// get is the text at keys, or "".
func get(v any, keys ...string) string {
	s, _ := at(v, keys...).(string)
	return s
}

// number is the whole number at keys, or -1.
func number(v any, keys ...string) int {
	n, err := strconv.Atoi(get(v, keys...))
	if err != nil {
		return -1
	}
	return n
}

// list is a list, or the one value that stands in place of one.
func list(v any) []any {
	if all, ok := v.([]any); ok {
		return all
	}
	if v == nil {
		return nil
	}
	return []any{v}
}

// texts are the texts of such a list.
func texts(v any) []string {
	var all []string
	for _, one := range list(v) {
		all = append(all, fmt.Sprint(one))
	}
	return all
}
