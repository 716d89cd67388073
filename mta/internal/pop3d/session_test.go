package pop3d

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/textproto"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// A client is enough POP3 for tests.
type client struct {
	t    testing.TB
	text *textproto.Conn
}

func dial(t testing.TB, addr string) *client {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	return talk(t, conn)
}

func talk(t testing.TB, conn net.Conn) *client {
	c := &client{t, textproto.NewConn(conn)}
	t.Cleanup(func() { c.text.Close() })
	return c
}

func (c *client) line() string {
	c.t.Helper()
	line, err := c.text.ReadLine()
	if err != nil {
		c.t.Fatal(err)
	}
	return line
}

// cmd sends a command and returns the first line of the reply.
func (c *client) cmd(command string) string {
	c.t.Helper()
	if err := c.text.PrintfLine("%s", command); err != nil {
		c.t.Fatal(err)
	}
	return c.line()
}

func (c *client) want(command, prefix string) {
	c.t.Helper()
	if got := c.cmd(command); !strings.HasPrefix(got, prefix) {
		c.t.Errorf("%s: got %q, want %s", command, got, prefix)
	}
}

func (c *client) login() {
	c.t.Helper()
	c.line()
	c.want("USER bob", "+OK")
	c.want("PASS hungry", "+OK")
}

// body reads the rest of a multi-line reply as it is on the wire, dots undone.
func (c *client) body() string {
	c.t.Helper()
	var b strings.Builder
	for {
		line, err := c.text.R.ReadString('\n')
		if err != nil {
			c.t.Fatal(err)
		}
		if line == ".\r\n" {
			return b.String()
		}
		b.WriteString(strings.TrimPrefix(line, "."))
	}
}

func TestAMaildropHasOneSession(t *testing.T) {
	srv := newServer(t)
	addr := serve(t, srv)
	first := dial(t, addr)
	first.login()
	second := dial(t, addr)
	second.line()
	second.want("USER bob", "+OK")
	second.want("PASS hungry", "-ERR [IN-USE]")
	first.want("DELE 1", "+OK")
	first.want("QUIT", "+OK")
	second.want("USER bob", "+OK") // QUIT is answered before the lock is free
	for got := second.cmd("PASS hungry"); !strings.HasPrefix(got, "+OK"); got = second.cmd("PASS hungry") {
		if !strings.HasPrefix(got, "-ERR [IN-USE]") {
			t.Fatal(got)
		}
		second.want("USER bob", "+OK")
	}
	second.want("STAT", "+OK 1 912")
}

func TestADroppedConnectionFreesTheMaildrop(t *testing.T) {
	srv := newServer(t)
	addr := serve(t, srv)
	first := dial(t, addr)
	first.login()
	first.want("DELE 1", "+OK")
	first.text.Close()
	for {
		second := dial(t, addr)
		second.line()
		second.want("USER bob", "+OK")
		got := second.cmd("PASS hungry")
		if strings.HasPrefix(got, "-ERR [IN-USE]") {
			second.text.Close()
			continue // the server has not noticed yet
		}
		second.want("STAT", "+OK 2 1410")
		return
	}
}

func TestMessagesThatComeLaterAreNotSeen(t *testing.T) {
	srv := newServer(t)
	addr := serve(t, srv)
	c := dial(t, addr)
	c.login()
	add(t, srv.Store, "Subject: three\r\n\r\n")
	c.want("STAT", "+OK 2 1410")
	c.want("RETR 3", "-ERR")
	c.want("DELE 1", "+OK")
	c.want("QUIT", "+OK")
	if got := left(t, srv.Store); got != 2 {
		t.Errorf("%d messages are left, want 2", got)
	}
}

func TestRetrieveIsExact(t *testing.T) {
	for name, text := range map[string]string{
		"dots":               "Subject: dots\r\n\r\n.\r\n..\r\n.a\r\na.\r\n.\r\n",
		"no empty line":      "Subject: none\r\n",
		"empty":              "",
		"only an empty line": "\r\n",
		"bare CR":            "Subject: cr\r\n\r\na\rb\r\r\n.\r.\r\n",
		"8 bit":              "Subject: \xff\r\n\r\n\x00\x80\r\n",
		"a long line":        "Subject: long\r\n\r\n" + strings.Repeat(".", 100_000) + "\r\n",
		"large":              "Subject: large\r\n\r\n" + strings.Repeat(".line\r\n", 100_000),
	} {
		t.Run(name, func(t *testing.T) {
			srv := newServer(t)
			add(t, srv.Store, text)
			c := dial(t, serve(t, srv))
			c.login()
			c.want("LIST 3", fmt.Sprintf("+OK 3 %d", len(text)))
			c.want("RETR 3", fmt.Sprintf("+OK %d octets", len(text)))
			if got := c.body(); got != text {
				t.Errorf("got %d octets %.60q, want %d", len(got), got, len(text))
			}
			header, _, _ := strings.Cut(text, "\r\n\r\n")
			c.want("TOP 3 0", "+OK")
			if got := c.body(); strings.TrimRight(got, "\r\n") != strings.TrimRight(header, "\r\n") {
				t.Errorf("TOP 3 0: got %.60q, want %.60q", got, header)
			}
		})
	}
}

func TestTop(t *testing.T) {
	srv := newServer(t)
	add(t, srv.Store, "A: b\r\n c\r\n\r\n1\r\n2\r\n\r\n.4\r\n5")
	c := dial(t, serve(t, srv))
	c.login()
	for lines, want := range map[int]string{
		0: "A: b\r\n c\r\n\r\n",
		1: "A: b\r\n c\r\n\r\n1\r\n",
		4: "A: b\r\n c\r\n\r\n1\r\n2\r\n\r\n.4\r\n",
		9: "A: b\r\n c\r\n\r\n1\r\n2\r\n\r\n.4\r\n5\r\n",
	} {
		c.want(fmt.Sprintf("TOP 3 %d", lines), "+OK")
		if got := c.body(); got != want {
			t.Errorf("TOP 3 %d: got %q, want %q", lines, got, want)
		}
	}
}

func TestImplicitTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	srv := newServer(t)
	srv.TLS, srv.ImplicitTLS = serverTLS, true
	conn, err := tls.Dial("tcp", serve(t, srv), clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	c := talk(t, conn)
	c.login()
	c.want("STLS", "-ERR")
	c.want("RETR 1", "+OK")
	c.body()
	c.want("QUIT", "+OK")
	if _, err := c.text.R.ReadByte(); err != io.EOF {
		t.Errorf("after QUIT: %v, want close_notify", err)
	}
}

// A farConn seems to come from another machine.
type farConn struct{ net.Conn }

func (farConn) RemoteAddr() net.Addr {
	return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 1}
}

// pipe begins a session of srv without a network.
func pipe(t testing.TB, srv *Server) *client {
	srv.init()
	a, b := net.Pipe()
	srv.begin(farConn{a})
	return talk(t, b)
}

func TestAPasswordIsNotTakenWhereOthersListen(t *testing.T) {
	srv := newServer(t)
	srv.TLS, _ = testTLS(t)
	c := pipe(t, srv)
	c.line()
	c.want("USER bob", "-ERR a password is taken under TLS only, send STLS first")
	c.want("PASS hungry", "-ERR")
	c.want("AUTH PLAIN AGJvYgBodW5ncnk=", "-ERR")
	c.want("CAPA", "+OK")
	if got := c.body(); strings.Contains(got, "USER") || strings.Contains(got, "SASL") || !strings.Contains(got, "STLS") {
		t.Errorf("CAPA: %q", got)
	}
	c.text.Close()
	srv.Shutdown(context.Background())
}

func TestAnIdleSessionEndsAndRemovesNothing(t *testing.T) {
	store := newStore(t)
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Hostname: "hamburger.edu", Accounts: people{}, Store: store}
		srv.init()
		a, b := net.Pipe()
		s := newSession(srv, a)
		s.loopback = true
		done := make(chan struct{})
		go func() { s.run(srv.stop); close(done) }()
		c := &client{t, textproto.NewConn(b)}
		defer c.text.Close()
		c.login()
		c.want("DELE 1", "+OK")
		time.Sleep(9 * time.Minute)
		c.want("NOOP", "+OK")
		begin := time.Now()
		if line, err := c.text.ReadLine(); err != io.EOF {
			t.Errorf("got %q, %v, want the end", line, err)
		}
		<-done
		if got := time.Since(begin); got != 10*time.Minute {
			t.Errorf("it ended after %v", got)
		}
		srv.end()
	})
	if got := left(t, store); got != 2 {
		t.Errorf("%d messages are left, want 2", got)
	}
}

func TestAClientThatDoesNotReadIsCutOff(t *testing.T) {
	store := newStore(t)
	add(t, store, "Subject: large\r\n\r\n"+strings.Repeat("line\r\n", 10_000))
	synctest.Test(t, func(t *testing.T) {
		srv := &Server{Hostname: "hamburger.edu", Accounts: people{}, Store: store}
		srv.init()
		a, b := net.Pipe()
		s := newSession(srv, a)
		s.loopback = true
		done := make(chan struct{})
		go func() { s.run(srv.stop); close(done) }()
		c := &client{t, textproto.NewConn(b)}
		defer c.text.Close()
		c.login()
		c.text.PrintfLine("RETR 3")
		<-done // a minute, but not of ours
		srv.end()
	})
}

func TestConnectionLimits(t *testing.T) {
	srv := newServer(t)
	srv.Limits = Limits{Connections: 3, PerAddress: 2}
	addr := serve(t, srv)
	one, two := dial(t, addr), dial(t, addr)
	one.line()
	two.line()
	if got := dial(t, addr).line(); got != "-ERR [SYS/TEMP] too many connections from your address" {
		t.Error(got)
	}
	if got := pipe(t, srv).line(); !strings.HasPrefix(got, "+OK") {
		t.Error(got)
	}
	if got := refusal(t, srv); got != "-ERR [SYS/TEMP] too many connections, try again later\r\n" {
		t.Error(got)
	}
}

// refusal is what a connection too many is told.
func refusal(t testing.TB, srv *Server) string {
	a, b := net.Pipe()
	defer b.Close()
	go srv.begin(farConn{a})
	line, err := bufio.NewReader(b).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	return line
}

func TestShutdown(t *testing.T) {
	srv := newServer(t)
	addr := serve(t, srv)
	idle, marked := dial(t, addr), dial(t, addr)
	idle.line()
	marked.login()
	marked.want("DELE 1", "+OK")
	ended := make(chan error, 1)
	go func() { ended <- srv.Shutdown(context.Background()) }()
	if got := idle.line(); got != "-ERR [SYS/TEMP] server is shutting down" {
		t.Error(got)
	}
	marked.want("STAT", "+OK 1 912")
	marked.want("QUIT", "+OK")
	if err := <-ended; err != nil {
		t.Error(err)
	}
	if got := left(t, srv.Store); got != 1 {
		t.Errorf("%d messages are left, want 1", got)
	}
}

func TestShutdownCutsOffWhoDoesNotEnd(t *testing.T) {
	srv := newServer(t)
	c := dial(t, serve(t, srv))
	c.login()
	c.want("DELE 1", "+OK")
	ctx, cancel := context.WithCancelCause(context.Background())
	enough := errors.New("enough")
	cancel(enough)
	if err := srv.Shutdown(ctx); err != enough {
		t.Errorf("got %v", err)
	}
	if got := left(t, srv.Store); got != 2 {
		t.Errorf("%d messages are left, want 2", got)
	}
}

type counter struct{ opened, closed, ok, failed atomic.Int32 }

func (c *counter) SessionOpened() { c.opened.Add(1) }
func (c *counter) SessionClosed() { c.closed.Add(1) }
func (c *counter) Login(ok bool) {
	if ok {
		c.ok.Add(1)
	} else {
		c.failed.Add(1)
	}
}

func TestObserver(t *testing.T) {
	var seen counter
	srv := newServer(t)
	srv.Observer = &seen
	c := dial(t, serve(t, srv))
	c.line()
	c.want("USER bob", "+OK")
	c.want("PASS wrong", "-ERR")
	c.want("USER bob", "+OK")
	c.want("PASS hungry", "+OK")
	c.want("QUIT", "+OK")
	srv.Shutdown(context.Background())
	got := [4]int32{seen.opened.Load(), seen.closed.Load(), seen.ok.Load(), seen.failed.Load()}
	if got != [4]int32{1, 1, 1, 1} {
		t.Errorf("opened, closed, logins, failures: %v", got)
	}
}

// FuzzReadCommand holds that a line is never longer than its limit, and that a
// command has no octet that could end a line.
func FuzzReadCommand(f *testing.F) {
	for _, s := range []string{"USER bob\r\n", "pass a b \r\n", "\r\n", "STAT", "LIST 1\n", strings.Repeat("x", 300) + "\r\nNOOP\r\n", "TOP 1 0\r\n", "\x00\r\n", "AUTH PLAIN =\r\n"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		in := bufio.NewReaderSize(strings.NewReader(s), 16)
		for {
			line, err := readLine(in, maxCommandLine)
			if err != nil && err != errLong {
				return
			}
			if len(line) > maxCommandLine || strings.Contains(line, "\n") {
				t.Fatalf("line %q", line)
			}
			if c, ok := parseCommand(line); ok {
				if c.verb != strings.ToUpper(c.verb) || !strings.EqualFold(c.verb, line[:len(c.verb)]) {
					t.Fatalf("%q is read as %+v", line, c)
				}
				if all, ok := numbers(c.arg, 1, 2); ok && (len(all) < 1 || len(all) > 2 || all[0] < 0) {
					t.Fatalf("%q has the numbers %v", line, all)
				}
			}
		}
	})
}

// FuzzStuffer holds that what is stuffed comes out as it went in, and never
// ends early, however it is cut into pieces.
func FuzzStuffer(f *testing.F) {
	f.Add("a\r\n.\r\n..\r\nb", 1)
	f.Add(".\r\n", 2)
	f.Add("", 3)
	f.Fuzz(func(t *testing.T, s string, size int) {
		s = strings.ReplaceAll(strings.ReplaceAll(s, "\r\n", "\n"), "\n", "\r\n")
		var b strings.Builder
		out := bufio.NewWriter(&b)
		st := &stuffer{out: out}
		for rest := s; rest != ""; {
			n := min(len(rest), max(1, size))
			st.Write([]byte(rest[:n]))
			rest = rest[n:]
		}
		st.close()
		out.Flush()
		want := s
		if s != "" && !strings.HasSuffix(s, "\r\n") {
			want += "\r\n"
		}
		c := &client{t, textproto.NewConn(readOnly{strings.NewReader(b.String())})}
		if got := c.body(); got != want {
			t.Fatalf("%q becomes %q", want, got)
		}
		if rest, _ := io.ReadAll(c.text.R); len(rest) > 0 {
			t.Fatalf("%q comes after the end of %q", rest, s)
		}
	})
}

type readOnly struct{ io.Reader }

func (readOnly) Write([]byte) (int, error) { return 0, errors.New("read only") }
func (readOnly) Close() error              { return nil }
