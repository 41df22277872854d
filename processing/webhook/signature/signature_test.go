package signature_test

import (
	"encoding/base64"
	"net/http"
	"strings"
	"testing"
	"time"

	"inreply/processing/webhook/signature"
)

// The expected signature was made by the reference implementation of Standard
// Webhooks for Go, v0.0.1.
func TestSignature(t *testing.T) {
	const secret = "whsec_C2FVsBQIhrscChlQIMV+b5sSYspob7oD"
	key, err := signature.Key(secret)
	if err != nil {
		t.Fatal(err)
	}
	sign := func(keys ...[]byte) http.Header {
		s := signature.New(keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", time.Unix(1614265330, 0))
		for _, part := range []string{`{"test": `, `2432232314}`} {
			_, _ = s.Write([]byte(part))
		}
		h := http.Header{}
		s.Set(h)
		return h
	}
	const want = "v1,78nXHjpFP0tVJQW5D0SBwmVyyW87BV/rL6MgfM/Bw44="
	h := sign(key)
	if h.Get("webhook-id") != "msg_p5jXN8AQM9LWM0D4loKWxJek" || h.Get("webhook-timestamp") != "1614265330" || h.Get("webhook-signature") != want {
		t.Errorf("%v", h)
	}
	other := []byte(strings.Repeat("k", 32))
	if both := sign(other, key).Get("webhook-signature"); !strings.HasSuffix(both, " "+want) || strings.Count(both, "v1,") != 2 {
		t.Errorf("with two keys: %s", both)
	}
}

func TestKeys(t *testing.T) {
	of := func(n int) string { return "whsec_" + base64.StdEncoding.EncodeToString(make([]byte, n)) }
	for text, want := range map[string]string{
		of(24): "", of(64): "", " " + of(32) + "\n": "",
		of(23): "a key has 24 to 64 octets, and this one 23", of(65): "a key has 24 to 64 octets, and this one 65",
		"secret": "a key begins with whsec_", "": "a key begins with whsec_", "whsec_?": "what follows whsec_ is not base64",
	} {
		key, err := signature.Key(text)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if got != want || (err == nil) == (key == nil) {
			t.Errorf("%q: %q", text, got)
		}
		if secret := strings.TrimPrefix(text, "whsec_"); err != nil && len(secret) > 1 && strings.Contains(got, secret) {
			t.Errorf("%q: its error tells it", text)
		}
	}
}
