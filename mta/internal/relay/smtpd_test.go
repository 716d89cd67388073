package relay

import (
	"bytes"
	"context"
	"crypto/tls"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpd"
)

// keeper is a queue that keeps contents, without the Received: on top.
type keeper struct {
	mu        sync.Mutex
	got       map[string]int
	envelopes []mail.Envelope
	client    mail.Client
}

func (k *keeper) Enqueue(_ context.Context, tx *mail.Transaction) error {
	b, err := mail.ReadAll(tx.Content)
	if err != nil {
		return err
	}
	for {
		_, rest, found := bytes.Cut(b, []byte("\r\n"))
		b = rest
		if !found || len(rest) == 0 || rest[0] != '\t' && rest[0] != ' ' {
			break
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.got[string(b)]++
	k.envelopes = append(k.envelopes, tx.Envelope)
	k.client = tx.Client
	return nil
}

// ours starts a server of this project.
func ours(t *testing.T, set func(*smtpd.Server)) (k *keeper, addr string) {
	t.Helper()
	k = &keeper{got: map[string]int{}}
	s := &smtpd.Server{Hostname: "hamburger.edu", Queue: k, RelayAllow: []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}, TempDir: t.TempDir()}
	if set != nil {
		set(s)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); s.Serve(l) }()
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		s.Shutdown(ctx)
		<-served
	})
	return k, l.Addr().String()
}

// What our client sends under TLS, our server gets to the octet, envelope and
// parameters too.
func TestToOurServer(t *testing.T) {
	messages := corpus(t)
	cert, _ := certificate(t, "hamburger.edu")
	k, addr := ours(t, func(s *smtpd.Server) { s.TLS = &tls.Config{Certificates: []tls.Certificate{cert}} })
	r := to(t, "smtp://"+addr)
	want := map[string]int{}
	var wg sync.WaitGroup
	for name, content := range messages {
		content = append([]byte("X-First: yes\r\n"), content...) // some begin with a blank, as if Received: went on
		m := message(t, "bob@hamburger.edu", `"a b"@hamburger.edu`)
		m.Content = mail.Bytes(content)
		m.Envelope.Ret, m.Envelope.EnvID = "HDRS", "x=y+z"
		m.Envelope.Recipients[0].Notify, m.Envelope.Recipients[0].ORCPT = mail.NotifySuccess|mail.NotifyDelay, "rfc822;Bob+1@hamburger.edu"
		if !bytes.HasSuffix(content, []byte("\r\n")) {
			content = append(bytes.Clone(content), "\r\n"...)
		}
		want[string(content)]++
		wg.Go(func() {
			for _, res := range r.Deliver(t.Context(), m, nil) {
				if res.Outcome != mail.Relayed || !res.DSN {
					t.Errorf("%s: got %s, %v", name, short(res), res.Err)
				}
			}
		})
	}
	wg.Wait()
	r.Close()
	for content, n := range want {
		if k.got[content] != n {
			t.Errorf("%d copies, want %d, of %.200q", k.got[content], n, content)
		}
	}
	if len(k.got) != len(want) {
		t.Errorf("%d messages, want %d", len(k.got), len(want))
	}
	env := k.envelopes[0]
	if env.ReversePath.String() != "alice@crepes.fr" || env.Ret != "HDRS" || env.EnvID != "x=y+z" || len(env.Recipients) != 2 ||
		env.Recipients[0].ORCPT != "rfc822;Bob+1@hamburger.edu" || env.Recipients[0].Notify != mail.NotifySuccess|mail.NotifyDelay || env.Recipients[1].Path.Local != "a b" {
		t.Errorf("got envelope %+v", env)
	}
	if k.client.TLS == "" || k.client.Helo != "crepes.fr" {
		t.Errorf("got client %+v", k.client)
	}
}

// Limits of our server that the client has to get along with.
func TestToOurServerLimits(t *testing.T) {
	k, addr := ours(t, func(s *smtpd.Server) { s.Limits = smtpd.Limits{Recipients: 2, Messages: 2, Message: 100} })
	r := to(t, "smtp://"+addr)
	results := r.Deliver(t.Context(), message(t, "a@h.edu", "b@h.edu", "c@h.edu", "d@h.edu", "e@h.edu", "f@h.edu", "g@h.edu"), nil)
	for _, res := range results {
		if res.Outcome != mail.Relayed {
			t.Error(short(res))
		}
	}
	if len(k.envelopes) != 4 {
		t.Errorf("%d transactions, want 4", len(k.envelopes))
	}
	m := message(t, "a@h.edu")
	m.Content = mail.Bytes(bytes.Repeat([]byte("x\r\n"), 34))
	if res := r.Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Bounced || res.Enh != "5.3.4" {
		t.Error(short(res))
	}
}

func TestToOurServerUTF8(t *testing.T) {
	k, addr := ours(t, nil)
	m := message(t, "böb@hämburger.edu")
	m.Envelope.Recipients[0].ORCPT = "utf-8;böb+x@hämburger.edu"
	m.Envelope.UTF8, m.Envelope.Body = true, mail.Body8Bit
	m.Content = mail.Bytes("Subject: hé\r\n\r\nhé\r\n")
	if res := to(t, "smtp://"+addr).Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Relayed {
		t.Fatal(short(res))
	}
	env := k.envelopes[0]
	if !env.UTF8 || env.Body != mail.Body8Bit || env.Recipients[0].Path.String() != "böb@hämburger.edu" || env.Recipients[0].ORCPT != m.Envelope.Recipients[0].ORCPT {
		t.Errorf("got %+v", env)
	}
}
