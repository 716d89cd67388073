package mta

import (
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Sender is the reverse-path without its angle brackets; empty is the null one.
func (m *Message) Sender() string {
	b, _ := read(guest.SenderGet)
	return string(b)
}

// SetSender changes the reverse-path.
func (m *Message) SetSender(address string) error {
	return failedOn("set sender", address, guest.SenderSet(address))
}

// Recipients are the recipients of the envelope, as they are now.
func (m *Message) Recipients() []Recipient {
	n := max(guest.RcptCount(), 0)
	rcpts := make([]Recipient, 0, n)
	for i := range n {
		if id := guest.RcptAt(i); id > 0 {
			rcpts = append(rcpts, Recipient{id})
		}
	}
	return rcpts
}

// AddRecipient adds a recipient. One that is there already is returned.
func (m *Message) AddRecipient(address string) (Recipient, error) {
	id := guest.RcptAdd(address)
	return Recipient{id}, failedOn("add recipient", address, id)
}

// Route relays the message to a next hop, for all recipients.
func (m *Message) Route(hop NextHop) error { return Recipient{abi.AllRecipients}.Route(hop) }

// Deliver puts the message in a mailbox, for all recipients.
func (m *Message) Deliver(to Mailbox) error { return Recipient{abi.AllRecipients}.Deliver(to) }

// Quarantine holds the message for an operator, and lets the stages that are
// left see it. To skip them return the verdict that [Quarantine] makes.
func (m *Message) Quarantine(reason string) error {
	return failed("quarantine", guest.Quarantine(printable(reason, maxReason)))
}

// A Recipient is one recipient of the envelope.
type Recipient struct{ id int32 }

// Address is where the mail goes now.
func (r Recipient) Address() string { return r.get(abi.RcptAddress) }

// Original is the address that the client gave in RCPT.
func (r Recipient) Original() string { return r.get(abi.RcptOriginal) }

// Notify is the NOTIFY parameter of RCPT (RFC 3461): "NEVER",
// "SUCCESS,FAILURE,DELAY", or empty.
func (r Recipient) Notify() string { return r.get(abi.RcptNotify) }

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

// Reply refuses this recipient alone. Only LMTP can say that after the
// message; elsewhere it is [ErrWrongStage].
func (r Recipient) Reply(code int, enhanced, text string) error {
	return failed("reply for recipient",
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
