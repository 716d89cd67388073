// Package smtpc is one SMTP or LMTP client connection: greeting, EHLO, TLS,
// AUTH, and transactions one after the other (RFC 5321, RFC 2033). Which host
// to connect to, and what to do with its replies, is left to others.
//
// mta/docs/decisions/0002-smtp-client.md says why it is not go-smtp's client.
package smtpc

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"sync/atomic"
	"time"

	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// TLSMode says when a connection is encrypted.
type TLSMode int

const (
	TLSOpportunistic TLSMode = iota // STARTTLS where it is offered; an error if it then fails
	TLSRequired                     // STARTTLS, or no connection
	TLSImplicit                     // TLS from the first octet (RFC 8314 §3)
	TLSNone                         // never
)

// Credentials are what AUTH shows.
type Credentials struct {
	User     string
	Password string
}

// Timeouts bound every read and write. A zero field has the default, which is
// that of RFC 5321 §4.5.3.2.
type Timeouts struct {
	Greeting  time.Duration // the greeting, EHLO, STARTTLS and AUTH: 5 minutes (§4.5.3.2.1)
	Mail      time.Duration // MAIL and RSET: 5 minutes (§4.5.3.2.2)
	Rcpt      time.Duration // 5 minutes (§4.5.3.2.3)
	DataInit  time.Duration // DATA: 2 minutes (§4.5.3.2.4)
	DataBlock time.Duration // each write: 3 minutes (§4.5.3.2.5)
	DataEnd   time.Duration // the reply to the final dot: 10 minutes (§4.5.3.2.6)
	Quit      time.Duration // QUIT, which nobody has to wait for: 5 seconds
}

func (t Timeouts) withDefaults() Timeouts {
	for _, f := range []struct {
		field *time.Duration
		value time.Duration
	}{
		{&t.Greeting, 5 * time.Minute},
		{&t.Mail, 5 * time.Minute},
		{&t.Rcpt, 5 * time.Minute},
		{&t.DataInit, 2 * time.Minute},
		{&t.DataBlock, 3 * time.Minute},
		{&t.DataEnd, 10 * time.Minute},
		{&t.Quit, 5 * time.Second},
	} {
		if *f.field <= 0 {
			*f.field = f.value
		}
	}
	return t
}

// Config is what a connection is opened with.
type Config struct {
	Hostname string       // what EHLO says; required
	LMTP     bool         // LHLO, and a reply per recipient (RFC 2033)
	Mode     TLSMode      //
	TLS      *tls.Config  // with its ServerName; nil: TLSNone where the mode is TLSOpportunistic
	Auth     *Credentials // nil: no AUTH
	Timeouts Timeouts
}

var (
	// ErrNoTLS is returned when TLS is required and the peer offers none.
	ErrNoTLS = errors.New("TLS is required and not offered")
	// ErrNoAuth is returned when there are credentials and no way to show them.
	ErrNoAuth = errors.New("no AUTH mechanism in common")
	// ErrPlainAuth is returned before a password would leave in plain text.
	ErrPlainAuth = errors.New("AUTH needs TLS but on loopback")
	// ErrProtocol is in the chain of errors about replies that are none, or
	// that no command asked for.
	ErrProtocol = errors.New("not SMTP")
	// ErrPath is returned by Send for a path that no command can name.
	ErrPath = errors.New("path that no command can name")
	// ErrSize is returned by Send for content over the size that the peer takes.
	ErrSize = errors.New("message too large for the peer")
	// ErrUTF8 is returned by Send for an envelope that the peer cannot take.
	ErrUTF8 = errors.New("peer does not offer SMTPUTF8")
	// Err8Bit is returned by Send for 8-bit content that the peer cannot take.
	Err8Bit = errors.New("peer does not offer 8BITMIME")
)

// A TLSError is a STARTTLS that was refused, or a handshake that failed. The
// connection is lost; plain text on a new one may do.
type TLSError struct{ Err error }

// Error implements error.
func (e *TLSError) Error() string { return fmt.Sprintf("TLS: %v", e.Err) }

// Unwrap returns the cause.
func (e *TLSError) Unwrap() error { return e.Err }

// An AuthError is AUTH that was refused. Our credentials are wrong, not the
// message.
type AuthError struct{ Err error }

// Error implements error.
func (e *AuthError) Error() string { return fmt.Sprintf("AUTH: %v", e.Err) }

// Unwrap returns the cause.
func (e *AuthError) Unwrap() error { return e.Err }

// A Conn is a connection that is past EHLO. It is not safe for concurrent use.
type Conn struct {
	conn     net.Conn // TLS once that is on
	raw      net.Conn // below TLS
	r        *bufio.Reader
	w        *bufio.Writer
	cfg      Config
	offer    Offer
	state    tls.ConnectionState
	secure   bool
	open     bool          // a transaction may be open at the peer: RSET goes before the next MAIL
	broken   bool          // of no further use
	patience time.Duration // of each write
	sent     int           // transactions so far
	ended    atomic.Bool   // a context ended while it was watched
}

// bufferSize is how much is written at a time: most messages leave in one
// write, and large ones in few.
const bufferSize = 32 << 10

// Open talks on conn up to where MAIL may come: TLS, the greeting, EHLO or
// LHLO, STARTTLS and EHLO again, AUTH. The Conn owns conn from then on; on
// error conn is closed. A reply that refused is a [*smtp.Reply] in the chain
// of the error, in the peer's words. When ctx ends, so does the dialogue.
func Open(ctx context.Context, conn net.Conn, cfg Config) (*Conn, error) {
	cfg.Timeouts = cfg.Timeouts.withDefaults()
	c := &Conn{conn: conn, raw: conn, cfg: cfg}
	c.attach(conn)
	stop := c.watch(ctx)
	defer stop()
	if err := c.prelude(ctx); err != nil {
		conn.Close()
		return nil, because(ctx, err)
	}
	return c, nil
}

func (c *Conn) attach(conn net.Conn) {
	c.conn = conn
	c.r = bufio.NewReaderSize(conn, 4<<10)
	c.w = bufio.NewWriterSize(timedWriter{c}, bufferSize)
}

// Offer is what the peer's last EHLO offered.
func (c *Conn) Offer() *Offer { return &c.offer }

// TLS tells how the connection is encrypted; ok is false when it is not.
func (c *Conn) TLS() (state tls.ConnectionState, ok bool) { return c.state, c.secure }

// Sent is the number of transactions that Send has begun.
func (c *Conn) Sent() int { return c.sent }

// Usable tells whether another transaction can follow: nothing has failed but
// commands, and the peer has neither closed nor said anything unasked. It
// reads nothing and does not wait.
func (c *Conn) Usable() bool {
	if c.broken || c.r.Buffered() > 0 {
		return false
	}
	c.raw.SetReadDeadline(time.Time{}) // the last one may have gone by
	return quiet(c.raw)
}

// Close says QUIT if that makes sense, without waiting long for the answer,
// and closes the connection.
func (c *Conn) Close() error {
	if c.Usable() {
		c.ask(c.cfg.Timeouts.Quit, "QUIT") // RFC 5321 §4.1.1.10: wait for the reply
	}
	c.broken = true
	return c.conn.Close()
}

// Abort closes the connection at once.
func (c *Conn) Abort() error {
	c.broken = true
	return c.raw.Close()
}

// watch makes reads and writes fail once ctx is done, until stop is called.
func (c *Conn) watch(ctx context.Context) (stop func()) {
	raw := c.raw
	unhook := context.AfterFunc(ctx, func() {
		c.ended.Store(true)
		raw.SetDeadline(past)
	})
	return func() {
		if !unhook() {
			c.broken = true
		}
	}
}

// past is a deadline that has gone by.
var past = time.Unix(1, 0)

// readWithin sets the deadline of what is read next. It does not undo what
// watch did: that stores before it sets, this sets before it loads.
func (c *Conn) readWithin(d time.Duration) {
	c.conn.SetReadDeadline(time.Now().Add(d))
	if c.ended.Load() {
		c.raw.SetDeadline(past)
	}
}

// A timedWriter is a connection whose every write has an end of its own, also
// those that a buffer makes in between.
type timedWriter struct{ *Conn }

func (w timedWriter) Write(b []byte) (int, error) {
	w.conn.SetWriteDeadline(time.Now().Add(w.patience))
	if w.ended.Load() {
		w.raw.SetDeadline(past)
	}
	return w.conn.Write(b)
}

// because puts the end of ctx before err, when that is why err came.
func because(ctx context.Context, err error) error {
	if cause := context.Cause(ctx); cause != nil && err != nil {
		return fmt.Errorf("%w: %w", cause, err)
	}
	return err
}

// ask writes one command and reads its reply. Whoever makes line answers for
// it being one line.
func (c *Conn) ask(timeout time.Duration, line string) (*smtp.Reply, error) {
	if err := c.say(timeout, line); err != nil {
		return nil, err
	}
	return c.readReply(timeout)
}

// say writes one command.
func (c *Conn) say(timeout time.Duration, line string) error {
	if err := c.inStep(); err != nil {
		return err
	}
	c.patience = timeout
	c.w.WriteString(line)
	c.w.WriteString("\r\n")
	return c.flush()
}

// inStep refuses a reply that came before its command: it would be taken for
// the answer to the next one.
func (c *Conn) inStep() error {
	if c.r.Buffered() == 0 {
		return nil
	}
	c.broken = true
	return fmt.Errorf("reply before the command: %w", ErrProtocol)
}

func (c *Conn) flush() error {
	err := c.w.Flush()
	if err != nil {
		c.broken = true
	}
	return err
}
