package imapd

import (
	"bufio"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/big"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// accounts knows alice and bob, whose password is ketchup.
type accounts struct{}

var errBadCredentials = errors.New("wrong password")

var discard = slog.New(slog.DiscardHandler)

type tooMany struct{}

func (tooMany) Error() string   { return "too many attempts" }
func (tooMany) Temporary() bool { return true }

func (accounts) Authenticate(_ context.Context, login, password string, _ netip.Addr) (string, error) {
	if login == "later" {
		return "", tooMany{}
	}
	if (login == "alice" || login == "bob") && password == "ketchup" {
		return login + "@example.org", nil
	}
	return "", errBadCredentials
}

// A site is a server with its store.
type site struct {
	*Server
	t    testing.TB
	addr string
	root string
}

const account = "alice@example.org"

func newStore(t testing.TB, root string) *mailbox.Store {
	t.Helper()
	store, err := mailbox.Open(root, mailbox.Options{Hostname: "mx.example.org", Poll: 20 * time.Millisecond})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return store
}

// serve starts a server; with may change it before.
func serve(t testing.TB, with func(*Server)) *site {
	t.Helper()
	root := t.TempDir()
	s := &site{t: t, root: root, Server: &Server{
		Accounts: accounts{}, Store: newStore(t, root), Log: discard,
	}}
	if testing.Verbose() {
		s.Log = slog.New(slog.NewTextHandler(t.Output(), &slog.HandlerOptions{Level: slog.LevelDebug}))
	}
	if with != nil {
		with(s.Server)
	}
	s.listen()
	return s
}

func (s *site) listen() {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		s.t.Fatal(err)
	}
	s.addr = ln.Addr().String()
	done := make(chan error)
	go func() { done <- s.Serve(ln) }()
	s.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			s.t.Errorf("Shutdown: %v", err)
		}
		if err := <-done; err != ErrClosed {
			s.t.Errorf("Serve: %v", err)
		}
	})
}

func (s *site) dial() net.Conn {
	s.t.Helper()
	conn, err := net.Dial("tcp", s.addr)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	return conn
}

// append stores a message of a test, whose lines end in LF.
func (s *site) append(name, content string, flags ...string) {
	s.t.Helper()
	f, err := mailbox.ParseFlags(flags)
	if err != nil {
		s.t.Fatal(err)
	}
	content = strings.ReplaceAll(content, "\n", "\r\n")
	if _, err := s.Store.Append(account, name, strings.NewReader(content), f, arrived); err != nil {
		s.t.Fatal(err)
	}
}

var arrived = time.Date(2026, 3, 1, 12, 30, 0, 0, time.UTC)

func (s *site) deliver(content string) {
	s.t.Helper()
	rcpt, err := mail.ParsePath(account)
	if err != nil {
		s.t.Fatal(err)
	}
	m := &mail.Message{ID: "1", Content: mail.Bytes(content)}
	if err := s.Store.Deliver(context.Background(), account, "", "", rcpt, m); err != nil {
		s.t.Fatal(err)
	}
}

// dir is the folder of INBOX.
func (s *site) dir() string { return filepath.Join(s.root, account) }

// A client plays a dialogue that a transcript cannot: with two sides, or with
// values that are not known before.
type client struct {
	t    testing.TB
	conn net.Conn
	in   *bufio.Reader
	tags int
}

// client is logged in as alice.
func (s *site) client() *client {
	s.t.Helper()
	c := &client{t: s.t, conn: s.dial()}
	c.in = bufio.NewReader(c.conn)
	c.line()
	c.ok("LOGIN alice ketchup")
	return c
}

// line reads a line; a literal at its end follows it.
func (c *client) line() string {
	c.t.Helper()
	c.conn.SetReadDeadline(time.Now().Add(20 * time.Second))
	line, err := c.in.ReadString('\n')
	if err != nil {
		c.t.Fatalf("after %q: %v", line, err)
	}
	line = strings.TrimSuffix(line, "\r\n")
	open := strings.LastIndexByte(line, '{')
	if !strings.HasSuffix(line, "}") || open < 0 {
		return line
	}
	n, err := strconv.Atoi(line[open+1 : len(line)-1])
	if err != nil {
		return line
	}
	literal := make([]byte, n)
	if _, err := io.ReadFull(c.in, literal); err != nil {
		c.t.Fatal(err)
	}
	return line + "\r\n" + string(literal) + c.line()
}

func (c *client) write(text string) {
	c.t.Helper()
	if _, err := io.WriteString(c.conn, text); err != nil {
		c.t.Fatal(err)
	}
}

// do sends a command and returns the untagged responses and the tagged one,
// without its tag.
func (c *client) do(format string, args ...any) (untagged []string, tagged string) {
	c.t.Helper()
	c.tags++
	tag := fmt.Sprintf("T%d ", c.tags)
	c.write(tag + fmt.Sprintf(format, args...) + "\r\n")
	for {
		line := c.line()
		if rest, ok := strings.CutPrefix(line, tag); ok {
			return untagged, rest
		}
		untagged = append(untagged, line)
	}
}

// ok is do for a command that must end in OK.
func (c *client) ok(format string, args ...any) []string {
	c.t.Helper()
	untagged, tagged := c.do(format, args...)
	if !strings.HasPrefix(tagged, "OK") {
		c.t.Fatalf("%s: %s", fmt.Sprintf(format, args...), tagged)
	}
	return untagged
}

// expect reads lines and compares each.
func (c *client) expect(lines ...string) {
	c.t.Helper()
	for _, want := range lines {
		if got := c.line(); got != want {
			c.t.Fatalf("got %q, want %q", got, want)
		}
	}
}

// equal compares responses.
func equal(t testing.TB, what string, got []string, want ...string) {
	t.Helper()
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		t.Errorf("%s:\ngot\n%s\nwant\n%s", what, strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// certificate is for mx.example.org.
func certificate(t testing.TB) (server, client *tls.Config) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: "mx.example.org"}, DNSNames: []string{"mx.example.org"},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	roots := x509.NewCertPool()
	roots.AddCert(cert)
	server = &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{der}, PrivateKey: key}}}
	return server, &tls.Config{RootCAs: roots, ServerName: "mx.example.org"}
}

func read(t testing.TB, file string) string {
	t.Helper()
	b, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

// The messages of transcripts.
const (
	plainMessage = `From: Bob <bob@example.net>
To: Alice <alice@example.org>
Cc: team: carol@example.com, "Dan, the man" <dan@example.com>;
Date: Sun, 1 Mar 2026 13:30:00 +0100
Subject: Lunch
Message-ID: <1@example.net>
In-Reply-To: <0@example.org>

Shall we?
At noon.
`
	mixedMessage = `From: =?utf-8?q?J=C3=BCrgen?= <juergen@example.net>
Sender: office@example.net
Reply-To: <answers@example.net>
To: alice@example.org
Date: Mon, 2 Mar 2026 09:00:00 +0000
Subject: =?utf-8?B?R3LDvMOfZQ==?=
Message-ID: <2@example.net>
MIME-Version: 1.0
Content-Type: multipart/mixed; boundary="outer"
Content-Language: de, en

Preamble.
--outer
Content-Type: text/plain; charset=utf-8
Content-Transfer-Encoding: quoted-printable

Sch=C3=B6ne Gr=C3=BC=C3=9Fe
--outer
Content-Type: message/rfc822
Content-Description: forwarded

From: Carol <carol@example.com>
Subject: Inner
Date: Sat, 28 Feb 2026 08:00:00 +0000
Content-Type: multipart/alternative; boundary="inner"

--inner
Content-Type: text/plain

Plain inside.
--inner
Content-Type: text/html

<p>Inside.</p>
--inner--

--outer
Content-Type: application/octet-stream; name="a.bin"
Content-Disposition: attachment; filename="a.bin"
Content-Transfer-Encoding: base64
Content-ID: <bin@example.net>

AAECAwQ=
--outer--
`
	htmlMessage = `From: news@example.com
To: alice@example.org
Date: Tue, 3 Mar 2026 10:00:00 +0000
Subject: Weekly
 news
X-Mark: one
X-Mark: two
Content-Type: text/html

<p>News</p>
`
)

// furnish gives alice what transcripts expect.
func (s *site) furnish() {
	s.append("INBOX", plainMessage, `\Seen`)
	s.append("INBOX", mixedMessage)
	s.append("INBOX", htmlMessage, `\Flagged`, "$Forwarded")
}

func TestTranscripts(t *testing.T) {
	server, client := certificate(t)
	for _, file := range transcript.Files(t, "testdata/*.txt") {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			t.Parallel()
			s := serve(t, func(s *Server) {
				s.Limits.Message = 1000
				if strings.Contains(file, "tls") {
					s.TLS = server
				}
			})
			s.furnish()
			transcript.Script{TLS: client}.Run(t, s.dial(), file)
		})
	}
}

// panics is a log that does not let a panic in a session pass, which go-imap
// catches and logs.
type panics struct{ slog.Handler }

func (panics) Enabled(context.Context, slog.Level) bool { return true }

func (panics) Handle(_ context.Context, r slog.Record) error {
	r.Attrs(func(a slog.Attr) bool {
		if strings.Contains(a.Value.String(), "panic") {
			panic(a.Value.String())
		}
		return true
	})
	return nil
}
