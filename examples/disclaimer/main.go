// Disclaimer puts a text under what people of a domain send, each domain its
// own, once in a thread.
package main

import (
	"html"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

var config struct {
	Domains map[string]string `json:"domains"` // disclaimer by domain of the sender
	Inside  bool              `json:"inside"`  // also when all recipients are of that domain
}

func init() {
	mta.OnLoad(func() error { return mta.Config(&config) })
	mta.OnMessage(disclaim)
}

func disclaim(m *mta.Message) mta.Verdict {
	domain := domainOf(m.Sender())
	text, ok := config.Domains[domain]
	if !ok || !config.Inside && staysInside(m, domain) {
		return mta.Continue
	}
	for part := range m.Parts() {
		if err := add(part, text); err != nil {
			mta.Warn("a part keeps its text without disclaimer", "part", part.Path(), "why", err.Error())
		}
	}
	return mta.Continue
}

// add puts the text under a part that is read as text. What is signed or
// attached stays as it is, and so does what has the text already: an answer
// quotes it.
func add(part mta.Part, disclaimer string) error {
	flags := part.Flags()
	kind := part.Type()
	if flags.Attachment() || flags.InsideSigned() || kind != "text/plain" && kind != "text/html" {
		return nil
	}
	text, err := part.Text()
	if err != nil || strings.Contains(unwrapped(text), unwrapped(disclaimer)) {
		return err
	}
	if kind == "text/plain" {
		return part.ReplaceText(strings.TrimRight(text, "\r\n") + "\r\n\r\n-- \r\n" + crlf(disclaimer))
	}
	block := "<hr><p>" + strings.ReplaceAll(html.EscapeString(strings.TrimSpace(disclaimer)), "\n", "<br>\r\n") + "</p>\r\n"
	if i := strings.LastIndex(strings.ToLower(text), "</body"); i >= 0 {
		return part.ReplaceText(text[:i] + block + text[i:])
	}
	return part.ReplaceText(text + block)
}

// staysInside tells whether every recipient is of the sender's domain.
func staysInside(m *mta.Message, domain string) bool {
	for _, rcpt := range m.Recipients() {
		if domainOf(rcpt.Address()) != domain {
			return false
		}
	}
	return true
}

func domainOf(address string) string {
	return strings.ToLower(address[strings.LastIndexByte(address, '@')+1:])
}

// unwrapped is text as one line without marks of quotation, as others wrap it.
func unwrapped(s string) string {
	return strings.Join(strings.FieldsFunc(s, func(r rune) bool { return r <= ' ' || r == '>' }), " ")
}

// crlf ends every line in CRLF.
func crlf(s string) string {
	return strings.ReplaceAll(strings.TrimSpace(strings.ReplaceAll(s, "\r\n", "\n")), "\n", "\r\n") + "\r\n"
}

func main() {}
