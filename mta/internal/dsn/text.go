package dsn

import (
	"fmt"
	"strings"
	"time"
)

// human writes the part that people read: what happened, to whom, why, and what
// to do.
func (c *composer) human(b *writer, returned *returned) {
	charset := "us-ascii"
	if c.utf8 {
		charset = "utf-8"
	}
	c.part(b, "text/plain; charset="+charset, c.encoding())
	b.line("This is the mail server at %s.", c.safe(c.ReportingMTA))
	b.line("")
	b.paragraph(c.opening())
	b.line("")
	for i := range c.Recipients {
		c.humanRecipient(b, &c.Recipients[i])
	}
	if c.anyFailed() {
		b.paragraph(advice)
		b.line("")
	}
	b.paragraph(returned.note)
	b.line("")
	b.line("Received here: %s", c.Arrival.Format(time.RFC1123Z))
	b.line("Known here as: %s", c.Original)
}

func (c *composer) subject() string {
	switch {
	case c.all(failed):
		return "Your message could not be delivered"
	case c.all(delayed):
		return "Your message is delayed"
	case c.all(delivered), c.all(relayed):
		return "Your message has been delivered"
	}
	return "What became of your message"
}

func (c *composer) opening() string {
	switch {
	case c.all(failed):
		return "Your message could not be delivered to the recipients below. This is final: it will not be tried again."
	case c.all(delayed):
		return "Your message could not be delivered to the recipients below yet. You need not do anything: " +
			"it will be tried again until " + c.Recipients[0].RetryUntil.Format(time.RFC1123Z) + "."
	case c.all(delivered):
		return "You asked to be told: your message is in the mailboxes of the recipients below. Whether they have read it is not known."
	case c.all(relayed):
		return "You asked to be told: your message was handed on for the recipients below to a mail server that does not report further. " +
			"You will hear no more unless it fails."
	}
	return "This is what became of your message for the recipients below."
}

const advice = "Check the addresses, and send the message again if you think that the cause is gone. " +
	"If you write to somebody about this, include the words above."

// humanRecipient writes a recipient and what was said of it.
func (c *composer) humanRecipient(b *writer, r *Recipient) {
	b.line("  <%s>", c.safe(r.address().String()))
	for _, s := range c.reasons(r) {
		b.indented("    ", s)
	}
	b.line("")
}

func (c *composer) reasons(r *Recipient) []string {
	var out []string
	switch {
	case r.action() == delivered:
		return []string{"was delivered"}
	case r.action() == relayed:
		out = append(out, "was handed on")
	case r.Result.Outcome == "expired":
		out = append(out, "it was tried for too long; the last attempt said:")
	}
	said := c.safe(replyText(&r.Result))
	host := c.safe(host(r.Result.NextHop))
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
