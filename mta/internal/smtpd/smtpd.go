// Package smtpd has the sessions in which mail comes in: SMTP from other MTAs
// (RFC 5321), submission from users (RFC 6409) and LMTP (RFC 2033). It answers
// every command, receives the content, and hands the transaction to a policy
// and then to the queue; what those decide is not its matter.
package smtpd

import (
	"context"
	"crypto/tls"
	"log/slog"
	"math"
	"net/netip"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/sessions"
)

// A Policy decides what becomes of sessions and messages, and may edit those. A
// *smtp.Reply in an error is what the client is told; any other error is
// private, and the client may try again.
type Policy interface {
	// Asks tells whether there is anyone to Ask at a hook. It is cheap: every
	// command calls it.
	Asks(hook string) bool
	// Ask runs at a step before the content: one of the mail.Hook constants.
	// Before MAIL, tx is the session alone. At RCPT the recipient in question
	// is the last one; the verdict discard takes it and drops it.
	Ask(ctx context.Context, hook string, tx *mail.Transaction) (mail.Verdict, error)
	// Check runs before the reply to the end of content. tx.Hold set, or the
	// verdict quarantine, queues the message for the operator. Recipients may
	// be Refused: each is told so where the protocol can, or else in a DSN.
	Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error)
}

// A Queue takes the responsibility for messages.
type Queue interface {
	// Enqueue returns nil only once tx and all of tx.More are on stable
	// storage. It is done with their contents when it returns.
	Enqueue(ctx context.Context, tx *mail.Transaction) error
}

// A Directory knows who exists.
type Directory interface {
	// Authenticate returns the account of login. An error that has a method
	// `Temporary() bool` which returns true says that the client may try the
	// same again; any other that the credentials are wrong.
	Authenticate(ctx context.Context, login, password string, client netip.Addr) (account string, err error)
	// Recipient tells whether p is in a domain that we receive mail for
	// (`<postmaster>` without a domain is), and if so, whether p exists there.
	Recipient(ctx context.Context, p mail.Path) (local, exists bool, err error)
}

// A Resolver finds a client's name; *net.Resolver is one.
type Resolver interface {
	LookupAddr(ctx context.Context, addr string) (names []string, err error)
	LookupNetIP(ctx context.Context, network, host string) ([]netip.Addr, error)
}

// An Observer is told what there is to count. Its methods must not block.
type Observer interface {
	SessionOpened(l mail.Listener)
	SessionClosed(l mail.Listener)
	// Refused is called for each reply of the classes 4 and 5.
	Refused(l mail.Listener, code int)
	// Received is called once a message's content is received in full and
	// answered: with the reply's code, its size and the time from the end of
	// the content to the reply.
	Received(l mail.Listener, code int, size int64, took time.Duration)
}

// A Server serves sessions of one kind. Its fields must not change once Serve
// runs. Any number of listeners may be served at once; the limits are those of
// all of them together.
type Server struct {
	Hostname    string        // in the greeting, in Received:, in the reply to QUIT
	Listener    mail.Listener // what kind of session; empty is ListenerSMTP
	TLS         *tls.Config   // nil: no STARTTLS
	ImplicitTLS bool          // sessions begin with the handshake (RFC 8314 §3)
	Limits      Limits        // a zero field is the default
	Policy      Policy        // nil: every message continues
	Queue       Queue
	Directory   Directory      // nil: no local recipients and no AUTH
	RelayAllow  []netip.Prefix // clients that may relay without AUTH
	Resolver    Resolver       // nil: clients have no names
	TempDir     string         // for content over 128 KiB; empty: the system's
	Log         *slog.Logger   // nil: no log
	Observer    Observer       // nil: nobody counts

	once    sync.Once
	limits  Limits // with the defaults filled in
	log     *slog.Logger
	tls     *tls.Config
	stop    context.Context // ends when sessions must end at once; Accept has none to start them from
	end     context.CancelFunc
	buffers sync.Pool // of *buffers
	scratch sync.Pool // of *[]byte, for content while it comes in

	sessions sessions.Pool[*session]
}

// Limits are what one client, and all of them together, may ask for. A zero
// field has the default; a negative one of the counts has no limit.
type Limits struct {
	Message     int64         // octets of one message; in the reply to EHLO (RFC 1870)
	Recipients  int           // of one transaction; RFC 5321 §4.5.3.1.8 asks for 100 at least
	Line        int           // octets of a line of content with CRLF
	Connections int           // at a time
	PerAddress  int           // at a time and address (IPv6: /64); clients of RelayAllow have none
	Messages    int           // transactions of one session; in the reply to EHLO (RFC 9422)
	Idle        time.Duration // for one command to come
	Data        time.Duration // for the content of one DATA, or one chunk of BDAT
	DataIdle    time.Duration // between two pieces of it
	Write       time.Duration // for the client to take a reply
	Handshake   time.Duration // for TLS
	Errors      int           // refused commands before the session ends
	Hops        int           // Received: fields before it is a loop (RFC 5321 §6.3)
}

// DefaultLimits returns the limits that hold where nothing else is said.
func DefaultLimits() Limits {
	return Limits{
		Message:     50 << 20,         // what large providers take
		Recipients:  1000,             // ten times what a server must take (RFC 5321 §4.5.3.1.8)
		Line:        64 << 10,         // seen: HTML mail in one line
		Connections: 1000,             // some 20 MB of buffers
		PerAddress:  50,               // one client must not take all
		Messages:    10000,            // a session's memory and log are bounded
		Idle:        5 * time.Minute,  // RFC 5321 §4.5.3.2.7
		Data:        10 * time.Minute, // 50 MiB at 90 kB/s
		DataIdle:    3 * time.Minute,  // RFC 5321 §4.5.3.2.5, from the other side
		Write:       time.Minute,      // replies are short
		Handshake:   time.Minute,      // three round trips and a slow telephone
		Errors:      20,               // a list with a few dead addresses still goes through
		Hops:        50,               // real ways have ten; RFC 5321 §6.3 suggests 100
	}
}

// The other limits, for which no one has a reason of their own.
const (
	maxCommandLine = 4096    // with CRLF; eight times what RFC 5321 §4.5.3.1.4 asks for, for long parameters
	maxAuthLine    = 12288   // RFC 4954 §4
	maxSkip        = 1 << 20 // octets of one overlong command line before the session ends
	memoryContent  = 128 << 10
	lookupTimeout  = 2 * time.Second // for a client's name; it is a comment in Received:
	lingerTime     = time.Second     // for octets on their way when a session ends
	lingerOctets   = 4 << 20
)

func (l Limits) withDefaults() Limits {
	d := DefaultLimits()
	orInt := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	orTime := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	if l.Message <= 0 {
		l.Message = d.Message
	}
	orInt(&l.Recipients, d.Recipients)
	orInt(&l.Line, d.Line)
	if l.Line < 0 {
		l.Line = math.MaxInt
	}
	orInt(&l.Connections, d.Connections)
	orInt(&l.PerAddress, d.PerAddress)
	orInt(&l.Messages, d.Messages)
	orInt(&l.Errors, d.Errors)
	orInt(&l.Hops, d.Hops)
	orTime(&l.Idle, d.Idle)
	orTime(&l.Data, d.Data)
	orTime(&l.DataIdle, d.DataIdle)
	orTime(&l.Write, d.Write)
	orTime(&l.Handshake, d.Handshake)
	return l
}

// over tells whether n is more than limit, of which a negative one is none.
func over(n, limit int) bool { return limit >= 0 && n > limit }
