package smtpd

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"net"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A tape is a connection whose client's side is known in advance.
type tape struct {
	in    io.Reader
	piece int // octets that one read brings
	out   bytes.Buffer
}

func (c *tape) Read(p []byte) (int, error)       { return c.in.Read(p[:min(len(p), c.piece)]) }
func (c *tape) Write(p []byte) (int, error)      { return c.out.Write(p) }
func (c *tape) Close() error                     { return nil }
func (c *tape) LocalAddr() net.Addr              { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 25} }
func (c *tape) RemoteAddr() net.Addr             { return &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 4000} }
func (c *tape) SetDeadline(time.Time) error      { return nil }
func (c *tape) SetReadDeadline(time.Time) error  { return nil }
func (c *tape) SetWriteDeadline(time.Time) error { return nil }

// failures is a slog.Handler that keeps errors: a panic ends up there.
type failures struct{ lines *[]string }

func (failures) Enabled(context.Context, slog.Level) bool { return true }
func (f failures) WithAttrs([]slog.Attr) slog.Handler     { return f }
func (f failures) WithGroup(string) slog.Handler          { return f }
func (f failures) Handle(_ context.Context, r slog.Record) error {
	if r.Level >= slog.LevelError {
		var b strings.Builder
		r.Attrs(func(a slog.Attr) bool { b.WriteString(" " + a.String()); return true })
		*f.lines = append(*f.lines, r.Message+b.String())
	}
	return nil
}

var replyLine = regexp.MustCompile(`^[2345][0-9][0-9][ -][^\x00-\x1f\x7f]*$`)

// FuzzSession holds that, whatever a client sends, a session ends, says only
// replies, and hands on only whole messages whose lines end in CRLF; and that
// it does not matter in which pieces the octets come. A stage that does what
// clients ask for is in it at every hook.
func FuzzSession(f *testing.F) {
	const hello, envelope = "EHLO c\r\n", "MAIL FROM:<a@b>\r\nRCPT TO:<bob@hamburger.edu>\r\n"
	for _, s := range []string{
		hello + envelope + "DATA\r\na\r\n.\r\nQUIT\r\n",
		"HELO c\r\n" + envelope + "DATA\r\n..\r\na\nb\r\n.\r\nNOOP\r\n",
		hello + envelope + "DATA\r\na\n.\r\n" + envelope + "DATA\r\nb\r\n.\r\n",
		hello + envelope + "BDAT 3\r\na\r\nBDAT 0 LAST\r\nQUIT\r\n",
		hello + envelope + "BDAT 3 LAST\r\na\n\nBDAT x\r\n",
		hello + "AUTH PLAIN\r\n*\r\nAUTH LOGIN YQ==\r\nYQ==\r\nSTARTTLS\r\n",
		hello + "MAIL FROM:<\xc3\xbc@b> SMTPUTF8 ENVID=+41\r\nVRFY \xff\r\n",
		"EHLO helo-defer.c\r\nEHLO helo-quarantine.c\r\nMAIL FROM:<mail-words@b>\r\nMAIL FROM:<a@b>\r\n" +
			"RCPT TO:<bob+rcpt-reject@hamburger.edu>\r\nRCPT TO:<bob+message-reject@hamburger.edu>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n.\r\n",
		hello + "MAIL FROM:<data-reject@b>\r\nRCPT TO:<bob@hamburger.edu>\r\nBDAT 3\r\na\r\nBDAT 0 LAST\r\nDATA\r\n",
		"GET / HTTP/1.1\r\n", "\r\n\r\n", "\n", strings.Repeat("x", 5000) + "\r\nNOOP\r\n",
	} {
		f.Add(s, uint8(255), false)
		f.Add(s, uint8(0), true)
	}
	players := map[bool]*tapePlayer{false: newTapePlayer(mail.ListenerSMTP), true: newTapePlayer(mail.ListenerSubmission)}
	f.Fuzz(func(t *testing.T, octets string, piece uint8, submission bool) {
		out, got := players[submission].play(t, octets, int(piece)+1)
		whole, wholeGot := players[submission].play(t, octets, 1<<20)
		if out != whole || len(got) != len(wholeGot) {
			t.Fatalf("in pieces of %d:\n%q\nin one:\n%q", int(piece)+1, out, whole)
		}
		for i, m := range got {
			if m.body() != wholeGot[i].body() {
				t.Fatalf("in pieces of %d: %q; in one: %q", int(piece)+1, m.body(), wholeGot[i].body())
			}
		}
	})
}

var queueIDs = regexp.MustCompile(`queued as [0-9A-Z]{16}`)

// A tapePlayer has one server for all tapes.
type tapePlayer struct {
	srv  *Server
	errs []string
}

func newTapePlayer(kind mail.Listener) *tapePlayer {
	p := &tapePlayer{}
	p.srv = &Server{Hostname: "hamburger.edu", Listener: kind, Directory: people{}, Log: slog.New(failures{&p.errs})}
	hooked(nil)(p.srv)
	p.srv.init()
	return p
}

func (p *tapePlayer) play(t *testing.T, octets string, piece int) (string, []stored) {
	t.Helper()
	q := &memoryQueue{}
	p.srv.Queue, p.errs = q, nil
	conn := &tape{in: strings.NewReader(octets), piece: piece}
	newSession(p.srv, conn).run(t.Context())
	if len(p.errs) > 0 {
		t.Fatalf("%q logged %q", octets, p.errs)
	}
	out := conn.out.String()
	for line := range strings.SplitSeq(strings.TrimSuffix(out, "\r\n"), "\r\n") {
		if !replyLine.MatchString(line) {
			t.Fatalf("%q was answered with %q", octets, out)
		}
	}
	for _, m := range q.messages() {
		if rest := strings.ReplaceAll(m.content, "\r\n", ""); strings.ContainsAny(rest, "\r\n\x00") {
			t.Fatalf("%q was taken for %q", octets, m.content)
		}
	}
	return queueIDs.ReplaceAllString(out, "queued"), q.messages()
}
