package imapd

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"time"
)

// A gate stands between a connection and go-imap. It cuts what the client
// sends into commands and hands them on line by line, the next one when
// go-imap asks for it, which is when it has answered the one before. By that
// it mends what go-imap, left alone, does wrong:
//
//   - after a mistake it goes on reading in the middle of the command, so that
//     the octets of a literal, or the end of a line that is too long, run as
//     commands of their own; the gate drops what belongs to an answered
//     command (RFC 7888 §4);
//   - a line that is no command closes the connection without a word
//     (RFC 3501 §7.1.3 has BAD for it);
//   - other mistakes are called bugs of the server;
//   - its BYE waits for the client in the middle of AUTHENTICATE, and races
//     with STARTTLS; the gate says it, between two responses;
//   - it has one deadline for all of a large literal; the gate has one for
//     each read and each write;
//   - it writes to the connection once for each response; the gate waits
//     until something is to be read.
//
// Read is called from one goroutine, Write and the others from any.
type gate struct {
	conn   net.Conn // counted, under TLS perhaps
	in     *bufio.Reader
	limits *Limits
	secure func() // does STARTTLS; nil: go-imap answers it

	// Of the goroutine that reads:
	chunk   []byte  // to be handed on
	command command // the one in hand
	left    int64   // octets of the literal that is being handed on

	writing sync.Mutex // guards what follows; held while the client does not read
	out     *bufio.Writer
	over    bool // nothing more is said

	mu       sync.Mutex // guards what follows; taken with or without writing
	tag      string     // of the command in hand
	mute     bool       // the greeting was said before STARTTLS
	login    bool       // somebody is logged in
	reading  bool       // nobody will flush out
	answered bool       // the command in hand has its tagged response
	asked    bool       // the client was asked to go on
	deadline time.Time  // go-imap's, for reading
	bye      string     // ends the session as soon as go-imap reads
	upgraded bool       // the connection belongs to another gate
}

const (
	// maxCommand is the longest command without its literals. go-imap takes
	// 50 KiB; RFC 2683 §3.2.1.5 asks for 8000 octets.
	maxCommand = 48 << 10
	// maxLiteral is the longest literal but for a message's; go-imap has it.
	maxLiteral = 4096
	// maxContinuation is the longest line in AUTHENTICATE and IDLE; it has to
	// fit go-imap's buffer.
	maxContinuation = 4000
	// greetTime is how long a TLS handshake may take before the greeting.
	greetTime = 30 * time.Second
	// literalPause is how long a client may send nothing of a literal.
	literalPause = 2 * time.Minute
	// outBuffer is how much of an answer is kept before it is sent.
	outBuffer = 32 << 10
)

func newGate(conn net.Conn, limits *Limits) *gate {
	g := &gate{conn: conn, limits: limits, in: bufio.NewReaderSize(conn, 16<<10)}
	g.out = bufio.NewWriterSize(deadlineWriter{conn, limits.Write}, outBuffer)
	conn.SetReadDeadline(time.Now().Add(greetTime))
	return g
}

// A deadlineWriter gives each write the same time.
type deadlineWriter struct {
	net.Conn
	time time.Duration
}

func (w deadlineWriter) Write(p []byte) (int, error) {
	w.SetWriteDeadline(time.Now().Add(w.time))
	return w.Conn.Write(p)
}

// Read implements [net.Conn].
func (g *gate) Read(p []byte) (int, error) {
	for len(g.chunk) == 0 {
		var err error
		if g.left > 0 && !g.isAnswered() {
			return g.readLiteral(p)
		}
		if err = g.next(); err != nil {
			return 0, g.ended(err)
		}
	}
	n := copy(p, g.chunk)
	g.chunk = g.chunk[n:]
	return n, nil
}

// ended is the end of the session: with BYE if there is a reason to tell.
func (g *gate) ended(err error) error {
	g.mu.Lock()
	if g.bye == "" && errors.Is(err, os.ErrDeadlineExceeded) {
		g.bye = "Waited too long" // RFC 3501 §5.4
	}
	if g.bye != "" {
		err = io.EOF
	}
	g.mu.Unlock()
	g.finish()
	return err
}

// finish sends what is to be sent, and BYE if there is a reason to tell; after
// it nothing more is said.
func (g *gate) finish() {
	g.writing.Lock()
	defer g.writing.Unlock()
	g.mu.Lock()
	bye, upgraded := g.bye, g.upgraded
	g.mu.Unlock()
	if g.over || upgraded {
		return
	}
	g.over = true
	if bye != "" {
		g.out.WriteString("* BYE " + bye + "\r\n")
	}
	g.out.Flush()
}

// end makes the session end with BYE when the command in hand, if there is one,
// is answered.
func (g *gate) end(text string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bye == "" {
		g.bye = text
	}
	g.conn.SetReadDeadline(time.Unix(1, 0))
}

// errEnded stands for g.bye.
var errEnded = fmt.Errorf("session ended: %w", net.ErrClosed)

func (g *gate) isAnswered() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.answered
}

// wait sends what is to be sent and sets the deadline for reading.
func (g *gate) wait(deadline time.Time) error {
	g.mu.Lock()
	g.reading = true // from now on Write sends at once
	g.mu.Unlock()
	if err := g.flush(); err != nil {
		return err
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.bye != "" {
		return errEnded
	}
	return g.conn.SetReadDeadline(deadline)
}

func (g *gate) flush() error {
	g.writing.Lock()
	defer g.writing.Unlock()
	return g.out.Flush()
}

func (g *gate) waited() {
	g.mu.Lock()
	g.reading = false
	g.mu.Unlock()
}

func (g *gate) readLiteral(p []byte) (int, error) {
	if g.in.Buffered() == 0 {
		if err := g.wait(time.Now().Add(literalPause)); err != nil {
			return 0, g.ended(err)
		}
		defer g.waited()
	}
	n, err := g.in.Read(p[:min(int64(len(p)), g.left)])
	if g.left -= int64(n); err != nil {
		err = g.ended(err)
	}
	return n, err
}

// loggedInNow tells that the client may send messages, and not STARTTLS.
func (g *gate) loggedInNow() {
	g.mu.Lock()
	g.login = true
	g.mu.Unlock()
}

func (g *gate) loggedIn() bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.login
}

// Write implements [net.Conn].
func (g *gate) Write(p []byte) (int, error) {
	g.writing.Lock()
	defer g.writing.Unlock()
	if g.over {
		return 0, errEnded
	}
	said, now := g.note(p)
	if _, err := g.out.Write(said); err != nil {
		return 0, err
	}
	if now {
		return len(p), g.out.Flush()
	}
	return len(p), nil
}

// note looks at what go-imap says: what of it the client is to hear, and
// whether that is to be sent now.
func (g *gate) note(p []byte) (said []byte, now bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.mute {
		g.mute = p[len(p)-1] != '\n'
		return nil, false
	}
	if bytes.HasPrefix(p, []byte("+ ")) {
		g.asked = true
	}
	if rest, ok := bytes.CutPrefix(p, []byte(g.tag)); ok && len(rest) > 0 && rest[0] == ' ' {
		g.answered = true
		if bytes.Equal(rest, serverBug) {
			p = slices.Concat([]byte(g.tag), clientBug)
		}
	}
	return p, g.reading
}

// What go-imap says when it cannot read a command in some ways: a set, a date
// or a search key that is none. The session has words of its own for errors
// that are the server's.
var (
	serverBug = []byte(" NO [SERVERBUG] Internal server error\r\n")
	clientBug = []byte(" BAD [CLIENTBUG] Syntax error\r\n")
)

// startTLS hands the connection to another gate, behind which another session
// begins: nothing of what was said in clear may be believed (RFC 3501 §6.2.1).
func (g *gate) startTLS() error {
	if g.in.Buffered() > 0 { // RFC 9051 §11.3: injected, or a client that cannot wait
		return g.fatal("Nothing may follow STARTTLS before its response")
	}
	if err := g.answer("OK Begin TLS negotiation now"); err != nil {
		return err
	}
	if err := g.flush(); err != nil {
		return err
	}
	g.mu.Lock()
	g.upgraded = true
	g.mu.Unlock()
	g.secure()
	return io.EOF
}

// abort closes the connection without another word.
func (g *gate) abort() { g.conn.Close() }

// Close implements [net.Conn].
func (g *gate) Close() error {
	g.finish()
	g.mu.Lock()
	upgraded := g.upgraded
	g.mu.Unlock()
	if upgraded {
		return nil
	}
	return g.conn.Close()
}

// SetReadDeadline implements [net.Conn]. It counts from the next read on.
func (g *gate) SetReadDeadline(t time.Time) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.deadline = t
	return nil
}

// SetWriteDeadline implements [net.Conn]; each write has its own.
func (g *gate) SetWriteDeadline(time.Time) error { return nil }

// SetDeadline implements [net.Conn].
func (g *gate) SetDeadline(t time.Time) error { return g.SetReadDeadline(t) }

// LocalAddr implements [net.Conn].
func (g *gate) LocalAddr() net.Addr { return g.conn.LocalAddr() }

// RemoteAddr implements [net.Conn].
func (g *gate) RemoteAddr() net.Addr { return g.conn.RemoteAddr() }
