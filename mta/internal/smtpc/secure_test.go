package smtpc

import (
	"bufio"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"io"
	"math/big"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/smtpc/smtpctest"
)

// certificate is one that host signed itself, and the pool that trusts it.
func certificate(t testing.TB, host string) (tls.Certificate, *x509.CertPool) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1),
		DNSNames:     []string{host},
		NotBefore:    time.Now().Add(-time.Hour),
		NotAfter:     time.Now().Add(time.Hour),
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	leaf, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AddCert(leaf)
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}, pool
}

// secure plays before in plain text, then after under TLS.
func secure(t *testing.T, cert tls.Certificate, before, after string, client func(net.Conn)) {
	t.Helper()
	ours, theirs := net.Pipe()
	done := make(chan struct{})
	go func() {
		defer close(done)
		smtpctest.Play(t, theirs, before)
		conn := tls.Server(theirs, &tls.Config{Certificates: []tls.Certificate{cert}})
		if conn.Handshake() == nil {
			smtpctest.Play(t, conn, after)
		}
		io.Copy(io.Discard, theirs)
	}()
	client(ours)
	ours.Close()
	<-done
	theirs.Close()
}

const startTLS = greeting + "S: 250-AUTH PLAIN LOGIN\nS: 250 StartTLS\nC: STARTTLS\nS: 220 go"
const underTLS = "C: EHLO crepes.fr\nS: 250-x\nS: 250 SIZE 7"

func TestTLS(t *testing.T) {
	cert, pool := certificate(t, "mx.hamburger.edu")
	trusting := &tls.Config{RootCAs: pool, ServerName: "mx.hamburger.edu"}
	tests := []struct {
		name          string
		mode          TLSMode
		tls           *tls.Config
		before, after string
		failed        bool
	}{
		{"STARTTLS", TLSRequired, trusting, startTLS, underTLS, false},
		{"STARTTLS where offered", TLSOpportunistic, trusting, startTLS, underTLS, false},
		{"from the first octet", TLSImplicit, trusting, "", "S: 220 x\n" + underTLS, false},
		{"certificate of another host", TLSRequired, &tls.Config{RootCAs: pool, ServerName: "other"}, startTLS, "", true},
		{"certificate that nobody knows", TLSRequired, &tls.Config{ServerName: "mx.hamburger.edu"}, startTLS, "", true},
		{"certificate that nobody asks about", TLSOpportunistic, &tls.Config{InsecureSkipVerify: true}, startTLS, underTLS, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			secure(t, cert, tt.before, tt.after, func(conn net.Conn) {
				c, err := Open(t.Context(), conn, Config{Hostname: "crepes.fr", Mode: tt.mode, TLS: tt.tls})
				if _, ok := errors.AsType[*TLSError](err); ok != tt.failed {
					t.Fatalf("got error %v", err)
				}
				if tt.failed {
					return
				}
				if _, ok := c.TLS(); !ok || c.Offer().Size != 7 || c.Offer().Has("AUTH") {
					t.Errorf("offer is %+v; what was offered in plain text counts for nothing", c.Offer())
				}
				c.Abort()
			})
		})
	}
}

func TestSTARTTLSRefused(t *testing.T) {
	for name, dialogue := range map[string]string{
		"by a reply":                    "S: 454 4.7.0 not now",
		"by closing":                    "S: 220 go\n--",
		"with text that came too early": `S! 220 go\r\n250 injected\r\n`,
	} {
		t.Run(name, func(t *testing.T) {
			with(t, greeting+"S: 250 STARTTLS\nC: STARTTLS\n"+dialogue, func(conn net.Conn) {
				_, err := Open(t.Context(), conn, Config{Hostname: "crepes.fr", TLS: &tls.Config{ServerName: "x"}})
				if _, ok := errors.AsType[*TLSError](err); !ok {
					t.Errorf("got %v", err)
				}
			})
		})
	}
}

func TestAuth(t *testing.T) {
	tests := []struct{ name, dialogue, err string }{
		{"PLAIN", "S: 250 AUTH LOGIN PLAIN\nC: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 235 ok", ""},
		{"PLAIN in lower case", "S: 250 auth plain\nC: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 235 ok", ""},
		{"LOGIN", "S: 250 AUTH LOGIN\nC: AUTH LOGIN YWxpY2U=\nS: 334 UGFzc3dvcmQ6\nC: a2V0Y2h1cA==\nS: 235 ok", ""},
		{"LOGIN that asks for the user too", "S: 250 AUTH LOGIN\nC: AUTH LOGIN YWxpY2U=\nS: 334 VXNlcm5hbWU6\nC: *\nS: 501 stopped", "unexpected"},
		{"none in common", "S: 250 AUTH CRAM-MD5", ErrNoAuth.Error()},
		{"not offered", "S: 250 HELP", ErrNoAuth.Error()},
		{"wrong password", "S: 250 AUTH PLAIN\nC: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 535 5.7.8 no", "535 5.7.8 no"},
		{"not now", "S: 250 AUTH PLAIN\nC: AUTH PLAIN AGFsaWNlAGtldGNodXA=\nS: 454 4.7.0 later", "454 4.7.0 later"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			with(t, greeting+tt.dialogue, func(conn net.Conn) {
				cfg := plain
				cfg.Auth = &Credentials{"alice", "ketchup"}
				_, err := Open(t.Context(), conn, cfg)
				_, ok := errors.AsType[*AuthError](err)
				if ok != (tt.err != "") || ok && !strings.Contains(err.Error(), tt.err) {
					t.Errorf("got %v, want %q", err, tt.err)
				}
			})
		})
	}
}

// afar is a connection whose peer is not on this host.
type afar struct{ net.Conn }

func (afar) RemoteAddr() net.Addr { return &net.TCPAddr{IP: net.IPv4(192, 0, 2, 1), Port: 587} }

func TestPasswordStaysHome(t *testing.T) {
	came := with(t, greeting+"S: 250 AUTH PLAIN", func(conn net.Conn) {
		cfg := plain
		cfg.Auth = &Credentials{"alice", "ketchup"}
		if _, err := Open(t.Context(), afar{conn}, cfg); !errors.Is(err, ErrPlainAuth) {
			t.Errorf("got %v", err)
		}
	})
	if strings.Contains(came, "AUTH") {
		t.Errorf("the peer got %q", came)
	}
}

// A connection that the peer closed, or said something on, while it waited is
// found out before it is used.
func TestUsable(t *testing.T) {
	for name, dialogue := range map[string]string{
		"closed":             "--",
		"421 without asking": "S: 421 4.4.2 bye",
	} {
		t.Run(name, func(t *testing.T) {
			l, err := net.Listen("tcp", "127.0.0.1:0")
			if err != nil {
				t.Fatal(err)
			}
			defer l.Close()
			said := make(chan struct{})
			goOn := make(chan struct{})
			go func() {
				defer close(said)
				conn, err := l.Accept()
				if err != nil {
					return
				}
				smtpctest.Play(t, conn, greeting+"S: 250 HELP")
				<-goOn
				smtpctest.Play(t, conn, dialogue)
				if name != "closed" {
					t.Cleanup(func() { conn.Close() })
				}
			}()
			conn, err := net.Dial("tcp", l.Addr().String())
			if err != nil {
				t.Fatal(err)
			}
			c := open(t, conn, plain)
			if !c.Usable() {
				t.Error("not usable while the peer is quiet")
			}
			close(goOn)
			<-said
			for deadline := time.Now().Add(10 * time.Second); c.Usable(); {
				if time.Now().After(deadline) { // the kernel hands it over in its own time
					t.Fatal("usable still")
				}
			}
			c.Close()
		})
	}
}

func FuzzReadReply(f *testing.F) {
	for _, s := range []string{"250 ok\r\n", "250-a\r\n250 b\n", "550 5.1.1 who?\r\n", "250\r\n", "42", "999 x\r\n", "250-5.1.1\r\n250 5.1.1 \r\n", "250 \xff\x00\r\n", "220 2.1.1\r\n"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, in []byte) {
		c := &Conn{conn: deaf{}, raw: deaf{}, r: bufio.NewReader(strings.NewReader(string(in)))}
		for {
			reply, err := c.readReply(time.Minute)
			if err != nil {
				return
			}
			if reply.Code < 200 || reply.Code > 599 || len(reply.Text) > maxReplyText || strings.ContainsAny(reply.Text, "\r\x00\x1b\x7f") {
				t.Fatalf("got %+v", reply)
			}
			if reply.Enh[0] != 0 && reply.Enh[0] != reply.Code/100 {
				t.Fatalf("got %+v", reply)
			}
		}
	})
}

func FuzzOffer(f *testing.F) {
	f.Add("x\nSIZE 10\nauth=LOGIN\nLIMITS RCPTMAX=3")
	f.Fuzz(func(t *testing.T, in string) {
		o := parseOffer(strings.Split(in, "\n"))
		if o.Size < 0 || o.RcptMax < 0 || o.MailMax < 0 || o.Has("") {
			t.Fatalf("got %+v", o)
		}
	})
}

// deaf has no deadlines.
type deaf struct{ net.Conn }

func (deaf) SetReadDeadline(time.Time) error { return nil }
