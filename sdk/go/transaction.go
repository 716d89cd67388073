package mta

import (
	"strconv"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// A Transaction is one message on its way in, from MAIL on, or in the queue:
// its envelope, in the session that it came in. It is the host's: every method
// asks it there.
type Transaction struct{ Session }

// QueueID names the message in the queue, in logs and in Received:.
func (t *Transaction) QueueID() string { return t.context("/queue/id") }

// Attempts is how many attempts were made at a queued message.
func (t *Transaction) Attempts() int {
	n, _ := strconv.Atoi(t.context("/queue/attempts"))
	return n
}

// Received is when MAIL came; the zero Time is not known.
func (t *Transaction) Received() time.Time {
	at, _ := time.Parse(time.RFC3339, t.context("/queue/received"))
	return at
}

// Sender is the reverse-path without its angle brackets; empty is the null one.
func (t *Transaction) Sender() string {
	b, _ := read(guest.SenderGet)
	return string(b)
}

// SetSender changes the reverse-path.
func (t *Transaction) SetSender(address string) error {
	return failedOn("set sender", address, guest.SenderSet(address))
}

// Recipients are the recipients of the envelope, as they are now.
func (t *Transaction) Recipients() []Recipient {
	n := max(guest.RcptCount(), 0)
	rcpts := make([]Recipient, 0, n)
	for i := range n {
		if id := guest.RcptAt(i); id > 0 {
			rcpts = append(rcpts, Recipient{id})
		}
	}
	return rcpts
}

// LastRecipient is the recipient that came last: in on_rcpt the one that is
// asked about.
func (t *Transaction) LastRecipient() (Recipient, bool) {
	id := guest.RcptAt(guest.RcptCount() - 1)
	return Recipient{id}, id > 0
}

// AddRecipient adds a recipient. One that is there already is returned.
func (t *Transaction) AddRecipient(address string) (Recipient, error) {
	id := guest.RcptAdd(address)
	return Recipient{id}, failedOn("add recipient", address, id)
}

// Route relays the message to a next hop, for all recipients.
func (t *Transaction) Route(hop NextHop) error { return Recipient{abi.AllRecipients}.Route(hop) }

// Deliver puts the message in a mailbox, for all recipients.
func (t *Transaction) Deliver(to Mailbox) error { return Recipient{abi.AllRecipients}.Deliver(to) }

// RetryAt says when the next attempt is to be for all recipients, as
// [Recipient.RetryAt] does.
func (t *Transaction) RetryAt(at time.Time) error {
	return Recipient{abi.AllRecipients}.RetryAt(at)
}

// Quarantine holds the message for an operator, and lets the stages that are
// left see it. To skip them return the verdict that [Quarantine] makes.
func (t *Transaction) Quarantine(reason string) error {
	return failed("quarantine", guest.Quarantine(printable(reason, maxReason)))
}

// Note is what an earlier stage, or this one, noted of the message. Behind the
// queue there are none: see [Transaction.QueuedNote].
func (t *Transaction) Note(key string) (value string, ok bool) {
	return note(abi.ScopeTransaction, key)
}

// SetNote leaves a note for later stages of the same message.
func (t *Transaction) SetNote(key, value string) error {
	return setNote(abi.ScopeTransaction, key, value)
}

// QueuedNote is what a stage noted of the message for as long as it is queued.
func (t *Transaction) QueuedNote(key string) (value string, ok bool) {
	return note(abi.ScopeQueued, key)
}

// SetQueuedNote leaves a note that goes with the message into the queue.
func (t *Transaction) SetQueuedNote(key, value string) error {
	return setNote(abi.ScopeQueued, key, value)
}
