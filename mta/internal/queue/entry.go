package queue

import (
	"maps"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// An Entry is one message of the queue. Stores keep it as JSON: a field may be
// added, but none may change its meaning.
type Entry struct {
	ID       mail.QueueID  `json:"id"`
	Received time.Time     `json:"received"`
	Client   mail.Client   `json:"client"`   // who handed it in; zero for a DSN
	Envelope mail.Envelope `json:"envelope"` // Recipients are those without an outcome yet
	Size     int64         `json:"size"`     // of the content, in octets

	Notes  map[string]string `json:"notes,omitempty"`   // what plugins left for those after the queue
	SentBy string            `json:"sent_by,omitempty"` // the stage that the message comes from
	Notice NoticeKind        `json:"notice,omitempty"`  // what kind of a DSN it is; empty: it is none of ours

	// Lane is what its next attempt has to wait for beside time: the next hop, or
	// empty. Entries of one lane are handed out at the pace that the lane bears.
	Lane string `json:"lane,omitempty"`

	Due      time.Time `json:"due"`                // when it is attempted next; has no meaning while held
	Held     string    `json:"held,omitempty"`     // why it is held; empty: it is not
	Attempts int       `json:"attempts,omitempty"` // made so far
	Done     int       `json:"done,omitempty"`     // recipients with an outcome
	Failures int       `json:"failures,omitempty"` // attempts in a row that failed here: a panic, content that cannot be read, a stage
	Begun    int       `json:"begun,omitempty"`    // attempts in a row that may have ended the process
	Warned   bool      `json:"warned,omitempty"`   // the sender has been told of the delay
	Reviewed bool      `json:"reviewed,omitempty"` // the stages after the queue have been asked, or need not be

	// Last is what the last attempt said of each of Envelope.Recipients, in
	// their order. It is empty before the first attempt.
	Last []Attempt `json:"last,omitempty"`

	// Damaged says that the store cannot read its record of the entry. Only
	// ID, Held and what else could be read are set; it can be removed, and not
	// updated.
	Damaged bool `json:"-"`

	Lease Lease `json:"-"` // who has it; set by the store

	// Twin is set by a store that keeps entries of another one, package shared's.
	// Everybody else leaves it as it is.
	Twin *Twin `json:"twin,omitempty"`
}

// A Twin says how an entry that a node has on its own disk stands to the one
// with the same ID in the store that it shares with other nodes.
type Twin struct {
	Kind  string `json:"kind,omitempty"`
	Token uint64 `json:"token,omitempty"` // of the lease under which it was last written there
	Put   string `json:"put,omitempty"`   // the operation with which it was put there, if it was; empty: not known
	Held  string `json:"held,omitempty"`  // Entry.Held, while that says that it waits for the other store
}

// An Attempt is what one try said of one recipient.
type Attempt struct {
	At      time.Time `json:"at"`
	NextHop string    `json:"next_hop,omitempty"`
	Code    int       `json:"code,omitempty"`
	Enh     string    `json:"enh,omitempty"`
	Text    string    `json:"text,omitempty"`
	Peer    bool      `json:"peer,omitempty"`  // Code, Enh and Text are the remote MTA's
	Error   string    `json:"error,omitempty"` // private: for the operator
}

// A Lease is the right to change an entry until a time. The token grows with
// each lease of an entry, so that whoever comes late with an older one is
// refused. The zero Lease is nobody's.
type Lease struct {
	Token uint64
	Until time.Time
}

// A State is where an entry stands; the package comment has the table.
type State string

const (
	Waiting State = "waiting"
	Active  State = "active"
	Held    State = "held"
)

// State tells where e stands at a time.
func (e *Entry) State(now time.Time) State {
	switch {
	case e.Lease.Until.After(now):
		return Active
	case e.Held != "":
		return Held
	}
	return Waiting
}

// Reply is the text of the last reply for the recipient with this index.
func (e *Entry) Reply(i int) string {
	if i >= len(e.Last) {
		return ""
	}
	a := e.Last[i]
	return reply(a.Code, a.Enh, a.Text, a.Error)
}

func newEntry(tx *mail.Transaction) *Entry {
	e := &Entry{
		ID:       tx.ID,
		Received: tx.Received,
		Client:   tx.Client,
		Envelope: tx.Envelope,
		Held:     tx.Hold,
		Notes:    maps.Clone(tx.QueuedNotes),
		SentBy:   tx.SentBy,
	}
	e.Envelope.Recipients = slices.Clone(tx.Envelope.Recipients)
	return e
}

// message is what the deliverer gets to see of an attempt at some of the
// recipients, which are given by their places.
func (e *Entry) message(content mail.Content, places []int) *mail.Message {
	m := &mail.Message{
		ID: e.ID, Received: e.Received, Client: e.Client, Envelope: e.Envelope, Content: content,
		Attempts: e.Attempts, Notes: maps.Clone(e.Notes),
	}
	m.Envelope.Recipients = make([]mail.Recipient, len(places))
	for k, i := range places {
		m.Envelope.Recipients[k] = e.Envelope.Recipients[i]
		m.Envelope.Recipients[k].Last = e.last(i)
	}
	return m
}

// last is the result of the last attempt at a recipient; nil if there was none.
func (e *Entry) last(i int) *mail.Result {
	if i >= len(e.Last) {
		return nil
	}
	a := e.Last[i]
	return &mail.Result{Outcome: mail.Deferred, NextHop: a.NextHop, Code: a.Code, Enh: a.Enh, Text: a.Text, Peer: a.Peer}
}
