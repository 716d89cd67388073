package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"encoding/pem"
	"errors"
	"fmt"
	"io"
	"log"
	"math/big"
	mathrand "math/rand/v2"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/testpeer/dnstest"
)

// A world is what a server finds beyond itself: DNS, hosts that take mail on
// port 25, and MTA-STS policies. Its addresses are in a part of 127.0.0.0/8 that
// no other test has.
type world struct {
	t       *testing.T
	net     string // of its addresses, "127.1.2."
	dns     *dnstest.Server
	trusted *authority
	policy  *http.Server

	mu       sync.Mutex        // guards what follows
	got      []arrived         // by all hosts
	policies map[string]string // by domain
}

// An arrived is a message that a host took.
type arrived struct {
	host    string // its number
	from    string
	options gosmtp.MailOptions
	to      []string
	rcpts   []gosmtp.RcptOptions
	tls     bool
	content string
}

// newWorld is one without hosts. Ports below 1024 need root, or
// net.ipv4.ip_unprivileged_port_start.
func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{
		t: t, net: fmt.Sprintf("127.%d.%d.", 1+mathrand.IntN(250), mathrand.IntN(256)),
		dns: dnstest.Start(t, ""), trusted: newAuthority(t), policies: map[string]string{},
	}
	return w
}

// listen takes a port of the host with that number.
func (w *world) listen(number, port string) net.Listener {
	w.t.Helper()
	l, err := net.Listen("tcp", w.net+number+":"+port)
	if errors.Is(err, syscall.EACCES) && os.Getenv("CI") == "" {
		w.t.Skipf("mail hosts are on port 25: %v", err)
	}
	if err != nil {
		w.t.Fatal(err)
	}
	return l
}

// zone serves a zone file in which `$1` is the address of host 1, and so on.
func (w *world) zone(text string) {
	w.t.Helper()
	w.dns.Set(w.t, strings.ReplaceAll(text, "$", w.net))
}

// host takes mail on port 25 of a number. What set does not change is plain
// SMTP with DSN.
func (w *world) host(number string, set func(*gosmtp.Server)) {
	w.t.Helper()
	srv := gosmtp.NewServer(gosmtp.BackendFunc(func(c *gosmtp.Conn) (gosmtp.Session, error) {
		return &hostSession{w: w, conn: c, now: arrived{host: number}}, nil
	}))
	srv.Domain, srv.EnableDSN = "host"+number+".example", true
	srv.ErrorLog = log.New(io.Discard, "", 0)
	if set != nil {
		set(srv)
	}
	l := w.listen(number, "25")
	done := make(chan struct{})
	go func() { defer close(done); srv.Serve(l) }()
	w.t.Cleanup(func() { srv.Close(); <-done })
}

// serve is the web server of all policies, on port 443 of a number.
func (w *world) serve(number string) {
	w.t.Helper()
	w.policy = &http.Server{ErrorLog: log.New(io.Discard, "", 0), Handler: http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		w.mu.Lock()
		defer w.mu.Unlock()
		text, ok := w.policies[strings.TrimPrefix(r.Host, "mta-sts.")]
		if !ok || r.URL.Path != "/.well-known/mta-sts.txt" {
			http.NotFound(rw, r)
			return
		}
		rw.Header().Set("Content-Type", "text/plain")
		io.WriteString(rw, text)
	})}
	l := tls.NewListener(w.listen(number, "443"), w.trusted.config())
	done := make(chan struct{})
	go func() { defer close(done); w.policy.Serve(l) }()
	w.t.Cleanup(func() { w.policy.Close(); <-done })
}

// arrivedAt is what came for an address.
func (w *world) arrivedAt(rcpt string) (found []arrived) {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, a := range w.got {
		for _, to := range a.to {
			if to == rcpt {
				found = append(found, a)
			}
		}
	}
	return found
}

type hostSession struct {
	w    *world
	conn *gosmtp.Conn
	now  arrived
}

func (s *hostSession) Logout() error { return nil }

func (s *hostSession) Reset() { s.now = arrived{host: s.now.host} }

func (s *hostSession) Mail(from string, options *gosmtp.MailOptions) error {
	_, secure := s.conn.TLSConnectionState()
	s.now = arrived{host: s.now.host, from: from, options: *options, tls: secure}
	return nil
}

// Rcpt knows of no gone, and is always busy for busy.
func (s *hostSession) Rcpt(to string, options *gosmtp.RcptOptions) error {
	switch {
	case strings.HasPrefix(to, "gone@"):
		return &gosmtp.SMTPError{Code: 550, EnhancedCode: gosmtp.EnhancedCode{5, 1, 1}, Message: "Gone away"}
	case strings.HasPrefix(to, "busy@"):
		return &gosmtp.SMTPError{Code: 450, EnhancedCode: gosmtp.EnhancedCode{4, 2, 0}, Message: "Busy"}
	}
	s.now.to, s.now.rcpts = append(s.now.to, to), append(s.now.rcpts, *options)
	return nil
}

func (s *hostSession) Data(r io.Reader) error {
	content, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	s.now.content = string(content)
	s.w.mu.Lock()
	defer s.w.mu.Unlock()
	s.w.got = append(s.w.got, s.now)
	return nil
}

// An authority signs certificates for whatever name a client asks for, all with
// the same key.
type authority struct {
	t    testing.TB
	cert *x509.Certificate
	key  *ecdsa.PrivateKey // of the authority and of all that it signs
}

func newAuthority(t testing.TB) *authority {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := certificateFor("authority.example")
	template.IsCA, template.BasicConstraintsValid, template.KeyUsage = true, true, x509.KeyUsageCertSign
	der, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	cert, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &authority{t, cert, key}
}

func certificateFor(name string) *x509.Certificate {
	return &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), DNSNames: []string{name},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(24 * time.Hour),
	}
}

// config has a certificate for each name, or for those of always only.
func (a *authority) config(always ...string) *tls.Config {
	return &tls.Config{GetCertificate: func(hello *tls.ClientHelloInfo) (*tls.Certificate, error) {
		name := hello.ServerName
		if len(always) > 0 {
			name = always[0]
		}
		der, err := x509.CreateCertificate(rand.Reader, certificateFor(name), a.cert, a.key.Public(), a.key)
		return &tls.Certificate{Certificate: [][]byte{der}, PrivateKey: a.key}, err
	}}
}

// tlsa is the data of a TLSA record for all that it signs.
func (a *authority) tlsa() string {
	spki, err := x509.MarshalPKIXPublicKey(a.key.Public())
	if err != nil {
		a.t.Fatal(err)
	}
	sum := sha256.Sum256(spki)
	return "TLSA 3 1 1 " + hex.EncodeToString(sum[:])
}

// trust makes a the only authority that s knows.
func (s *Server) trust(a *authority) {
	s.t.Helper()
	file := filepath.Join(s.Dir, "authority.pem")
	text := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.cert.Raw})
	if err := os.WriteFile(file, text, 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.Env = append(s.Env, "SSL_CERT_FILE="+file, "SSL_CERT_DIR="+filepath.Join(s.Dir, "none"))
}
