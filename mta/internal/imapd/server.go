// Package imapd serves mailboxes over IMAP (RFC 3501, RFC 9051). The protocol
// is go-imap's; what a mailbox is, is package mailbox's. Between the two stand
// each session's view of its selected mailbox, the sections of messages to the
// octet, and searching; and before go-imap a gate, for what it does wrong.
//
// What cannot be mended from outside go-imap v2.0.0-beta.8:
//
//   - BINARY with a partial does not say where it begins (RFC 3516 §4.3);
//   - SEARCH RETURN (SAVE) alone has an ESEARCH response (RFC 5182 §2.1);
//   - SEARCH SMALLER 0 and LARGER 0 are as if they were not there;
//   - LITERAL- stays on the list of capabilities beside LITERAL+;
//   - ENVELOPE has a date in go-imap's words and blanks between addresses;
//   - CONDSTORE, QRESYNC, ID, SORT, THREAD, QUOTA and COMPRESS have no hook.
//
// An INTERNALDATE is in UTC: a Maildir keeps no zone.
package imapd

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/emersion/go-imap/v2"
	"github.com/emersion/go-imap/v2/imapserver"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/sessions"
)

// Accounts tells who may log in.
type Accounts interface {
	// Authenticate returns the account that login and password name. Its
	// errors are private; it slows down who guesses.
	Authenticate(ctx context.Context, login, password string, client netip.Addr) (string, error)
}

// An Observer counts what happens. Its methods are called from many goroutines.
type Observer interface {
	SessionOpened()
	SessionClosed()
	Login(ok bool)
}

// Limits bound what clients can ask. A zero field has the default.
type Limits struct {
	Connections int           // at the same time; default 1000
	PerAddress  int           // of one client address; default 50
	Message     int64         // octets of one APPEND; default 50 MiB
	Logins      int           // refused logins before the session ends; default 3
	Write       time.Duration // one write to a client that does not read; default 1 minute
}

func (l Limits) withDefaults() Limits {
	if l.Connections <= 0 {
		l.Connections = 1000
	}
	if l.PerAddress <= 0 {
		l.PerAddress = 50
	}
	if l.Message <= 0 {
		l.Message = 50 << 20
	}
	if l.Logins <= 0 {
		l.Logins = 3
	}
	if l.Write <= 0 {
		l.Write = time.Minute
	}
	return l
}

// A Server serves IMAP on any number of listeners. Its fields are set before
// the first Serve and not changed after it.
type Server struct {
	TLS         *tls.Config // nil: no STARTTLS; a password is then taken on loopback only
	ImplicitTLS bool        // TLS from the first octet (RFC 8314)
	Accounts    Accounts
	Store       *mailbox.Store
	Limits      Limits
	Log         *slog.Logger
	Observer    Observer // may be nil

	once  sync.Once
	feeds [kinds]*feed
	kept  atomic.Int64 // octets that sessions keep of messages (keeper)

	conns sessions.Pool[*countedConn]
	loops sync.WaitGroup // go-imap's

	mu       sync.Mutex // guards what follows
	closing  bool
	sessions map[*session]struct{}
}

// A kind of connection is one that offers the same capabilities.
type kind int

const (
	secured kind = iota // under TLS
	local               // from this host: nobody can overhear a password
	public              // from elsewhere: no login before STARTTLS (RFC 3501 §6.2.3)
	kinds
)

// caps is what the sessions can do, beyond what go-imap offers by itself.
var caps = imap.CapSet{
	imap.CapIMAP4rev1:        {},
	imap.CapNamespace:        {},
	imap.CapUIDPlus:          {},
	imap.CapESearch:          {},
	imap.CapSearchRes:        {},
	imap.CapListExtended:     {},
	imap.CapListStatus:       {},
	imap.CapMove:             {},
	imap.CapStatusSize:       {},
	imap.CapChildren:         {},
	imap.CapSpecialUse:       {},
	imap.CapCreateSpecialUse: {},
	imap.CapBinary:           {},
	imap.CapLiteralPlus:      {},
	imap.CapIMAP4rev2:        {},
}

func (s *Server) init() {
	s.Limits = s.Limits.withDefaults()
	s.sessions = map[*session]struct{}{}
	s.conns.Connections, s.conns.PerAddress, s.conns.Log = s.Limits.Connections, s.Limits.PerAddress, s.Log
	for k := range kinds {
		options := &imapserver.Options{
			NewSession:   s.newSession,
			Caps:         caps,
			Logger:       quiet{s.Log},
			InsecureAuth: k != public,
		}
		if k != secured {
			options.TLSConfig = s.TLS // for the capability; the gate does STARTTLS
		}
		s.feeds[k] = newFeed()
		s.loops.Go(func() { imapserver.New(options).Serve(s.feeds[k]) })
	}
}

// ErrClosed is returned by Serve after Shutdown.
var ErrClosed = errors.New("imapd: server closed")

// Serve accepts sessions on ln until Shutdown, which also closes ln.
func (s *Server) Serve(ln net.Listener) error {
	s.once.Do(s.init)
	if err := s.conns.Serve(ln, s.accept); err != nil {
		return err
	}
	return ErrClosed
}

// Shutdown stops accepting and ends every session with BYE as soon as it has
// answered the command in hand. It waits until all are gone, or until ctx ends:
// then it closes what is left.
func (s *Server) Shutdown(ctx context.Context) error {
	s.once.Do(s.init)
	s.mu.Lock()
	s.closing = true
	for sess := range s.sessions {
		sess.cancel() // a login that is slowed down, too
		sess.gate.end("Server is shutting down")
	}
	s.mu.Unlock()
	s.conns.Drain(func(*countedConn) {})
	for _, f := range s.feeds {
		f.Close()
	}
	err := s.conns.Wait(ctx, func(c *countedConn) { c.Conn.Close() }) // not the gate, which would wait for the client
	s.loops.Wait()
	return err
}
