package relay

import (
	"crypto/x509"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/wasmta/wasmta/mta/internal/relay/tlsrpt"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// report counts e, about the domain of j. What an operator's route says is
// nobody else's matter.
func (j *job) report(e tlsrpt.Event) {
	if j.hop.Scheme != MX {
		return
	}
	if j.Observer != nil {
		j.Observer.Secured(string(e.Policy), e.Failure)
	}
	if j.Reports == nil || isAddress(j.hop.Host) {
		return
	}
	e.Domain = asciiDomain(j.hop.Host)
	if e.Policy == tlsrpt.STS && j.sts != nil {
		e.MX = j.sts.MX
		e.Text = []string{"version: STSv1", "mode: " + string(j.sts.Mode)}
		for _, mx := range j.sts.MX {
			e.Text = append(e.Text, "mx: "+mx)
		}
		e.Text = append(e.Text, fmt.Sprintf("max_age: %d", int(j.sts.MaxAge.Seconds())))
	}
	j.Reports.Add(time.Now(), e)
}

// reportTLS counts how TLS went on a connection that was opened, or failed to
// be: only TLS that failed is a failure of TLS.
func (j *job) reportTLS(d *demand, host string, addr netip.Addr, conn *smtpc.Conn, err error) {
	e := tlsrpt.Event{Policy: d.by, Host: host, Addr: addr}
	failed, isTLS := errors.AsType[*smtpc.TLSError](err)
	switch {
	case isTLS:
		e.Failure, e.Reason = failureOf(failed.Err), reason(failed.Err)
	case conn == nil || d.mode == smtpc.TLSNone: // nothing is known of TLS there, or the failure was counted
		return
	default:
		if _, ok := conn.TLS(); !ok {
			e.Failure = tlsrpt.NotSupported
		}
	}
	j.report(e)
}

// failureOf is the result type of a handshake that failed (RFC 8460 §4.3.1).
func failureOf(err error) string {
	if errors.Is(err, smtpc.ErrNoTLS) {
		return tlsrpt.NotSupported
	}
	if _, ok := errors.AsType[x509.HostnameError](err); ok {
		return tlsrpt.HostMismatch
	}
	if _, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return tlsrpt.NotTrusted
	}
	if invalid, ok := errors.AsType[x509.CertificateInvalidError](err); ok && invalid.Reason == x509.Expired {
		return tlsrpt.Expired
	}
	return tlsrpt.Failed
}

// certReason is what is wrong with a certificate; empty: nothing known.
func certReason(err error) string {
	if e, ok := errors.AsType[x509.HostnameError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[x509.UnknownAuthorityError](err); ok {
		return e.Error()
	}
	if e, ok := errors.AsType[x509.CertificateInvalidError](err); ok {
		return e.Error()
	}
	return ""
}
