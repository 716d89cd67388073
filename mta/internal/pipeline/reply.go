package pipeline

import (
	"fmt"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// words are what a client hears at a hook when a stage failed, or refused
// without words of its own.
type words struct {
	rejected, deferred *smtp.Reply
	failed, local      *smtp.Reply
}

// hookWords has the hooks that differ from those about a message. A greeting
// can only be 220, 554 or 421 (RFC 5321 §4.2.2, §3.1), and AUTH has codes of
// its own (RFC 4954 §6).
var hookWords = map[string]words{
	mail.HookConnect: newWords("Connection", 554, 421),
	mail.HookHelo:    newWords("Greeting", 550, 450),
	mail.HookAuth:    newWords("Authentication", 535, 454),
	mail.HookMail:    newWords("Sender", 550, 451),
	mail.HookRcpt:    newWords("Recipient", 550, 450),
	mail.HookData:    newWords("Message", 554, 451),
}

var messageWords = newWords("Message", 550, 451)

func newWords(subject string, rejected, deferred int) words {
	w := words{
		rejected: &smtp.Reply{Code: rejected, Enh: smtp.Enh{5, 7, 1}, Text: subject + " refused by local policy"},
		deferred: &smtp.Reply{Code: deferred, Enh: smtp.Enh{4, 7, 1}, Text: subject + " deferred by local policy, try again later"},
		failed:   &smtp.Reply{Code: 554, Enh: smtp.Enh{5, 3, 0}, Text: subject + " cannot be processed"},
		local:    &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 3, 0}, Text: "Local error in processing, try again later"},
	}
	if deferred == 421 || deferred == 454 {
		w.local.Code = deferred
	}
	return w
}

func wordsOf(hook string) words {
	if w, ok := hookWords[hook]; ok {
		return w
	}
	return messageWords
}

var errClosing = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 7, 0}, Text: "Closing connection"}

// replyTo is the reply that an answer asks for; nil for one that accepts. An
// answer that makes no sense is an error.
func replyTo(hook string, a mail.Answer, utf8 bool) (*smtp.Reply, error) {
	var fallback *smtp.Reply
	class := 0 // of the code; zero: either
	switch a.Verdict {
	case mail.Continue, mail.Accept, mail.Discard, mail.Quarantine:
		return nil, nil
	case mail.Reject:
		fallback, class = wordsOf(hook).rejected, 5
	case mail.Defer:
		fallback, class = wordsOf(hook).deferred, 4
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

// check refuses what an answer cannot do at a hook, and puts the refusals of
// single recipients into words that a reply can have.
func check(hook string, tx *mail.Transaction, a *mail.Answer) error {
	if a.Verdict == mail.Discard && tx.ID == "" {
		return fmt.Errorf("answered discard, and there is no message yet")
	}
	if tx.Content == nil && len(a.Variants)+len(a.Sends) > 0 {
		return fmt.Errorf("split the message or sent one at %s, when it is not there yet", hook)
	}
	for _, v := range append(a.Variants[:len(a.Variants):len(a.Variants)], tx) {
		for i := range v.Envelope.Recipients {
			r := &v.Envelope.Recipients[i]
			if r.Refused == nil {
				continue
			}
			if c := r.Refused.Code; c < 400 || c > 599 || c == 421 || c == 521 {
				return fmt.Errorf("answered a reply of %d for one recipient", c)
			}
			r.Refused = refusal(written(mail.Answer{Code: r.Refused.Code, Enh: r.Refused.Enh, Text: r.Refused.Text},
				hookWords[mail.HookRcpt].rejected, tx.Envelope.UTF8))
		}
	}
	return nil
}

func refusal(r *smtp.Reply) *mail.Refusal {
	return &mail.Refusal{Code: r.Code, Enh: r.Enh.String(), Text: r.Text}
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
