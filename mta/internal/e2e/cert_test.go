package e2e

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"encoding/pem"
	"errors"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// selfSigned returns a certificate for host and its key, in PEM.
func selfSigned(t testing.TB, host string) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), Subject: pkix.Name{CommonName: host}, DNSNames: []string{host},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		t.Fatal(err)
	}
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	if err != nil {
		t.Fatal(err)
	}
	block := func(kind string, der []byte) string {
		return string(pem.EncodeToMemory(&pem.Block{Type: kind, Bytes: der}))
	}
	return block("CERTIFICATE", der), block("PRIVATE KEY", pkcs8)
}

// TestReloadOfACertificate replaces the files of a certificate: new sessions
// get the new one, and half of a pair changes nothing.
func TestReloadOfACertificate(t *testing.T) {
	yaml := strings.Replace(stamped("one", bobOnly), "listen:\n", "tls: {cert: cert.pem, key: key.pem}\nlisten:\n  imaps: [127.0.0.1:0]\n", 1)
	s := Configure(t, yaml)
	put := func(host string) {
		t.Helper()
		cert, key := selfSigned(t, host)
		if err := errors.Join(os.WriteFile(filepath.Join(s.Dir, "cert.pem"), []byte(cert), 0o600), os.WriteFile(filepath.Join(s.Dir, "key.pem"), []byte(key), 0o600)); err != nil {
			t.Fatal(err)
		}
	}
	dial := func(want string) *tls.Conn {
		t.Helper()
		conn, err := tls.Dial("tcp", s.Addr("imaps"), &tls.Config{InsecureSkipVerify: true}) // its name is looked at below
		if err != nil {
			t.Fatal(err)
		}
		if got := conn.ConnectionState().PeerCertificates[0].Subject.CommonName; got != want {
			t.Errorf("the certificate is for %s, want %s", got, want)
		}
		return conn
	}
	put("old.hamburger.edu")
	s.Up()
	before := dial("old.hamburger.edu")
	defer before.Close()
	put("new.hamburger.edu")
	s.Signal(syscall.SIGHUP)
	s.times("reloaded", 1)
	dial("new.hamburger.edu").Close()
	if err := os.Truncate(filepath.Join(s.Dir, "key.pem"), 0); err != nil {
		t.Fatal(err)
	}
	s.Signal(syscall.SIGHUP)
	s.times("reload failed, the old pipeline stays", 1)
	dial("new.hamburger.edu").Close()
	greeting := make([]byte, 4)
	if _, err := before.Read(greeting); err != nil || string(greeting) != "* OK" {
		t.Errorf("the session of before: %q, %v", greeting, err)
	}
	s.Stop()
}
