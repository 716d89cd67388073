package relay

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"math/big"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/emersion/go-sasl"
	gosmtp "github.com/emersion/go-smtp"
	"github.com/foxcpp/go-mockdns"

	"github.com/wasmta/wasmta/mta/internal/mail"
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
		IPAddresses:  []net.IP{net.IPv4(127, 0, 0, 1)},
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

func TestTLS(t *testing.T) {
	cert, pool := certificate(t, "mx.hamburger.edu")
	trusting := &tls.Config{RootCAs: pool}
	offers := func(s *sink) { s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} }
	// Nothing that both ends know: every handshake fails.
	fails := func(s *sink) {
		offers(s)
		s.server.TLSConfig.MinVersion, s.server.TLSConfig.MaxVersion = tls.VersionTLS13, tls.VersionTLS12
	}
	const noTLS = "deferred *: 454 4.7.5 TLS with * failed: "
	tests := []struct {
		name    string
		set     func(*sink)
		tls     *tls.Config
		options string
		want    string
		secure  bool
	}{
		{"where it is offered", offers, nil, "", "relayed", true},
		{"not where it is not", nil, nil, "", "relayed", false},
		{"not at all", offers, nil, "?tls=none", "relayed", false},
		{"plain text after a handshake that failed", fails, nil, "", "relayed", false},
		{"required, of a host that is trusted", offers, trusting, "?tls=required", "relayed", true},
		{"required, of a host that is not", offers, nil, "?tls=required", noTLS + "tls: failed to verify certificate", false},
		{"required, of anyone", offers, nil, "?tls=required&verify=no", "relayed", true},
		{"required and not offered", nil, nil, "?tls=required", noTLS + "TLS is required and not offered", false},
		{"required and failing", fails, nil, "?tls=required", noTLS, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			s := newSink(t, tt.set)
			r := to(t, "smtp://"+s.addr+tt.options)
			r.TLS = tt.tls
			got := short(r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0])
			if want := strings.ReplaceAll(tt.want, "*", s.addr); !strings.HasPrefix(got, want) {
				t.Fatalf("got %q, want %q", got, want)
			}
			if all := s.all(); len(all) > 0 && all[0].tls != tt.secure {
				t.Errorf("TLS is %v, want %v", all[0].tls, tt.secure)
			}
		})
	}
}

func TestReuseUnderTLS(t *testing.T) {
	cert, _ := certificate(t, "mx.hamburger.edu")
	s := newSink(t, func(s *sink) { s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{cert}} })
	r := to(t, "smtp://"+s.addr)
	for range 5 {
		if res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]; res.Outcome != mail.Relayed {
			t.Error(short(res))
		}
	}
	if all := s.all(); len(all) != 5 || !all[4].tls || s.sessions != 2 { // go-smtp counts EHLO before and after STARTTLS
		t.Errorf("%d messages in %d sessions", len(all), s.sessions)
	}
}

// A plugin that requires TLS does not get plain text.
func TestRequireTLSByPlugin(t *testing.T) {
	s := newSink(t, nil)
	r := to(t, "smtp://"+s.addr)
	addr := netip.MustParseAddrPort(s.addr)
	m := message(t, "bob@hamburger.edu")
	m.Envelope.Recipients[0].Route = &mail.NextHop{Host: addr.Addr().String(), Port: int(addr.Port()), NoMX: true, RequireTLS: true}
	if res := r.Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Deferred || res.Enh != "4.7.5" {
		t.Errorf("got %s", short(res))
	}
	if len(s.all()) != 0 {
		t.Error("it was sent in plain text")
	}
}

func TestImplicitTLS(t *testing.T) {
	cert, pool := certificate(t, "mx.hamburger.edu")
	s := newSink(t, nil)
	// The sink speaks TLS from the first octet behind a listener of its own.
	l, err := tls.Listen("tcp", "127.0.0.1:0", &tls.Config{Certificates: []tls.Certificate{cert}})
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan struct{})
	go func() { defer close(served); s.server.Serve(l) }()
	defer func() { s.server.Close(); <-served }()
	_, port, _ := net.SplitHostPort(l.Addr().String())
	r := to(t, "smtps://mx.hamburger.edu:"+port)
	r.TLS = &tls.Config{RootCAs: pool}
	r.Resolver = &mockdns.Resolver{Zones: map[string]mockdns.Zone{"mx.hamburger.edu.": {A: []string{"127.0.0.1"}}}}
	if res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]; res.Outcome != mail.Relayed {
		t.Errorf("got %s, %v", short(res), res.Err)
	}
	r.Close()
}

// withAuth is a session that knows alice.
type withAuth struct{ *sinkSession }

func (s withAuth) AuthMechanisms() []string { return []string{sasl.Plain} }

func (s withAuth) Auth(string) (sasl.Server, error) {
	return sasl.NewPlainServer(func(_, user, password string) error {
		if user != "alice" || password != "ketch:up" {
			return gosmtp.ErrAuthFailed
		}
		s.auth = user
		return nil
	}), nil
}

func smarthost(t *testing.T) *sink {
	return newSink(t, func(s *sink) {
		s.server.AllowInsecureAuth = true
		plain := s.server.Backend
		s.server.Backend = gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
			session, err := plain.NewSession(c)
			return withAuth{session.(*sinkSession)}, err
		})
	})
}

func TestSmarthost(t *testing.T) {
	s := smarthost(t)
	r := to(t, "smtp://alice:ketch%3Aup@"+s.addr)
	if res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]; res.Outcome != mail.Relayed {
		t.Fatalf("got %s, %v", short(res), res.Err)
	}
	if got := s.all()[0].auth; got != "alice" {
		t.Errorf("authenticated as %q", got)
	}
}

// Our wrong password must not bounce anybody's mail, and not be shown.
func TestSmarthostRefuses(t *testing.T) {
	s := smarthost(t)
	r := to(t, "smtp://alice:geheim@"+s.addr)
	res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]
	want := "deferred " + s.addr + ": 454 4.7.0 authentication at " + s.addr + " failed: 535 5.7.8 Authentication failed (ours)"
	if got := short(res); got != want || strings.Contains(res.Err.Error(), "geheim") {
		t.Errorf("got %q (%v), want %q", got, res.Err, want)
	}
}

func TestReason(t *testing.T) {
	for err, want := range map[error]string{
		errors.New("dial tcp 10.0.0.1:1234: secret"):                                  "failed",
		&net.OpError{Op: "read", Err: errors.New("use of closed network connection")}: "failed",
		&net.DNSError{Err: "x", IsTimeout: true}:                                      "timed out",
	} {
		if got := reason(err); got != want {
			t.Errorf("%v: got %q, want %q", err, got, want)
		}
	}
}
