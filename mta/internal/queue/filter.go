package queue

import (
	"fmt"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// maxNamed is how many IDs the text of a filter has.
const maxNamed = 10

// chooses tells whether a recipient of a message that f matches is one that f
// is about.
func (f *Filter) chooses(rcpt *mail.Recipient) bool {
	return (f.To == "" || glob(f.To, rcpt.Path.String())) &&
		(f.Domain == "" || glob(f.Domain, rcpt.Path.Domain))
}

// Covers tells whether f is about mail from one path to another, as far as From,
// To and Domain say.
func (f *Filter) Covers(reversePath, rcpt mail.Path) bool {
	return (f.From == "" || glob(f.From, orNull(reversePath))) && f.chooses(&mail.Recipient{Path: rcpt})
}

// IsZero tells whether f chooses all messages.
func (f *Filter) IsZero() bool {
	return len(f.IDs) == 0 && f.From == "" && f.To == "" && f.Domain == "" && f.Lane == "" && f.Reason == "" && f.Before.IsZero() && f.Larger == 0 && f.State == ""
}

// String is f as a line of the log has it.
func (f *Filter) String() string {
	if f.IsZero() {
		return "all"
	}
	var words []string
	for _, w := range []struct{ name, value string }{
		{"from", f.From}, {"to", f.To}, {"domain", f.Domain}, {"state", string(f.State)}, {"lane", f.Lane}, {"reason", f.Reason},
	} {
		if w.value != "" {
			words = append(words, fmt.Sprintf("%s=%q", w.name, w.value))
		}
	}
	if !f.Before.IsZero() {
		words = append(words, "before="+f.Before.UTC().Format(time.RFC3339))
	}
	if f.Larger != 0 {
		words = append(words, fmt.Sprintf("larger=%d", f.Larger))
	}
	if n := len(f.IDs); n > 0 {
		ids := make([]string, 0, maxNamed)
		for _, id := range f.IDs[:min(n, maxNamed)] {
			ids = append(ids, string(id))
		}
		if n > maxNamed {
			ids = append(ids, fmt.Sprintf("and %d more", n-maxNamed))
		}
		words = append(words, "ids="+strings.Join(ids, ","))
	}
	return strings.Join(words, " ")
}

// hopText is a next hop that an operator named.
func hopText(n *mail.NextHop) string {
	if n == nil {
		return "routes"
	}
	return n.String()
}
