// Package mail has the nouns of a mail server: paths, envelopes, transactions
// and content. It knows no protocol, no storage and none of the other packages.
package mail

import (
	"bytes"
	"context"
	"crypto/rand"
	"encoding/base32"
	"encoding/binary"
	"io"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// A QueueID names one accepted message, in logs, in Received: and in the
// queue. It is made when the transaction begins, and sorts by that time.
type QueueID string

var idEncoding = base32.NewEncoding("0123456789ABCDEFGHJKMNPQRSTVWXYZ").WithPadding(base32.NoPadding)

// NewQueueID returns an ID of 16 characters (digits and capital letters) that
// no other transaction has: 48 bits of milliseconds, then 32 random bits.
func NewQueueID(now time.Time) QueueID {
	var b [10]byte
	var ms [8]byte
	binary.BigEndian.PutUint64(ms[:], uint64(now.UnixMilli()))
	copy(b[:6], ms[2:])
	rand.Read(b[6:]) // never fails (crypto/rand)
	return QueueID(idEncoding.EncodeToString(b[:]))
}

// NewQueueIDBeside is NewQueueID for a message that is queued together with
// root: both have the same Shard.
func NewQueueIDBeside(now time.Time, root QueueID) QueueID {
	id := NewQueueID(now)
	if root == "" {
		return id
	}
	return id[:len(id)-1] + root[len(root)-1:]
}

// Shards is how many values [QueueID.Shard] has.
const Shards = 32

// Shard is what a store may divide entries by, in [0, Shards): what is stored
// in one step has the same. Only the last character counts.
func (id QueueID) Shard() int {
	if id == "" {
		return 0
	}
	const letters = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
	last := id[len(id)-1]
	if i := strings.IndexByte(letters, last); i >= 0 {
		return i
	}
	return int(last) % Shards
}

// Content is a message's header section and body, exact octets with CRLF line
// ends. It can be opened as often as needed. Safe for concurrent use.
type Content interface {
	Open() (io.ReadCloser, error) // from the first octet, every time
	Size() int64                  // in octets
}

// Octets is content that can be read at any offset: what was received and not
// edited yet.
type Octets interface {
	Content
	io.ReaderAt
}

// Bytes is content held in memory. It must not be changed once it is used.
type Bytes []byte

// Open implements [Content].
func (b Bytes) Open() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(b)), nil }

// Size implements [Content].
func (b Bytes) Size() int64 { return int64(len(b)) }

// ReadAt implements [io.ReaderAt].
func (b Bytes) ReadAt(p []byte, off int64) (int, error) {
	return bytes.NewReader(b).ReadAt(p, off)
}

// ReadAll returns the octets of c in memory.
func ReadAll(c Content) ([]byte, error) {
	if b, ok := c.(Bytes); ok {
		return b, nil
	}
	r, err := c.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b := make([]byte, 0, c.Size()+1)
	buf := bytes.NewBuffer(b)
	_, err = buf.ReadFrom(r)
	return buf.Bytes(), err
}

// Body is the BODY parameter of MAIL (RFC 6152, RFC 3030).
type Body string

const (
	Body7Bit   Body = "7BIT" // also the zero value's meaning
	Body8Bit   Body = "8BITMIME"
	BodyBinary Body = "BINARYMIME"
)

// Notify is the NOTIFY parameter of RCPT (RFC 3461 §4.1), a set. Zero means
// that none was given: failures, and delays at the server's pleasure.
type Notify uint8

const (
	NotifyNever Notify = 1 << iota
	NotifySuccess
	NotifyFailure
	NotifyDelay
)

// String is the value of NOTIFY, empty for the zero Notify. NEVER stands alone
// (RFC 3461 §4.1).
func (n Notify) String() string {
	if n&NotifyNever != 0 {
		return "NEVER"
	}
	var words []string
	for _, w := range [...]struct {
		bit  Notify
		word string
	}{{NotifySuccess, "SUCCESS"}, {NotifyFailure, "FAILURE"}, {NotifyDelay, "DELAY"}} {
		if n&w.bit != 0 {
			words = append(words, w.word)
		}
	}
	return strings.Join(words, ",")
}

// An Envelope is what MAIL and RCPT said, as the pipeline left it.
type Envelope struct {
	ReversePath Path        `json:"reverse_path"`
	Recipients  []Recipient `json:"recipients"`
	Body        Body        `json:"body,omitempty"`
	UTF8        bool        `json:"utf8,omitempty"`        // SMTPUTF8 (RFC 6531)
	Ret         string      `json:"ret,omitempty"`         // FULL or HDRS (RFC 3461 §4.3); empty: not given
	EnvID       string      `json:"envid,omitempty"`       // ENVID, decoded from xtext (RFC 3461 §4.4)
	RequireTLS  bool        `json:"require_tls,omitempty"` // REQUIRETLS (RFC 8689): under verified TLS, or not at all
}

// A Recipient is one forward-path of an envelope.
type Recipient struct {
	Path     Path     `json:"path"`
	Original Path     `json:"original"`          // as RCPT gave it; what a DSN speaks of
	ORCPT    string   `json:"orcpt,omitempty"`   // "rfc822;bob@example.org", decoded (RFC 3461 §4.2)
	Notify   Notify   `json:"notify,omitempty"`  //
	Route    *NextHop `json:"route,omitempty"`   // set by a plugin: relay here, not where relay.routes says
	Deliver  *Target  `json:"deliver,omitempty"` // set by a plugin: deliver here

	// Refused is set once a stage refused this recipient and nobody has told
	// the client so: delivery returns it at once.
	Refused *Refusal `json:"refused,omitempty"`

	// RetryAt is when a stage wants this recipient attempted next, and not
	// before; zero: by the queue's schedule.
	RetryAt time.Time `json:"retry_at,omitzero"`

	// What the hooks behind the queue see beside that; nobody keeps it.
	Resolved string  `json:"-"` // the account whose mailbox it comes down to; empty: elsewhere, or not known
	Last     *Result `json:"-"` // what the last attempt said of it; nil: there was none
}

// A Refusal is a stage's no to one recipient of a message, while others may
// get it.
type Refusal struct {
	Code int    `json:"code"` // 4xx: for now; 5xx: for good
	Enh  string `json:"enh,omitempty"`
	Text string `json:"text"`
}

// A NextHop is a host that a plugin or a route names.
type NextHop struct {
	Host       string `json:"host"`
	Port       int    `json:"port,omitempty"`        // zero: 25
	RequireTLS bool   `json:"require_tls,omitempty"` // no TLS, no attempt
	NoMX       bool   `json:"no_mx,omitempty"`       // Host is a host, not a mail domain
	LMTP       bool   `json:"lmtp,omitempty"`        // it speaks LMTP (RFC 2033); Host is a host then
}

// A Target is a mailbox that a plugin names.
type Target struct {
	Account string `json:"account,omitempty"` // empty: the recipient's
	Folder  string `json:"folder,omitempty"`  // "Junk", "Lists/go"; empty: INBOX
	Flags   string `json:"flags,omitempty"`   // IMAP flags, blank between them: `\Seen \Flagged`
}

// A Listener says which promises a session is under.
type Listener string

const (
	ListenerSMTP       Listener = "smtp"       // from other MTAs
	ListenerSubmission Listener = "submission" // from users; AUTH needed
	ListenerLMTP       Listener = "lmtp"
)

// A Client is the other end of a session, as far as it is known.
type Client struct {
	Addr     netip.AddrPort `json:"addr"`
	Name     string         `json:"name,omitempty"` // reverse name, verified forward; empty: not known
	Helo     string         `json:"helo,omitempty"`
	Listener Listener       `json:"listener,omitempty"`
	Extended bool           `json:"extended,omitempty"` // EHLO or LHLO, not HELO
	TLS      string         `json:"tls,omitempty"`      // "TLSv1.3"; empty: plain text
	Cipher   string         `json:"cipher,omitempty"`
	Account  string         `json:"account,omitempty"` // who authenticated; empty: nobody
	Local    netip.AddrPort `json:"local"`             // our end
}

// A Transaction is one message on its way in: from MAIL to the reply to the
// end of DATA. One session owns it; it is not safe for concurrent use. What is
// before MAIL has one too, without an ID: then it is the session alone.
type Transaction struct {
	ID       QueueID
	Received time.Time // when MAIL came
	Client   Client
	Envelope Envelope
	Content  Content           // with our Received: on top; nil: not there yet
	Notes    map[string]string // what one stage left for a later one; nil until the first
	Hold     string            // not empty: the queue keeps it until an operator decides; the reason
	Discard  bool              // a hook before the content said so: it is answered 250 and dropped

	SessionNotes map[string]string // as Notes, for the whole session
	QueuedNotes  map[string]string // as Notes; they go with the message into the queue
	Spared       []string          // the stages that are not asked again
	Together     int               // messages that stages made of this one so far: variants, and what they sent
	SentBy       string            // the stage that this message comes from; empty: from a client
	Queued       bool              // it is in the queue: the client has its reply
	Attempts     int               // made at it so far; zero before the queue
	Failed       string            // the stage that failed at it and had it deferred for that; empty: none did

	// More is queued together with this one, all or none: the parts that a
	// stage gave a content of their own, and messages that plugins sent. None
	// of them has a More.
	More []*Transaction
}

// Fork returns a transaction of the same session and with the same content,
// envelope and notes, which shares nothing with tx that either may change. It
// has no ID, no recipients and no More.
func (tx *Transaction) Fork() *Transaction {
	f := *tx
	f.ID, f.More, f.Envelope.Recipients = "", nil, nil
	f.Notes, f.SessionNotes, f.QueuedNotes = maps.Clone(tx.Notes), maps.Clone(tx.SessionNotes), maps.Clone(tx.QueuedNotes)
	f.Spared = slices.Clone(tx.Spared)
	return &f
}

// A Message is what delivery hands on: one queued message for some of its
// recipients.
type Message struct {
	ID       QueueID
	Received time.Time
	Client   Client   // who handed it in; zero: it was made here
	Envelope Envelope // Recipients are those of this attempt
	Content  Content
	Attempts int               // made so far
	Notes    map[string]string // those of the queued message; what the deliverer leaves here is kept
	Sends    []*Transaction    // what plugins send because of the attempt: the deliverer leaves it here
	Progress Progress          // nil: nobody wants to know before the end
}

// A Progress is told, while an attempt goes on, of recipients whose results will
// not change any more: their places in the envelope, and the results of all of it,
// of which it looks at those. It may be called by several goroutines at once, and
// not after the attempt has ended.
type Progress func(rcpts []int, results []Result)

// Tell calls p, if it is not nil.
func (p Progress) Tell(rcpts []int, results []Result) {
	if p != nil {
		p(rcpts, results)
	}
}

// Of is p for an envelope that has those recipients alone, by their places.
func (p Progress) Of(places []int) Progress {
	if p == nil {
		return nil
	}
	return func(rcpts []int, results []Result) {
		whole := make([]Result, 1+slices.Max(places))
		at := make([]int, len(rcpts))
		for k, i := range rcpts {
			at[k] = places[i]
			whole[places[i]] = results[i]
		}
		p(at, whole)
	}
}

// Outcome is how an attempt ended for one recipient.
type Outcome string

const (
	Delivered Outcome = "delivered" // in a mailbox
	Relayed   Outcome = "relayed"   // the next hop took it
	Deferred  Outcome = "deferred"  // to be tried again
	Bounced   Outcome = "bounced"   // failed for good
	Expired   Outcome = "expired"   // tried for too long
	Discarded Outcome = "discarded" // a stage dropped it; nobody is told
	Expanded  Outcome = "expanded"  // it became several others, none of which reports success (RFC 3461 §5.2.7.3)
)

// A Result is what an attempt says of one recipient. The zero Outcome counts
// as deferred.
type Result struct {
	Outcome Outcome
	NextHop string // host and port, or mailbox name, for logs and DSNs
	Code    int    // the peer's reply, or what we would have said; zero: none
	Enh     string // enhanced status code, "5.1.1"; may be empty
	Text    string // the reply's text; goes into DSNs
	Err     error  // private: for the log
	Peer    bool   // Code, Enh and Text are the remote MTA's own words
	DSN     bool   // the next hop took over the DSN parameters: it reports success, not we (RFC 3461 §5.2.2)

	// Unreached says that no session was had with the next hop: nothing is known
	// of the message there, and no other message would have got further.
	Unreached bool
	// Strained says that the failure is the next hop's and not the message's: it
	// closed the connection, answered 421, or put off MAIL, before it heard of the
	// recipient. It has too much to do, then.
	Strained bool
	// Unanswered says that the next hop got the whole message and no reply came:
	// it may have taken it, and another attempt may make it arrive twice.
	Unanswered bool

	Lane   string // the next hop that was attempted, as lanes are named; empty: not said
	Failed string // of a deferred recipient: the stage behind the queue that failed at the message; empty: none did

	RetryAt time.Time // of a deferred recipient: not before then; zero: by the schedule
	Hold    string    // of a deferred recipient: the message is held, for this reason, until an operator decides; empty: it is not
}

// A Deliverer attempts a message. It returns one result for each of
// m.Envelope.Recipients, in their order, and does not keep m.
type Deliverer interface {
	Deliver(ctx context.Context, m *Message) []Result
}

// A Verdict is what a stage answers, and what the pipeline makes of all of
// them. The numbers are those of the plugin ABI.
type Verdict int

const (
	Continue   Verdict = iota // ask the next stage
	Accept                    // skip the stages that are left
	Reject                    // 5xx now
	Defer                     // 4xx now
	Discard                   // say 250 and drop it
	Quarantine                // say 250 and hold it for the operator
	Disconnect                // 421 and close
)

var verdictNames = [...]string{"continue", "accept", "reject", "defer", "discard", "quarantine", "disconnect"}

// String is the verdict's word.
func (v Verdict) String() string {
	if v < 0 || int(v) >= len(verdictNames) {
		return "unknown"
	}
	return verdictNames[v]
}
