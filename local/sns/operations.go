package sns

import (
	"cmp"
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"go.uber.org/zap"

	"inreply/local/query"
)

const (
	namespace = "http://sns.amazonaws.com/doc/2010-03-31/"
	// maxRequest holds the largest message with every byte percent-encoded, and the rest.
	maxRequest = 3*maxMessage + 1<<20
)

// operation carries out one call. Its result is encoded as XML.
type operation func(query.Parameters) (result any, err error)

// offered lists the operations by the names of the API.
func (s *Server) offered() map[string]operation {
	return map[string]operation{
		"CreateTopic":               s.createTopic,
		"DeleteTopic":               s.deleteTopic,
		"ListTopics":                s.listTopics,
		"GetTopicAttributes":        s.getTopicAttributes,
		"SetTopicAttributes":        s.setTopicAttributes,
		"TagResource":               s.tagResource,
		"UntagResource":             s.untagResource,
		"ListTagsForResource":       s.listTagsForResource,
		"Subscribe":                 s.subscribeOperation,
		"ConfirmSubscription":       s.confirmSubscription,
		"Unsubscribe":               s.unsubscribe,
		"ListSubscriptions":         s.listSubscriptions,
		"ListSubscriptionsByTopic":  s.listSubscriptionsByTopic,
		"GetSubscriptionAttributes": s.getSubscriptionAttributes,
		"SetSubscriptionAttributes": s.setSubscriptionAttributes,
		"Publish":                   s.publishOperation,
		"PublishBatch":              s.publishBatch,
	}
}

// ServeHTTP answers the Query protocol: a POST with a form, or a GET that follows one of the
// links in an envelope.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	s.mu.Lock()
	requestID := s.uuid()
	s.mu.Unlock()
	name, result, err := s.call(w, r)
	if err != nil {
		s.log.Debug("sns: call refused", zap.String("operation", name), zap.Error(err))
		err = query.Refuse(w, namespace, requestID, err)
	} else {
		err = query.Write(w, namespace, name, requestID, result)
	}
	if err != nil {
		s.log.Debug("sns: answer not sent", zap.String("operation", name), zap.Error(err))
	}
}

func (s *Server) call(w http.ResponseWriter, r *http.Request) (name string, result any, err error) {
	parameters, err := query.Read(w, r, maxRequest)
	if err != nil {
		return "", nil, &query.Error{Code: "InvalidParameter", Message: err.Error()}
	}
	name = parameters.Get("Action")
	call, offered := s.operations[name]
	if !offered {
		return name, nil, query.NotOffered("SNS", cmp.Or(name, "a request without Action"))
	}
	result, err = call(parameters)
	return name, result, err
}

// invalid is the refusal of a parameter, worded as AWS words it.
func invalid(format string, args ...any) *query.Error {
	return &query.Error{Code: "InvalidParameter", Message: "Invalid parameter: " + fmt.Sprintf(format, args...)}
}

func notFound(what string) *query.Error {
	return &query.Error{Status: http.StatusNotFound, Code: "NotFound", Message: what + " does not exist"}
}

// sorted turns attributes into a response's map, in the order of their names.
func sorted(attributes map[string]string) query.Entries {
	var entries query.Entries
	for name, value := range attributes {
		entries.Entry = append(entries.Entry, query.Entry{Key: name, Value: value})
	}
	slices.SortFunc(entries.Entry, func(a, b query.Entry) int { return cmp.Compare(a.Key, b.Key) })
	return entries
}

// pageSize is how many entries a list returns at once, as on AWS.
const pageSize = 100

// page cuts one page out of a list. The token of the next page is the ARN that begins it, so
// that entries may come and go between two pages.
func page[T any](list []T, token string, arn func(T) string) (entries []T, next string) {
	slices.SortFunc(list, func(a, b T) int { return cmp.Compare(arn(a), arn(b)) })
	start, _ := slices.BinarySearchFunc(list, token, func(entry T, token string) int {
		return cmp.Compare(arn(entry), decodeToken(token))
	})
	list = list[start:]
	if len(list) <= pageSize {
		return list, ""
	}
	return list[:pageSize], base64.RawURLEncoding.EncodeToString([]byte(arn(list[pageSize])))
}

func decodeToken(token string) string {
	// A token that is none begins at the start.
	arn, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return ""
	}
	return string(arn)
}

func (s *Server) publishOperation(p query.Parameters) (any, error) {
	if p.Has("PhoneNumber") {
		return nil, query.NotOffered("SNS", "Publish with PhoneNumber")
	}
	in, err := readPublication(p)
	if err != nil {
		return nil, err
	}
	got, err := s.publish(cmp.Or(p.Get("TopicArn"), p.Get("TargetArn")), in)
	if err != nil {
		return nil, err
	}
	return struct {
		MessageId      string
		SequenceNumber string `xml:",omitempty"`
	}{got.id, got.sequence}, nil
}

// batchResult is how PublishBatch answers one entry.
type batchResult struct {
	Id             string
	MessageId      string
	SequenceNumber string `xml:",omitempty"`
}

// batchFailure is an entry that was refused while others of its batch were not.
type batchFailure struct {
	Id          string
	Code        string
	Message     string
	SenderFault bool
}

func (s *Server) publishBatch(p query.Parameters) (any, error) {
	entries := p.Structures("PublishBatchRequestEntries", "member")
	if err := checkBatch(entries); err != nil {
		return nil, err
	}
	var ids []string
	var batch []publication
	for _, entry := range entries {
		in, err := readPublication(entry)
		if err != nil {
			return nil, err
		}
		ids = append(ids, entry.Get("Id"))
		batch = append(batch, in)
	}
	if err := s.checkTogether(p.Get("TopicArn"), batch); err != nil {
		return nil, err
	}
	var out struct {
		Successful []batchResult  `xml:"Successful>member"`
		Failed     []batchFailure `xml:"Failed>member"`
	}
	for i, in := range batch {
		got, err := s.publish(p.Get("TopicArn"), in)
		var refusal *query.Error
		switch {
		case err == nil:
			out.Successful = append(out.Successful, batchResult{ids[i], got.id, got.sequence})
		case errors.As(err, &refusal):
			out.Failed = append(out.Failed, batchFailure{ids[i], refusal.Code, refusal.Message, true})
		default:
			return nil, err
		}
	}
	return out, nil
}
