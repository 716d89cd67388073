package smtpd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

// The cases of this file are those in which go-smtp's server does not do what
// RFC 5321, 3030 or 3207 say, or what a mail server needs. Each runs against
// our server, which must behave, and against go-smtp's, which must not: so
// every case is shown to find the fault, and we hear of it when the library
// changes (decision page 0001).
var wireCases = []struct {
	name  string
	knobs knobs
	run   func(p *peer) error // nil: the server behaved
	races bool                // go-smtp's server has a data race there
}{
	{name: "bare LF is not passed on", run: refusesContent("one\ntwo\r\n.\r\n")},
	{name: "bare CR is not passed on", run: refusesContent("one\rtwo\r\n.\r\n")},
	{name: "CR CRLF . CRLF does not swallow the next message", run: afterCRCRLF},
	{name: "CRLF . CR CRLF loses nothing", run: dotCRCRLF},
	{name: "after a time-out in DATA the rest is no command", knobs: knobs{timeout: 100 * time.Millisecond}, run: restOf("DATA\r\n")},
	{name: "after a time-out in BDAT the rest is no command", knobs: knobs{timeout: 100 * time.Millisecond}, run: restOf("BDAT 1000\r\n"), races: true},
	{name: "a cut BDAT is no message", run: cutBDAT, races: true},
	{name: "RSET ends a BDAT transaction before the next one", run: resetBDAT, races: true},
	{name: "postmaster without a domain", run: replies("RCPT TO:<postmaster>", "250 ")},
	{name: "SIZE of 4 GiB", knobs: knobs{maxSize: 8 << 30}, run: mailReplies("MAIL FROM:<a@crepes.fr> SIZE=4294967296", "250 ")},
	{name: "BY is no parameter of RCPT", knobs: knobs{deliverBy: true}, run: replies("RCPT TO:<bob@hamburger.edu> BY=120;R", "555 5.5.4 ")},
	{name: "a quoted local part stays quoted", run: quoted},
	{name: "a wrapped reply is said, and no more", knobs: knobs{wrapped: true}, run: wrappedReply},
	{name: "a message of exactly the limit", knobs: knobs{maxSize: 20}, run: exactSize},
	{name: "a refusal at connect", knobs: knobs{full: true}, run: refusedAtConnect},
	{name: "a failed handshake is the end", run: failedHandshake},
	{name: "Shutdown does not wait for idle clients", run: shutdownIdle},
	{name: "one write for the reply to EHLO", run: ehloWrites},
	{name: "one write for pipelined replies", run: pipelinedWrites},
	{name: "EHLO has a line of ours", run: ehloHas("LIMITS ")},
}

func TestWireCases(t *testing.T) {
	for _, tt := range wireCases {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if err := tt.run(ours(t, tt.knobs)); err != nil {
				t.Errorf("our server: %v", err)
			}
			if tt.races && raceDetector {
				t.Log("not held against go-smtp's server, which has a data race there")
				return
			}
			if err := tt.run(theirs(t, tt.knobs)); err == nil {
				t.Errorf("go-smtp's server behaves now: the case shows nothing any more")
			} else {
				t.Logf("go-smtp's server: %v", err)
			}
		})
	}
}

// TestASlowClientIsNoDeadOne is the case of a time-out that is for all of the
// content instead of the pause between two pieces of it. TestSlowClients has
// our server's part.
func TestASlowClientIsNoDeadOne(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		srv := (&peer{}).goSMTP(knobs{timeout: 5 * time.Minute})
		l := newPipes()
		served := make(chan error, 1)
		go func() { served <- srv.Serve(l) }()
		err := transcript.Script{Timeout: time.Second}.Play(l.dial(""), "testdata/slow/steady.txt")
		if err == nil {
			t.Error("go-smtp's server behaves now: the case shows nothing any more")
		} else {
			t.Logf("go-smtp's server: %v", err)
		}
		srv.Close()
		<-served
	})
}

// knobs are how a case wants its server.
type knobs struct {
	timeout time.Duration // for octets to come
	maxSize int64         // of a message
	wrapped bool          // the answer to content is an error that wraps a reply
	full    bool          // a limit of connections is reached

	deliverBy bool // go-smtp's DELIVERBY is on
}

// A peer is a server under test.
type peer struct {
	addr     string
	writes   *atomic.Int64 // of the server, in all
	shutdown func(context.Context) error
	tls      *tls.Config

	mu       sync.Mutex
	messages []string // content of accepted messages, without Received:
	rcpts    []string // of all RCPT, as the backend saw them
	overlap  bool     // a transaction began before the one before was over
}

func (p *peer) stored() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.messages
}

func (p *peer) recipients() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.rcpts
}

var errWrapped = "written to /var/secret"

func ours(t *testing.T, k knobs) *peer {
	p := &peer{writes: &atomic.Int64{}}
	srv, _ := newServer(t)
	srv.TLS, p.tls = testTLS(t)
	srv.Limits = Limits{Message: k.maxSize, Idle: k.timeout, DataIdle: k.timeout}
	if k.full {
		srv.Limits.Connections = 1
	}
	srv.Policy = policyFunc(func(_ context.Context, tx *mail.Transaction) (mail.Verdict, error) {
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, r := range tx.Envelope.Recipients {
			p.rcpts = append(p.rcpts, r.Path.String())
		}
		if k.wrapped {
			return mail.Reject, fmt.Errorf("%s: %w", errWrapped, &smtp.Reply{Code: 554, Enh: smtp.Enh{5, 6, 0}, Text: "No"})
		}
		content, err := mail.ReadAll(tx.Content)
		p.messages = append(p.messages, stored{content: string(content)}.body())
		return mail.Continue, err
	})
	p.shutdown = srv.Shutdown
	p.addr = listen(t, p.writes, srv.Serve, func() {
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		srv.Shutdown(ctx)
	})
	return p
}

func theirs(t *testing.T, k knobs) *peer {
	p := &peer{writes: &atomic.Int64{}}
	srv := p.goSMTP(k)
	srv.TLSConfig, p.tls = testTLS(t)
	p.shutdown = srv.Shutdown
	p.addr = listen(t, p.writes, func(l net.Listener) error {
		if err := srv.Serve(l); !errors.Is(err, gosmtp.ErrServerClosed) {
			return err
		}
		return nil
	}, func() { srv.Close() })
	return p
}

// goSMTP is go-smtp's server over a backend that stores in p.
func (p *peer) goSMTP(k knobs) *gosmtp.Server {
	srv := gosmtp.NewServer(gosmtp.BackendFunc(func(*gosmtp.Conn) (gosmtp.Session, error) {
		if k.full {
			return nil, &gosmtp.SMTPError{Code: 421, EnhancedCode: gosmtp.EnhancedCode{4, 3, 2}, Message: "Full"}
		}
		return &theirSession{peer: p, wrapped: k.wrapped}, nil
	}))
	srv.Domain = "hamburger.edu"
	srv.ReadTimeout = k.timeout
	srv.MaxMessageBytes = k.maxSize
	srv.EnableDELIVERBY = k.deliverBy
	srv.ErrorLog = quiet{}
	return srv
}

type quiet struct{}

func (quiet) Printf(string, ...any) {}
func (quiet) Println(...any)        {}

// theirSession stores what go-smtp hands it.
type theirSession struct {
	peer    *peer
	wrapped bool
	inData  atomic.Bool
	begun   chan struct{} // closed by the next MAIL; guarded by peer.mu
}

func (s *theirSession) Mail(string, *gosmtp.MailOptions) error {
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	if s.inData.Load() {
		s.peer.overlap = true
	}
	if s.begun != nil {
		close(s.begun)
		s.begun = nil
	}
	return nil
}

func (s *theirSession) Rcpt(to string, _ *gosmtp.RcptOptions) error {
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	s.peer.rcpts = append(s.peer.rcpts, to)
	return nil
}

func (s *theirSession) Data(r io.Reader) error {
	s.inData.Store(true)
	defer s.inData.Store(false)
	content, err := io.ReadAll(r)
	if err != nil {
		// A backend that takes its time to clean up: until the next
		// transaction begins, if it does.
		begun := make(chan struct{})
		s.peer.mu.Lock()
		s.begun = begun
		s.peer.mu.Unlock()
		select {
		case <-begun:
		case <-time.After(200 * time.Millisecond):
		}
		return err
	}
	if s.wrapped {
		return fmt.Errorf("%s: %w", errWrapped, &gosmtp.SMTPError{Code: 554, EnhancedCode: gosmtp.EnhancedCode{5, 6, 0}, Message: "No"})
	}
	s.peer.mu.Lock()
	defer s.peer.mu.Unlock()
	s.peer.messages = append(s.peer.messages, string(content))
	return nil
}

func (s *theirSession) Reset()        {}
func (s *theirSession) Logout() error { return nil }

// listen serves a port of loopback, counting writes, until the test ends.
func listen(t *testing.T, writes *atomic.Int64, serve func(net.Listener) error, stop func()) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- serve(countingListener{l, writes}) }()
	t.Cleanup(func() {
		stop()
		if err := <-served; err != nil && !errors.Is(err, net.ErrClosed) {
			t.Errorf("serve: %v", err)
		}
	})
	return l.Addr().String()
}

type countingListener struct {
	net.Listener
	writes *atomic.Int64
}

func (l countingListener) Accept() (net.Conn, error) {
	conn, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return countingConn{conn, l.writes}, nil
}

type countingConn struct {
	net.Conn
	writes *atomic.Int64
}

func (c countingConn) Write(p []byte) (int, error) {
	c.writes.Add(1)
	return c.Conn.Write(p)
}

func (c countingConn) CloseWrite() error { return c.Conn.(*net.TCPConn).CloseWrite() }

// A client speaks octet by octet.
type client struct {
	net.Conn
	in *bufio.Reader
}

// dial connects and reads the greeting.
func (p *peer) dial() (*client, string, error) {
	conn, err := net.Dial("tcp", p.addr)
	if err != nil {
		return nil, "", err
	}
	conn.SetDeadline(time.Now().Add(10 * time.Second))
	c := &client{Conn: conn, in: bufio.NewReader(conn)}
	greeting, err := c.reply()
	return c, greeting, err
}

// hello connects and says EHLO.
func (p *peer) hello() (*client, error) {
	c, _, err := p.dial()
	if err != nil {
		return nil, err
	}
	if r, err := c.say("EHLO crepes.fr\r\n"); err != nil || !strings.HasPrefix(r, "250") {
		return nil, fmt.Errorf("EHLO: %q, %v", r, err)
	}
	return c, nil
}

// transaction connects and goes on up to RCPT.
func (p *peer) transaction() (*client, error) {
	c, err := p.hello()
	if err != nil {
		return nil, err
	}
	for _, line := range []string{"MAIL FROM:<alice@crepes.fr>\r\n", "RCPT TO:<bob@hamburger.edu>\r\n"} {
		if r, err := c.say(line); err != nil || !strings.HasPrefix(r, "250") {
			return nil, fmt.Errorf("%s: %q, %v", line, r, err)
		}
	}
	return c, nil
}

// say sends octets and reads one reply.
func (c *client) say(octets string) (string, error) {
	if _, err := io.WriteString(c, octets); err != nil {
		return "", err
	}
	return c.reply()
}

func (c *client) reply() (string, error) {
	var all strings.Builder
	for {
		line, err := c.in.ReadString('\n')
		all.WriteString(line)
		if err != nil || len(line) < 4 || line[3] != '-' {
			return all.String(), err
		}
	}
}

// rest reads replies until the connection ends, or is silent for a while.
func (c *client) rest() string {
	c.SetReadDeadline(time.Now().Add(500 * time.Millisecond))
	b, _ := io.ReadAll(c.in)
	return string(b)
}

func want(got, prefix string) error {
	if !strings.HasPrefix(got, prefix) {
		return fmt.Errorf("got %q, want %s", got, prefix)
	}
	return nil
}

func refusesContent(octets string) func(*peer) error {
	return func(p *peer) error {
		c, err := p.transaction()
		if err != nil {
			return err
		}
		defer c.Close()
		c.say("DATA\r\n")
		got, err := c.say(octets)
		if err != nil {
			return err
		}
		if stored := p.stored(); len(stored) > 0 {
			return fmt.Errorf("stored %q", stored)
		}
		return want(got, "550 5.6.11")
	}
}

func afterCRCRLF(p *peer) error {
	c, err := p.transaction()
	if err != nil {
		return err
	}
	defer c.Close()
	c.say("DATA\r\n")
	io.WriteString(c, "one\r\r\n.\r\n"+
		"MAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\ntwo\r\n.\r\nQUIT\r\n")
	replies := c.rest()
	stored := p.stored()
	if len(stored) != 1 || stored[0] != "two\r\n" {
		return fmt.Errorf("stored %q, want the second message alone; replies %q", stored, replies)
	}
	return nil
}

func dotCRCRLF(p *peer) error {
	c, err := p.transaction()
	if err != nil {
		return err
	}
	defer c.Close()
	c.say("DATA\r\n")
	io.WriteString(c, "one\r\n.\r\r\ntwo\r\n.\r\nQUIT\r\n")
	replies := c.rest()
	for _, m := range p.stored() {
		if m != "one\r\n\r\r\ntwo\r\n" {
			return fmt.Errorf("stored %q", m)
		}
	}
	if !strings.Contains(replies, "5.6.11") && len(p.stored()) == 0 {
		return fmt.Errorf("neither stored nor refused: %q", replies)
	}
	return nil
}

func restOf(command string) func(*peer) error {
	return func(p *peer) error {
		c, err := p.transaction()
		if err != nil {
			return err
		}
		defer c.Close()
		io.WriteString(c, command+"Subject: one\r\n")
		for { // up to the reply that the time-out brings
			r, err := c.reply()
			if err != nil {
				return fmt.Errorf("after the time-out: %q, %v", r, err)
			}
			if !strings.HasPrefix(r, "354") {
				break
			}
		}
		io.WriteString(c, "VRFY evil\r\n") // a line of the content
		if got := c.rest(); got != "" {
			return fmt.Errorf("a line of the content was answered with %q", got)
		}
		return nil
	}
}

func cutBDAT(p *peer) error {
	c, err := p.transaction()
	if err != nil {
		return err
	}
	io.WriteString(c, "BDAT 1000 LAST\r\nSubject: one\r\n")
	c.Conn.(*net.TCPConn).CloseWrite()
	got := c.rest()
	c.Close()
	if strings.Contains(got, "250 ") || len(p.stored()) > 0 {
		return fmt.Errorf("answered %q, stored %q", got, p.stored())
	}
	return nil
}

func resetBDAT(p *peer) error {
	c, err := p.transaction()
	if err != nil {
		return err
	}
	defer c.Close()
	for _, line := range []string{
		"BDAT 5\r\none\r\n", "RSET\r\n", "MAIL FROM:<alice@crepes.fr>\r\n", "RCPT TO:<bob@hamburger.edu>\r\n", "BDAT 5 LAST\r\ntwo\r\n",
	} {
		if r, err := c.say(line); err != nil || !strings.HasPrefix(r, "250") {
			return fmt.Errorf("%q: %q, %v", line, r, err)
		}
	}
	if p.overlap {
		return errors.New("MAIL ran before the transaction of the first BDAT was over")
	}
	if got := p.stored(); len(got) != 1 || got[0] != "two\r\n" {
		return fmt.Errorf("stored %q", got)
	}
	return nil
}

func mailReplies(line, prefix string) func(*peer) error {
	return func(p *peer) error {
		c, err := p.hello()
		if err != nil {
			return err
		}
		defer c.Close()
		got, err := c.say(line + "\r\n")
		if err != nil {
			return err
		}
		return want(got, prefix)
	}
}

func replies(line, prefix string) func(*peer) error {
	return func(p *peer) error {
		c, err := p.transaction()
		if err != nil {
			return err
		}
		defer c.Close()
		got, err := c.say(line + "\r\n")
		if err != nil {
			return err
		}
		return want(got, prefix)
	}
}

func quoted(p *peer) error {
	c, err := p.transaction()
	if err != nil {
		return err
	}
	defer c.Close()
	c.say("RCPT TO:<\"x@z\"@hamburger.edu>\r\n")
	c.say("DATA\r\n")
	if got, err := c.say("one\r\n.\r\n"); err != nil || !strings.HasPrefix(got, "250") {
		return fmt.Errorf("got %q, %v", got, err)
	}
	rcpts := p.recipients()
	if last := rcpts[len(rcpts)-1]; last != `"x@z"@hamburger.edu` {
		return fmt.Errorf("the recipient became %s", last)
	}
	return nil
}

func wrappedReply(p *peer) error {
	c, err := p.transaction()
	if err != nil {
		return err
	}
	defer c.Close()
	c.say("DATA\r\n")
	got, err := c.say("one\r\n.\r\n")
	if err != nil {
		return err
	}
	if strings.Contains(got, errWrapped) {
		return fmt.Errorf("private text in %q", got)
	}
	return want(got, "554 5.6.0 No")
}

func exactSize(p *peer) error {
	c, err := p.transaction()
	if err != nil {
		return err
	}
	defer c.Close()
	c.say("DATA\r\n")
	got, err := c.say("345678901234567890\r\n.\r\n")
	if err != nil {
		return err
	}
	return want(got, "250")
}

func refusedAtConnect(p *peer) error {
	first, _, err := p.dial()
	if err != nil {
		return err
	}
	defer first.Close()
	second, greeting, err := p.dial()
	if err != nil {
		return err
	}
	defer second.Close()
	return want(greeting, "421")
}

func failedHandshake(p *peer) error {
	c, err := p.hello()
	if err != nil {
		return err
	}
	defer c.Close()
	if r, err := c.say("STARTTLS\r\n"); err != nil || !strings.HasPrefix(r, "220") {
		return fmt.Errorf("STARTTLS: %q, %v", r, err)
	}
	if _, err := c.say("this is no handshake\r\n"); err != nil {
		return nil // an alert, and the end
	}
	if got, err := c.say("NOOP\r\n"); err == nil {
		return fmt.Errorf("in plain text: %q", got)
	}
	return nil
}

func shutdownIdle(p *peer) error {
	c, err := p.hello()
	if err != nil {
		return err
	}
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	return p.shutdown(ctx)
}

func ehloWrites(p *peer) error {
	c, _, err := p.dial()
	if err != nil {
		return err
	}
	defer c.Close()
	before := p.writes.Load()
	c.say("EHLO crepes.fr\r\n")
	if n := p.writes.Load() - before; n != 1 {
		return fmt.Errorf("%d writes", n)
	}
	return nil
}

func pipelinedWrites(p *peer) error {
	c, err := p.hello()
	if err != nil {
		return err
	}
	defer c.Close()
	before := p.writes.Load()
	io.WriteString(c, "MAIL FROM:<alice@crepes.fr>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\n")
	for range 3 {
		if _, err := c.reply(); err != nil {
			return err
		}
	}
	if n := p.writes.Load() - before; n != 1 {
		return fmt.Errorf("%d writes for three replies", n)
	}
	return nil
}

func ehloHas(line string) func(*peer) error {
	return func(p *peer) error {
		c, _, err := p.dial()
		if err != nil {
			return err
		}
		defer c.Close()
		got, err := c.say("EHLO crepes.fr\r\n")
		if err == nil && !strings.Contains(got, line) {
			return fmt.Errorf("no %s in %q", line, got)
		}
		return err
	}
}
