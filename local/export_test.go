package local

import "net/http"

// ClientOf is a Client of any handler.
func ClientOf(h http.Handler) *Client { return &Client{h} }
