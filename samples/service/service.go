// Command service is an application service for inreply, as small as one can be: it
// answers every mail with what it has read. docs/webhook.md is the contract.
package main

import (
	"context"
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"strconv"
	"strings"
	"time"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:8081", "host:port")
	secret := flag.String("secret", "", "whsec_..., as in the settings of inreply; empty: anybody may ask")
	flag.Parse()
	key, err := base64.StdEncoding.DecodeString(strings.TrimPrefix(*secret, "whsec_"))
	listener, broken := (&net.ListenConfig{}).Listen(context.Background(), "tcp", *listen)
	if err != nil || broken != nil {
		fmt.Fprintln(os.Stderr, "cannot start:", err, broken)
		os.Exit(1)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("POST /mails", func(w http.ResponseWriter, r *http.Request) { answer(w, r, key) })
	fmt.Println("listening on", listener.Addr())
	server := http.Server{Handler: mux, ReadTimeout: 30 * time.Second}
	fmt.Fprintln(os.Stderr, server.Serve(listener))
}

func answer(w http.ResponseWriter, r *http.Request, key []byte) {
	body, err := io.ReadAll(http.MaxBytesReader(w, r.Body, 10<<20))
	if err == nil && len(key) > 0 && !signed(r.Header, body, key) {
		http.Error(w, "not signed as it must be", http.StatusUnauthorized)
		return
	}
	var mail struct {
		From        struct{ Name, Address string }
		Subject     string
		ReplyText   string `json:"reply_text"`
		Attachments []struct{ Filename string }
	}
	if err != nil || json.Unmarshal(body, &mail) != nil {
		http.Error(w, "this is no mail", http.StatusBadRequest)
		return
	}
	lines := []string{fmt.Sprintf("Hello %s,\n\nthank you for %q. I have read %d words.", mail.From.Name, mail.Subject, len(strings.Fields(mail.ReplyText)))}
	for _, a := range mail.Attachments {
		lines = append(lines, "You sent "+a.Filename+".")
	}
	text := strings.ReplaceAll(strings.Join(lines, "\n"), "\x00", "")
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"action": "reply", "reply": map[string]any{"text": text}})
}

// signed checks a signature of Standard Webhooks, and that it is not an old one.
func signed(h http.Header, body, key []byte) bool {
	seconds, err := strconv.ParseInt(h.Get("webhook-timestamp"), 10, 64)
	mac := hmac.New(sha256.New, key)
	fmt.Fprintf(mac, "%s.%d.%s", h.Get("webhook-id"), seconds, body)
	want := []byte("v1," + base64.StdEncoding.EncodeToString(mac.Sum(nil)))
	found := false
	for signature := range strings.FieldsSeq(h.Get("webhook-signature")) {
		found = found || hmac.Equal([]byte(signature), want)
	}
	return found && err == nil && time.Since(time.Unix(seconds, 0)).Abs() < 5*time.Minute
}
