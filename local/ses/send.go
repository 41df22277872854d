package ses

import (
	"bytes"
	"encoding/base64"
	"net/mail"
	"strings"
	"time"

	"inreply/local/query"
)

const (
	// maxRaw is the largest mail, as it is handed in.
	maxRaw = 10 << 20
	// maxRecipients is the most that one mail may have.
	maxRecipients = 50
)

// outgoing is a mail that is to be sent.
type outgoing struct {
	raw              []byte
	source           string   // "" takes the header's
	recipients       []string // nil takes the headers'
	configurationSet string
	tags             map[string]string
}

func (s *Server) sendRawEmail(p query.Parameters) (any, error) {
	raw, err := base64.StdEncoding.DecodeString(p.Get("RawMessage.Data"))
	if err != nil {
		return nil, invalid("RawMessage.Data is no base64: %s", err)
	}
	tags, err := readTags(p)
	if err != nil {
		return nil, err
	}
	return s.accept(outgoing{
		raw:              raw,
		source:           p.Get("Source"),
		recipients:       p.Strings("Destinations"),
		configurationSet: p.Get("ConfigurationSetName"),
		tags:             tags,
	})
}

func (s *Server) sendEmail(p query.Parameters) (any, error) {
	tags, err := readTags(p)
	if err != nil {
		return nil, err
	}
	m := readSimple(p)
	raw, err := m.compose(time.Now())
	if err != nil {
		return nil, err
	}
	recipients := append(append(append([]string{}, m.to...), m.cc...), m.bcc...)
	return s.accept(outgoing{
		raw:              raw,
		source:           m.source,
		recipients:       recipients,
		configurationSet: p.Get("ConfigurationSetName"),
		tags:             tags,
	})
}

func readTags(p query.Parameters) (map[string]string, error) {
	var tags map[string]string
	for _, tag := range p.Structures("Tags", "member") {
		name, value := tag.Get("Name"), tag.Get("Value")
		if !legalName(name) {
			return nil, invalid("Invalid tag name <%s>: only alphanumeric ASCII characters, '_', and '-' are allowed, at most 256.", name)
		}
		if !legalName(value) {
			return nil, invalid("Invalid tag value <%s>: only alphanumeric ASCII characters, '_', and '-' are allowed, at most 256.", value)
		}
		if tags == nil {
			tags = make(map[string]string)
		}
		tags[name] = value
	}
	return tags, nil
}

// accept takes a mail in, or refuses it as AWS would.
func (s *Server) accept(out outgoing) (any, error) {
	if len(out.raw) > maxRaw {
		return nil, invalid("Message length is more than %d bytes long: '%d'.", maxRaw, len(out.raw))
	}
	header, err := readHeader(out.raw)
	if err != nil {
		return nil, err
	}
	if err := out.complete(header); err != nil {
		return nil, err
	}
	sent, events, err := s.take(out, header)
	if err != nil {
		return nil, err
	}
	s.publish(events)
	return struct{ MessageId string }{sent.ID}, nil
}

// take keeps a mail, if SES takes it, and says what is to be told of it.
func (s *Server) take(out outgoing, header mail.Header) (sent Sent, events []publication, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if out.configurationSet != "" {
		if err := s.configurationSet(out.configurationSet); err != nil {
			return sent, nil, err
		}
	}
	if err := s.checkVerified(out.identities(header)); err != nil {
		return sent, nil, err
	}
	if s.sandbox {
		if err := s.checkVerified(out.recipients); err != nil {
			return sent, nil, err
		}
	}
	now := time.Now()
	if err := s.quota.take(now, len(out.recipients)); err != nil {
		return sent, nil, err
	}
	id := s.newID(now)
	sent = Sent{
		ID: id, MessageID: s.messageID(id), Source: out.source, Destinations: out.recipients,
		Raw: out.raw, At: now, ConfigurationSet: out.configurationSet, Tags: out.tags,
	}
	s.sent = append(s.sent, sent)
	return sent, s.publications(sent), nil
}

// once tells whether a header may stand only once in a mail that SES takes.
// https://docs.aws.amazon.com/ses/latest/dg/header-fields.html.
func once(name string) bool {
	switch name {
	case "Accept-Language", "Auto-Submitted", "Bcc", "Cc", "Content-Language", "Content-Type", "Content-Transfer-Encoding", "Date", "From",
		"Importance", "In-Reply-To", "List-Archive", "List-Help", "List-Id", "List-Owner", "List-Post", "List-Subscribe",
		"List-Unsubscribe", "List-Unsubscribe-Post", "Message-Id", "Mime-Version", "Precedence", "Priority", "References",
		"Reply-To", "Return-Path", "Sender", "Subject", "Thread-Index", "Thread-Topic", "To":
		return true
	}
	return false
}

func readHeader(raw []byte) (mail.Header, error) {
	message, err := mail.ReadMessage(bytes.NewReader(raw))
	if err != nil {
		return nil, invalid("Could not parse the header of the message: %s", err)
	}
	for name, values := range message.Header {
		if len(values) > 1 && once(name) {
			return nil, invalid("Duplicate header '%s'.", name)
		}
	}
	if message.Header.Get("From") == "" {
		return nil, invalid("Missing required header 'From'.")
	}
	return message.Header, nil
}

// complete takes from the headers what was not said beside them, and checks the envelope.
func (out *outgoing) complete(header mail.Header) error {
	if out.source == "" {
		out.source = header.Get("From")
	}
	sources, err := addresses(out.source)
	if err != nil {
		return err
	}
	out.source = sources[0]
	if out.configurationSet == "" {
		out.configurationSet = header.Get("X-Ses-Configuration-Set")
	}
	out.addTags(header.Get("X-Ses-Message-Tags"))
	lists := out.recipients
	if len(lists) == 0 {
		for _, name := range []string{"To", "Cc", "Bcc"} {
			lists = append(lists, header[name]...)
		}
	}
	out.recipients = nil
	for _, list := range lists {
		found, err := addresses(list)
		if err != nil {
			return err
		}
		out.recipients = append(out.recipients, found...)
	}
	if len(out.recipients) == 0 {
		return invalid("Missing required header 'To'.")
	}
	if len(out.recipients) > maxRecipients {
		return invalid("Recipient count exceeds %d.", maxRecipients)
	}
	return nil
}

// addTags reads the header that names tags: "name=value, name=value".
func (out *outgoing) addTags(header string) {
	for tag := range strings.SplitSeq(header, ",") {
		name, value, found := strings.Cut(strings.TrimSpace(tag), "=")
		if !found {
			continue
		}
		if out.tags == nil {
			out.tags = make(map[string]string)
		}
		out.tags[name] = value
	}
}

// identities lists whom a mail is from: all of them must be verified.
func (out *outgoing) identities(header mail.Header) []string {
	all := []string{out.source}
	for _, name := range []string{"From", "Sender", "Return-Path"} {
		// What is no list of addresses was refused, or is not looked at by AWS either.
		found, _ := addresses(header.Get(name))
		all = append(all, found...)
	}
	return all
}

// addresses parses a list of addresses, and gives them without names.
func addresses(list string) ([]string, error) {
	parser := mail.AddressParser{WordDecoder: nil}
	parsed, err := parser.ParseList(list)
	if err != nil {
		if !strings.Contains(list, "@") {
			return nil, invalid("Missing final '@domain'")
		}
		return nil, invalid("Illegal address: %s", list)
	}
	var found []string
	for _, address := range parsed {
		found = append(found, address.Address)
	}
	return found, nil
}
