package sqs

import (
	"context"
	"encoding/base64"
	"maps"
	"net/http"
	"slices"
	"strings"
	"time"
)

// How long a queue's name cannot be used again, and a queue not be purged
// again (API reference, DeleteQueue and PurgeQueue).
const cooldown = 60 * time.Second

type createQueueInput struct {
	QueueName  string
	Attributes map[string]string
	Tags       map[string]string `json:"tags"`
}

type queueURLOutput struct{ QueueUrl string }

func (s *Server) createQueue(_ context.Context, in createQueueInput) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.create(in.QueueName, in.Attributes, in.Tags)
	if err != nil {
		return nil, err
	}
	return queueURLOutput{s.URL(q.name)}, nil
}

func (s *Server) create(name string, attributes, tags map[string]string) (*queue, error) {
	fifo := strings.EqualFold(attributes["FifoQueue"], "true")
	if err := checkName(name, fifo); err != nil {
		return nil, err
	}
	if q, ok := s.queues[name]; ok {
		same, err := q.settings.with(attributes)
		if err != nil {
			return nil, err
		}
		if same != q.settings {
			return nil, queueExists()
		}
		return q, nil
	}
	now := time.Now()
	if at, ok := s.deleted[name]; ok && now.Sub(at) < cooldown {
		return nil, refuseShape("QueueDeletedRecently", "You must wait 60 seconds after deleting a queue before you can create another with the same name.")
	}
	st, err := defaultSettings(fifo).with(attributes)
	if err != nil {
		return nil, err
	}
	if err := s.checkRedrive(s.ARN(name), st); err != nil {
		return nil, err
	}
	var nonce [8]byte
	s.random(nonce[:])
	q := newQueue(name, s.ARN(name), nonce, st, now)
	q.alarm.ring = func() {
		s.mu.Lock()
		defer s.unlock()
		s.touch(q)
	}
	maps.Copy(q.tags, tags)
	s.queues[name] = q
	delete(s.deleted, name)
	return q, nil
}

func checkName(name string, fifo bool) error {
	stem, hasSuffix := strings.CutSuffix(name, ".fifo")
	ok := len(name) <= 80 && stem != "" && !strings.Contains(stem, ".") && wellFormedName(stem)
	if fifo && (!ok || !hasSuffix) {
		return invalidParameter("The name of a FIFO queue can only include alphanumeric characters, hyphens, or underscores, must end with .fifo suffix and be 1 to 80 in length.")
	}
	if !fifo && (!ok || hasSuffix) {
		return invalidParameter("Can only include alphanumeric characters, hyphens, or underscores. 1 to 80 in length.")
	}
	return nil
}

// checkRedrive says whether the queue source may have the redrive policy in
// st: the dead-letter queue must exist, be another queue of the same type, and
// let this one in.
func (s *Server) checkRedrive(source string, st settings) error {
	if st.redrive.target == "" {
		return nil
	}
	target, err := s.byARN(st.redrive.target)
	if err != nil {
		return invalidValue(st.redrive, "RedrivePolicy", "Dead letter target does not exist.")
	}
	if target.settings.fifo != st.fifo {
		return invalidValue(st.redrive, "RedrivePolicy", "Dead-letter queue must be same type of queue as the source.")
	}
	if target.arn == source {
		return invalidValue(st.redrive, "RedrivePolicy", "Dead-letter queue must not be the source queue.")
	}
	allow, err := parseRedriveAllow(target.settings.redriveAllow)
	if err != nil {
		return err
	}
	if !allow.allows(source) {
		return invalidValue(st.redrive, "RedrivePolicy", "Dead letter target does not allow this queue as a source.")
	}
	return nil
}

type queueInput struct{ QueueUrl string }

// deleteQueue also answers the polls that wait at the queue; there is nothing
// for them any more.
func (s *Server) deleteQueue(_ context.Context, in queueInput) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	delete(s.queues, q.name)
	s.deleted[q.name] = time.Now()
	q.alarm.stop()
	for e := q.polls.Front(); e != nil; e = q.polls.Front() {
		q.answer(e.Value.(*poll), nil, noSuchQueue())
	}
	return nil, nil
}

type getQueueURLInput struct{ QueueName string }

func (s *Server) getQueueURL(_ context.Context, in getQueueURLInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byName(in.QueueName)
	if err != nil {
		return nil, err
	}
	return queueURLOutput{s.URL(q.name)}, nil
}

type listQueuesInput struct {
	QueueNamePrefix string
	MaxResults      *int
	NextToken       string
}

type listQueuesOutput struct {
	QueueUrls []string `json:",omitempty"`
	NextToken string   `json:",omitempty"`
}

func (s *Server) listQueues(_ context.Context, in listQueuesInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var names []string
	for name := range s.queues {
		if strings.HasPrefix(name, in.QueueNamePrefix) {
			names = append(names, name)
		}
	}
	page, next, err := paginate(names, in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return listQueuesOutput{s.urls(page), next}, nil
}

type listSourcesInput struct {
	QueueUrl   string
	MaxResults *int
	NextToken  string
}

type listSourcesOutput struct {
	QueueUrls []string `json:"queueUrls"`
	NextToken string   `json:",omitempty"`
}

func (s *Server) listDeadLetterSourceQueues(_ context.Context, in listSourcesInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	page, next, err := paginate(s.sourcesOf(q), in.MaxResults, in.NextToken)
	if err != nil {
		return nil, err
	}
	return listSourcesOutput{s.urls(page), next}, nil
}

// sourcesOf names the queues whose dead-letter queue is q.
func (s *Server) sourcesOf(q *queue) []string {
	var names []string
	for name, source := range s.queues {
		if source.settings.redrive.target == q.arn {
			names = append(names, name)
		}
	}
	return names
}

func (s *Server) urls(names []string) []string {
	urls := make([]string, 0, len(names))
	for _, name := range names {
		urls = append(urls, s.URL(name))
	}
	return urls
}

// paginate sorts names and returns the page that follows token, and the token
// of the next one, empty after the last. Only a caller that sets a limit is
// given a token, as the API has it.
func paginate(names []string, limit *int, token string) (page []string, next string, err error) {
	slices.Sort(names)
	most := 1000
	if limit != nil {
		most = *limit
	}
	if most < 1 || most > 1000 {
		return nil, "", invalidValue(most, "MaxResults", "Must be between 1 and 1000.")
	}
	after, err := base64.StdEncoding.DecodeString(token)
	if err != nil {
		return nil, "", invalidParameter("Invalid or expired next token.")
	}
	start, _ := slices.BinarySearch(names, string(after)+"\x00")
	page = names[start:]
	if len(page) <= most {
		return page, "", nil
	}
	page = page[:most]
	if limit != nil {
		next = base64.StdEncoding.EncodeToString([]byte(page[most-1]))
	}
	return page, next, nil
}

type getAttributesInput struct {
	QueueUrl       string
	AttributeNames []string
}

type getAttributesOutput struct {
	Attributes map[string]string `json:",omitempty"`
}

func (s *Server) getQueueAttributes(_ context.Context, in getAttributesInput) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	q.tick(time.Now())
	s.touch(q)
	all := q.attributes()
	if slices.Contains(in.AttributeNames, "All") {
		return getAttributesOutput{all}, nil
	}
	out := map[string]string{}
	for _, name := range in.AttributeNames {
		if !slices.Contains(attributeNames(), name) {
			return nil, unknownAttribute(name)
		}
		if value, ok := all[name]; ok {
			out[name] = value
		}
	}
	return getAttributesOutput{out}, nil
}

// attributeNames lists what GetQueueAttributes may be asked for.
func attributeNames() []string {
	return []string{
		"ApproximateNumberOfMessages", "ApproximateNumberOfMessagesDelayed", "ApproximateNumberOfMessagesNotVisible",
		"ContentBasedDeduplication", "CreatedTimestamp", "DeduplicationScope", "DelaySeconds", "FifoQueue",
		"FifoThroughputLimit", "KmsDataKeyReusePeriodSeconds", "KmsMasterKeyId", "LastModifiedTimestamp",
		"MaximumMessageSize", "MessageRetentionPeriod", "Policy", "QueueArn", "ReceiveMessageWaitTimeSeconds",
		"RedriveAllowPolicy", "RedrivePolicy", "SqsManagedSseEnabled", "VisibilityTimeout",
	}
}

type setAttributesInput struct {
	QueueUrl   string
	Attributes map[string]string
}

func (s *Server) setQueueAttributes(_ context.Context, in setAttributesInput) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	st, err := q.settings.with(in.Attributes)
	if err != nil {
		return nil, err
	}
	if err := s.checkRedrive(q.arn, st); err != nil {
		return nil, err
	}
	now := time.Now()
	q.tick(now)
	q.change(st, now)
	s.touch(q)
	return nil, nil
}

func (s *Server) purgeQueue(_ context.Context, in queueInput) (any, error) {
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	now := time.Now()
	if !q.purged.IsZero() && now.Sub(q.purged) < cooldown {
		e := refuseShape("PurgeQueueInProgress", "Only one PurgeQueue operation on %s is allowed every 60 seconds.", q.name)
		e.Status = http.StatusForbidden
		return nil, e
	}
	q.purge(now)
	s.touch(q)
	return nil, nil
}

const maxTags = 50

type tagQueueInput struct {
	QueueUrl string
	Tags     map[string]string
}

func (s *Server) tagQueue(_ context.Context, in tagQueueInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	tags := maps.Clone(q.tags)
	maps.Copy(tags, in.Tags)
	if len(tags) > maxTags {
		return nil, invalidParameter("Too many tags added for queue %s.", q.name)
	}
	q.tags = tags
	return nil, nil
}

type untagQueueInput struct {
	QueueUrl string
	TagKeys  []string
}

func (s *Server) untagQueue(_ context.Context, in untagQueueInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	for _, key := range in.TagKeys {
		delete(q.tags, key)
	}
	return nil, nil
}

type listTagsOutput struct {
	Tags map[string]string `json:",omitempty"`
}

func (s *Server) listQueueTags(_ context.Context, in queueInput) (any, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	return listTagsOutput{maps.Clone(q.tags)}, nil
}
