package local

import (
	"encoding/json"
	"net/http"

	"inreply/local/ses"
	"inreply/local/sns"
)

// pagesPath is where a World's own pages begin. No bucket can be in the way: a
// bucket's name has no underscore.
const pagesPath = "/_local/"

// newPages makes the pages:
//
//	GET /_local/health        200 once the World answers
//	GET /_local/calls         how often each operation was called, as JSON
//	GET /_local/ses           every sent mail as JSON, the oldest first
//	GET /_local/ses/{id}      one sent mail as it goes out
//
// and the certificate by which SNS signs.
func (w *World) newPages() http.Handler {
	pages := http.NewServeMux()
	pages.HandleFunc("GET /_local/health", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, map[string]string{"status": "ok"})
	})
	pages.HandleFunc("GET /_local/calls", func(rw http.ResponseWriter, _ *http.Request) {
		writeJSON(rw, w.CallCounts())
	})
	pages.HandleFunc("GET "+ses.SentPath, w.SES.ServeSent)
	pages.HandleFunc("GET "+ses.SentPath+"/{id}", w.SES.ServeSent)
	pages.HandleFunc("GET "+sns.CertificatePath, w.SNS.ServeCertificate)
	return pages
}

func writeJSON(rw http.ResponseWriter, v any) {
	rw.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(rw).Encode(v) // The caller may have gone.
}
