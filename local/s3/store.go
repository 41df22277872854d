package s3

import (
	"bytes"
	"crypto/md5" //nolint:gosec // ETags are MD5 hashes.
	"encoding/hex"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/johannesboyne/gofakes3"
	"github.com/johannesboyne/gofakes3/backend/s3mem"
)

// entry is what is known of a stored object beside its bytes. It is kept with every version.
type entry struct {
	ETag     string // without quotes; of an upload in parts, "HASH-PARTS"
	Modified time.Time
	Header   map[string]string // Content-Type and its like, X-Amz-Meta-...
	Checksum checksum
}

// entryKey is the only key of the metadata that s3mem keeps. It merges the metadata of a new
// object with those of the one it replaces, which AWS does not; with all of it under one key
// there is nothing to merge.
const entryKey = "entry"

// object is a stored object as it is read.
type object struct {
	entry
	size      int64
	versionID string // "" when the bucket has no versions
	body      io.Reader
}

// origin says how an object changed, for the event about it.
type origin struct {
	event string // such as ObjectCreated:Put
	request
}

// change is one change of an object.
type change struct {
	origin
	bucket, key string
	size        int64
	etag        string
	versionID   string
	sequencer   uint64
	at          time.Time
}

// store wraps the storage of gofakes3. All writes pass here one at a time, so that conditions
// hold and sequencers increase in the order of the writes.
type store struct {
	*s3mem.Backend
	announce func(change)
	request  func() request // stands for one that gofakes3 does not hand on

	writing   sync.Mutex
	sequencer uint64
}

func newStore(announce func(change), request func() request) *store {
	return &store{Backend: s3mem.New(), announce: announce, request: request}
}

func etagOf(body []byte) string {
	hash := md5.Sum(body) //nolint:gosec // ETags are MD5 hashes.
	return hex.EncodeToString(hash[:])
}

// next is the sequencer of a write. Taken from the clock, it increases over restarts too. The
// caller holds the lock.
func (s *store) next(now time.Time) uint64 {
	s.sequencer = max(s.sequencer+1, uint64(now.UnixNano()))
	return s.sequencer
}

// read returns an object, or a version of it when the id is not empty.
func (s *store) read(bucket, key, versionID string) (object, error) {
	stored, err := s.GetObjectVersion(bucket, key, gofakes3.VersionID(versionID), nil)
	if err != nil {
		return object{}, err
	}
	if stored.IsDeleteMarker {
		return object{}, refuse(http.StatusMethodNotAllowed, "MethodNotAllowed", "The specified method is not allowed against this resource.", "Key", key)
	}
	o := object{size: stored.Size, versionID: string(stored.VersionID), body: stored.Contents}
	o.entry, err = readEntry(stored)
	return o, err
}

func readEntry(stored *gofakes3.Object) (entry, error) {
	var e entry
	if err := json.Unmarshal([]byte(stored.Metadata[entryKey]), &e); err != nil {
		return entry{}, fmt.Errorf("read entry of %s: %w", stored.Name, err)
	}
	return e, nil
}

// put stores an object if the conditions hold, and announces it.
func (s *store) put(bucket, key string, body []byte, e entry, c conditions, o origin) (change, error) {
	written, err := s.write(bucket, key, body, e, c)
	if err != nil {
		return change{}, err
	}
	written.origin = o
	s.announce(written)
	return written, nil
}

func (s *store) write(bucket, key string, body []byte, e entry, c conditions) (change, error) {
	s.writing.Lock()
	defer s.writing.Unlock()
	if err := s.check(bucket, key, c); err != nil {
		return change{}, err
	}
	e.Modified = time.Now().UTC()
	encoded, err := json.Marshal(e)
	if err != nil {
		return change{}, fmt.Errorf("keep entry of %s: %w", key, err)
	}
	metadata := map[string]string{entryKey: string(encoded)}
	put, err := s.PutObject(bucket, key, metadata, bytes.NewReader(body), int64(len(body)), nil)
	if err != nil {
		return change{}, err
	}
	return change{
		bucket: bucket, key: key, size: int64(len(body)), etag: e.ETag, versionID: string(put.VersionID),
		sequencer: s.next(e.Modified), at: e.Modified,
	}, nil
}

// check judges the conditions of a write. The caller holds the lock.
func (s *store) check(bucket, key string, c conditions) error {
	if exists, _ := s.BucketExists(bucket); !exists {
		return noSuchBucket(bucket)
	}
	if c == (conditions{}) {
		return nil
	}
	current, err := s.read(bucket, key, "")
	exists := err == nil
	if err != nil && !gofakes3.HasErrorCode(err, gofakes3.ErrNoSuchKey) {
		return err
	}
	switch {
	case c.ifAbsent && exists:
		return preconditionFailed("If-None-Match")
	case c.ifMatch != "" && !exists:
		return noSuchKey(key)
	case c.ifMatch != "" && !matches(c.ifMatch, current.ETag):
		return preconditionFailed("If-Match")
	}
	return nil
}

// remove deletes an object, or hides it behind a delete marker, and announces that.
func (s *store) remove(bucket, key string, c conditions, r request) (gofakes3.ObjectDeleteResult, error) {
	s.writing.Lock()
	if err := s.check(bucket, key, c); err != nil {
		s.writing.Unlock()
		return gofakes3.ObjectDeleteResult{}, err
	}
	result, err := s.DeleteObject(bucket, key)
	now := time.Now().UTC()
	removed := change{bucket: bucket, key: key, versionID: string(result.VersionID), sequencer: s.next(now), at: now}
	s.writing.Unlock()
	if err != nil {
		return result, err
	}
	removed.origin = origin{"ObjectRemoved:Delete", r}
	if result.IsDeleteMarker {
		removed.event = "ObjectRemoved:DeleteMarkerCreated"
	}
	s.announce(removed)
	return result, nil
}

// removeVersion deletes one version for good.
func (s *store) removeVersion(bucket, key, versionID string, r request) (gofakes3.ObjectDeleteResult, error) {
	s.writing.Lock()
	if s.hidesOlder(bucket, key, versionID) {
		s.writing.Unlock()
		return gofakes3.ObjectDeleteResult{}, notOffered("DeleteObject of the current version while older ones exist")
	}
	result, err := s.DeleteObjectVersion(bucket, key, gofakes3.VersionID(versionID))
	now := time.Now().UTC()
	removed := change{bucket: bucket, key: key, versionID: versionID, sequencer: s.next(now), at: now}
	s.writing.Unlock()
	if err != nil || result.VersionID == "" {
		return result, err
	}
	removed.origin = origin{"ObjectRemoved:Delete", r}
	s.announce(removed)
	return result, nil
}

// hidesOlder tells whether a version is the current one, with older ones behind it: s3mem
// would lose track of those. The caller holds the lock.
func (s *store) hidesOlder(bucket, key, versionID string) bool {
	prefix := gofakes3.NewPrefix(&key, nil)
	list, err := s.Backend.ListBucketVersions(bucket, &prefix, nil)
	if err != nil {
		return false
	}
	versions, current := 0, false
	for _, item := range list.Versions {
		switch v := item.(type) {
		case *gofakes3.Version:
			if v.Key == key {
				versions++
				current = current || v.IsLatest && string(v.VersionID) == versionID
			}
		case *gofakes3.DeleteMarker:
			if v.Key == key {
				versions++
				current = current || v.IsLatest && string(v.VersionID) == versionID
			}
		}
	}
	return current && versions > 1
}

// ListBuckets lists buckets by name.
func (s *store) ListBuckets() ([]gofakes3.BucketInfo, error) {
	list, err := s.Backend.ListBuckets()
	slices.SortFunc(list, func(a, b gofakes3.BucketInfo) int { return strings.Compare(a.Name, b.Name) })
	return list, err
}

// CreateBucket leaves a bucket that exists as it is, as AWS does for its owner in us-east-1.
func (s *store) CreateBucket(name string) error {
	err := s.Backend.CreateBucket(name)
	if gofakes3.IsAlreadyExists(err) {
		return nil
	}
	return err
}

// DeleteMultiVersions deletes one by one, so that every deletion is announced.
func (s *store) DeleteMultiVersions(bucket string, objects ...gofakes3.ObjectID) (gofakes3.MultiDeleteResult, error) {
	var result gofakes3.MultiDeleteResult
	asked := s.request()
	for _, o := range objects {
		var err error
		if o.VersionID != "" {
			_, err = s.removeVersion(bucket, o.Key, o.VersionID, asked)
		} else {
			_, err = s.remove(bucket, o.Key, conditions{}, asked)
		}
		if err != nil {
			refused := asError(err, target{bucket: bucket, key: o.Key})
			result.Error = append(result.Error, gofakes3.ErrorResult{Key: o.Key, Code: gofakes3.ErrorCode(refused.Code), Message: refused.Message})
			continue
		}
		result.Deleted = append(result.Deleted, o)
	}
	return result, nil
}

// SetVersioningConfiguration only switches versioning on: s3mem loses versions once it is
// suspended.
func (s *store) SetVersioningConfiguration(bucket string, v gofakes3.VersioningConfiguration) error {
	if !v.Enabled() {
		return gofakes3.ErrorMessage(gofakes3.ErrNotImplemented, "the local S3 does not offer PutBucketVersioning with Status Suspended")
	}
	return s.Backend.SetVersioningConfiguration(bucket, v)
}

// ListBucketVersions lists versions with their own ETags.
func (s *store) ListBucketVersions(bucket string, prefix *gofakes3.Prefix, page *gofakes3.ListBucketVersionsPage) (*gofakes3.ListBucketVersionsResult, error) {
	list, err := s.Backend.ListBucketVersions(bucket, prefix, page)
	if err != nil {
		return nil, err
	}
	for _, item := range list.Versions {
		if v, ok := item.(*gofakes3.Version); ok {
			v.ETag = s.etag(bucket, v.Key, string(v.VersionID), v.ETag)
		}
	}
	return list, nil
}

// ListBucket pages and groups by itself: s3mem repeats a common prefix on the next page and
// calls a list truncated when only keys outside the prefix follow.
func (s *store) ListBucket(bucket string, prefix *gofakes3.Prefix, page gofakes3.ListBucketPage) (*gofakes3.ObjectList, error) {
	if prefix == nil {
		prefix = &gofakes3.Prefix{}
	}
	flat := gofakes3.Prefix{HasPrefix: prefix.HasPrefix, Prefix: prefix.Prefix}
	all, err := s.Backend.ListBucket(bucket, &flat, gofakes3.ListBucketPage{})
	if err != nil {
		return nil, err
	}
	list := gofakes3.NewObjectList()
	count := int64(0)
	group := "" // the common prefix that was added last
	for _, content := range all.Contents {
		common := commonPrefix(content.Key, prefix)
		switch {
		case content.Key <= page.Marker:
			continue
		case common != "" && (common == group || common == page.Marker):
			continue
		case page.MaxKeys > 0 && count == page.MaxKeys:
			list.IsTruncated = true
			return list, nil
		case common != "":
			list.AddPrefix(common)
			group = common
			list.NextMarker = common
		default:
			content.ETag = s.etag(bucket, content.Key, "", content.ETag)
			list.Add(content)
			list.NextMarker = content.Key
		}
		count++
	}
	list.NextMarker = ""
	return list, nil
}

// commonPrefix is the prefix under which a key is grouped, "" when it stands by itself.
func commonPrefix(key string, prefix *gofakes3.Prefix) string {
	if !prefix.HasDelimiter {
		return ""
	}
	before, _, found := strings.Cut(key[len(prefix.Prefix):], prefix.Delimiter)
	if !found {
		return ""
	}
	return prefix.Prefix + before + prefix.Delimiter
}

// etag is an object's ETag in a list: s3mem knows nothing of uploads in parts. What was deleted
// since it was listed has the one that was listed.
func (s *store) etag(bucket, key, versionID, listed string) string {
	o, err := s.read(bucket, key, versionID)
	if err != nil {
		return listed
	}
	return `"` + o.ETag + `"`
}
