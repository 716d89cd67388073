package pop3d

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"strconv"
	"strings"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/sasl"
)

// A verb is a command: what runs it, and in which states it may come.
type verb struct {
	run func(s *session, ctx context.Context, arg string)
	in  state
}

var verbs = map[string]verb{
	"CAPA": {(*session).capa, authorization | transaction},
	"QUIT": {(*session).quit, authorization | transaction},
	"STLS": {(*session).startTLS, authorization},
	"USER": {(*session).user, authorization},
	"PASS": {(*session).pass, authorization},
	"AUTH": {(*session).auth, authorization},
	"STAT": {(*session).stat, transaction},
	"LIST": {(*session).list, transaction},
	"UIDL": {(*session).uidl, transaction},
	"RETR": {(*session).retr, transaction},
	"TOP":  {(*session).top, transaction},
	"DELE": {(*session).dele, transaction},
	"RSET": {(*session).rset, transaction},
	"NOOP": {(*session).noop, transaction},
}

// line writes one line of a reply.
func (s *session) line(text string) {
	s.out.WriteString(text) // an error comes up at the next flush
	s.out.WriteString("\r\n")
}

func (s *session) ok(format string, args ...any) {
	s.line(strings.TrimSpace("+OK " + fmt.Sprintf(format, args...)))
}

func (s *session) err(format string, args ...any) { s.line("-ERR " + fmt.Sprintf(format, args...)) }

// bad refuses a command that a client should not have sent, and counts it.
func (s *session) bad(format string, args ...any) {
	s.errors++
	s.err(format, args...)
}

// capa lists what the server can (RFC 2449 §5).
func (s *session) capa(_ context.Context, _ string) {
	s.ok("capabilities follow")
	for _, c := range []string{"TOP", "UIDL", "PIPELINING", "RESP-CODES", "AUTH-RESP-CODE", "EXPIRE NEVER"} {
		s.line(c)
	}
	if s.mayLogin() {
		s.line("USER")
		s.line("SASL " + strings.Join(sasl.Mechanisms(), " "))
	}
	if s.mayStartTLS() {
		s.line("STLS")
	}
	s.line("IMPLEMENTATION mta")
	s.line(".")
}

// quit ends the session; from the transaction state, what is marked is removed
// first (RFC 1939 §6).
func (s *session) quit(_ context.Context, _ string) {
	s.closing = true
	if s.state == transaction {
		if err := s.drop.update(); err != nil {
			s.srv.log.Error("deleted messages are not all removed", "account", s.account, "client", s.client, "err", err)
			s.err("[SYS/TEMP] some deleted messages are not removed")
			return
		}
	}
	s.ok("POP3 server signing off")
}

func (s *session) stat(_ context.Context, _ string) {
	n, octets := s.drop.sum()
	s.ok("%d %d", n, octets)
}

func (s *session) noop(_ context.Context, _ string) { s.ok("") }

func (s *session) rset(_ context.Context, _ string) {
	clear(s.drop.deleted)
	s.marked.Store(false)
	n, octets := s.drop.sum()
	s.ok("maildrop has %d messages (%d octets)", n, octets)
}

// message finds the message that an argument names; where there is none, the
// client has its reply.
func (s *session) message(n int) (*mailbox.Message, bool) {
	m, ok := s.drop.message(n)
	if !ok {
		s.err("no such message, only %d messages in maildrop", len(s.drop.view.Messages))
	}
	return m, ok
}

// one reads an argument of one message number.
func (s *session) one(arg string) (int, *mailbox.Message, bool) {
	n, ok := numbers(arg, 1, 1)
	if !ok {
		s.bad("the number of a message is needed")
		return 0, nil, false
	}
	m, ok := s.message(n[0])
	return n[0], m, ok
}

// scan answers LIST and UIDL: what show says of one message, or of all.
func (s *session) scan(arg, title string, show func(*mailbox.Message) string) {
	if arg != "" {
		if n, m, ok := s.one(arg); ok {
			s.ok("%d %s", n, show(m))
		}
		return
	}
	s.ok("%s", title)
	for i := range s.drop.view.Messages {
		if m, ok := s.drop.message(i + 1); ok {
			s.line(strconv.Itoa(i+1) + " " + show(m))
		}
	}
	s.line(".")
}

// list tells the sizes (RFC 1939 §5): what RETR sends, without the dots that it
// adds. Where a message does not end in CRLF, that of the response's end comes
// behind it and is not counted.
func (s *session) list(_ context.Context, arg string) {
	n, octets := s.drop.sum()
	s.scan(arg, fmt.Sprintf("%d messages (%d octets)", n, octets), func(m *mailbox.Message) string {
		return strconv.FormatInt(m.Size, 10)
	})
}

// uidl tells unique IDs: UIDVALIDITY and UID, which no two messages of an
// account's INBOX share, ever (RFC 1939 §7).
func (s *session) uidl(_ context.Context, arg string) {
	s.scan(arg, "unique IDs follow", func(m *mailbox.Message) string {
		return fmt.Sprintf("%08x%08x", s.drop.view.UIDValidity, m.UID)
	})
}

func (s *session) dele(_ context.Context, arg string) {
	n, _, ok := s.one(arg)
	if !ok {
		return
	}
	s.drop.deleted[n-1] = true
	s.marked.Store(true)
	s.ok("message %d deleted", n)
}

func (s *session) retr(_ context.Context, arg string) {
	_, m, ok := s.one(arg)
	if !ok {
		return
	}
	s.send(m, func(c *mailbox.Content, out io.Writer) error {
		buf := buffers.Get().(*[]byte)
		defer buffers.Put(buf)
		_, err := io.CopyBuffer(out, struct{ io.Reader }{c}, *buf)
		return err
	})
	s.drop.retrieved++
}

var buffers = sync.Pool{New: func() any { b := make([]byte, copyBuffer); return &b }}

// top sends the header section and so many lines of the body (RFC 1939 §7).
func (s *session) top(_ context.Context, arg string) {
	n, ok := numbers(arg, 2, 2)
	if !ok {
		s.bad("the number of a message and a number of lines are needed")
		return
	}
	m, ok := s.message(n[0])
	if !ok {
		return
	}
	s.send(m, func(c *mailbox.Content, out io.Writer) error { return copyTop(out, c, n[1]) })
}

// copyTop copies the header section, the empty line, and lines of the body. A
// line may be of any length.
func copyTop(out io.Writer, content io.Reader, lines int) error {
	in := bufio.NewReader(content)
	body, begins := false, true
	for !body || lines > 0 {
		piece, err := in.ReadSlice('\n')
		if _, err := out.Write(piece); err != nil {
			return err
		}
		ends := err == nil
		if err != nil && err != bufio.ErrBufferFull {
			if err == io.EOF {
				return nil
			}
			return err
		}
		switch {
		case body && ends:
			lines--
		case !body && begins && string(piece) == "\r\n":
			body = true
		}
		begins = ends
	}
	return nil
}

// send answers with what copy writes of a message. Once it has begun, an error
// cannot be told any more: the session ends, and the client sees that the
// response does not.
func (s *session) send(m *mailbox.Message, copy func(*mailbox.Content, io.Writer) error) {
	c, err := s.drop.mailbox.Open(m.UID)
	if err != nil {
		s.srv.log.Warn("message cannot be read", "account", s.account, "uid", m.UID, "err", err)
		s.err("[SYS/TEMP] message cannot be read, or is gone")
		return
	}
	defer c.Close()
	s.ok("%d octets", c.Size())
	out := &stuffer{out: s.out}
	if err := copy(c, out); err != nil {
		s.srv.log.Warn("message not sent", "account", s.account, "uid", m.UID, "err", err)
		s.closing = true
		return
	}
	out.close()
}
