package simulation

import (
	"cmp"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"inreply/email"
	evt "inreply/event"
)

// leased is one message that the mail queue gave out.
type leased struct {
	at      time.Time
	handle  string
	fate    *fateOf
	mail    string // the id under which it is answered
	process *process
}

// asked is called when the application gets a mail. By then everything that was
// published before it in its group must have ended.
func (c *checker) asked(m *mail) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f := c.fates[m.number]
	f.asked++
	f.inWork++
	if f.redriven {
		return
	}
	for _, earlier := range c.groups[f.group] {
		if earlier == f {
			return
		}
		if !earlier.settled && !earlier.redriven && earlier.mail.nature != automatic && !c.capped(earlier) {
			c.breaksLocked("4: mail %d of group %s was handled before mail %d had ended", m.number, f.group, earlier.mail.number)
		}
	}
}

// published notes the order of each group.
func (c *checker) published(x call) {
	form, _ := url.ParseQuery(string(x.body))
	c.mu.Lock()
	defer c.mu.Unlock()
	for n := 1; ; n++ {
		entry := "PublishBatchRequestEntries.member." + strconv.Itoa(n) + "."
		body, ok := form[entry+"Message"]
		if !ok {
			return
		}
		f := c.mentioned(body[0])
		if f == nil || f.published {
			continue
		}
		f.published = true
		f.group = form.Get(entry + "MessageGroupId")
		c.groups[f.group] = append(c.groups[f.group], f)
	}
}

// mentioned is the mail whose key stands in a notice. c.mu is held.
func (c *checker) mentioned(notice string) *fateOf {
	for key, f := range c.byKey {
		if strings.Contains(notice, key) {
			return f
		}
	}
	return nil
}

// under is the id under which the mail of a notice is answered.
func under(notice string) string {
	n, err := evt.Decode([]byte(notice))
	if err != nil || len(n.Objects) == 0 {
		return ""
	}
	o := email.Object{Bucket: n.Objects[0].Bucket, Key: n.Objects[0].Key, VersionID: n.Objects[0].VersionID, ETag: n.Objects[0].ETag}
	if n.Objects[0].Rerun.Again {
		o.Again = n.Objects[0].Rerun.ID
	}
	return o.ID()
}

// received notes what the mail queue gave out.
func (c *checker) received(x call) {
	if !strings.HasSuffix(queueOf(x.body), mailQueue) {
		return
	}
	var answer struct {
		Messages []struct{ MessageId, Body, ReceiptHandle string }
	}
	_ = json.Unmarshal(x.answer, &answer)
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, m := range answer.Messages {
		if f := c.mentioned(m.Body); f != nil {
			f.given++
			f.messages[m.MessageId] = under(m.Body)
			c.leases = append(c.leases, leased{time.Now(), m.ReceiptHandle, f, f.messages[m.MessageId], x.process})
		}
	}
}

// expire picks one of the last leases, which is ended early. Two processes may
// then be at the same mail, and the one answer what the other dead-letters.
func (c *checker) expire(back int) (handle string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if back >= len(c.leases) {
		return ""
	}
	// Two polls that are answered at the same moment come here in any order.
	slices.SortFunc(c.leases, func(a, b leased) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.handle, b.handle)) })
	return c.leases[len(c.leases)-1-back].handle
}

// expireInWork picks the lease of a mail that is being answered.
func (c *checker) expireInWork(which int) (handle string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	var inWork []*fateOf
	for _, f := range c.fates {
		if f.inWork > 0 || f.good > 0 && !f.settled {
			inWork = append(inWork, f)
		}
	}
	if len(inWork) == 0 {
		return ""
	}
	f := inWork[which%len(inWork)]
	for _, l := range slices.Backward(c.leases) {
		if l.fate == f {
			return l.handle
		}
	}
	return ""
}

func queueOf(body []byte) string {
	var in struct{ QueueUrl string }
	_ = json.Unmarshal(body, &in)
	return in.QueueUrl
}
