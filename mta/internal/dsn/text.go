package dsn

import (
	"fmt"
	"io"
	"mime/quotedprintable"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// human writes the part that people read: what happened, to whom, what the other
// server said, and what happens next.
func (c *composer) human(b *writer, returned *returned) {
	var text writer
	text.line("This is the mail server at %s.", readable(c.ReportingMTA))
	text.line("")
	for _, a := range order {
		c.humanGroup(&text, a)
	}
	text.paragraph(returned.note)
	text.line("")
	text.line("Received here: %s", c.Arrival.Format(time.RFC1123Z))
	text.line("Known here as: %s", c.Original)
	c.text(b, text.String())
}

// text writes a part of text: in UTF-8 if it needs that, and then in a form for
// next hops without 8BITMIME where the notification is to be in one.
func (c *composer) text(b *writer, s string) {
	switch {
	case c.utf8:
		c.part(b, "text/plain; charset=utf-8", "8bit")
	case mail.HasUTF8(s):
		c.part(b, "text/plain; charset=utf-8", "quoted-printable")
		w := quotedprintable.NewWriter(b)
		io.WriteString(w, s) // into memory, where nothing can fail
		w.Close()
		return
	default:
		c.part(b, "text/plain; charset=us-ascii", "7bit")
	}
	b.WriteString(s)
}

// readable is a text from outside for people to read.
func readable(s string) string { return safe(s, true) }

// your is whose message it is, to the one who is told.
func (c *composer) your() string {
	if c.Postmaster {
		return "The"
	}
	return "Your"
}

func (c *composer) subject() string {
	switch {
	case c.Postmaster:
		return "Postmaster: a message could neither be delivered nor returned"
	case c.all(failed):
		return "Your message could not be delivered"
	case c.all(delayed):
		return "Your message is delayed"
	case len(c.with(failed))+len(c.with(delayed)) == 0:
		return "Your message has been delivered"
	}
	return "What became of your message"
}

// humanGroup writes of those recipients that had the same action.
func (c *composer) humanGroup(b *writer, a action) {
	group := c.with(a)
	if len(group) == 0 {
		return
	}
	b.paragraph(c.opening(a, group[0]))
	b.line("")
	for _, r := range group {
		b.line("  <%s>", readable(r.address().String()))
		for _, s := range c.reasons(r) {
			b.indented("    ", s)
		}
		b.line("")
	}
	if a == failed && !c.Postmaster {
		b.paragraph(advice)
		b.line("")
	}
}

// opening says what happened to a group of recipients, and what happens next.
func (c *composer) opening(a action, first *Recipient) string {
	if c.Postmaster && a == failed {
		return postmasterOpening
	}
	if a == delayed {
		return openings[a] + first.RetryUntil.Format(time.RFC1123Z) + ". If it cannot be delivered until then you will be told."
	}
	return openings[a]
}

var openings = map[action]string{
	failed:    "Your message could not be delivered to the recipients below. This is final: it will not be tried again.",
	delayed:   "Your message could not be delivered to the recipients below yet. You need not do anything: it will be tried again until ",
	delivered: "You asked to be told: your message is in the mailboxes of the recipients below. Whether they have read it is not known.",
	relayed: "You asked to be told: your message was handed on for the recipients below to a mail server that does not report further. " +
		"You will hear no more unless it fails.",
	expanded: "You asked to be told: the addresses below stand for several others, and your message goes to all of those. " +
		"You will hear no more unless it fails for one of them.",
}

const postmasterOpening = "This is for the postmaster. A message could not be delivered to the recipients below, and it has the null " +
	"reverse-path: there is nobody to return it to. Most often such a message is a notification about another one, " +
	"whose sender gave a wrong address. Nobody else has been told, and it will not be tried again."

const advice = "Check the addresses, and send the message again if you think that the cause is gone. " +
	"If you write to somebody about this, include the words above."

// reasons say why it came so, for one recipient.
func (c *composer) reasons(r *Recipient) []string {
	var out []string
	switch r.action() {
	case delivered:
		return []string{"was delivered"}
	case expanded:
		return nil
	case relayed:
		out = append(out, "was handed on")
	case delayed, failed:
		if r.Result.Outcome != mail.Bounced {
			out = append(out, c.tried(r))
		}
	}
	said, host := readable(replyText(&r.Result)), readable(host(r.Result.NextHop))
	switch {
	case said == "" && len(out) == 0:
		out = append(out, "no reason is known")
	case said == "":
	case r.Result.Peer && host != "":
		out = append(out, fmt.Sprintf("%s said: %s", host, said))
	default:
		out = append(out, said)
	}
	return out
}

// tried says how often and how long.
func (c *composer) tried(r *Recipient) string {
	s, age := "", span(c.Date.Sub(c.Arrival))
	switch {
	case r.Attempts == 0 || r.LastAttempt.IsZero():
		s = "Its mail server could not be reached in " + age + ", so it was not tried."
	default:
		s = fmt.Sprintf("It was tried %s in %s, the last time at %s.", times(r.Attempts), age, r.LastAttempt.Format(time.RFC1123Z))
	}
	if replyText(&r.Result) != "" {
		s += " What was said last:"
	}
	return s
}

func times(n int) string {
	if n <= 1 {
		return "once"
	}
	return fmt.Sprintf("%d times", n)
}

// span is a time in words, without what does not matter.
func span(d time.Duration) string {
	for _, unit := range []struct {
		of   time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}} {
		n := int(d.Round(unit.of) / unit.of)
		if n == 1 && d >= unit.of {
			return "one " + unit.name
		}
		if d >= 2*unit.of {
			return fmt.Sprintf("%d %ss", n, unit.name)
		}
	}
	return "less than two minutes"
}

// A writer collects lines.
type writer struct{ strings.Builder }

func (b *writer) line(format string, args ...any) {
	fmt.Fprintf(b, format, args...)
	b.WriteString("\r\n")
}

func (b *writer) paragraph(s string) { b.indented("", s) }

// indented writes s, filled to lines of 72 where it has blanks.
func (b *writer) indented(indent, s string) {
	for _, l := range fill(s, 72-len(indent)) {
		b.WriteString(indent + l + "\r\n")
	}
}

// field writes a header field, folded at blanks where its line is long
// (RFC 5322 §2.2.3). The value is safe already.
func (b *writer) field(name, value string) {
	b.WriteString(name + ":")
	for i, l := range fill(value, 76-len(name)) {
		if i > 0 {
			b.WriteString("\r\n")
		}
		b.WriteString(" " + l)
	}
	b.WriteString("\r\n")
}

// maxWord is where a word without blanks is cut: a line has 998 octets at most
// (RFC 5322 §2.1.1).
const maxWord = 900

// fill divides s at blanks into lines of up to width octets. A longer word has
// a line for itself.
func fill(s string, width int) []string {
	var lines []string
	var line strings.Builder
	for word := range strings.FieldsSeq(s) {
		for len(word) > maxWord {
			cut := runeStart(word, maxWord)
			lines = append(flush(lines, &line), word[:cut])
			word = word[cut:]
		}
		if line.Len() > 0 && line.Len()+1+len(word) > width {
			lines = flush(lines, &line)
		}
		if line.Len() > 0 {
			line.WriteByte(' ')
		}
		line.WriteString(word)
	}
	return flush(lines, &line)
}

func flush(lines []string, line *strings.Builder) []string {
	if line.Len() == 0 {
		return lines
	}
	lines = append(lines, line.String())
	line.Reset()
	return lines
}
