package sqs

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"time"
)

// maxBatch is how many entries a batch may have, maxBatchSize how many bytes
// they may have together.
const (
	maxBatch     = 10
	maxBatchSize = 1 << 20
)

// traceHeader is the one system attribute that a sender may set.
const traceHeader = "AWSTraceHeader"

type sendInput struct {
	QueueUrl string
	sendEntry
}

type sendEntry struct {
	Id                      string
	MessageBody             string
	DelaySeconds            *int
	MessageGroupId          string
	MessageDeduplicationId  string
	MessageAttributes       map[string]Attribute
	MessageSystemAttributes map[string]Attribute
}

type sendOutput struct {
	Id                           string `json:",omitempty"`
	MessageId                    string
	MD5OfMessageBody             string
	MD5OfMessageAttributes       string `json:",omitempty"`
	MD5OfMessageSystemAttributes string `json:",omitempty"`
	SequenceNumber               string `json:",omitempty"`
}

type batchOutput[T any] struct {
	Successful []T
	Failed     []failure `json:",omitempty"`
}

// failure is why one entry of a batch was refused.
type failure struct {
	Id          string
	Code        string
	Message     string
	SenderFault bool
}

func failed(id string, err error) failure {
	var e *Error
	if !errors.As(err, &e) {
		return failure{Id: id, Code: "InternalError", Message: err.Error()}
	}
	return failure{Id: id, Code: e.Code, Message: e.Message, SenderFault: e.senderFault()}
}

// draft is a message that may be sent to some queue; whether to this one is
// for accept to say.
type draft struct {
	sendEntry
	size                     int // of body and attributes
	bodyMD5, contentHash     string
	attributesMD5, systemMD5 string
}

// draft checks what needs no queue, and does the hashing, so that neither
// happens under the lock.
func (e sendEntry) draft() (draft, error) {
	if e.MessageBody == "" {
		return draft{}, missing("MessageBody")
	}
	if !xmlText(e.MessageBody) {
		return draft{}, invalidCharacters()
	}
	if err := checkAttributes(e.MessageAttributes); err != nil {
		return draft{}, err
	}
	for _, name := range sortedKeys(e.MessageSystemAttributes) {
		if name != traceHeader {
			return draft{}, invalidValue(name, "MessageSystemAttributes", "Only "+traceHeader+" can be set.")
		}
	}
	if e.MessageGroupId != "" && !token(e.MessageGroupId) {
		return draft{}, invalidValue(e.MessageGroupId, "MessageGroupId", "Must be 1 to 128 alphanumeric characters or punctuation.")
	}
	if e.MessageDeduplicationId != "" && !token(e.MessageDeduplicationId) {
		return draft{}, invalidValue(e.MessageDeduplicationId, "MessageDeduplicationId", "Must be 1 to 128 alphanumeric characters or punctuation.")
	}
	if e.DelaySeconds != nil && (*e.DelaySeconds < 0 || *e.DelaySeconds > int(maxDelay/time.Second)) {
		return draft{}, invalidValue(*e.DelaySeconds, "DelaySeconds", "DelaySeconds must be >= 0 and <= 900.")
	}
	d := draft{
		sendEntry:     e,
		size:          len(e.MessageBody),
		bodyMD5:       textMD5(e.MessageBody),
		attributesMD5: attributesMD5(e.MessageAttributes),
		systemMD5:     attributesMD5(e.MessageSystemAttributes),
	}
	for name, a := range e.MessageAttributes {
		d.size += len(name) + a.size()
	}
	if e.MessageGroupId != "" && e.MessageDeduplicationId == "" {
		hash := sha256.Sum256([]byte(e.MessageBody))
		d.contentHash = hex.EncodeToString(hash[:])
	}
	return d, nil
}

// admissible says whether a queue with these settings takes d, and completes
// d with the deduplication id that a queue makes itself.
func (d *draft) admissible(st settings) error {
	if d.size > st.maxSize {
		return invalidParameter("One or more parameters are invalid. Reason: Message must be shorter than %d bytes.", st.maxSize)
	}
	if !st.fifo {
		if d.MessageDeduplicationId != "" {
			return wrongType(d.MessageDeduplicationId, "MessageDeduplicationId")
		}
		return nil
	}
	if d.DelaySeconds != nil && *d.DelaySeconds > 0 {
		return wrongType(*d.DelaySeconds, "DelaySeconds")
	}
	if d.MessageGroupId == "" {
		return missing("MessageGroupId")
	}
	if d.MessageDeduplicationId == "" && !st.contentBased {
		return invalidParameter("The queue should either have ContentBasedDeduplication enabled or MessageDeduplicationId provided explicitly")
	}
	if d.MessageDeduplicationId == "" {
		d.MessageDeduplicationId = d.contentHash
	}
	return nil
}

func (s *Server) sendMessage(_ context.Context, in sendInput) (any, error) {
	d, err := in.draft()
	if err != nil {
		return nil, err
	}
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	out, err := s.accept(q, d)
	if err != nil {
		return nil, err
	}
	out.Id = ""
	return out, nil
}

type sendBatchInput struct {
	QueueUrl string
	Entries  []sendEntry
}

func (s *Server) sendMessageBatch(_ context.Context, in sendBatchInput) (any, error) {
	if err := checkBatch(in.Entries, func(e sendEntry) string { return e.Id }); err != nil {
		return nil, err
	}
	drafts := make([]draft, len(in.Entries))
	faults := make([]error, len(in.Entries))
	size := 0
	for i, e := range in.Entries {
		drafts[i], faults[i] = e.draft()
		size += max(drafts[i].size, len(e.MessageBody))
	}
	if size > maxBatchSize {
		return nil, refuseShape("BatchRequestTooLong", "Batch requests cannot be longer than %d bytes. You have sent %d bytes.", maxBatchSize, size)
	}
	s.mu.Lock()
	defer s.unlock()
	q, err := s.byURL(in.QueueUrl)
	if err != nil {
		return nil, err
	}
	if err := wholeBatch(q, drafts, faults); err != nil {
		return nil, err
	}
	out := batchOutput[sendOutput]{Successful: []sendOutput{}}
	for i, e := range in.Entries {
		sent, err := sendOutput{}, faults[i]
		if err == nil {
			sent, err = s.accept(q, drafts[i])
		}
		if err != nil {
			out.Failed = append(out.Failed, failed(e.Id, err))
			continue
		}
		out.Successful = append(out.Successful, sent)
	}
	return out, nil
}

// wholeBatch finds the faults for which AWS refuses a batch as a whole: an
// entry for a FIFO queue without its group, or without a deduplication id where
// the queue makes none (recorded on AWS).
func wholeBatch(q *queue, drafts []draft, faults []error) error {
	if !q.settings.fifo {
		return nil
	}
	for i, d := range drafts {
		if faults[i] != nil {
			continue
		}
		if d.MessageGroupId == "" || d.MessageDeduplicationId == "" && !q.settings.contentBased {
			return d.admissible(q.settings)
		}
	}
	return nil
}

// checkBatch checks what all batches have in common.
func checkBatch[E any](entries []E, id func(E) string) error {
	if len(entries) == 0 {
		return refuseShape("EmptyBatchRequest", "There should be at least one entry in the batch request.")
	}
	if len(entries) > maxBatch {
		return refuseShape("TooManyEntriesInBatchRequest", "Maximum number of entries per request are %d. You have sent %d.", maxBatch, len(entries))
	}
	seen := map[string]bool{}
	for _, e := range entries {
		name := id(e)
		if !wellFormedName(name) || strings.Contains(name, ".") || len(name) > 80 {
			return refuseShape("InvalidBatchEntryId", "A batch entry id can only contain alphanumeric characters, hyphens and underscores. It can be at most 80 letters long.")
		}
		if seen[name] {
			return refuseShape("BatchEntryIdsNotDistinct", "Id %s repeated.", name)
		}
		seen[name] = true
	}
	return nil
}

// accept puts d into q, or finds that q accepted it before: a duplicate within
// the window is answered as the first one was, and is not delivered again.
func (s *Server) accept(q *queue, d draft) (sendOutput, error) {
	if err := d.admissible(q.settings); err != nil {
		return sendOutput{}, err
	}
	now := time.Now()
	q.tick(now)
	s.touch(q)
	out := sendOutput{
		Id:                           d.Id,
		MD5OfMessageBody:             d.bodyMD5,
		MD5OfMessageAttributes:       d.attributesMD5,
		MD5OfMessageSystemAttributes: d.systemMD5,
	}
	key := q.acceptanceKey(d.MessageGroupId, d.MessageDeduplicationId)
	if first, ok := q.accepted.seen[key]; ok && q.settings.fifo {
		out.MessageId, out.SequenceNumber = first.messageID, sequenceNumber(first.sequence)
		return out, nil
	}
	m := &message{
		Group: d.MessageGroupId,
		Sent:  now,
		Content: content{
			id:              s.newID(),
			body:            d.MessageBody,
			bodyMD5:         d.bodyMD5,
			attributes:      d.MessageAttributes,
			attributesMD5:   d.attributesMD5,
			trace:           d.MessageSystemAttributes[traceHeader].StringValue,
			deduplicationID: d.MessageDeduplicationId,
		},
	}
	delay := q.settings.delay
	if d.DelaySeconds != nil && !q.settings.fifo {
		delay = time.Duration(*d.DelaySeconds) * time.Second
	}
	q.messages.Add(m, delay)
	out.MessageId = m.Content.id
	if q.settings.fifo {
		q.accepted.remember(key, m, now)
		out.SequenceNumber = sequenceNumber(m.Sequence())
	}
	return out, nil
}

// sequenceNumber writes n with the 20 digits that AWS's sequence numbers have.
func sequenceNumber(n uint64) string { return fmt.Sprintf("188%017d", n) }
