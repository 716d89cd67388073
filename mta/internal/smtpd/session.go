package smtpd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A session is one connection, from greeting to QUIT. It is in one of these
// states, which only its own commands change:
//
//	new       no greeting of the client yet (client.Helo is empty)
//	greeted   HELO, EHLO or LHLO was taken; no transaction
//	mail      MAIL was taken (tx is set)
//	rcpt      and at least one RCPT
//	chunks    and at least one BDAT, but not the last one (chunks is set)
type session struct {
	srv    *Server
	wire   *wire
	log    *slog.Logger
	client mail.Client
	name   <-chan string // the client's name, when it is known; nil: was taken, or nobody looks

	lookups sync.WaitGroup // the goroutine that finds name

	tx       *mail.Transaction
	verb     string      // of the command in hand, for the log; empty: none that we know
	asked    mail.Path   // of the RCPT in hand, for the log
	accepted int         // RCPT commands that were taken, also those that named a recipient again
	copies   []mail.Path // of LMTP: what these commands named
	refused  []refused   // of LMTP: those that were refused after the content, while it is answered
	chunks   *incoming   // content that BDAT brings

	facts  facts // what the policy made of the session
	first  facts // and what of them came before the client said anything
	opened bool  // the greeting was sent
	barred bool  // the greeting was a refusal: only QUIT is served

	loopback bool // the client is on this host
	errors   int  // replies of class 5 to commands
	messages int  // transactions begun
	closing  bool // nothing more is read
	linger   bool // the client may be sending still
}

func newSession(srv *Server, conn net.Conn) *session {
	s := &session{srv: srv, log: srv.log}
	s.wire = &wire{conn: conn, write: srv.limits.Write}
	s.client.Addr = addrPort(conn.RemoteAddr())
	s.client.Local = addrPort(conn.LocalAddr())
	s.client.Listener = srv.Listener
	s.loopback = s.client.Addr.Addr().IsLoopback()
	return s
}

// addrPort is the zero AddrPort for networks other than TCP.
func addrPort(a net.Addr) netip.AddrPort {
	tcp, ok := a.(*net.TCPAddr)
	if !ok {
		return netip.AddrPort{}
	}
	ap := tcp.AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// run serves the session to its end and closes the connection.
func (s *session) run(ctx context.Context) {
	ctx, cancel := context.WithCancel(ctx)
	defer s.lookups.Wait()
	defer cancel()
	s.borrow()
	defer s.giveBack()
	s.srv.Observer.SessionOpened(s.srv.Listener)
	defer s.srv.Observer.SessionClosed(s.srv.Listener)
	s.log.Info("connected", "client", s.client.Addr, "listener", s.srv.Listener)
	defer func() {
		s.endTransaction()
		s.wire.close(s.linger)
		s.farewell(ctx)
	}()
	defer s.recover()
	if !s.open(ctx) {
		return
	}
	for !s.closing {
		s.next(ctx)
	}
}

// recover keeps what went wrong here from ending the server: the session is
// lost, and no other.
func (s *session) recover() {
	cause := recover()
	if cause == nil {
		return
	}
	s.log.Error("session failed", "client", s.client.Addr, "err", fmt.Sprint(cause), "stack", string(debug.Stack()))
	s.reply(&smtp.Reply{Code: 421, Enh: smtp.Enh{4, 3, 0}, Text: "Internal error, closing connection"})
}

func (s *session) borrow() {
	b, ok := s.srv.buffers.Get().(*buffers)
	if !ok {
		b = &buffers{in: bufio.NewReaderSize(nil, bufferSize), out: make([]byte, 0, 1024)}
	}
	s.wire.buffers = b
	b.in.Reset(s.wire)
}

func (s *session) giveBack() {
	b := s.wire.buffers
	b.in.Reset(nil)
	if b.out = b.out[:0]; cap(b.out) <= bufferSize {
		s.srv.buffers.Put(b)
	}
}

// open does what comes before the first command.
func (s *session) open(ctx context.Context) bool {
	s.name = s.lookUp(ctx)
	if s.srv.ImplicitTLS && !s.shakeHands() {
		return false
	}
	s.opened = true
	if !s.welcomed(ctx) || s.barred {
		return s.barred
	}
	// "ESMTP" tells clients that EHLO is worth a try (RFC 1869 §4.1).
	word := "ESMTP"
	if s.srv.Listener == mail.ListenerLMTP {
		word = "LMTP"
	}
	s.reply(&smtp.Reply{Code: 220, Text: s.srv.Hostname + " " + word + " ready"})
	return true
}

// next serves one command.
func (s *session) next(ctx context.Context) {
	if s.tx == nil && s.wire.isDraining() {
		s.end(errShutdown)
		return
	}
	s.verb, s.asked = "", mail.Path{}
	s.wire.await(s.srv.limits.Idle, 0, s.tx == nil)
	line, err := s.wire.readLine(maxCommandLine)
	if err != nil {
		s.badLine(err)
		return
	}
	if !isPlain(line) {
		s.answer(errCharacters)
		return
	}
	verb, arg := smtp.SplitCommand(string(line))
	s.answer(s.dispatch(ctx, strings.ToUpper(verb), arg))
}

// isPlain tells whether a command line has no control characters.
func isPlain(line []byte) bool {
	for _, c := range line {
		if c < ' ' || c == 0x7f {
			return false
		}
	}
	return true
}

var (
	errCharacters  = &smtp.Reply{Code: 500, Enh: smtp.Enh{5, 5, 2}, Text: "Control character in a command"}
	errCommandLine = &smtp.Reply{Code: 500, Enh: smtp.Enh{5, 5, 2}, Text: "Command line too long"}
	errCommandLF   = &smtp.Reply{Code: 521, Enh: smtp.Enh{5, 5, 2}, Text: "Bare LF after a command: lines end in CRLF (RFC 5321 section 2.3.8)"}
	errIdle        = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 4, 2}, Text: "Timeout, closing connection"}
	errErrors      = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 7, 0}, Text: "Too many errors, closing connection"}
	errUnknown     = &smtp.Reply{Code: 500, Enh: smtp.Enh{5, 5, 1}, Text: "Command not recognized"}
	errNotSMTP     = &smtp.Reply{Code: 521, Enh: smtp.Enh{5, 5, 1}, Text: "This is a mail server"}
	errNoArgument  = &smtp.Reply{Code: 501, Enh: smtp.Enh{5, 5, 4}, Text: "The command takes no argument"}
)

// badLine ends the session, but for a line that is only too long.
func (s *session) badLine(err error) {
	switch {
	case errors.Is(err, errLongLine):
		s.answer(errCommandLine)
	case errors.Is(err, errBareLine):
		// What comes next may have been meant as a part of the line.
		s.end(errCommandLF)
	default:
		s.gone(err)
	}
}

// gone ends a session whose client is not heard any more.
func (s *session) gone(err error) {
	s.closing = true
	switch {
	case s.wire.isDraining() && isTimeout(err):
		s.reply(errShutdown)
	case isTimeout(err):
		s.reply(errIdle)
		s.rejected(errIdle)
	case !errors.Is(err, io.EOF):
		s.log.Debug("connection lost", "client", s.client.Addr, "err", err)
	}
}

// end answers r, the last reply of the session.
func (s *session) end(r *smtp.Reply) {
	s.rejected(r)
	s.reply(r)
	s.closing, s.linger = true, true
}

// answer writes the reply to a command, unless the handler did (nil), and
// counts it.
func (s *session) answer(r *smtp.Reply) {
	if r == nil {
		return
	}
	if r.Code == 421 || r.Code == 521 {
		s.end(r)
		return
	}
	if r.Code >= 500 {
		s.errors++
	}
	if over(s.errors, s.srv.limits.Errors) {
		s.end(errErrors)
		return
	}
	s.reply(r)
	if r.Code < 400 {
		return
	}
	var attrs []slog.Attr
	if s.verb != "" {
		attrs = append(attrs, slog.String("command", s.verb))
	}
	s.rejected(r, append(attrs, s.askedAttr()...)...)
}

// askedAttr names the recipient in hand, if there is one.
func (s *session) askedAttr() []slog.Attr {
	if s.asked.IsNull() {
		return nil
	}
	return []slog.Attr{slog.String("rcpt", s.asked.String())}
}

// reply puts r where the next read sends it from.
func (s *session) reply(r *smtp.Reply) {
	s.wire.out = r.Append(s.wire.out, s.tx != nil && s.tx.Envelope.UTF8)
}

// rejected logs and counts a reply of class 4 or 5. What is only wrong with
// the syntax is for debugging.
func (s *session) rejected(r *smtp.Reply, attrs ...slog.Attr) {
	s.srv.Observer.Refused(s.srv.Listener, r.Code)
	level := slog.LevelInfo
	if r.Enh[1] == 5 {
		level = slog.LevelDebug
	}
	ctx := context.Background()
	if !s.log.Enabled(ctx, level) {
		return
	}
	all := []slog.Attr{slog.Any("client", s.client.Addr), slog.String("helo", s.client.Helo), slog.String("listener", string(s.srv.Listener))}
	if s.tx != nil {
		all = append(all, slog.String("queue_id", string(s.tx.ID)), slog.String("reverse_path", s.tx.Envelope.ReversePath.String()))
	}
	all = append(all, attrs...)
	all = append(all, slog.String("reply", r.Error()))
	s.log.LogAttrs(ctx, level, "rejected", all...)
}

// begin opens a transaction.
func (s *session) begin(e mail.Envelope) {
	now := time.Now()
	s.tx = &mail.Transaction{ID: mail.NewQueueID(now), Received: now, Client: s.client, Envelope: e, SessionNotes: s.facts.notes, Hold: s.facts.hold}
	s.messages++
}

// endTransaction forgets the transaction that is open, if there is one.
func (s *session) endTransaction() {
	if s.chunks != nil {
		s.chunks.discard()
	}
	s.tx, s.accepted, s.copies, s.chunks = nil, 0, nil, nil
}
