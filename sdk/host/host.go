// Package host is what the functions of the plugin ABI mean: one hook call's
// view on one message, in Go types and without WebAssembly. The server puts
// pointers and lengths around it, and the fake host of plugin tests calls it
// as it is, so that both behave alike.
package host

import (
	"crypto/rand"
	"encoding/json"
	"io"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

// Input is what a hook call begins with. Only what the plugin may look at
// needs to be there.
type Input struct {
	Hook       string // "on_message"
	Config     json.RawMessage
	Context    Context
	Sender     string // the reverse-path; empty is the null one
	Recipients []Recipient
	Notes      map[string]string // not changed; [Changes] has the new ones
	Deadline   time.Time         // zero: none
	Limits     Limits            // zero fields have their defaults

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

	// RecipientReplies says that the session can give each recipient a reply
	// of its own in this hook.
	RecipientReplies bool
}

// A Recipient is one forward-path, with what a plugin may decide of it.
type Recipient struct {
	Address  string
	Original string // as RCPT gave it
	ORCPT    string
	Notify   string // "SUCCESS,FAILURE,DELAY", "NEVER" or empty
	Route    *Route
	Deliver  *Target
	Reply    *Reply // only with [Input].RecipientReplies

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
	Message       Message           // nil if the plugin never looked at it
	Edited        bool              // Message has edits of this call
	Notes         map[string]string // nil if no note was set
	Hold          string            // the reason of quarantine; empty: none
}

// A Call is one hook call on one message. Its methods are the functions of the
// ABI; what they are given is checked, what they return is the caller's. It is
// not safe for concurrent use. End it with Commit or Rollback.
type Call struct {
	in     Input
	limits Limits

	sender        string
	senderSet     bool
	rcpts         []recipient
	rcptsSet      bool
	rcptsAdded    int
	notes         map[string]string
	notesOctets   int
	reply         *Reply
	hold          string
	logged        int
	logFull       bool
	message       Message // nil until the plugin looks at it
	mark          int     // where message's edits of this call begin
	openErr       abi.Errno
	edited        bool
	headerAdded   int // fields
	headerOctets  int
	partsAdded    int
	blobs         [][]byte
	blobOctets    int
	contextAsJSON []byte
}

type recipient struct {
	Recipient
	removed bool
}

// New begins a hook call.
func New(in Input) *Call {
	c := &Call{in: in, limits: in.Limits.withDefaults(), sender: in.Sender}
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
		Message: c.message, Edited: c.edited, Notes: c.notes, Hold: c.hold,
	}
	ch.Recipients = make([]Recipient, 0, len(c.rcpts))
	for _, r := range c.rcpts {
		if !r.removed {
			ch.Recipients = append(ch.Recipients, r.Recipient)
		}
	}
	c.blobs = nil
	return ch
}

// Rollback ends the call and leaves nothing of what the plugin did: the
// message that Open gave is again what it was. It may come after Commit, if the
// changes cannot be used.
func (c *Call) Rollback() {
	if c.message != nil {
		c.message.Rollback(c.mark)
	}
	c.blobs, c.edited = nil, false
}

// content opens the message when it is first asked for.
func (c *Call) content() (Message, abi.Errno) {
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
