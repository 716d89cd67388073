// Package dane verifies TLS servers against TLSA records, as DANE for SMTP has
// it (RFC 7672). Whether the records can be relied on is the caller's matter.
package dane

import (
	"bytes"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
)

// The usages that SMTP knows. The others (PKIX-TA, PKIX-EE) count as unusable
// (RFC 7672 §3.1.3).
const (
	TrustAnchor = 2 // DANE-TA: the data is that of an issuer
	EndEntity   = 3 // DANE-EE: the data is that of the server
)

// A Record is a TLSA record (RFC 6698 §2.1).
type Record struct {
	Usage        uint8
	Selector     uint8 // 0: the certificate; 1: its public key
	MatchingType uint8 // 0: all octets; 1: SHA-256; 2: SHA-512
	Data         []byte
}

// Usable are those of records that a server can be verified against. If there
// are none but records, TLS is required all the same (RFC 7672 §2.2).
func Usable(records []Record) []Record {
	var usable []Record
	for _, r := range records {
		if r.usable() {
			usable = append(usable, r)
		}
	}
	return usable
}

var sizes = [...]int{1: sha256.Size, 2: sha512.Size}

func (r *Record) usable() bool {
	switch {
	case r.Usage != TrustAnchor && r.Usage != EndEntity, r.Selector > 1, r.MatchingType > 2:
		return false
	case r.MatchingType > 0:
		return len(r.Data) == sizes[r.MatchingType]
	case r.Selector == 0:
		_, err := x509.ParseCertificate(r.Data)
		return err == nil
	}
	_, err := x509.ParsePKIXPublicKey(r.Data)
	return err == nil
}

// ErrMismatch is in the chain of errors about servers that no record matches.
var ErrMismatch = errors.New("certificate matches no TLSA record")

// Verify tells whether one of records, which are usable, vouches for the server
// at the other end of state. Trust anchors have to have issued a certificate
// for one of names; with end entities neither names nor dates count (RFC 7672
// §3.1.1).
func Verify(records []Record, state tls.ConnectionState, names []string) error {
	if len(state.PeerCertificates) == 0 {
		return ErrMismatch
	}
	err := ErrMismatch
	for i := range records {
		r := &records[i]
		if r.Usage == EndEntity {
			if r.matches(state.PeerCertificates[0]) {
				return nil
			}
			continue
		}
		anchored := r.verifyAnchor(state.PeerCertificates, names)
		if anchored == nil {
			return nil
		}
		if !errors.Is(anchored, ErrMismatch) {
			err = anchored
		}
	}
	return err
}

func (r *Record) matches(c *x509.Certificate) bool {
	data := c.Raw
	if r.Selector == 1 {
		data = c.RawSubjectPublicKeyInfo
	}
	switch r.MatchingType {
	case 1:
		sum := sha256.Sum256(data)
		data = sum[:]
	case 2:
		sum := sha512.Sum512(data)
		data = sum[:]
	}
	return bytes.Equal(data, r.Data)
}

// verifyAnchor looks for the anchor in what the server sent, or in the record,
// which may have the whole certificate, and verifies the server from there.
func (r *Record) verifyAnchor(sent []*x509.Certificate, names []string) error {
	roots, between := x509.NewCertPool(), x509.NewCertPool()
	found := false
	if r.Selector == 0 && r.MatchingType == 0 {
		if c, err := x509.ParseCertificate(r.Data); err == nil {
			roots.AddCert(c)
			found = true
		}
	}
	for _, c := range sent {
		if r.matches(c) {
			roots.AddCert(c)
			found = true
		} else {
			between.AddCert(c)
		}
	}
	if !found {
		return ErrMismatch
	}
	err := ErrMismatch
	for _, name := range names {
		_, failed := sent[0].Verify(x509.VerifyOptions{Roots: roots, Intermediates: between, DNSName: name})
		if failed == nil {
			return nil
		}
		err = fmt.Errorf("issued by the trust anchor of a TLSA record, but: %w", failed)
	}
	return err
}
