package main

import (
	"bytes"
	"testing"
	"time"
)

// A relay that is slow to log does not make a mail arrive before it was sent; what is
// tried again stays in its place.
func TestTheWayOfAMailIsInOrder(t *testing.T) {
	began := time.Date(2026, 10, 1, 9, 0, 0, 0, time.UTC)
	at := func(ms int, name string) step {
		return step{at: began.Add(time.Duration(ms) * time.Millisecond), name: name, what: map[string]any{"bucket": "b", "key": "k", "group": "g", "route": "r", "from": "f", "subject": "s", "attachments": "[]"}}
	}
	w := newWay(1)
	w.shared.steps["k"] = []step{at(0, "stored"), at(1, "announced"), at(3, "received"), at(4, "parsed"), at(5, "relayed"), at(6, "received"), at(7, "parsed"), at(8, "processed")}
	var got bytes.Buffer
	printWay(&got, w.shared.of("k"))
	const want = `       0 ms  stored     s3://b/k
       1 ms  announced  S3 event -> SNS -> SQS
       3 ms  relayed    SNS FIFO -> SQS FIFO, group g
       3 ms  received   lease held
       4 ms  parsed     from f, "s", attachments: []
       6 ms  received   lease held
       7 ms  parsed     from f, "s", attachments: []
       8 ms  processed  route r
`
	if got.String() != want {
		t.Errorf("%s\nwant\n%s", got.String(), want)
	}
	if first := w.shared.steps["k"][4]; first.name != "relayed" || first.at != began.Add(5*time.Millisecond) {
		t.Errorf("what was logged is no longer so: %+v", first)
	}
}
