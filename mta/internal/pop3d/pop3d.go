// Package pop3d serves the INBOX of accounts over POP3 (RFC 1939), with the
// extensions of RFC 2449 (CAPA, PIPELINING, RESP-CODES), RFC 2595 (STLS), RFC
// 3206 (AUTH-RESP-CODE) and RFC 5034 (AUTH). Where messages are is package
// mailbox's matter; who may read them, that of whoever implements [Accounts].
package pop3d

import (
	"context"
	"crypto/tls"
	"errors"
	"log/slog"
	"net/netip"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/sessions"
)

// Accounts tells who may log in.
type Accounts interface {
	// Authenticate returns the account that login and password name. Its
	// errors are private. One that has a method `Temporary() bool` which
	// returns true says that the client may try the same again.
	Authenticate(ctx context.Context, login, password string, client netip.Addr) (account string, err error)
}

// An Observer is told what there is to count. Its methods must not block.
type Observer interface {
	SessionOpened()
	SessionClosed()
	Login(ok bool)
}

// Limits are what one client, and all of them together, may ask for. A zero
// field has the default; a negative count has no limit.
type Limits struct {
	Connections int           // at a time; default 1000, some 50 MB of buffers at worst
	PerAddress  int           // at a time and address (IPv6: /64); default 50
	Idle        time.Duration // for one command to come; default 10 minutes (RFC 1939 §3)
	Write       time.Duration // for the client to take a piece of a reply; default 1 minute
	Handshake   time.Duration // for TLS; default 1 minute
	Errors      int           // refused commands before the session ends; default 20
	Logins      int           // failed logins before the session ends; default 3
}

// The other limits, for which no one has a reason of their own.
const (
	maxCommandLine = 255      // octets with CRLF (RFC 2449 §4)
	maxAuthLine    = 12288    // of a SASL response, as in RFC 4954 §4
	maxSkip        = 64 << 10 // octets of one overlong line before the session ends
	outBuffer      = 16 << 10 // of one session
	copyBuffer     = 32 << 10 // while a message goes out
	refusalTime    = time.Second
)

func (l Limits) withDefaults() Limits {
	count := func(v *int, d int) {
		if *v == 0 {
			*v = d
		}
	}
	span := func(v *time.Duration, d time.Duration) {
		if *v <= 0 {
			*v = d
		}
	}
	count(&l.Connections, 1000)
	count(&l.PerAddress, 50)
	count(&l.Errors, 20)
	count(&l.Logins, 3)
	span(&l.Idle, 10*time.Minute)
	span(&l.Write, time.Minute)
	span(&l.Handshake, time.Minute)
	return l
}

// over tells whether n is more than limit, of which a negative one is none.
func over(n, limit int) bool { return limit >= 0 && n > limit }

// A Server serves sessions. Its fields must not change once Serve runs. Any
// number of listeners may be served at once; the limits are those of all of
// them together.
type Server struct {
	Hostname    string      // in the greeting
	TLS         *tls.Config // nil: no STLS; a password is then taken on loopback only
	ImplicitTLS bool        // sessions begin with the handshake (RFC 8314 §3)
	Accounts    Accounts
	Store       *mailbox.Store
	Limits      Limits
	Log         *slog.Logger // nil: no log
	Observer    Observer     // nil: nobody counts

	once   sync.Once
	limits Limits // with the defaults filled in
	log    *slog.Logger
	tls    *tls.Config
	stop   context.Context // ends when sessions must end at once
	end    context.CancelFunc

	sessions sessions.Pool[*session]
}

// ErrClosed is what Serve returns after Shutdown.
var ErrClosed = errors.New("pop3d: server closed")

func (srv *Server) init() {
	srv.once.Do(func() {
		srv.limits = srv.Limits.withDefaults()
		if srv.log = srv.Log; srv.log == nil {
			srv.log = slog.New(slog.DiscardHandler)
		}
		if srv.Observer == nil {
			srv.Observer = nobody{}
		}
		if srv.TLS != nil {
			srv.tls = srv.TLS.Clone()
			srv.tls.MinVersion = max(srv.tls.MinVersion, tls.VersionTLS12) // RFC 8996
		}
		srv.stop, srv.end = context.WithCancel(context.Background())
		srv.sessions.Connections, srv.sessions.PerAddress, srv.sessions.Log = srv.limits.Connections, srv.limits.PerAddress, srv.log
	})
}

// nobody is the Observer that is not there.
type nobody struct{}

func (nobody) SessionOpened() {}
func (nobody) SessionClosed() {}
func (nobody) Login(bool)     {}
