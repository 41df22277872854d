package emulators

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"

	"inreply"
)

// answer is a reply as it is found at an emulator's SES.
type answer struct {
	subject, text string
	inReplyTo     string // empty where only parts of a mail are kept
}

// answers lists what SES sent, in the order in which it took it.
func (w *way) answers() []answer {
	w.t.Helper()
	switch w.rig.ses {
	case "localstack":
		return w.ours(localStackSent(w.t, w.url("localstack")))
	case "ministack":
		return w.ours(ministackSent(w.t, w.url("ministack")))
	case "moto":
		return w.ours(motoSent(w.t, w.url("moto")))
	}
	w.t.Fatalf("nobody knows how to read what the SES of %s sent", w.rig.ses)
	return nil
}

// ours leaves out the answers of other rigs, whose SES is the same.
func (w *way) ours(all []answer) (ours []answer) {
	for _, a := range all {
		if strings.HasPrefix(a.subject, "Re: "+w.rig.name+" ") {
			ours = append(ours, a)
		}
	}
	return ours
}

// localStackSent reads LocalStack's page of sent mails, which has them as they were
// handed in.
func localStackSent(t *testing.T, url string) (all []answer) {
	t.Helper()
	var page struct {
		Messages []struct{ RawData string } `json:"messages"`
	}
	read(t, url+"/_aws/ses", &page)
	for _, m := range page.Messages {
		all = append(all, parse(t, m.RawData))
	}
	return all
}

// ministackSent reads ministack's page of sent mails, by account. It keeps parts of
// them only.
func ministackSent(t *testing.T, url string) (all []answer) {
	t.Helper()
	var page struct {
		Messages map[string][]struct{ Subject, BodyText string } `json:"messages"`
	}
	read(t, url+"/_ministack/ses/messages", &page)
	for _, account := range page.Messages {
		for _, m := range account {
			all = append(all, answer{subject: m.Subject, text: m.BodyText})
		}
	}
	return all
}

// motoSent reads moto's page of everything.
func motoSent(t *testing.T, url string) (all []answer) {
	t.Helper()
	var page struct {
		SES struct {
			RawMessage []struct {
				RawData string `json:"raw_data"`
			}
		} `json:"ses"`
	}
	read(t, url+"/moto-api/data.json", &page)
	for _, m := range page.SES.RawMessage {
		all = append(all, parse(t, m.RawData))
	}
	return all
}

func parse(t *testing.T, raw string) answer {
	t.Helper()
	m, err := inreply.ReadMail([]byte(raw))
	if err != nil {
		t.Fatalf("read an answer: %v\n%s", err, raw)
	}
	return answer{subject: m.Subject, text: m.Text, inReplyTo: strings.Join(m.InReplyTo, " ")}
}

// read fetches a page of an emulator.
func read(t *testing.T, url string, into any) {
	t.Helper()
	response, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	content, err := io.ReadAll(response.Body)
	if err == nil && response.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", response.Status, content)
	}
	if err == nil {
		err = json.Unmarshal(content, into)
	}
	if err != nil {
		t.Fatalf("read %s: %v", url, err)
	}
}
