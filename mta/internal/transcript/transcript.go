// Package transcript plays the client's side of a recorded dialogue against a
// server and compares what the server says. It serves tests of every protocol
// that speaks in lines (SMTP, POP3, IMAP); it knows none of them.
//
// A transcript is a text file, one situation each:
//
//	# Relaying is refused to strangers, and the session goes on.
//	S: 220 mx.example.org *
//	C: EHLO client.example.net
//	S: ...
//	S: 250 SIZE *
//	C: RCPT TO:<bob@example.com>
//	S: 550 5.7.1 *
//
// The lines of a transcript are:
//
//	# text     a comment; so is an empty line
//	S: line    the server's next line; `*` stands for any text, `\*` for a star
//	S: ...     any number of the server's lines, up to one that fits the next S: line
//	C: line    what the client sends, with CRLF added
//	C! "text"  what the client sends, a Go string, with nothing added
//	! tls      the client shakes hands for TLS ([Script.TLS])
//	! sleep 5m time passes (for use in a testing/synctest bubble)
//	! close    the client closes its sending side, or the connection where it has no sides
//	! closed   the server must have closed the connection, with nothing more to say
//
// C lines that follow each other go out in one write, which is how pipelining
// is tested. `{name}` in any line stands for the value of [Script.Vars].
package transcript

import (
	"bufio"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"
)

// defaultTimeout is how long one line of the server may take to come.
const defaultTimeout = 10 * time.Second

// A Script says how a transcript is played. The zero Script will do for most.
type Script struct {
	Vars    map[string]string // what {name} stands for
	TLS     *tls.Config       // for `! tls`
	Timeout time.Duration     // for each line of the server; zero: 10 s
}

// Run plays file over conn, closes conn, and fails t at the first line that
// differs.
func Run(t testing.TB, conn net.Conn, file string) {
	t.Helper()
	Script{}.Run(t, conn, file)
}

// Dial connects to addr over TCP for [Run], or fails t.
func Dial(t testing.TB, addr string) net.Conn {
	t.Helper()
	conn, err := net.DialTimeout("tcp", addr, defaultTimeout)
	if err != nil {
		t.Fatalf("dial %s: %v", addr, err)
	}
	return conn
}

// Files returns the transcripts of a folder, by name; t fails if there is none.
func Files(t testing.TB, pattern string) []string {
	t.Helper()
	files, err := filepath.Glob(pattern)
	if err != nil || len(files) == 0 {
		t.Fatalf("no transcripts %s (%v)", pattern, err)
	}
	return files
}

// Run plays file over conn as [Run] does.
func (s Script) Run(t testing.TB, conn net.Conn, file string) {
	t.Helper()
	if err := s.Play(conn, file); err != nil {
		t.Fatal(err)
	}
}

// Play is Run without a test: it returns the first difference, and closes conn.
func (s Script) Play(conn net.Conn, file string) error {
	text, err := os.ReadFile(file)
	if err != nil {
		conn.Close()
		return err
	}
	lines, err := s.parse(string(text))
	if err != nil {
		conn.Close()
		return fmt.Errorf("%s:%w", file, err)
	}
	p := &player{script: s, conn: conn, in: bufio.NewReader(conn)}
	defer func() { p.conn.Close() }()
	if err := p.play(lines); err != nil {
		return fmt.Errorf("%s:%w", file, err)
	}
	return nil
}

// A line is one line of a transcript.
type line struct {
	number int
	kind   byte   // 'S', 'C' or '!'
	text   string // a pattern; octets to send; an action
}

func (s Script) parse(text string) ([]line, error) {
	var lines []line
	for i, raw := range strings.Split(text, "\n") {
		raw = s.expand(strings.TrimSuffix(raw, "\r"))
		l := line{number: i + 1}
		switch {
		case raw == "" || raw[0] == '#':
			continue
		case raw == "S:" || strings.HasPrefix(raw, "S: "):
			l.kind, l.text = 'S', strings.TrimPrefix(raw[2:], " ")
		case raw == "C:" || strings.HasPrefix(raw, "C: "):
			l.kind, l.text = 'C', strings.TrimPrefix(raw[2:], " ")+"\r\n"
		case strings.HasPrefix(raw, "C! "):
			octets, err := strconv.Unquote(strings.TrimSpace(raw[3:]))
			if err != nil {
				return nil, fmt.Errorf("%d: %q is no Go string", l.number, raw[3:])
			}
			l.kind, l.text = 'C', octets
		case strings.HasPrefix(raw, "! "):
			l.kind, l.text = '!', strings.TrimSpace(raw[2:])
		default:
			return nil, fmt.Errorf("%d: %q is none of #, S:, C:, C!, !", l.number, raw)
		}
		lines = append(lines, l)
	}
	return lines, nil
}

func (s Script) expand(text string) string {
	for name, value := range s.Vars {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// A player is one run of one transcript.
type player struct {
	script  Script
	conn    net.Conn
	in      *bufio.Reader
	writing chan error // what the write under way ended with; nil: none is
}

func (p *player) play(lines []line) error {
	for i := 0; i < len(lines); {
		n, err := p.step(lines[i:])
		if err != nil {
			return fmt.Errorf("%d: %w", lines[i].number, err)
		}
		i += n
	}
	return p.written()
}

// step plays what comes next and returns how many lines that was.
func (p *player) step(lines []line) (int, error) {
	switch l := lines[0]; l.kind {
	case 'C':
		return p.send(lines)
	case 'S':
		if l.text == "..." {
			return p.skip(lines)
		}
		got, err := p.read()
		if err != nil {
			return 0, fmt.Errorf("got %w, want %q", err, l.text)
		}
		if !Match(l.text, got) {
			return 0, fmt.Errorf("got %q, want %q", got, l.text)
		}
		return 1, nil
	default:
		return 1, p.act(l.text)
	}
}

// send writes all C lines at the front of lines in one go. It does not wait
// for the write to end, so that a server may answer in the middle of it.
func (p *player) send(lines []line) (int, error) {
	if err := p.written(); err != nil {
		return 0, err
	}
	var octets strings.Builder
	n := 0
	for n < len(lines) && lines[n].kind == 'C' {
		octets.WriteString(lines[n].text)
		n++
	}
	done := make(chan error, 1)
	p.conn.SetWriteDeadline(time.Now().Add(p.timeout()))
	go func(conn net.Conn) {
		_, err := io.WriteString(conn, octets.String())
		done <- err
	}(p.conn)
	p.writing = done
	return n, nil
}

// written waits for the write under way. A server that closed early is no
// error: what it said is looked at.
func (p *player) written() error {
	if p.writing == nil {
		return nil
	}
	err := <-p.writing
	p.writing = nil
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return fmt.Errorf("the server does not read: %w", err)
	}
	return nil
}

func (p *player) skip(lines []line) (int, error) {
	if len(lines) < 2 || lines[1].kind != 'S' {
		return 0, errors.New("`S: ...` must have an S: line after it")
	}
	for {
		got, err := p.read()
		if err != nil {
			return 0, fmt.Errorf("got %w, want %q sooner or later", err, lines[1].text)
		}
		if Match(lines[1].text, got) {
			return 2, nil
		}
	}
}

// read returns the server's next line without its CRLF.
func (p *player) read() (string, error) {
	p.conn.SetReadDeadline(time.Now().Add(p.timeout()))
	got, err := p.in.ReadString('\n')
	if err != nil {
		return "", fmt.Errorf("%q and then: %w", got, err)
	}
	rest, ok := strings.CutSuffix(got, "\r\n")
	if !ok {
		return "", fmt.Errorf("%q, which does not end in CRLF", got)
	}
	return rest, nil
}

func (p *player) timeout() time.Duration {
	if p.script.Timeout > 0 {
		return p.script.Timeout
	}
	return defaultTimeout
}

func (p *player) act(action string) error {
	verb, arg, _ := strings.Cut(action, " ")
	switch verb {
	case "tls":
		return p.startTLS()
	case "sleep":
		d, err := time.ParseDuration(arg)
		if err != nil {
			return err
		}
		time.Sleep(d)
		return nil
	case "close":
		if err := p.written(); err != nil {
			return err
		}
		if half, ok := p.conn.(interface{ CloseWrite() error }); ok {
			return half.CloseWrite()
		}
		return p.conn.Close()
	case "closed":
		return p.closed()
	}
	return fmt.Errorf("unknown action %q", action)
}

func (p *player) startTLS() error {
	if err := p.written(); err != nil {
		return err
	}
	if n := p.in.Buffered(); n > 0 {
		return fmt.Errorf("%d octets of plain text before the handshake", n)
	}
	conn := tls.Client(p.conn, p.script.TLS)
	conn.SetDeadline(time.Now().Add(p.timeout()))
	if err := conn.Handshake(); err != nil {
		return fmt.Errorf("handshake: %w", err)
	}
	p.conn, p.in = conn, bufio.NewReader(conn)
	return nil
}

// closed holds that the server has nothing more to say and is gone. A reset
// counts: it is how a server closes on octets it did not read.
func (p *player) closed() error {
	got, err := p.read()
	if err == nil {
		return fmt.Errorf("got %q, want the connection closed", got)
	}
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return errors.New("the connection is still open")
	}
	return nil
}

// Match tells whether s is what pattern says: `*` stands for any text, also
// none, and `\*` for a star.
func Match(pattern, s string) bool {
	for pattern != "" {
		switch {
		case pattern[0] == '*':
			pattern = pattern[1:]
			for i := range len(s) + 1 {
				if Match(pattern, s[i:]) {
					return true
				}
			}
			return false
		case strings.HasPrefix(pattern, `\*`):
			pattern = pattern[1:]
		}
		if s == "" || s[0] != pattern[0] {
			return false
		}
		pattern, s = pattern[1:], s[1:]
	}
	return s == ""
}
