package mta

import (
	"strings"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// A Recipient is one recipient of the envelope.
type Recipient struct{ id int32 }

// Address is where the mail goes now.
func (r Recipient) Address() string { return r.get(abi.RcptAddress) }

// Original is the address that the client gave in RCPT.
func (r Recipient) Original() string { return r.get(abi.RcptOriginal) }

// Notify is the NOTIFY parameter of RCPT (RFC 3461): "NEVER",
// "SUCCESS,FAILURE,DELAY", or empty.
func (r Recipient) Notify() string { return r.get(abi.RcptNotify) }

// ORCPT is the original recipient that RCPT named (RFC 3461 §4.2), such as
// "rfc822;bob@example.org"; empty if it named none.
func (r Recipient) ORCPT() string { return r.get(abi.RcptORCPT) }

// Resolved is the account whose mailbox this recipient's mail comes down to.
// It is known behind the queue, and empty for mail that goes elsewhere.
func (r Recipient) Resolved() string { return r.get(abi.RcptResolved) }

// Status is the outcome of the last attempt: "delivered", "relayed",
// "deferred", "bounced", "expired" or "discarded"; empty if there was none.
func (r Recipient) Status() string { return r.get(abi.RcptStatus) }

// LastReply is what the last attempt heard: "450 4.2.0 Busy".
func (r Recipient) LastReply() string { return r.get(abi.RcptReply) }

// RetryAt says when the next attempt is to be for this recipient. The zero Time
// leaves it to the queue.
func (r Recipient) RetryAt(at time.Time) error {
	ms := int64(0)
	if !at.IsZero() {
		ms = at.UnixMilli()
	}
	return failed("retry at "+at.UTC().Format(time.RFC3339), guest.RetryAt(r.id, ms))
}

func (r Recipient) get(field int32) string {
	b, _ := read(func(buf []byte) int32 { return guest.RcptGet(r.id, field, buf) })
	return string(b)
}

// Set sends this recipient's mail to another address. What RCPT asked for
// stays.
func (r Recipient) Set(address string) error {
	return failedOn("set recipient", address, guest.RcptSet(r.id, address))
}

// Remove drops the recipient: no mail, no notification.
func (r Recipient) Remove() error { return failed("remove recipient", guest.RcptRemove(r.id)) }

// Refuse refuses this recipient alone, with a code of 400 to 599 (but 421 and
// 521). The others still get the message: an LMTP client hears of it at once; over SMTP,
// which has no words for that after the message, one that is refused for now
// defers the message for all, and one that is refused for good is reported to the sender.
// Behind the queue it is how the attempt ends for this recipient.
func (r Recipient) Refuse(code int, enhanced, text string) error {
	return failed("refuse recipient",
		guest.RcptReply(r.id, int32(code), enhanced, printable(text, maxReplyText)))
}

// A NextHop is a host that mail is relayed to.
type NextHop struct {
	Host       string
	Port       int  // zero: the default
	RequireTLS bool // no TLS, no mail
	NoMX       bool // Host is the host itself, not a domain with MX records
}

// Route relays this recipient's mail to a next hop. It takes the place of an
// earlier Route or Deliver.
func (r Recipient) Route(hop NextHop) error {
	flags := int32(0)
	if hop.RequireTLS {
		flags |= abi.RouteRequireTLS
	}
	if hop.NoMX {
		flags |= abi.RouteNoMX
	}
	return failedOn("route to", hop.Host, guest.Route(r.id, hop.Host, int32(hop.Port), flags))
}

// A Mailbox is a folder of an account, and the flags a message gets there.
type Mailbox struct {
	Account string   // empty: the recipient's
	Folder  string   // "Lists/go"; empty: INBOX
	Flags   []string // `\Seen`, `\Flagged`, or a keyword
}

// Deliver puts this recipient's mail in a mailbox. It takes the place of an
// earlier Route or Deliver.
func (r Recipient) Deliver(to Mailbox) error {
	return failedOn("deliver to", to.Folder,
		guest.Deliver(r.id, to.Account, to.Folder, strings.Join(to.Flags, " ")))
}
