package relay

import (
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"

	gosmtp "github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"
	"go.uber.org/goleak"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc/smtpctest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// A wire is a network of scripted hosts: each connection to an address plays
// the next of its dialogues, and the last one again and again. Addresses
// without one refuse.
type wire struct {
	t       *testing.T
	hosts   map[string][]string
	mu      sync.Mutex
	dialed  []string
	playing sync.WaitGroup
}

func (w *wire) dial(ctx context.Context, _, addr string) (net.Conn, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.dialed = append(w.dialed, addr)
	dialogues := w.hosts[addr]
	if len(dialogues) == 0 {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	if len(dialogues) > 1 {
		w.hosts[addr] = dialogues[1:]
	}
	ours, theirs := net.Pipe()
	w.playing.Go(func() {
		smtpctest.Play(w.t, theirs, dialogues[0])
		io.Copy(io.Discard, theirs) // until the client closes
		theirs.Close()
	})
	return ours, nil
}

// dials returns the addresses that were connected to, in order.
func (w *wire) dials() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	return strings.Join(w.dialed, " ")
}

// wired is a relay on scripted hosts and mock DNS. It is closed, and its
// dialogues are over, when the test ends.
func wired(t *testing.T, hosts map[string][]string, zones map[string]mockdns.Zone) (*Relay, *wire) {
	w := &wire{t: t, hosts: hosts}
	r := &Relay{Hostname: "crepes.fr", Dial: w.dial, Resolver: &mockdns.Resolver{Zones: zones}}
	return r, w
}

// done closes r and waits for the scripted hosts.
func (w *wire) done(r *Relay) {
	r.Close()
	w.playing.Wait()
}

// message is one to rcpts with a few octets of content.
func message(t testing.TB, rcpts ...string) *mail.Message {
	t.Helper()
	m := &mail.Message{
		ID:       "0123456789ABCDEF",
		Envelope: mail.Envelope{ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"}},
		Content:  mail.Bytes("Subject: hi\r\n\r\nhi\r\n"),
	}
	for _, s := range rcpts {
		p, err := mail.ParsePath(s)
		if err != nil {
			t.Fatal(err)
		}
		m.Envelope.Recipients = append(m.Envelope.Recipients, mail.Recipient{Path: p})
	}
	return m
}

// short is a result in one line.
func short(res mail.Result) string {
	s := fmt.Sprintf("%s %s: %d %s %s", res.Outcome, res.NextHop, res.Code, res.Enh, res.Text)
	if !res.Peer {
		s += " (ours)"
	}
	return s
}

func shorts(results []mail.Result) []string {
	var out []string
	for _, res := range results {
		out = append(out, short(res))
	}
	return out
}

func check(t *testing.T, results []mail.Result, want ...string) {
	t.Helper()
	if got := shorts(results); !slices.Equal(got, want) {
		t.Errorf("got\n\t%s\nwant\n\t%s", strings.Join(got, "\n\t"), strings.Join(want, "\n\t"))
	}
}

// A sink is a go-smtp server that keeps what it takes.
type sink struct {
	server *gosmtp.Server
	addr   string // host:port
	rcpt   func(s *sinkSession, to string) error
	data   func() error // what DATA is answered, once the content is there

	mu       sync.Mutex
	sessions int
	open     int
	mostOpen int
	got      []sunk
}

type sunk struct {
	from    string
	to      []string
	content string
	mail    gosmtp.MailOptions
	rcpt    []gosmtp.RcptOptions
	tls     bool
	auth    string
}

type sinkSession struct {
	sink *sink
	conn *gosmtp.Conn
	now  sunk
	auth string
}

func newSink(t testing.TB, set func(*sink)) *sink {
	t.Helper()
	s := &sink{}
	s.server = gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		s.mu.Lock()
		defer s.mu.Unlock()
		s.sessions++
		s.open++
		s.mostOpen = max(s.mostOpen, s.open)
		return &sinkSession{sink: s, conn: c}, nil
	}))
	s.server.Domain = "mx.hamburger.edu"
	s.server.ErrorLog = log.New(io.Discard, "", 0) // of connections that a test cuts off
	s.server.EnableDSN, s.server.EnableSMTPUTF8 = true, true
	if set != nil {
		set(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	s.addr = l.Addr().String()
	served := make(chan struct{})
	go func() { defer close(served); s.server.Serve(l) }()
	t.Cleanup(func() { s.server.Close(); <-served })
	return s
}

// all returns what came so far.
func (s *sink) all() []sunk {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.got)
}

func (s *sinkSession) Reset() { s.now = sunk{} }

func (s *sinkSession) Logout() error {
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.open--
	return nil
}

func (s *sinkSession) Mail(from string, opts *gosmtp.MailOptions) error {
	_, tls := s.conn.TLSConnectionState()
	s.now = sunk{from: from, mail: *opts, tls: tls, auth: s.auth}
	return nil
}

func (s *sinkSession) Rcpt(to string, opts *gosmtp.RcptOptions) error {
	if s.sink.rcpt != nil {
		if err := s.sink.rcpt(s, to); err != nil {
			return err
		}
	}
	s.now.to = append(s.now.to, to)
	s.now.rcpt = append(s.now.rcpt, *opts)
	return nil
}

func (s *sinkSession) Data(r io.Reader) error {
	b, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if s.sink.data != nil {
		if err := s.sink.data(); err != nil {
			return err
		}
	}
	s.now.content = string(b)
	s.sink.mu.Lock()
	defer s.sink.mu.Unlock()
	s.sink.got = append(s.sink.got, s.now)
	return nil
}

// to is a relay whose mail all goes to hop.
func to(t testing.TB, hop string) *Relay {
	t.Helper()
	h, err := ParseHop(hop)
	if err != nil {
		t.Fatal(err)
	}
	r := &Relay{Hostname: "crepes.fr", Routes: []Route{{Domain: "*", Hop: h}}}
	t.Cleanup(func() { r.Close() })
	return r
}
