package redis

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"errors"
	"fmt"
	"math/big"
	"net"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// certificate writes a certificate of the local host, and its key.
func certificate(t *testing.T) (cert, key string) {
	t.Helper()
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	must(t, err)
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), IPAddresses: []net.IP{net.IPv4(127, 0, 0, 1)},
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		IsCA: true, BasicConstraintsValid: true,
	}
	der, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	must(t, err)
	pkcs8, err := x509.MarshalPKCS8PrivateKey(private)
	must(t, err)
	dir := t.TempDir()
	cert, key = filepath.Join(dir, "cert.pem"), filepath.Join(dir, "key.pem")
	must(t, os.WriteFile(cert, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: der}), 0o600))
	must(t, os.WriteFile(key, pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: pkcs8}), 0o600))
	return cert, key
}

// A URL that begins with rediss is spoken TLS to, by a server whose certificate is
// that of the URL's ca; any other gets nothing.
func TestTLS(t *testing.T) {
	cert, key := certificate(t)
	stranger, _ := certificate(t)
	free, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	_, port, _ := net.SplitHostPort(free.Addr().String())
	must(t, free.Close())
	redistest.New(t, redistest.Options{Unix: true, Config: map[string]string{
		"tls-port": port, "tls-cert-file": cert, "tls-key-file": key, "tls-auth-clients": "no", "requirepass": "secret",
	}})
	url := func(ca string) string { return fmt.Sprintf("rediss://:secret@127.0.0.1:%s/0?ca=%s", port, ca) }
	s := real(t, Options{URL: url(cert)})
	e := put(t, s)
	if there, err := s.Present(ctx, []mail.QueueID{e.ID}); err != nil || !there[0] {
		t.Errorf("present: %v, %v", there, err)
	}
	for name, wrong := range map[string]string{
		"the certificate of a stranger": url(stranger), "no ca": url(""), "no TLS": "redis" + url("")[len("rediss"):len(url(""))-len("?ca=")],
	} {
		err := real(t, Options{URL: wrong}).Put(ctx, message(), mail.Bytes(hello), time.Time{})
		if !errors.Is(err, ErrAway) {
			t.Errorf("%s: put: %v", name, err)
		}
	}
}
