package imapd

import (
	"bufio"
	"context"
	"crypto/tls"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// idle begins IDLE and returns its end.
func (c *client) idle() (done func()) {
	c.t.Helper()
	c.write("I IDLE\r\n")
	c.expect("+ idling")
	return func() {
		c.t.Helper()
		c.write("DONE\r\n")
		c.expect("I OK IDLE completed")
	}
}

func TestIdleHears(t *testing.T) {
	for _, tt := range []struct {
		name string
		do   func(s *site, other *client)
		want []string
	}{
		{"a delivery", func(s *site, _ *client) { s.deliver("Subject: hi\r\n\r\nHi\r\n") }, []string{"* 4 EXISTS"}},
		{"flags of another session", func(_ *site, other *client) {
			other.ok("STORE 2 +FLAGS (\\Answered)")
		}, []string{`* 2 FETCH (UID 2 FLAGS (\Answered))`}},
		{"a new keyword", func(_ *site, other *client) {
			other.ok("STORE 1 FLAGS ($New)")
		}, []string{
			`* FLAGS (\Answered \Flagged \Deleted \Seen \Draft $Forwarded $New)`,
			`* 1 FETCH (UID 1 FLAGS ($New))`,
		}},
		{"an expunge of another session", func(_ *site, other *client) {
			other.ok("STORE 1,3 +FLAGS.SILENT (\\Deleted)")
			other.ok("NOOP")
		}, []string{
			`* 1 FETCH (UID 1 FLAGS (\Seen \Deleted))`,
			`* 3 FETCH (UID 3 FLAGS (\Flagged \Deleted $Forwarded))`,
		}},
		{"a move to another mailbox", func(_ *site, other *client) {
			other.ok("CREATE Other")
			other.ok("MOVE 1,3 Other")
		}, []string{"* 3 EXPUNGE", "* 1 EXPUNGE"}},
		{"a file that another program removed", func(s *site, _ *client) {
			s.change("1", func(name string) error { return os.Remove(name) })
		}, []string{"* 1 EXPUNGE"}},
		{"flags that another program changed", func(s *site, _ *client) {
			s.change("2", func(name string) error { return os.Rename(name, before(name)+":2,RS") })
		}, []string{`* 2 FETCH (UID 2 FLAGS (\Answered \Seen))`}},
		{"a message of another program", func(s *site, _ *client) {
			if err := os.WriteFile(filepath.Join(s.dir(), "new", "123.M4.other"), []byte("Subject: x\n\nx\n"), 0o600); err != nil {
				s.t.Fatal(err)
			}
		}, []string{"* 4 EXISTS"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			s.furnish()
			c, other := s.client(), s.client()
			c.ok("SELECT INBOX")
			other.ok("SELECT INBOX")
			done := c.idle()
			tt.do(s, other)
			c.expect(tt.want...)
			done()
		})
	}
}

// change does something to the file of a message in INBOX, the first to the
// third of [site.furnish].
func (s *site) change(n string, do func(name string) error) {
	s.t.Helper()
	size := map[string]string{"1": "260", "2": "1010", "3": "175"}[n]
	names, err := filepath.Glob(filepath.Join(s.dir(), "cur", "*,S="+size+",*"))
	if err != nil || len(names) != 1 {
		s.t.Fatal(names, err)
	}
	if err := do(names[0]); err != nil {
		s.t.Fatal(err)
	}
}

// before is a file's name without its flags.
func before(name string) string {
	name, _, _ = strings.Cut(name, ":2,")
	return name
}

// While a command runs that names messages by number, no number changes; the
// messages that are gone keep theirs until the client hears of it.
func TestExpungeWaits(t *testing.T) {
	s := serve(t, nil)
	s.furnish()
	c, other := s.client(), s.client()
	c.ok("SELECT INBOX")
	other.ok("SELECT INBOX")
	other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
	equal(t, "EXPUNGE", other.ok("EXPUNGE"), "* 1 EXPUNGE")

	equal(t, "FETCH of those that are there", c.ok("FETCH 2:3 UID"), "* 2 FETCH (UID 2)", "* 3 FETCH (UID 3)")
	untagged, tagged := c.do("FETCH 1:3 (UID FLAGS)")
	equal(t, "FETCH of all", append(untagged, tagged),
		"* 2 FETCH (UID 2 FLAGS ())", `* 3 FETCH (UID 3 FLAGS (\Flagged $Forwarded))`, "OK FETCH completed")
	equal(t, "STORE", c.ok("STORE 1:2 +FLAGS (\\Seen)"), `* 2 FETCH (UID 2 FLAGS (\Seen))`)
	equal(t, "SEARCH", c.ok("SEARCH ALL"), "* SEARCH 2 3")
	equal(t, "UID FETCH", c.ok("UID FETCH 3 UID"), "* 3 FETCH (UID 3)", "* 1 EXPUNGE")
	equal(t, "FETCH after it", c.ok("FETCH 1 UID"), "* 1 FETCH (UID 2)")
}

// A message that goes between the client's last look and its FETCH is left out,
// and the client learns that it has to look again (RFC 2180 §4.1.2).
func TestFetchOfWhatIsGone(t *testing.T) {
	s := serve(t, nil)
	s.furnish()
	c, other := s.client(), s.client()
	c.ok("SELECT INBOX")
	other.ok("SELECT INBOX")
	other.ok("STORE 1 +FLAGS.SILENT (\\Deleted)")
	other.ok("EXPUNGE")
	untagged, tagged := c.do("FETCH 1 FLAGS")
	equal(t, "FETCH", append(untagged, tagged), "NO [EXPUNGEISSUED] Some of the messages are no more")
	equal(t, "NOOP", c.ok("NOOP"), "* 1 EXPUNGE")
}

func TestMailboxGoes(t *testing.T) {
	for _, tt := range []struct{ name, command string }{
		{"deleted", "DELETE Other"},
		{"renamed", "RENAME Other Another"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			c, idling, other := s.client(), s.client(), s.client()
			other.ok("CREATE Other")
			c.ok("SELECT Other")
			idling.ok("SELECT Other")
			idling.idle()
			other.ok("%s", tt.command)
			idling.expect("* BYE The selected mailbox is gone")
			c.write("a NOOP\r\n")
			c.expect("* BYE The selected mailbox is gone")
			c.gone()
		})
	}
}

// gone holds that the server closed the connection. A reset is how it closes
// on octets that it did not read.
func (c *client) gone() {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(10 * time.Second))
	if rest, err := io.ReadAll(c.in); err != nil && !errors.Is(err, syscall.ECONNRESET) || len(rest) > 0 {
		c.t.Errorf("after BYE: %q, %v", rest, err)
	}
}

func TestShutdown(t *testing.T) {
	for _, tt := range []struct {
		name  string
		begin func(c *client)
	}{
		{"between commands", func(*client) {}},
		{"in IDLE", func(c *client) { c.idle() }},
		{"in IDLE with a mailbox", func(c *client) { c.ok("SELECT INBOX"); c.idle() }},
		{"in a command", func(c *client) { c.write("a SEL") }},
		{"in a literal", func(c *client) {
			c.write("a APPEND INBOX {5}\r\n")
			c.expect("+ Ready for literal data")
			c.write("abc")
		}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, nil)
			c := s.client()
			tt.begin(c)
			s.shutdown(time.Minute, nil)
			c.expect("* BYE Server is shutting down")
			c.gone()
		})
	}
	t.Run("in AUTHENTICATE", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil)
		c := &client{t: t, conn: s.dial()}
		c.in = bufio.NewReader(c.conn)
		c.line()
		c.write("a AUTHENTICATE PLAIN\r\n")
		c.expect("+ ")
		s.shutdown(time.Minute, nil)
		c.expect("* BYE Server is shutting down")
		c.gone()
	})
	t.Run("with a client that does not read", func(t *testing.T) {
		t.Parallel()
		s := serve(t, nil)
		for range 20 {
			s.append("INBOX", "\n"+strings.Repeat(strings.Repeat("a", 70)+"\n", 14000))
		}
		c := s.client()
		c.ok("SELECT INBOX")
		c.write("a FETCH 1:* BODY[]\r\n")
		c.line()
		s.shutdown(10*time.Millisecond, context.DeadlineExceeded)
	})
	t.Run("before a TLS handshake", func(t *testing.T) {
		t.Parallel()
		config, _ := certificate(t)
		s := serve(t, func(s *Server) { s.TLS, s.ImplicitTLS = config, true })
		conn := s.dial()
		s.shutdown(time.Minute, nil)
		if n, err := conn.Read(make([]byte, 1)); n > 0 || err == nil {
			t.Errorf("%d octets, %v", n, err)
		}
	})
}

func (s *site) shutdown(d time.Duration, want error) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), d)
	defer cancel()
	if err := s.Shutdown(ctx); err != want {
		s.t.Errorf("Shutdown: %v", err)
	}
}

func TestLimits(t *testing.T) {
	for _, tt := range []struct {
		name   string
		limits Limits
		want   string
	}{
		{"in all", Limits{Connections: 2}, "* BYE [UNAVAILABLE] Too many connections, try again later"},
		{"of one address", Limits{PerAddress: 2}, "* BYE [UNAVAILABLE] Too many connections from your address"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			counts := &observer{closed: make(chan struct{}, 10)}
			s := serve(t, func(s *Server) { s.Limits, s.Observer = tt.limits, counts })
			first := s.client()
			s.client()
			third := &client{t: t, conn: s.dial()}
			third.in = bufio.NewReader(third.conn)
			third.expect(tt.want)
			third.gone()
			first.ok("LOGOUT")
			<-counts.closed
			s.client()
		})
	}
}

type observer struct{ closed chan struct{} }

func (*observer) SessionOpened()   {}
func (o *observer) SessionClosed() { o.closed <- struct{}{} }
func (*observer) Login(bool)       {}

// A farConn comes from another host.
type farConn struct{ net.Conn }

func (farConn) RemoteAddr() net.Addr {
	return net.TCPAddrFromAddrPort(netip.MustParseAddrPort("192.0.2.7:1234"))
}

func TestPasswordNeedsTLSFromElsewhere(t *testing.T) {
	config, forClient := certificate(t)
	s := serve(t, func(s *Server) { s.TLS = config })
	s.client() // it serves by now
	conn, far := net.Pipe()
	defer conn.Close()
	s.accept(farConn{far})
	c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
	c.expect("* OK [CAPABILITY IMAP4rev2 IMAP4rev1 SASL-IR LITERAL- STARTTLS LOGINDISABLED] IMAP server ready")
	for _, command := range []string{"LOGIN alice ketchup", "AUTHENTICATE PLAIN AGFsaWNlAGtldGNodXA="} {
		_, tagged := c.do("%s", command)
		equal(t, command, []string{tagged}, "NO [PRIVACYREQUIRED] TLS is required to authenticate")
	}
	c.ok("STARTTLS")
	secured := tls.Client(conn, forClient)
	c = &client{t: t, conn: secured, in: bufio.NewReader(secured)}
	c.ok("LOGIN alice ketchup")
	c.ok("LOGOUT")
}

func TestImplicitTLS(t *testing.T) {
	config, forClient := certificate(t)
	s := serve(t, func(s *Server) { s.TLS, s.ImplicitTLS = config, true })
	conn := tls.Client(s.dial(), forClient)
	c := &client{t: t, conn: conn, in: bufio.NewReader(conn)}
	c.expect("* OK [CAPABILITY IMAP4rev2 IMAP4rev1 SASL-IR LITERAL- AUTH=PLAIN AUTH=LOGIN] IMAP server ready")
	c.ok("LOGIN alice ketchup")
	c.ok("LOGOUT")
}

// A client that goes away in the middle of APPEND leaves nothing behind.
func TestAppendIsWhole(t *testing.T) {
	s := serve(t, nil)
	c := s.client()
	c.write("a APPEND INBOX {500}\r\n")
	c.expect("+ Ready for literal data")
	c.write("Subject: not all of it\r\n")
	c.conn.Close()
	s.shutdown(time.Minute, nil)
	if st, err := s.Store.Status(account, "INBOX"); err != nil || st.Messages != 0 {
		t.Errorf("%d messages, %v", st.Messages, err)
	}
	if left, err := os.ReadDir(filepath.Join(s.dir(), "tmp")); err != nil || len(left) > 0 {
		t.Errorf("in tmp: %v, %v", left, err)
	}
}

// A restart and what other programs do meanwhile change no UID.
func TestRestart(t *testing.T) {
	s := serve(t, nil)
	s.furnish()
	s.deliver("Subject: four\r\n\r\nx\r\n")
	c := s.client()
	c.ok("SELECT INBOX")
	c.ok("STORE 2 FLAGS (\\Answered $Label)")
	c.ok("STORE 3 +FLAGS.SILENT (\\Deleted)")
	c.ok("EXPUNGE")
	s.deliver("Subject: five\r\n\r\nx\r\n")
	before := append(c.ok("EXAMINE INBOX")[1:], c.ok("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)")...)
	s.shutdown(time.Minute, nil)
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}

	again := &site{t: t, root: s.root, Server: &Server{Accounts: accounts{}, Store: newStore(t, s.root), Log: s.Log}}
	again.listen()
	c = again.client()
	after := append(c.ok("EXAMINE INBOX"), c.ok("FETCH 1:* (UID FLAGS INTERNALDATE RFC822.SIZE)")...)
	equal(t, "after a restart", after, before...)
}

func TestOutsideChanges(t *testing.T) {
	s := serve(t, nil)
	s.furnish()
	c := s.client()
	c.ok("SELECT INBOX")
	s.change("3", os.Remove)
	s.change2("2", "F")
	if err := os.WriteFile(filepath.Join(s.dir(), "cur", "9999999999.other:2,S"), []byte("Subject: x\n\nx\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c.ok("SELECT INBOX")
	equal(t, "FETCH", c.ok("FETCH 1:* (UID FLAGS BODY.PEEK[])")[1:],
		`* 2 FETCH (UID 2 FLAGS (\Flagged) BODY[] {1010}`+"\r\n"+crlf(mixedMessage)+")",
		`* 3 FETCH (UID 4 FLAGS (\Seen) BODY[] {17}`+"\r\nSubject: x\r\n\r\nx\r\n)")
}

func (s *site) change2(n, flags string) {
	s.change(n, func(name string) error { return os.Rename(name, before(name)+":2,"+flags) })
}

func crlf(s string) string { return strings.ReplaceAll(s, "\n", "\r\n") }

func TestErrorsOfTheServerAreNotTheClients(t *testing.T) {
	s := serve(t, nil)
	c := s.client()
	if err := s.Store.Close(); err != nil {
		t.Fatal(err)
	}
	_, tagged := c.do("STATUS INBOX (MESSAGES)")
	equal(t, "STATUS", []string{tagged}, "NO [SERVERBUG] An error of the server, which its log has")
}

// What is kept of messages for searching is right the second time too, and is
// given back with the mailbox.
func TestSearchAgain(t *testing.T) {
	s := serve(t, nil)
	s.furnish()
	c := s.client()
	c.ok("SELECT INBOX")
	for range 2 {
		equal(t, "SUBJECT", c.ok("SEARCH SUBJECT news"), "* SEARCH 3")
		equal(t, "FROM", c.ok("SEARCH CHARSET UTF-8 FROM {7+}\r\njürgen"), "* SEARCH 2")
		equal(t, "CC", c.ok("SEARCH HEADER cc Carol"), "* SEARCH 1")
		equal(t, "another field", c.ok("SEARCH HEADER X-Mark two"), "* SEARCH 3")
	}
	if s.kept.Load() < 3*keptEach {
		t.Errorf("%d octets are kept", s.kept.Load())
	}
	c.ok("UNSELECT")
	if s.kept.Load() != 0 {
		t.Errorf("%d octets are still kept", s.kept.Load())
	}
	s.kept.Store(maxKept) // no room
	c.ok("SELECT INBOX")
	equal(t, "SUBJECT", c.ok("SEARCH SUBJECT news"), "* SEARCH 3")
	c.ok("UNSELECT")
	s.kept.Add(-maxKept)
}
