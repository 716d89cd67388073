package config

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/x509"
	"encoding/pem"
	"math/big"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// writePair writes NAME.crt and NAME.key to dir.
func writePair(t *testing.T, dir, name string) {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), DNSNames: []string{"hamburger.edu"}}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, key.Public(), key)
	if err != nil {
		t.Fatal(err)
	}
	private, err := x509.MarshalPKCS8PrivateKey(key)
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, name+".crt"), pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: cert}))
	write(t, filepath.Join(dir, name+".key"), pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: private}))
}

func write(t *testing.T, name string, text []byte) {
	t.Helper()
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
}

func TestCertificateAndKeyMustBelongTogether(t *testing.T) {
	dir := t.TempDir()
	writePair(t, dir, "a")
	writePair(t, dir, "b")
	write(t, filepath.Join(dir, "not.pem"), []byte("hello\n"))
	tests := []struct{ name, cert, key, want string }{
		{"a pair", "a.crt", "a.key", ""},
		{"the key of another", "a.crt", "b.key", "2:6: tls: cert and key cannot be used: private key does not match public key; name the two PEM files that belong together"},
		{"swapped", "a.key", "a.crt", "2:6: tls: cert and key cannot be used: failed to find certificate PEM data in certificate input, but did find a private key; PEM inputs may have been switched; name the two PEM files that belong together"},
		{"not PEM", "not.pem", "a.key", "2:6: tls: cert and key cannot be used: failed to find any PEM data in certificate input; name the two PEM files that belong together"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			file := filepath.Join(dir, "pipeline.yaml")
			write(t, file, []byte("hostname: hamburger.edu\ntls: {cert: "+test.cert+", key: "+test.key+"}\nlisten: {imaps: [127.0.0.1:0]}\n"))
			c, findings := Load(file, Options{})
			if got := strings.TrimPrefix(findings.Error(), file+":"); got != test.want {
				t.Errorf("got  %s\nwant %s", got, test.want)
			}
			if test.want == "" && (c == nil || c.TLS.Cert != filepath.Join(dir, "a.crt")) {
				t.Errorf("config %+v", c)
			}
		})
	}
}
