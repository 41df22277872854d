package sqs

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
	"time"
)

// settings are the attributes of a queue that can be set. The type is
// comparable: two queues with equal settings are set up alike.
type settings struct {
	fifo         bool
	contentBased bool   // deduplicate by the body's hash where no id is given
	scope        string // of deduplication ids: "queue" or "messageGroup"
	throughput   string // "perQueue" or "perMessageGroupId"; stored only

	delay      time.Duration
	retention  time.Duration
	visibility time.Duration
	wait       time.Duration
	maxSize    int

	redrive      redrive
	redriveAllow string // JSON, as given
	policy       string // stored only, as is what follows
	kmsKey       string
	kmsReuse     string
	managedSSE   string
}

// redrive is a redrive policy: where messages go that were received too often.
// The zero value is none.
type redrive struct {
	target string // ARN
	max    int
}

func defaultSettings(fifo bool) settings {
	s := settings{
		fifo:       fifo,
		retention:  4 * 24 * time.Hour,
		visibility: 30 * time.Second,
		maxSize:    1 << 20,
		managedSSE: "true",
	}
	if fifo {
		s.scope, s.throughput = "queue", "perQueue"
	}
	return s
}

const (
	maxVisibility = 12 * time.Hour
	maxWait       = 20 * time.Second
	maxDelay      = 15 * time.Minute
)

// with returns s with the attributes of a request laid over it. Names come in
// a fixed order, so that of several faults the same one is reported every time.
func (s settings) with(attributes map[string]string) (settings, error) {
	for _, name := range sortedKeys(attributes) {
		if err := s.set(name, attributes[name]); err != nil {
			return settings{}, err
		}
	}
	if s.throughput == "perMessageGroupId" && s.scope != "messageGroup" {
		return settings{}, invalidAttribute("FifoThroughputLimit")
	}
	return s, nil
}

func (s *settings) set(name, value string) (err error) {
	switch name {
	case "DelaySeconds":
		return seconds(&s.delay, name, value, 0, maxDelay)
	case "MessageRetentionPeriod":
		return seconds(&s.retention, name, value, time.Minute, 14*24*time.Hour)
	case "VisibilityTimeout":
		return seconds(&s.visibility, name, value, 0, maxVisibility)
	case "ReceiveMessageWaitTimeSeconds":
		return seconds(&s.wait, name, value, 0, maxWait)
	case "MaximumMessageSize":
		return number(&s.maxSize, name, value, 1<<10, 1<<20)
	case "RedrivePolicy":
		s.redrive, err = parseRedrive(value)
		return err
	case "RedriveAllowPolicy":
		s.redriveAllow = value
		_, err = parseRedriveAllow(value)
		return err
	case "Policy":
		s.policy = value
		return nil
	case "KmsMasterKeyId":
		s.kmsKey = value
		return nil
	case "KmsDataKeyReusePeriodSeconds":
		s.kmsReuse = value
		return number(new(int), name, value, 60, 86400)
	case "SqsManagedSseEnabled":
		return choice(&s.managedSSE, name, strings.ToLower(value), "true", "false")
	}
	if !s.fifo {
		return unknownAttribute(name)
	}
	return s.setFifo(name, value)
}

// setFifo sets what only a FIFO queue has. Booleans are read without regard to
// case.
func (s *settings) setFifo(name, value string) error {
	switch name {
	case "FifoQueue":
		if !strings.EqualFold(value, "true") {
			return refuse("InvalidAttributeValue", "Invalid value for the parameter FifoQueue. Reason: Modifying queue type is not supported.")
		}
		return nil
	case "ContentBasedDeduplication":
		var on string
		err := choice(&on, name, strings.ToLower(value), "true", "false")
		s.contentBased = on == "true"
		return err
	case "DeduplicationScope":
		return choice(&s.scope, name, value, "queue", "messageGroup")
	case "FifoThroughputLimit":
		return choice(&s.throughput, name, value, "perQueue", "perMessageGroupId")
	}
	return unknownAttribute(name)
}

func seconds(to *time.Duration, name, value string, least, most time.Duration) error {
	var n int
	if err := number(&n, name, value, int(least/time.Second), int(most/time.Second)); err != nil {
		return err
	}
	*to = time.Duration(n) * time.Second
	return nil
}

func number(to *int, name, value string, least, most int) error {
	n, err := strconv.Atoi(value)
	if err != nil || n < least || n > most {
		return invalidAttribute(name)
	}
	*to = n
	return nil
}

func choice(to *string, name, value string, allowed ...string) error {
	if !slices.Contains(allowed, value) {
		return invalidAttribute(name)
	}
	*to = value
	return nil
}

// parseRedrive reads a RedrivePolicy; an empty one takes the policy away.
// maxReceiveCount may be a number or a string, as on AWS.
func parseRedrive(value string) (redrive, error) {
	if value == "" {
		return redrive{}, nil
	}
	var in struct {
		DeadLetterTargetArn string          `json:"deadLetterTargetArn"`
		MaxReceiveCount     json.RawMessage `json:"maxReceiveCount"`
	}
	if err := json.Unmarshal([]byte(value), &in); err != nil {
		return redrive{}, invalidValue(value, "RedrivePolicy", "Redrive policy is not a valid JSON map.")
	}
	if in.DeadLetterTargetArn == "" || len(in.MaxReceiveCount) == 0 {
		return redrive{}, invalidValue(value, "RedrivePolicy", "Redrive policy does not contain mandatory attribute: maxReceiveCount and deadLetterTargetArn.")
	}
	most, err := strconv.Atoi(strings.Trim(string(in.MaxReceiveCount), `"`))
	r := redrive{target: in.DeadLetterTargetArn, max: most}
	if err != nil || r.max < 1 || r.max > 1000 {
		return redrive{}, invalidValue(value, "RedrivePolicy", "Invalid value for maxReceiveCount: must be between 1 and 1000.")
	}
	return r, nil
}

func (r redrive) String() string {
	b, err := json.Marshal(struct {
		DeadLetterTargetArn string `json:"deadLetterTargetArn"`
		MaxReceiveCount     int    `json:"maxReceiveCount"`
	}{r.target, r.max})
	if err != nil {
		return ""
	}
	return string(b)
}

// redriveAllow says which queues may name a queue as their dead-letter queue.
type redriveAllow struct {
	Permission string   `json:"redrivePermission"`
	Sources    []string `json:"sourceQueueArns"`
}

func parseRedriveAllow(value string) (redriveAllow, error) {
	if value == "" {
		return redriveAllow{Permission: "allowAll"}, nil
	}
	var r redriveAllow
	if err := json.Unmarshal([]byte(value), &r); err != nil {
		return r, invalidValue(value, "RedriveAllowPolicy", "Redrive allow policy is not a valid JSON map.")
	}
	named := len(r.Sources) > 0
	switch {
	case r.Permission == "byQueue" && named && len(r.Sources) <= 10:
	case (r.Permission == "allowAll" || r.Permission == "denyAll") && !named:
	default:
		return r, invalidValue(value, "RedriveAllowPolicy", "Redrive permission must be allowAll, denyAll, or byQueue with 1 to 10 source queue ARNs.")
	}
	return r, nil
}

func (r redriveAllow) allows(source string) bool {
	return r.Permission == "allowAll" || r.Permission == "byQueue" && slices.Contains(r.Sources, source)
}

// attributes returns every attribute of q by its name in the API.
func (q *queue) attributes() map[string]string {
	s := q.settings
	visible, inFlight, delayed := q.messages.Counts()
	secs := func(d time.Duration) string { return strconv.Itoa(int(d / time.Second)) }
	a := map[string]string{
		"QueueArn":                              q.arn,
		"CreatedTimestamp":                      strconv.FormatInt(q.created.Unix(), 10),
		"LastModifiedTimestamp":                 strconv.FormatInt(q.modified.Unix(), 10),
		"ApproximateNumberOfMessages":           strconv.Itoa(visible),
		"ApproximateNumberOfMessagesNotVisible": strconv.Itoa(inFlight),
		"ApproximateNumberOfMessagesDelayed":    strconv.Itoa(delayed),
		"DelaySeconds":                          secs(s.delay),
		"MaximumMessageSize":                    strconv.Itoa(s.maxSize),
		"MessageRetentionPeriod":                secs(s.retention),
		"ReceiveMessageWaitTimeSeconds":         secs(s.wait),
		"VisibilityTimeout":                     secs(s.visibility),
		"SqsManagedSseEnabled":                  s.managedSSE,
	}
	if s.fifo {
		a["FifoQueue"] = "true"
		a["ContentBasedDeduplication"] = strconv.FormatBool(s.contentBased)
		a["DeduplicationScope"] = s.scope
		a["FifoThroughputLimit"] = s.throughput
	}
	if s.redrive.target != "" {
		a["RedrivePolicy"] = s.redrive.String()
	}
	for name, value := range map[string]string{
		"RedriveAllowPolicy": s.redriveAllow, "Policy": s.policy,
		"KmsMasterKeyId": s.kmsKey, "KmsDataKeyReusePeriodSeconds": s.kmsReuse,
	} {
		if value != "" {
			a[name] = value
		}
	}
	return a
}
