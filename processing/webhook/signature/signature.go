// Package signature signs requests as Standard Webhooks does it
// (https://www.standardwebhooks.com), so that an application service can tell a
// request of ours from anybody else's, and an old one sent again from a new one.
//
// Signed is the text id.timestamp.body with HMAC-SHA256. With several keys there is
// a signature by each: to change a key, add the new one beside the old, have the
// application take the new one, and take the old one away.
package signature

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"errors"
	"fmt"
	"hash"
	"net/http"
	"strconv"
	"strings"
	"time"
)

// The header fields of a signed request.
const (
	ID        = "Webhook-Id"
	Timestamp = "Webhook-Timestamp"
	Signature = "Webhook-Signature"
)

// How long a key may be, in octets (Standard Webhooks, "Signature scheme").
const (
	shortestKey = 24
	longestKey  = 64
)

// Key reads a key as Standard Webhooks writes it: whsec_ and base64.
func Key(text string) ([]byte, error) {
	encoded, ok := strings.CutPrefix(strings.TrimSpace(text), "whsec_")
	if !ok {
		return nil, errors.New("a key begins with whsec_")
	}
	key, err := base64.StdEncoding.DecodeString(encoded)
	if err != nil {
		return nil, errors.New("what follows whsec_ is not base64")
	}
	if len(key) < shortestKey || len(key) > longestKey {
		return nil, fmt.Errorf("a key has %d to %d octets, and this one %d", shortestKey, longestKey, len(key))
	}
	return key, nil
}

// Signer signs one request. Write its body to it, and then ask for the header. It
// never fails to write.
type Signer struct {
	id   string
	at   string
	macs []hash.Hash
}

// New begins to sign a request: by each of the keys, under an id that stays the same
// however often the request is made, at a time that does not.
func New(keys [][]byte, id string, at time.Time) *Signer {
	s := &Signer{id: id, at: strconv.FormatInt(at.Unix(), 10)}
	for _, key := range keys {
		mac := hmac.New(sha256.New, key)
		mac.Write([]byte(s.id + "." + s.at + "."))
		s.macs = append(s.macs, mac)
	}
	return s
}

// Write takes octets of the body.
func (s *Signer) Write(p []byte) (int, error) {
	for _, mac := range s.macs {
		mac.Write(p)
	}
	return len(p), nil
}

// Set puts the signatures into a header.
func (s *Signer) Set(h http.Header) {
	signatures := make([]string, len(s.macs))
	for i, mac := range s.macs {
		signatures[i] = "v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil))
	}
	h.Set(ID, s.id)
	h.Set(Timestamp, s.at)
	h.Set(Signature, strings.Join(signatures, " "))
}
