// Package dsn composes delivery status notifications (RFC 3464). It turns
// outcomes into octets; whether to send them is the queue's decision.
package dsn

import (
	"crypto/rand"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A Report is what one notification tells: what one attempt at a message came to
// for some of its recipients.
type Report struct {
	ID           mail.QueueID // of the notification; its Message-ID is made of it
	Date         time.Time    // of the notification
	ReportingMTA string       // our host name
	To           mail.Path    // who is told: the reverse-path, or the postmaster
	Postmaster   bool         // it is told because the message has the null reverse-path
	Original     mail.QueueID // of the message it tells of
	Envelope     mail.Envelope
	Arrival      time.Time    // of the message
	Content      mail.Content // of the message; nil: it cannot be read
	Recipients   []Recipient  // at least one
}

// A Recipient is one that is told of.
type Recipient struct {
	mail.Recipient
	Result      mail.Result
	Attempts    int // made at the message
	LastAttempt time.Time
	RetryUntil  time.Time // where deferred
}

// A Notification is a message to the reverse-path of the one it tells of, with
// the null reverse-path as its own.
type Notification struct {
	Content mail.Content // streams the original; good as long as its Content is
	Body    mail.Body    // BODY of its envelope
	UTF8    bool         // SMTPUTF8 of its envelope
}

// An action is the Action field (RFC 3464 §2.3.3).
type action string

const (
	failed    action = "failed"
	delayed   action = "delayed"
	delivered action = "delivered"
	relayed   action = "relayed"
	expanded  action = "expanded"
)

var actions = map[mail.Outcome]action{
	mail.Delivered: delivered,
	mail.Relayed:   relayed,
	mail.Expanded:  expanded,
	mail.Deferred:  delayed,
	mail.Bounced:   failed,
	mail.Expired:   failed,
}

func (r *Recipient) action() action {
	if a, ok := actions[r.Result.Outcome]; ok {
		return a
	}
	return delayed
}

// address is how the sender knows the recipient: what an alias or a plugin made
// of it is not told.
func (r *Recipient) address() mail.Path {
	if r.Original.IsNull() {
		return r.Path
	}
	return r.Original
}

// Compose makes the notification. It does not fail: an original that cannot be
// read is left out, and the notification says so.
//
// It needs SMTPUTF8 only where the address that it goes to does. Any other
// reaches its reader over next hops without it, so nothing in it is beyond ASCII
// but perhaps the original, in 8bit, which a relay can convert.
func Compose(r *Report) *Notification {
	c := &composer{Report: r, utf8: r.To.NeedsUTF8()}
	for _, a := range order {
		c.sorted = append(c.sorted, c.with(a)...)
	}
	c.boundary = "=_" + string(r.ID) + "_" + strings.ToLower(rand.Text()[:16])
	returned := c.returned()

	var b writer
	c.header(&b, returned)
	c.human(&b, returned)
	c.status(&b)
	returned.header(&b, c)
	head := b.String()
	tail := "\r\n--" + c.boundary + "--\r\n"

	n := &Notification{Content: &content{head: head, original: returned.content, tail: tail}, Body: mail.Body7Bit, UTF8: c.utf8}
	if returned.eight || mail.HasUTF8(head) {
		n.Body = mail.Body8Bit
	}
	return n
}

// A composer is one call of Compose.
type composer struct {
	*Report
	utf8     bool // SMTPUTF8: addresses and texts need no escapes (RFC 6533)
	boundary string
	sorted   []*Recipient // the Report's, in order
}

// order is that of the recipients by their action. What failed comes first:
// there are readers who look at the first and think that the rest is like it.
var order = []action{failed, delayed, delivered, relayed, expanded}

// with are the recipients that had this action.
func (c *composer) with(a action) (some []*Recipient) {
	for i := range c.Recipients {
		if c.Recipients[i].action() == a {
			some = append(some, &c.Recipients[i])
		}
	}
	return some
}

func (c *composer) all(a action) bool { return len(c.with(a)) == len(c.Recipients) }

// header writes the header section of the notification, and begins its body.
func (c *composer) header(b *writer, returned *returned) {
	b.field("From", `"Mail Delivery System" <MAILER-DAEMON@`+c.safe(c.ReportingMTA)+">")
	b.field("To", "<"+c.safe(c.To.String())+">")
	b.field("Subject", c.subject())
	b.field("Date", c.Date.Format(time.RFC1123Z))
	b.field("Message-ID", "<"+string(c.ID)+".dsn@"+c.safe(c.ReportingMTA)+">")
	if returned.messageID != "" {
		b.field("In-Reply-To", returned.messageID)
		b.field("References", returned.messageID)
	}
	b.field("Auto-Submitted", "auto-replied") // RFC 3834 §5
	b.field("MIME-Version", "1.0")
	b.WriteString("Content-Type: multipart/report; report-type=delivery-status;\r\n boundary=\"" + c.boundary + "\"\r\n")
	if returned.eight || c.utf8 { // RFC 2045 §6.4: that of the parts
		b.field("Content-Transfer-Encoding", "8bit")
	}
	b.WriteString("\r\nThis is a message with several parts, in MIME format.\r\n")
}

// part begins a part.
func (c *composer) part(b *writer, mediaType, encoding string) {
	b.WriteString("\r\n--" + c.boundary + "\r\n")
	b.field("Content-Type", mediaType)
	if encoding != "" {
		b.field("Content-Transfer-Encoding", encoding)
	}
	b.WriteString("\r\n")
}

// encoding is that of a part with fields of ours.
func (c *composer) encoding() string {
	if c.utf8 {
		return "8bit"
	}
	return "7bit"
}

// content is the notification's octets; those of the original are not copied.
type content struct {
	head     string
	original mail.Content
	tail     string
}

// Size implements [mail.Content].
func (c *content) Size() int64 {
	return int64(len(c.head)) + c.original.Size() + int64(len(c.tail))
}

// Open implements [mail.Content].
func (c *content) Open() (io.ReadCloser, error) {
	original, err := c.original.Open()
	if err != nil {
		return nil, fmt.Errorf("open the message to return: %w", err)
	}
	return struct {
		io.Reader
		io.Closer
	}{io.MultiReader(strings.NewReader(c.head), original, strings.NewReader(c.tail)), original}, nil
}
