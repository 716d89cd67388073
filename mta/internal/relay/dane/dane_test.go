package dane

import (
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"math/big"
	"testing"
	"time"
)

type issued struct {
	*x509.Certificate
	key *ecdsa.PrivateKey
}

// issue makes a certificate for names; by itself if there is no issuer.
func issue(t *testing.T, by *issued, until time.Time, names ...string) *issued {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(time.Now().UnixNano()), Subject: pkix.Name{CommonName: "test"},
		NotBefore: time.Now().Add(-2 * time.Hour), NotAfter: until,
		DNSNames: names, IsCA: len(names) == 0, BasicConstraintsValid: true,
	}
	parent, signer := template, key
	if by != nil {
		parent, signer = by.Certificate, by.key
	}
	der, err := x509.CreateCertificate(rand.Reader, template, parent, key.Public(), signer)
	if err != nil {
		t.Fatal(err)
	}
	c, err := x509.ParseCertificate(der)
	if err != nil {
		t.Fatal(err)
	}
	return &issued{c, key}
}

func full(usage uint8, c *issued) Record { return Record{usage, 0, 0, c.Raw} }

func key256(usage uint8, c *issued) Record {
	sum := sha256.Sum256(c.RawSubjectPublicKeyInfo)
	return Record{usage, 1, 1, sum[:]}
}

func cert512(usage uint8, c *issued) Record {
	sum := sha512.Sum512(c.Raw)
	return Record{usage, 0, 2, sum[:]}
}

func TestVerify(t *testing.T) {
	soon, gone := time.Now().Add(time.Hour), time.Now().Add(-time.Hour)
	root := issue(t, nil, soon)
	between := issue(t, root, soon)
	leaf := issue(t, between, soon, "mx.crepes.fr")
	old := issue(t, root, gone, "mx.crepes.fr")
	other := issue(t, nil, soon)
	stranger := issue(t, other, soon, "mx.crepes.fr")

	type chain = []*issued
	tests := []struct {
		name    string
		records []Record
		sent    chain
		host    string
		ok      bool
	}{
		{"the server's key", []Record{key256(3, leaf)}, chain{leaf}, "mx.crepes.fr", true},
		{"the server's certificate", []Record{full(3, leaf)}, chain{leaf}, "mx.crepes.fr", true},
		{"by SHA-512", []Record{cert512(3, leaf)}, chain{leaf}, "mx.crepes.fr", true},
		{"of any name", []Record{key256(3, leaf)}, chain{leaf}, "mail.hamburger.edu", true},
		{"of any age", []Record{key256(3, old)}, chain{old}, "mx.crepes.fr", true},
		{"the second record", []Record{key256(3, other), key256(3, leaf)}, chain{leaf}, "mx.crepes.fr", true},
		{"another key", []Record{key256(3, other)}, chain{leaf}, "mx.crepes.fr", false},
		{"the issuer's key as the server's", []Record{key256(3, between)}, chain{leaf, between}, "mx.crepes.fr", false},
		{"no certificate", []Record{key256(3, leaf)}, nil, "mx.crepes.fr", false},
		{"an anchor that is sent", []Record{key256(2, root)}, chain{leaf, between, root}, "mx.crepes.fr", true},
		{"an issuer in between", []Record{key256(2, between)}, chain{leaf, between}, "mx.crepes.fr", true},
		{"an anchor that is in the record", []Record{full(2, root)}, chain{leaf, between}, "mx.crepes.fr", true},
		{"an anchor that is nowhere", []Record{key256(2, root)}, chain{leaf, between}, "mx.crepes.fr", false},
		{"an anchor with another name", []Record{key256(2, root)}, chain{leaf, between, root}, "mx.hamburger.edu", false},
		{"an anchor of what is too old", []Record{key256(2, root)}, chain{old, root}, "mx.crepes.fr", false},
		{"an anchor that is only sent along, and named as the issuer", []Record{key256(2, root)}, chain{stranger, root}, "mx.crepes.fr", false},
		{"an anchor that fails, and the server's key", []Record{key256(2, root), key256(3, leaf)}, chain{leaf, between, root}, "mx.hamburger.edu", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var state tls.ConnectionState
			for _, c := range tt.sent {
				state.PeerCertificates = append(state.PeerCertificates, c.Certificate)
			}
			if len(Usable(tt.records)) != len(tt.records) {
				t.Fatal("not usable")
			}
			err := Verify(tt.records, state, []string{"other.example.net", tt.host})
			if (err == nil) != tt.ok {
				t.Errorf("got %v, want it verified: %v", err, tt.ok)
			}
		})
	}
	if err := Verify([]Record{key256(3, other)}, tls.ConnectionState{PeerCertificates: []*x509.Certificate{leaf.Certificate}}, nil); !errors.Is(err, ErrMismatch) {
		t.Errorf("got %v", err)
	}
}

func TestUsable(t *testing.T) {
	c := issue(t, nil, time.Now().Add(time.Hour))
	good := key256(3, c)
	for name, r := range map[string]Record{
		"PKIX-TA":           key256(0, c),
		"PKIX-EE":           key256(1, c),
		"unknown usage":     key256(4, c),
		"unknown selector":  {3, 2, 1, good.Data},
		"unknown matching":  {3, 1, 3, good.Data},
		"short digest":      {3, 1, 1, good.Data[:31]},
		"digest as SHA-512": {3, 1, 2, good.Data},
		"no certificate":    {3, 0, 0, []byte("x")},
		"no key":            {3, 1, 0, []byte("x")},
		"empty":             {3, 1, 1, nil},
	} {
		if got := Usable([]Record{r, good}); len(got) != 1 || string(got[0].Data) != string(good.Data) {
			t.Errorf("%s: got %v", name, got)
		}
	}
	if len(Usable([]Record{{3, 1, 0, c.RawSubjectPublicKeyInfo}})) != 1 {
		t.Error("a whole key is not usable")
	}
}
