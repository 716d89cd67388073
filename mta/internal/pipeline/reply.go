package pipeline

import (
	"fmt"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// What a client hears when a stage failed, or refused without words.
var (
	errLocal    = &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 3, 0}, Text: "Local error in processing, try again later"}
	errFailed   = &smtp.Reply{Code: 554, Enh: smtp.Enh{5, 3, 0}, Text: "Message cannot be processed"}
	errRejected = &smtp.Reply{Code: 550, Enh: smtp.Enh{5, 7, 1}, Text: "Message refused by local policy"}
	errDeferred = &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 7, 1}, Text: "Message deferred by local policy, try again later"}
	errClosing  = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 7, 0}, Text: "Closing connection"}
)

// replyTo is the reply that an answer asks for; nil for one that accepts. An
// answer that makes no sense is an error.
func replyTo(a mail.Answer, utf8 bool) (*smtp.Reply, error) {
	var fallback *smtp.Reply
	class := 0 // of the code; zero: either
	switch a.Verdict {
	case mail.Continue, mail.Accept, mail.Discard, mail.Quarantine:
		return nil, nil
	case mail.Reject:
		fallback, class = errRejected, 5
	case mail.Defer:
		fallback, class = errDeferred, 4
	case mail.Disconnect:
		fallback = errClosing
	default:
		return nil, fmt.Errorf("answered verdict %d, which is none", a.Verdict)
	}
	if a.Code == 0 {
		return fallback, nil
	}
	if c := a.Code / 100; c != 4 && c != 5 || class != 0 && c != class {
		return nil, fmt.Errorf("answered %s with a reply of %d", a.Verdict, a.Code)
	}
	return written(a, fallback, utf8), nil
}

// written is the reply in the plugin's words, with ours for what it left out.
func written(a mail.Answer, fallback *smtp.Reply, utf8 bool) *smtp.Reply {
	r := &smtp.Reply{Code: a.Code, Enh: fallback.Enh, Text: a.Text}
	if enh, ok := smtp.ParseEnh(a.Enh); ok {
		r.Enh = enh
	}
	r.Enh[0] = a.Code / 100
	if r.Text == "" {
		r.Text = fallback.Text
	}
	r.Text = printable(r.Text, utf8)
	return r
}

// printable is s as a reply may have it. Text beyond ASCII is for clients that
// asked for SMTPUTF8 (RFC 6531 §3.7.4.2).
func printable(s string, utf8 bool) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r < ' ' || r == 0x7f:
			return ' '
		case r > 0x7f && !utf8:
			return '?'
		}
		return r
	}, s)
}
