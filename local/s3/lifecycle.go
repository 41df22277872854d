package s3

import (
	"encoding/xml"
	"io"
	"net/http"
)

// lifecycle keeps the rules of a bucket and shows them again. Nothing here expires.
func (s *Server) lifecycle(w http.ResponseWriter, r *http.Request, t target) error {
	switch r.Method {
	case http.MethodPut:
		return s.putLifecycle(r, t)
	case http.MethodDelete:
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.lifecycles, t.bucket)
		w.WriteHeader(http.StatusNoContent)
		return nil
	}
	s.mu.Lock()
	document, there := s.lifecycles[t.bucket]
	s.mu.Unlock()
	if !there {
		return refuse(http.StatusNotFound, "NoSuchLifecycleConfiguration", "The lifecycle configuration does not exist", "BucketName", t.bucket)
	}
	w.Header().Set("Content-Type", "application/xml")
	// The caller has gone when this fails; nobody is left to tell.
	_, _ = w.Write(document)
	return nil
}

func (s *Server) putLifecycle(r *http.Request, t target) error {
	document, err := io.ReadAll(io.LimitReader(r.Body, 1<<20))
	var rules struct {
		XMLName xml.Name   `xml:"LifecycleConfiguration"`
		Rules   []struct{} `xml:"Rule"`
	}
	if err != nil || xml.Unmarshal(document, &rules) != nil || len(rules.Rules) == 0 {
		return malformedXML()
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lifecycles[t.bucket] = document
	return nil
}
