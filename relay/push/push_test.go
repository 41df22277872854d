package push_test

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"inreply/relay/push"
)

const notice = `{"Records":[]}`

func TestBothVersionsOfSignatures(t *testing.T) {
	for _, version := range []string{"1", "2"} {
		r := newRig(t)
		d := notification(notice)
		d["SignatureVersion"] = version
		if status, said := r.deliver(r.sns.sign(t, d)); status != http.StatusOK {
			t.Errorf("version %s: %d %s", version, status, said)
		}
		if diff := cmp.Diff([]string{notice}, r.taker.texts); diff != "" {
			t.Errorf("version %s: %s", version, diff)
		}
	}
}

func TestWithoutASubject(t *testing.T) {
	r := newRig(t)
	d := notification("line one\nline two \u00e9 <&>")
	delete(d, "Subject")
	if status, said := r.deliver(r.sns.sign(t, d)); status != http.StatusOK {
		t.Errorf("%d %s", status, said)
	}
}

// Whatever a stranger changes or makes up, nothing is handed on, and nothing but
// SNS's own host is ever asked.
func TestStrangers(t *testing.T) {
	change := func(name, value string) func(*rig, delivery) delivery {
		return func(_ *rig, d delivery) delivery { d[name] = value; return d }
	}
	// A stranger signs by himself, and says where his certificate is.
	elsewhere := func(url string) func(*rig, delivery) delivery {
		return func(r *rig, d delivery) delivery {
			stranger := newSigner(r.t, "stranger", nil, nil)
			r.aws.files[url] = file(stranger)
			d["SigningCertURL"] = url
			return stranger.sign(r.t, d)
		}
	}
	ago := func(d time.Duration) func(*rig, delivery) delivery {
		return func(r *rig, got delivery) delivery {
			got["Timestamp"] = time.Now().Add(-d).UTC().Format(time.RFC3339)
			return r.sns.sign(r.t, got)
		}
	}
	for _, c := range []struct {
		name   string
		tamper func(*rig, delivery) delivery
		status int
		says   string
		asks   int // calls to AWS
	}{
		{"another text", change("Message", "{}"), 403, "signature is wrong", 1},
		{"another subject", change("Subject", "x"), 403, "signature is wrong", 1},
		{"another id", change("MessageId", "x"), 403, "signature is wrong", 1},
		{"another version", change("SignatureVersion", "2"), 403, "signature is wrong", 1},
		{"a version that is none", change("SignatureVersion", "3"), 403, "version", 0},
		{"no version", change("SignatureVersion", ""), 403, "version", 0},
		{"no signature", change("Signature", ""), 403, "no signature", 0},
		{"no base64", change("Signature", "%"), 403, "no signature", 0},
		{"another topic, allowed by nobody", change("TopicArn", "arn:aws:sns:eu-west-1:666666666666:theirs"), 403, "relay.push.topics", 0},
		{"no topic", change("TopicArn", ""), 403, "relay.push.topics", 0},
		{"another type", change("Type", "Order"), 400, "type", 0},
		{"no time", change("Timestamp", "yesterday"), 400, "timestamp", 0},
		{"kept back", ago(71 * time.Minute), 403, "max_age", 0},
		{"of the future", ago(-6 * time.Minute), 403, "max_age", 0},
		{"certificate on his host", elsewhere("https://sns.eu-west-1.amazonaws.com.example.net/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate in a bucket", elsewhere("https://bucket.s3.amazonaws.com/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate by plain HTTP", elsewhere("http://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate of another region", elsewhere("https://sns.us-east-1.amazonaws.com/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate of China", elsewhere("https://sns.eu-west-1.amazonaws.com.cn/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate at another port", elsewhere("https://sns.eu-west-1.amazonaws.com:8443/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate behind a user", elsewhere("https://sns.eu-west-1.amazonaws.com@example.net/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate with a user", elsewhere("https://x@sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"certificate that SNS would make of a query", elsewhere("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-0.pem?Action=Publish"), 403, "SNS has none", 0},
		{"certificate that is an action", elsewhere("https://sns.eu-west-1.amazonaws.com/?Action=Publish"), 403, "SNS has none", 0},
		{"certificate up the path", elsewhere("https://sns.eu-west-1.amazonaws.com/x/../SimpleNotificationService-0.pem"), 403, "SNS has none", 0},
		{"no certificate", change("SigningCertURL", ""), 403, "SNS has none", 0},
		{"no URL", change("SigningCertURL", "https://%zz"), 403, "SNS has none", 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			d := c.tamper(r, r.sns.sign(t, notification(notice)))
			status, said := r.deliver(d)
			if status != c.status || !strings.Contains(said, c.says) {
				t.Errorf("%d %s", status, said)
			}
			if len(r.taker.texts) != 0 {
				t.Errorf("handed on: %q", r.taker.texts)
			}
			if len(r.aws.all()) != c.asks {
				t.Errorf("asked %v", r.aws.all())
			}
			if diff := cmp.Diff([]push.Outcome{push.Refused}, r.outcomes); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestCertificatesThatAreNotToBeBelieved(t *testing.T) {
	root := newAuthority(t, nil, "our root")
	other := newAuthority(t, nil, "another root")
	between := newAuthority(t, root, "between")
	redirect := func(string) (*http.Response, error) {
		response := answer(http.StatusFound, nil)
		response.Header.Set("Location", "https://example.net/SimpleNotificationService-0.pem")
		return response, nil
	}
	for _, c := range []struct {
		name   string
		signer func(*testing.T) *signer
		chain  []*signer // behind it
		file   []byte
		fault  func(string) (*http.Response, error)
		status int
		says   string
	}{
		{name: "alone", status: 200},
		{name: "with a chain that holds", signer: func(t *testing.T) *signer { t.Helper(); return newSigner(t, "sns", between, nil) }, chain: []*signer{between}, status: 200},
		{name: "with a chain to somebody else", signer: func(t *testing.T) *signer { t.Helper(); return newSigner(t, "sns", other, nil) }, chain: []*signer{other}, status: 403, says: "chain does not hold"},
		{name: "with a chain that is another's", signer: func(t *testing.T) *signer { t.Helper(); return newSigner(t, "sns", other, nil) }, chain: []*signer{between}, status: 403, says: "chain does not hold"},
		{name: "to somebody else", signer: changed(func(c *x509.Certificate) { c.DNSNames = []string{"example.net"} }), status: 403, says: "it is for sns.amazonaws.com, example.net"},
		{name: "to SNS by its name only", signer: changed(func(c *x509.Certificate) { c.DNSNames = nil }), status: 200},
		{name: "to a region", signer: changed(func(c *x509.Certificate) { c.DNSNames = []string{"sns.eu-west-1.amazonaws.com"} }), status: 200},
		{name: "to another region", signer: changed(func(c *x509.Certificate) { c.DNSNames = []string{"sns.us-east-1.amazonaws.com"} }), status: 403, says: "it is for"},
		{name: "expired", signer: changed(func(c *x509.Certificate) { c.NotAfter = time.Now().Add(-time.Minute) }), status: 403, says: "it is good from"},
		{name: "not yet good", signer: changed(func(c *x509.Certificate) { c.NotBefore = time.Now().Add(time.Hour) }), status: 403, says: "it is good from"},
		{name: "a short key", signer: func(t *testing.T) *signer { t.Helper(); return newSigner(t, "short", nil, nil) }, status: 403, says: "2048 bits"},
		{name: "no certificate", file: []byte("hello"), status: 403, says: "no certificate"},
		{name: "a broken one", file: []byte("-----BEGIN CERTIFICATE-----\naGVsbG8=\n-----END CERTIFICATE-----\n"), status: 403, says: "read the certificate"},
		{name: "one without end", file: make([]byte, 65<<10), status: 503},
		{name: "a redirect", fault: redirect, status: 503},
		{name: "nobody there", fault: func(string) (*http.Response, error) { return nil, errDown }, status: 503},
		{name: "not there", file: []byte(nil), fault: func(string) (*http.Response, error) { return answer(404, nil), nil }, status: 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.roots = x509.NewCertPool()
			r.roots.AddCert(root.cert)
			if c.signer != nil {
				r.sns = c.signer(t)
			}
			r.aws.files[signedAt], r.aws.fault = file(append([]*signer{r.sns}, c.chain...)...), c.fault
			if c.file != nil {
				r.aws.files[signedAt] = c.file
			}
			status, said := r.deliver(r.sns.sign(t, notification(notice)))
			if status != c.status || !strings.Contains(said, c.says) || (len(r.taker.texts) == 1) != (status == 200) {
				t.Errorf("%d %s; handed on %d", status, said, len(r.taker.texts))
			}
			if asked := r.aws.all(); len(asked) != 1 || asked[0] != signedAt {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

func changed(change func(*x509.Certificate)) func(*testing.T) *signer {
	return func(t *testing.T) *signer { t.Helper(); return newSigner(t, "sns", nil, change) }
}

// The certificate is fetched once, again after a day, and again after a failure.
func TestCertificatesAreKept(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.aws.fault = func(string) (*http.Response, error) { return nil, errDown }
		deliver := func(want int) {
			t.Helper()
			if status, said := r.deliver(r.sns.sign(t, notification(notice))); status != want {
				t.Errorf("%d %s", status, said)
			}
		}
		deliver(503)
		r.aws.fault = nil
		for range 5 {
			deliver(200)
		}
		time.Sleep(25 * time.Hour)
		deliver(200)
		if n := len(r.aws.all()); n != 3 {
			t.Errorf("fetched %d times", n)
		}
	})
}

// Somebody who names certificates that do not exist has us ask for a few of them, and
// is in nobody's way whose certificate is known.
func TestStrangersCannotHaveCertificatesFetchedForEver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		if status, _ := r.deliver(r.sns.sign(t, notification(notice))); status != 200 {
			t.Fatal(status)
		}
		stranger := r.sns.sign(t, notification(notice))
		for n := range 1000 {
			stranger["SigningCertURL"] = fmt.Sprintf("https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-%d.pem", n)
			if status, _ := r.deliver(stranger); status != 503 {
				t.Fatal(status)
			}
		}
		if n := len(r.aws.all()); n > 11 {
			t.Errorf("asked %d times", n)
		}
		if status, _ := r.deliver(r.sns.sign(t, notification(notice))); status != 200 {
			t.Errorf("status %d", status)
		}
		if n := r.logs.Len(); n > 100 {
			t.Errorf("%d lines", n)
		}
	})
}

func TestSubscriptionIsConfirmed(t *testing.T) {
	r := newRig(t)
	d := confirmation()
	r.aws.files[d["SubscribeURL"]] = []byte("<ConfirmSubscriptionResponse/>")
	if status, said := r.deliver(r.sns.sign(t, d)); status != 200 {
		t.Fatalf("%d %s", status, said)
	}
	if asked := r.aws.all(); !slices.Contains(asked, d["SubscribeURL"]) || len(r.taker.texts) != 0 {
		t.Errorf("asked %v, handed on %v", asked, r.taker.texts)
	}
	if lines := r.logs.FilterMessage("subscription to a topic confirmed").All(); len(lines) != 1 || lines[0].ContextMap()["topic"] != events {
		t.Errorf("logged %v", r.logs.All())
	}
}

func TestSubscriptionsThatAreNotConfirmed(t *testing.T) {
	for _, c := range []struct {
		name, link string
		status     int
	}{
		{"elsewhere", "https://example.net/?Action=ConfirmSubscription&TopicArn=" + events + "&Token=x", 403},
		{"another action", "https://sns.eu-west-1.amazonaws.com/?Action=Publish&TopicArn=" + events, 403},
		{"another topic", "https://sns.eu-west-1.amazonaws.com/?Action=ConfirmSubscription&TopicArn=other", 403},
		{"none", "", 403},
		{"SNS does not answer", confirmation()["SubscribeURL"], 503},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			d := confirmation()
			d["SubscribeURL"] = c.link
			status, said := r.deliver(r.sns.sign(t, d))
			if status != c.status {
				t.Errorf("%d %s", status, said)
			}
			if asked := r.aws.all(); c.status == 403 && len(asked) != 1 {
				t.Errorf("asked %v", asked)
			}
		})
	}
}

func TestUnsubscriptionIsSaid(t *testing.T) {
	r := newRig(t)
	d := confirmation()
	d["Type"] = "UnsubscribeConfirmation"
	status, said := r.deliver(r.sns.sign(t, d))
	if status != 200 || len(r.taker.texts) != 0 || slices.Contains(r.aws.all(), d["SubscribeURL"]) {
		t.Errorf("%d %s; handed on %v; asked %v", status, said, r.taker.texts, r.aws.all())
	}
	if r.logs.FilterMessageSnippet("has ended").Len() != 1 {
		t.Errorf("logged %v", r.logs.All())
	}
}

// SNS is to try again, and only then.
func TestWhatCannotBePublishedNowComesAgain(t *testing.T) {
	r := newRig(t)
	r.taker.err = errDown
	status, said := r.deliver(r.sns.sign(t, notification(notice)))
	if status != 503 || strings.Contains(said, "refused") {
		t.Errorf("%d %s", status, said)
	}
	if diff := cmp.Diff([]push.Outcome{push.Failed}, r.outcomes); diff != "" {
		t.Error(diff)
	}
}

func TestRawDeliveries(t *testing.T) {
	raw := []string{"X-Amz-Sns-Rawdelivery", "true", "X-Amz-Sns-Topic-Arn", events, "X-Amz-Sns-Message-Id", "1"}
	basic := "Basic c25zOmNvcnJlY3QgaG9yc2UgYmF0dGVyeSBzdGFwbGU=" // sns:password
	for _, c := range []struct {
		name   string
		raw    bool
		header []string
		status int
	}{
		{"not allowed", false, append(slices.Clone(raw), "Authorization", basic), 403},
		{"without the password", true, raw, 401},
		{"with another password", true, append(slices.Clone(raw), "Authorization", "Basic c25zOng="), 401},
		{"with it", true, append(slices.Clone(raw), "Authorization", basic), 200},
		{"of another topic", true, append(slices.Clone(raw), "Authorization", basic, "X-Amz-Sns-Topic-Arn", "other"), 403},
	} {
		t.Run(c.name, func(t *testing.T) {
			r := newRig(t)
			r.config.Raw, r.config.Password = c.raw, password
			status, said := r.post(notice, c.header...)
			if status != c.status || (len(r.taker.texts) == 1) != (status == 200) {
				t.Errorf("%d %s, handed on %v", status, said, r.taker.texts)
			}
		})
	}
}

// SNS sends the password of the URL only when it is asked for it.
func TestThePasswordIsAskedFor(t *testing.T) {
	r := newRig(t)
	r.config.Password = password
	body, _ := json.Marshal(r.sns.sign(t, notification(notice)))
	request := func() *http.Request {
		return httptest.NewRequest(http.MethodPost, "/sns", strings.NewReader(string(body)))
	}
	w := httptest.NewRecorder()
	r.open().ServeHTTP(w, request())
	if w.Code != 401 || !strings.HasPrefix(w.Header().Get("WWW-Authenticate"), "Basic ") {
		t.Errorf("%d %v", w.Code, w.Header())
	}
	with := request()
	with.SetBasicAuth("sns", password)
	if status, said := r.call(with); status != 200 {
		t.Errorf("%d %s", status, said)
	}
}

func TestOtherCalls(t *testing.T) {
	for _, c := range []struct {
		method, path, body string
		status             int
	}{
		{"GET", "/sns", "", 200},
		{"HEAD", "/sns", "", 200},
		{"GET", "/", "", 404},
		{"POST", "/sns/", "{}", 404},
		{"POST", "/metrics", "{}", 404},
		{"PUT", "/sns", "{}", 405},
		{"POST", "/sns", "", 400},
		{"POST", "/sns", "hello", 400},
		{"POST", "/sns", "[]", 400},
		{"POST", "/sns", `{"Type":1}`, 400},
		{"POST", "/sns", strings.Repeat(" ", 513<<10), 413},
	} {
		r := newRig(t)
		if status, said := r.call(httptest.NewRequest(c.method, c.path, strings.NewReader(c.body))); status != c.status {
			t.Errorf("%s %s %.20q: %d %s", c.method, c.path, c.body, status, said)
		}
		if len(r.taker.texts) != 0 || len(r.aws.all()) != 0 {
			t.Errorf("%s %s: handed on, or AWS was asked", c.method, c.path)
		}
	}
}

// More than are worked on at once are told to come again, and none is lost.
func TestTooManyAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t)
		r.config.Concurrency, r.taker.holds = 2, make(chan struct{})
		door := r.open()
		body, _ := json.Marshal(r.sns.sign(t, notification(notice)))
		statuses := make(chan int, 3)
		for range 3 {
			go func() {
				w := httptest.NewRecorder()
				door.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/sns", strings.NewReader(string(body))))
				statuses <- w.Code
			}()
		}
		synctest.Wait()
		if first := <-statuses; first != 503 {
			t.Errorf("status %d", first)
		}
		close(r.taker.holds)
		if a, b := <-statuses, <-statuses; a != 200 || b != 200 {
			t.Errorf("statuses %d, %d", a, b)
		}
	})
}

// A stop lets in nobody new, and lets everybody in have his answer.
func TestStop(t *testing.T) {
	r := newRig(t)
	r.taker.holds = make(chan struct{})
	door := r.open()
	listener, err := door.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- door.Serve(ctx, listener) }()
	body, _ := json.Marshal(r.sns.sign(t, notification(notice)))
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	answered := make(chan int, 1)
	go func() {
		response, err := client.Post("http://"+listener.Addr().String()+"/sns", "text/plain", strings.NewReader(string(body)))
		if err != nil {
			t.Error(err)
			answered <- 0
			return
		}
		response.Body.Close()
		answered <- response.StatusCode
	}()
	r.taker.holds <- struct{}{} // it is in
	stop()
	if status := <-answered; status != 200 {
		t.Errorf("status %d", status)
	}
	if err := <-served; err != nil {
		t.Error(err)
	}
	if _, err := client.Get("http://" + listener.Addr().String() + "/sns"); err == nil {
		t.Error("it still answers")
	}
}

func TestSettings(t *testing.T) {
	for _, c := range []struct {
		name   string
		change func(*push.Config)
		says   string
	}{
		{"no port", func(c *push.Config) { c.Listen = "0.0.0.0" }, "listen"},
		{"no path", func(c *push.Config) { c.Path = "sns" }, "path"},
		{"no topic", func(c *push.Config) { c.Topics = nil }, "topics"},
		{"a FIFO topic", func(c *push.Config) { c.Topics = []string{events + ".fifo"} }, "topics[0]"},
		{"a region that becomes a host", func(c *push.Config) { c.Topics = []string{"arn:aws:sns:x.example.net/:1:t"} }, "topics[0]"},
		{"raw without a password", func(c *push.Config) { c.Raw = true }, "raw"},
		{"a short password", func(c *push.Config) { c.Password = "secret" }, "password"},
		{"an age", func(c *push.Config) { c.MaxAge = 0 }, "max_age"},
		{"concurrency", func(c *push.Config) { c.Concurrency = 0 }, "concurrency"},
		{"an emulator", func(c *push.Config) { c.Emulator = "localhost:4566" }, "emulator"},
	} {
		config := push.Defaults()
		config.Listen, config.Topics = "0.0.0.0:8081", []string{events}
		if err := config.Validate(); err != nil {
			t.Fatal(err)
		}
		c.change(&config)
		if err := config.Validate(); err == nil || !strings.HasPrefix(err.Error(), c.says+": ") {
			t.Errorf("%s: %v", c.name, err)
		}
		config.Listen = ""
		if err := config.Validate(); err != nil {
			t.Errorf("%s, while there is no push: %v", c.name, err)
		}
	}
}

// In China, SNS is elsewhere.
func TestChina(t *testing.T) {
	r := newRig(t)
	const topic = "arn:aws-cn:sns:cn-north-1:123456789012:inreply-events"
	r.config.Topics = []string{topic}
	d := notification(notice)
	d["TopicArn"] = topic
	d["SigningCertURL"] = "https://sns.cn-north-1.amazonaws.com.cn/SimpleNotificationService-0.pem"
	r.aws.files[d["SigningCertURL"]] = file(r.sns)
	if status, said := r.deliver(r.sns.sign(t, d)); status != 200 {
		t.Errorf("%d %s", status, said)
	}
}

// Whatever comes in, nothing is handed on that SNS has not signed.
func FuzzDeliveries(f *testing.F) {
	f.Add(`{"Type":"Notification","TopicArn":"` + events + `","Message":"x","Timestamp":"2026-11-25T10:00:00.000Z","SignatureVersion":"1","Signature":"eA==","SigningCertURL":"` + signedAt + `"}`)
	f.Add(`{"type":"Notification","Type":"SubscriptionConfirmation","SubscribeURL":"https://example.net/"}`)
	f.Add(`[]`)
	sns := newSigner(f, "sns", nil, nil)
	f.Fuzz(func(t *testing.T, body string) {
		r := rigOf(t, sns)
		if status, _ := r.post(body); status == 200 || len(r.taker.texts) != 0 {
			t.Errorf("taken: %q", body)
		}
		for _, asked := range r.aws.all() {
			if !strings.HasPrefix(asked, "https://sns.eu-west-1.amazonaws.com/SimpleNotificationService-") {
				t.Errorf("asked %q", asked)
			}
		}
	})
}
