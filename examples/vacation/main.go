// Vacation answers for people who are away, once a week to each sender
// (RFC 3834, and RFC 5230 for the habits of it).
package main

import (
	"strings"
	"time"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// An absence is what one person says while away.
type absence struct {
	Subject string `json:"subject"`
	Text    string `json:"text"`
	From    string `json:"from"`  // day, as in 2026-12-24; empty: since ever
	Until   string `json:"until"` // last day; empty: for ever
}

var config struct {
	Away map[string]absence `json:"away"` // by address
	Days int                `json:"days"` // between two answers to one sender; 7 if left out
}

func init() {
	mta.OnLoad(func() error {
		config.Days = 7
		return mta.Config(&config)
	})
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		for _, rcpt := range m.Recipients() {
			if away, ok := config.Away[strings.ToLower(rcpt.Address())]; ok && away.now() && isPersonal(m, rcpt.Address()) {
				answer(m, rcpt.Address(), away)
			}
		}
		return mta.Continue
	})
}

// now tells whether the person is away today.
func (a absence) now() bool {
	today := mta.Now().Format(time.DateOnly)
	return (a.From == "" || a.From <= today) && (a.Until == "" || today <= a.Until)
}

// isPersonal tells whether a person wrote this to that address by name: lists,
// robots and other answers get none (RFC 3834 §2).
func isPersonal(m *mta.Message, address string) bool {
	sender := strings.ToLower(m.Sender())
	local, _, _ := strings.Cut(sender, "@")
	if sender == "" || local == "mailer-daemon" || strings.HasPrefix(local, "owner-") || strings.HasSuffix(local, "-request") {
		return false
	}
	h := m.Header()
	auto := strings.ToLower(h.Get("Auto-Submitted"))
	if auto != "" && auto != "no" || h.Has("List-Id") || h.Has("List-Unsubscribe") {
		return false
	}
	switch strings.ToLower(h.Get("Precedence")) {
	case "bulk", "list", "junk":
		return false
	}
	named := strings.ToLower(h.Get("To") + " " + h.Get("Cc"))
	return strings.Contains(named, strings.ToLower(address))
}

// answer sends one, unless the sender had one lately.
func answer(m *mta.Message, address string, away absence) {
	key := "answered " + strings.ToLower(address+" "+m.Sender())
	first, err := mta.KV.Swap(key, nil, []byte("yes"), time.Duration(config.Days)*24*time.Hour)
	if err != nil || !first {
		return // in doubt no answer: it is a courtesy
	}
	if err := m.Send("", []string{m.Sender()}, compose(m, address, away)); err != nil {
		mta.Warn("no answer for a person who is away", "address", address, "why", err.Error())
	}
}

// compose writes the answer (RFC 3834 §3). The server adds Date, Message-ID and
// Auto-Submitted.
func compose(m *mta.Message, address string, away absence) []byte {
	subject := away.Subject
	if subject == "" {
		subject = "Auto: " + m.Header().Get("Subject")
	}
	var b strings.Builder
	field := func(name, value string) {
		if value = mta.Line(value); value != "" {
			b.WriteString(name + ": " + value + "\r\n")
		}
	}
	field("From", "<"+address+">")
	field("To", "<"+m.Sender()+">")
	field("Subject", subject)
	field("In-Reply-To", m.Header().Get("Message-ID"))
	field("References", m.Header().Get("Message-ID"))
	field("Auto-Submitted", "auto-replied")
	field("MIME-Version", "1.0")
	field("Content-Type", "text/plain; charset=utf-8")
	field("Content-Transfer-Encoding", "8bit")
	text := strings.ReplaceAll(strings.TrimSpace(away.Text), "\r\n", "\n")
	return []byte(b.String() + "\r\n" + strings.ReplaceAll(text, "\n", "\r\n") + "\r\n")
}

func main() {}
