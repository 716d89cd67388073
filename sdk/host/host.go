// Package host is what the functions of the plugin ABI mean: one hook call's
// view on one message, in Go types and without WebAssembly. The server puts
// pointers and lengths around it, and the fake host of plugin tests calls it
// as it is, so that both behave alike.
package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"io"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

// Input is what a hook call begins with. Only what the plugin may look at
// needs to be there.
type Input struct {
	Hook     string    // "on_message"
	Grants   abi.Grant // zero: only what every plugin may
	Config   json.RawMessage
	Context  Context
	Sender   string    // the reverse-path; empty is the null one
	Deadline time.Time // zero: none
	Limits   Limits    // zero fields have their defaults

	// Recipients are all there are so far: in on_rcpt the last one is asked
	// about, and only it can be changed. After the queue they are those of
	// this attempt.
	Recipients []Recipient

	// Notes by their scope: of the session, of the transaction, and of the
	// queued message. They are not changed; [Changes] has the new ones.
	SessionNotes, Notes, QueuedNotes map[string]string

	// AfterQueue says that the client is gone: the message is in the queue, and
	// a stage is asked with on_headers or on_message all the same.
	AfterQueue bool

	// Ctx bounds what services do; nil is none.
	Ctx context.Context

	// The services. One that is nil is not there, whatever is granted.
	KV       KV
	Resolver Resolver
	Metrics  Metrics

	// Open gives the message when the plugin first looks at it; nil where the
	// hook has none. What it returns is edited in place, and put back by
	// Rollback.
	Open func() (Message, error)

	// Path checks an address and returns it as the server writes it; nil
	// means [CheckPath].
	Path func(address string) (string, error)

	// Log takes what the plugin logs; nil drops it.
	Log func(level abi.Level, text string)

	// Level is the least level that Log wants.
	Level abi.Level

	// Now and Random are the clock and the source of random octets; nil means
	// the real ones.
	Now    func() time.Time
	Random io.Reader
}

// A Recipient is one forward-path, with what a plugin may decide of it.
type Recipient struct {
	Address  string
	Original string // as RCPT gave it
	ORCPT    string
	Notify   string // "SUCCESS,FAILURE,DELAY", "NEVER" or empty
	Route    *Route
	Deliver  *Target
	Reply    *Reply    // the stage's no to this one recipient
	RetryAt  time.Time // when the next attempt is to be; zero: as the queue has it

	// What is known behind the queue.
	Resolved  string // the account whose mailbox it comes down to; empty: elsewhere, or not known
	Status    string // the outcome of the last attempt: "deferred"; empty: there was none
	LastReply string // what the last attempt heard: "450 4.2.0 Busy"

	// Origin is the place in [Input].Recipients that this one came from; -1
	// for one that the plugin added. New sets it.
	Origin int
}

// A Route is a next hop that a plugin names.
type Route struct {
	Host       string
	Port       int // zero: the default
	RequireTLS bool
	NoMX       bool
}

// A Target is a mailbox that a plugin names.
type Target struct {
	Account string // empty: the recipient's
	Folder  string // empty: INBOX
	Flags   string // IMAP flags with blanks between them
}

// A Reply is what the client is to hear.
type Reply struct {
	Code     int
	Enhanced string // "5.7.1"; may be empty
	Text     string
}

// Changes are what a hook call did.
type Changes struct {
	Sender        string
	SenderSet     bool
	Recipients    []Recipient
	RecipientsSet bool
	Message       Message // nil if the plugin never looked at it
	Edited        bool    // Message has edits of this call
	Hold          string  // the reason of quarantine; empty: none

	// Notes by their scope; nil if none of that scope was set.
	SessionNotes, Notes, QueuedNotes map[string]string

	// Variants are groups of recipients with a message of their own. None of
	// them is in Recipients, and no variant is empty. Recipients is empty only
	// if there are no variants either.
	Variants []Variant

	// Sends are messages that the plugin originates.
	Sends []Sent
}

// A Variant is one message for some of the recipients: a fork of the one that
// they had, with the edits made since.
type Variant struct {
	Message    Message
	Recipients []Recipient
}

// Sent is a message that a plugin originates. Its octets have CRLF line ends;
// its header section is as the plugin wrote it.
type Sent struct {
	Sender     string // empty: the null reverse-path
	Recipients []string
	Octets     []byte
}

// A Call is one hook call on one message. Its methods are the functions of the
// ABI; what they are given is checked, what they return is the caller's. It is
// not safe for concurrent use. End it with Commit or Rollback.
type Call struct {
	in     Input
	hook   abi.HookSet // the one of in.Hook
	limits Limits

	sender        string
	senderSet     bool
	rcpts         []recipient
	rcptsSet      bool
	rcptsAdded    int
	notes         [scopes]notes
	reply         *Reply
	hold          string
	logged        int
	logFull       bool
	message       Message // nil until the plugin looks at it
	mark          int     // where message's edits of this call begin
	openErr       abi.Errno
	changed       bool // message has edits of this call
	variants      []Message
	selected      int32 // of variants, from one; zero is message
	headerAdded   int   // fields
	headerOctets  int
	partsAdded    int
	edits         int
	editOctets    int // of content
	blobs         [][]byte
	blobOctets    int
	sends         []Sent
	used          used
	counts        []count
	observations  []observation
	contextAsJSON []byte
}

type recipient struct {
	Recipient
	variant int32 // zero is none
	removed bool
}

// used counts what a call did with services.
type used struct{ kv, dns int }

// New begins a hook call.
func New(in Input) *Call {
	c := &Call{in: in, hook: abi.SetOf(in.Hook), limits: in.Limits.withDefaults(), sender: in.Sender}
	c.notes = [scopes]notes{{old: in.SessionNotes}, {old: in.Notes}, {old: in.QueuedNotes}}
	if c.in.Ctx == nil {
		c.in.Ctx = context.Background()
	}
	if c.in.Path == nil {
		c.in.Path = CheckPath
	}
	if c.in.Now == nil {
		c.in.Now = time.Now
	}
	if c.in.Random == nil {
		c.in.Random = rand.Reader
	}
	c.rcpts = make([]recipient, len(in.Recipients))
	for i, r := range in.Recipients {
		r.Origin = i
		c.rcpts[i] = recipient{Recipient: r}
	}
	return c
}

// Commit ends the call and keeps what the plugin did.
func (c *Call) Commit() Changes {
	ch := Changes{
		Sender: c.sender, SenderSet: c.senderSet, RecipientsSet: c.rcptsSet,
		Message: c.message, Edited: c.changed, Hold: c.hold, Sends: c.sends,
		SessionNotes: c.notes[abi.ScopeConnection].now,
		Notes:        c.notes[abi.ScopeTransaction].now,
		QueuedNotes:  c.notes[abi.ScopeQueued].now,
	}
	c.split(&ch)
	c.publish()
	c.blobs = nil
	return ch
}

// Work counts what the call did with the message that is selected, in steps of
// some nanoseconds; see [mimetree.Tree.Work].
func (c *Call) Work() int64 {
	m := c.message
	if c.selected > 0 {
		m = c.variants[c.selected-1]
	}
	if t := TreeOf(m); t != nil {
		return t.Work()
	}
	return 0
}

// Rollback ends the call and leaves nothing of what the plugin did: the
// message that Open gave is again what it was. It may come after Commit, if the
// changes cannot be used. What was done with [KV] stays.
func (c *Call) Rollback() {
	if c.message != nil {
		c.message.Rollback(c.mark)
	}
	c.blobs, c.sends, c.variants, c.changed = nil, nil, nil, false
}

// may tells whether a plugin may do that now: [abi.WrongStage] if not in this
// hook, [abi.NotGranted] if not at all.
func (c *Call) may(a abi.Access) abi.Errno {
	switch {
	case !a.Hooks.Has(c.hook):
		return abi.WrongStage
	case c.in.Grants.Lacks(a.Grant) != 0:
		return abi.NotGranted
	}
	return abi.OK
}

// content is the message that is selected, if the plugin may do that with it.
func (c *Call) content(a abi.Access) (Message, abi.Errno) {
	if e := c.may(a); e != abi.OK {
		return nil, e
	}
	if c.selected > 0 {
		return c.variants[c.selected-1], abi.OK
	}
	return c.base()
}

// base opens the message when it is first asked for.
func (c *Call) base() (Message, abi.Errno) {
	if c.message != nil {
		return c.message, abi.OK
	}
	if c.in.Open == nil {
		return nil, abi.WrongStage
	}
	if c.openErr != abi.OK {
		return nil, c.openErr
	}
	m, err := c.in.Open()
	if err != nil {
		c.openErr = abi.IO
		return nil, abi.IO
	}
	c.message, c.mark = m, m.Mark()
	return m, abi.OK
}
