package local

import (
	"net/http"

	"go.uber.org/zap"

	"inreply/local/query"
)

const namespaceSTS = "https://sts.amazonaws.com/doc/2011-06-15/"

// serveSTS answers who is asking, and nothing else: whoever asks is the root of the
// World's account.
func (w *World) serveSTS(rw http.ResponseWriter, r *http.Request) {
	const requestID = "00000000-0000-4000-8000-000000000575"
	parameters, err := query.Read(rw, r, maxForm)
	if err == nil && parameters.Get("Action") != "GetCallerIdentity" {
		err = query.NotOffered("STS", parameters.Get("Action"))
	}
	if err != nil {
		err = query.Refuse(rw, namespaceSTS, requestID, err)
	} else {
		err = query.Write(rw, namespaceSTS, "GetCallerIdentity", requestID, struct {
			Arn     string
			UserID  string `xml:"UserId"`
			Account string
		}{"arn:aws:iam::" + w.account + ":root", w.account, w.account})
	}
	if err != nil {
		w.log.Debug("sts: answer not sent", zap.Error(err))
	}
}
