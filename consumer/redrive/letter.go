package redrive

import (
	"cmp"
	"encoding/json"
	"regexp"
	"time"

	"inreply/consumer"
	"inreply/queue"
)

// Match chooses dead letters. What is zero matches everything.
type Match struct {
	Reason *regexp.Regexp
	From   *regexp.Regexp
	Route  *regexp.Regexp
	Older  time.Duration // dead for longer than this
	Newer  time.Duration // dead for less than this
}

// Letter is one dead letter.
type Letter struct {
	consumer.DeadLetter
	Message queue.Message
}

// letter reads what is known of a dead letter. SQS itself writes nothing about
// those that it moves, so their own group and sequence number have to do.
func letter(m queue.Message) Letter {
	l := Letter{Message: m}
	if err := json.Unmarshal([]byte(m.Attributes[consumer.DeadLetterAttribute]), &l.DeadLetter); err != nil {
		l.DeadLetter = consumer.DeadLetter{Reason: "moved by SQS after too many receives", At: m.Sent, Receives: m.ReceiveCount}
	}
	l.Group = cmp.Or(l.Group, m.Group)
	l.Sequence = cmp.Or(l.Sequence, m.Sequence)
	return l
}

// inOrder is the order in which the groups had their messages: sequence numbers
// only grow, in a whole queue.
func inOrder(a, b *held) int {
	return cmp.Or(cmp.Compare(len(a.letter.Sequence), len(b.letter.Sequence)), cmp.Compare(a.letter.Sequence, b.letter.Sequence))
}

func (m Match) matches(l Letter, now time.Time) bool {
	says := func(re *regexp.Regexp, s string) bool { return re == nil || re.MatchString(s) }
	age := now.Sub(l.At)
	return says(m.Reason, l.Reason) && says(m.From, l.From) && says(m.Route, l.Route) &&
		(m.Older == 0 || age > m.Older) && (m.Newer == 0 || age < m.Newer)
}
