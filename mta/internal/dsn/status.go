package dsn

import (
	"fmt"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// status writes the part that programs read (RFC 3464 §2).
func (c *composer) status(b *writer) {
	mediaType := "message/delivery-status"
	if c.utf8 {
		mediaType = "message/global-delivery-status" // RFC 6533 §4
	}
	c.part(b, mediaType, c.encoding())
	if c.Envelope.EnvID != "" {
		b.field("Original-Envelope-Id", c.safe(c.Envelope.EnvID))
	}
	b.field("Reporting-MTA", "dns; "+c.safe(c.ReportingMTA))
	b.field("Arrival-Date", c.Arrival.Format(time.RFC1123Z))
	for _, r := range c.sorted {
		b.WriteString("\r\n")
		c.recipientStatus(b, r)
	}
}

// recipientStatus writes the fields of one recipient (RFC 3464 §2.3).
func (c *composer) recipientStatus(b *writer, r *Recipient) {
	if r.ORCPT != "" {
		b.field("Original-Recipient", c.original(r.ORCPT))
	}
	b.field("Final-Recipient", c.typed(r.address()))
	b.field("Action", string(r.action()))
	b.field("Status", r.status())
	if h := host(r.Result.NextHop); r.Result.Peer && h != "" {
		b.field("Remote-MTA", "dns; "+c.safe(mtaName(h)))
	}
	if said := c.safe(replyText(&r.Result)); said != "" {
		b.field("Diagnostic-Code", diagnosticType(&r.Result)+"; "+said)
	}
	if !r.LastAttempt.IsZero() {
		b.field("Last-Attempt-Date", r.LastAttempt.Format(time.RFC1123Z))
	}
	switch r.action() {
	case delayed:
		if !r.RetryUntil.IsZero() {
			b.field("Will-Retry-Until", r.RetryUntil.Format(time.RFC1123Z))
		}
	case failed, delivered, expanded: // it ends here: we are the final MTA
		b.field("Final-Log-ID", string(c.Original))
	}
}

// original is what ORCPT said: a type, a semicolon, an address.
func (c *composer) original(orcpt string) string {
	kind, address, found := strings.Cut(orcpt, ";")
	if !found {
		kind, address = "rfc822", orcpt
	}
	if strings.EqualFold(kind, "utf-8") {
		return "utf-8; " + unitext(address, c.utf8)
	}
	return c.safe(kind) + "; " + c.safe(address)
}

// typed is an address with its type, utf-8 for one that is not ASCII.
func (c *composer) typed(p mail.Path) string {
	if p.NeedsUTF8() {
		return "utf-8; " + unitext(p.String(), c.utf8)
	}
	return "rfc822; " + c.safe(p.String())
}

// diagnosticType is smtp only where a remote MTA said it (RFC 3464 §2.3.6).
func diagnosticType(r *mail.Result) string {
	if r.Peer {
		return "smtp"
	}
	return "x-mta"
}

// replyText is code, enhanced status code and text.
func replyText(r *mail.Result) string {
	text := strings.TrimSpace(r.Text)
	if r.Code == 0 {
		return text
	}
	return strings.TrimSpace(strings.Join([]string{fmt.Sprint(r.Code), r.Enh, text}, " "))
}

// classes are those that the status code of an action has (RFC 3463 §3.1).
var classes = map[action]byte{failed: '5', delayed: '4', delivered: '2', relayed: '2', expanded: '2'}

// status is the peer's enhanced status code if it fits the action, else the
// one that says nothing more.
func (r *Recipient) status() string {
	if r.Result.Outcome == mail.Expired {
		return "4.4.7" // delivery time expired (RFC 3463 §3.5)
	}
	class := classes[r.action()]
	if enh := r.Result.Enh; isStatus(enh) && enh[0] == class {
		return enh
	}
	return string(class) + ".0.0"
}

// isStatus tells whether s is digits "." 1*3digits "." 1*3digits.
func isStatus(s string) bool {
	parts := strings.Split(s, ".")
	if len(parts) != 3 || len(parts[0]) != 1 {
		return false
	}
	for _, p := range parts {
		if p == "" || len(p) > 3 || strings.Trim(p, "0123456789") != "" {
			return false
		}
	}
	return true
}
