package relay

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"path"
	"strings"

	"inreply/email"
	"inreply/event"
)

// topSize is how much of an object is read to find its author: SES's block and
// the sender's header lie at its beginning.
const topSize = 64 << 10

// group chooses the message group of an object.
func (r *Relay) group(ctx context.Context, o event.Object) (string, error) {
	by := r.config.Group
	mail, object := r.parts.Takes(o)
	if object && !mail {
		by = r.config.ObjectGroup
	}
	switch by {
	case GroupKey:
		return byKey(o), nil
	case GroupPrefix:
		return "p-" + hash(o.Bucket, path.Dir(o.Key)), nil
	}
	if by == GroupRecipient && o.Receipt != nil && len(o.Receipt.Recipients) > 0 {
		return "r-" + hash(strings.ToLower(o.Receipt.Recipients[0])), nil
	}
	if !mail {
		return byKey(o), nil // It has no author, and may be nothing that we may read.
	}
	head, err := r.parts.Tops.Top(ctx, o.Bucket, o.Key, o.VersionID, topSize)
	if permanent(err) {
		return byKey(o), nil // It is gone: the consumer says so, in a dead letter.
	}
	if err != nil && ctx.Err() != nil {
		return "", &outageError{"s3", fmt.Errorf("read the top in time: %w", err)}
	}
	if err != nil {
		return "", fmt.Errorf("read the top: %w", err)
	}
	top, err := email.ReadTop(head)
	if err != nil {
		return byKey(o), nil //nolint:nilerr // what is no header names no author
	}
	if by == GroupRecipient {
		if len(top.Recipients) == 0 {
			return byKey(o), nil
		}
		return "r-" + hash(strings.ToLower(top.Recipients[0])), nil
	}
	if !top.Verdicts.Authenticated(top.From, email.Aligned) {
		return byKey(o), nil
	}
	return "s-" + hash(strings.ToLower(top.From.Mailbox)), nil
}

// byKey is a group that an object shares with nothing.
func byKey(o event.Object) string { return "k-" + hash(o.Bucket, o.Key) }

// deduplication is the same for every announcement of one version of an object.
// In a bucket whose versioning was suspended, all versions are called "null". A
// rerun has announcements of its own: what S3 said within the last five minutes must
// not have them dropped.
func deduplication(o event.Object) string {
	version := o.VersionID
	if version == "" || version == "null" {
		version = "etag:" + o.ETag
	}
	if o.Rerun.ID != "" {
		return hash(o.Bucket, o.Key, version, "rerun", o.Rerun.ID)
	}
	return hash(o.Bucket, o.Key, version)
}

// hash makes an id of at most 128 of the characters that SQS allows. Each part is
// preceded by its length, so that no two lists of parts look alike.
func hash(parts ...string) string {
	h := sha256.New()
	for _, p := range parts {
		fmt.Fprintf(h, "%d:%s", len(p), p)
	}
	return hex.EncodeToString(h.Sum(nil)[:16])
}
