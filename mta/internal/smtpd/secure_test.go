package smtpd

import (
	"bytes"
	"crypto/tls"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/transcript"
)

func TestPasswordsNeedTLS(t *testing.T) {
	serverTLS, clientTLS := testTLS(t)
	const greeting = "S: 220 *\nC: EHLO laptop.crepes.fr\nS: ...\n"
	for name, tt := range map[string]struct {
		from, script string
		noTLS        bool
	}{
		"from loopback": {from: "127.0.0.1", script: greeting + "S: 250 AUTH PLAIN LOGIN\n"},
		"from elsewhere": {from: "192.0.2.1", script: greeting + "S: 250 STARTTLS\n" +
			"C: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 538 5.7.11 *\nC: MAIL FROM:<alice@hamburger.edu>\nS: 530 5.7.0 Must issue a STARTTLS command first\n"},
		"from elsewhere under TLS": {from: "192.0.2.1", script: greeting + "S: 250 STARTTLS\nC: STARTTLS\nS: 220 *\n! tls\n" +
			greeting[len("S: 220 *\n"):] + "S: 250 AUTH PLAIN LOGIN\nC: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 235 2.7.0 *\n"},
		"from elsewhere, and there is no TLS": {from: "192.0.2.1", noTLS: true, script: greeting + "S: 250 LIMITS *\n" +
			"C: STARTTLS\nS: 502 5.5.1 *\nC: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 538 *\nC: MAIL FROM:<alice@hamburger.edu>\nS: 530 5.7.0 Authentication required\n"},
	} {
		t.Run(name, func(t *testing.T) {
			srv, _ := newServer(t)
			srv.Listener = mail.ListenerSubmission
			if !tt.noTLS {
				srv.TLS = serverTLS
			}
			l := newPipes()
			served := make(chan error, 1)
			go func() { served <- srv.Serve(l) }()
			transcript.Script{TLS: clientTLS}.Run(t, l.dial(tt.from), writeFile(t, tt.script))
			if err := srv.Shutdown(t.Context()); err != nil || <-served != nil {
				t.Error(err)
			}
		})
	}
}

func TestImplicitTLS(t *testing.T) {
	srv, q := newServer(t)
	var clientTLS *tls.Config
	srv.TLS, clientTLS = testTLS(t)
	srv.ImplicitTLS, srv.Listener = true, mail.ListenerSubmission
	addr := serve(t, srv)
	conn, err := tls.Dial("tcp", addr, clientTLS)
	if err != nil {
		t.Fatal(err)
	}
	transcript.Run(t, conn, writeFile(t, "S: 220 *\nC: EHLO laptop.crepes.fr\nS: ...\nS: 250 AUTH PLAIN LOGIN\n"+
		"C: STARTTLS\nS: 503 5.5.1 *\nC: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 235 *\nC: MAIL FROM:<alice@hamburger.edu>\nS: 250 *\n"+
		"C: RCPT TO:<bob@hamburger.edu>\nS: 250 *\nC: DATA\nS: 354 *\nC: .\nS: 250 *\nC: QUIT\nS: 221 *\n! closed\n"))
	got := q.messages()
	if len(got) != 1 {
		t.Fatalf("%d messages", len(got))
	}
	if c := got[0].tx.Client; c.TLS != "TLSv1.3" || !strings.HasPrefix(c.Cipher, "TLS_") || c.Account != "alice@hamburger.edu" {
		t.Errorf("client %+v", c)
	}
	if want := " with ESMTPSA (TLSv1.3 TLS_"; !strings.Contains(got[0].content, want) {
		t.Errorf("no %q in %q", want, got[0].content)
	}
}

func TestOldTLSIsRefused(t *testing.T) {
	srv, _ := newServer(t)
	var clientTLS *tls.Config
	srv.TLS, clientTLS = testTLS(t)
	srv.ImplicitTLS = true
	clientTLS.MaxVersion = tls.VersionTLS11
	clientTLS.MinVersion = tls.VersionTLS10
	if conn, err := tls.Dial("tcp", serve(t, srv), clientTLS); err == nil {
		conn.Close()
		t.Error("TLS 1.1 is taken")
	}
}

func TestImplicitTLSNeedsACertificate(t *testing.T) {
	srv, _ := newServer(t)
	srv.ImplicitTLS = true
	if err := srv.Serve(newPipes()); err == nil {
		t.Error("no error")
	}
}

// lockedBuffer is a log that sessions write to.
type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestLog(t *testing.T) {
	var log lockedBuffer
	srv, _ := newServer(t)
	srv.Listener = mail.ListenerSubmission
	srv.Log = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	srv.Policy = policyFunc(byLocalPart)
	say(t, serve(t, srv), "EHLO crepes.fr\r\nAUTH PLAIN AGFsaWNlAG11c3RhcmQ=\r\nAUTH PLAIN AGFsaWNlAGtldGNodXA=\r\nAUTH PLAIN AGFsaWNlAGtldGNodXA= x\r\nketchup\r\n"+
		"MAIL FROM:<reject@crepes.fr>\r\nRCPT TO:<nobody@hamburger.edu>\r\nRCPT TO:<bob@hamburger.edu>\r\nDATA\r\nDo you like pickles?\r\n.\r\nQUIT\r\n")
	got := log.String()
	lines := strings.Split(strings.TrimSpace(got), "\n")
	count := map[string]int{}
	for _, line := range lines {
		for _, event := range []string{"msg=connected", "msg=rejected"} {
			if strings.Contains(line, event) {
				count[event]++
			}
		}
	}
	if count["msg=connected"] != 1 || count["msg=rejected"] != 5 {
		t.Errorf("counted %v in\n%s", count, got)
	}
	for _, want := range []string{
		`command=RCPT rcpt=nobody@hamburger.edu reply="550 5.1.1 `,
		`reverse_path=reject@crepes.fr`,
		`reply="550 5.7.1 Message refused"`,
		`reply="535 5.7.8 `,
	} {
		if !strings.Contains(got, want) {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	for _, secret := range []string{"ketchup", "mustard", "AGFsaWNl", "pickles"} {
		if strings.Contains(strings.ToLower(got), strings.ToLower(secret)) {
			t.Errorf("%s is in\n%s", secret, got)
		}
	}
}

// counts is an Observer.
type counts struct {
	mu             sync.Mutex
	opened, closed int
	refused        []int
	received       []int
	octets         int64
}

func (c *counts) SessionOpened(mail.Listener) { c.add(func() { c.opened++ }) }
func (c *counts) SessionClosed(mail.Listener) { c.add(func() { c.closed++ }) }
func (c *counts) Refused(_ mail.Listener, code int) {
	c.add(func() { c.refused = append(c.refused, code) })
}
func (c *counts) Received(_ mail.Listener, code int, size int64, _ time.Duration) {
	c.add(func() { c.received, c.octets = append(c.received, code), c.octets+size })
}

func (c *counts) add(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func TestObserver(t *testing.T) {
	var c counts
	srv, _ := newServer(t)
	srv.Observer = &c
	const envelope = "MAIL FROM:<a@crepes.fr>\r\nRCPT TO:<nobody@hamburger.edu>\r\nRCPT TO:<bob@hamburger.edu>\r\n"
	say(t, serve(t, srv), "EHLO crepes.fr\r\n"+envelope+"DATA\r\n12345\r\n.\r\n"+envelope+"DATA\r\n1\n\r\n.\r\nQUIT\r\n")
	if err := srv.Shutdown(t.Context()); err != nil {
		t.Fatal(err)
	}
	if c.opened != 1 || c.closed != 1 || len(c.refused) != 3 || len(c.received) != 2 || c.received[0] != 250 || c.received[1] != 550 || c.octets != 7 {
		t.Errorf("got %+v", &c)
	}
}
