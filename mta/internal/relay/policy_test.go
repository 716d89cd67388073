package relay

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"crypto/x509"
	"encoding/hex"
	"fmt"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/relay/dnssec"
	"github.com/wasmta/wasmta/mta/internal/relay/sts"
	"github.com/wasmta/wasmta/mta/internal/relay/tlsrpt"
	"github.com/wasmta/wasmta/mta/internal/testpeer/dnstest"
)

// A network is what the relay under test sees of the world: a DNS server, hosts
// by address, and MTA-STS policies by domain.
type network struct {
	dns      *dnstest.Server
	hosts    map[string]*sink // "192.0.2.1:25"
	policies map[string]*sts.Policy
	failures map[string]*sts.Failure
}

func (n *network) dial(ctx context.Context, network, addr string) (net.Conn, error) {
	s := n.hosts[addr]
	if s == nil {
		return nil, &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	}
	var d net.Dialer
	return d.DialContext(ctx, network, s.addr)
}

// Policy implements [PolicySource].
func (n *network) Policy(_ context.Context, domain string) (*sts.Policy, *sts.Failure) {
	return n.policies[domain], n.failures[domain]
}

// relay is the relay on n that trusts roots.
func (n *network) relay(t *testing.T, roots *x509.CertPool) *Relay {
	r := &Relay{
		Hostname: "crepes.fr", Dial: n.dial, DNSSEC: dnssec.New(n.dns.Addr), STS: n,
		TLS: &tls.Config{RootCAs: roots}, Reports: &tlsrpt.Counts{},
	}
	t.Cleanup(func() { r.Close() })
	return r
}

const policyZone = `
hamburger.edu.    MX 10 mx.hamburger.edu.
mx.hamburger.edu. A 192.0.2.1
`

// tlsa is the record of the sink's certificate.
func tlsa(c tls.Certificate, usage int) string {
	leaf, _ := x509.ParseCertificate(c.Certificate[0])
	sum := sha256.Sum256(leaf.RawSubjectPublicKeyInfo)
	return fmt.Sprintf("_25._tcp.mx.hamburger.edu. TLSA %d 1 1 %s\n", usage, hex.EncodeToString(sum[:]))
}

func withTLS(c tls.Certificate) func(*sink) {
	return func(s *sink) {
		s.server.TLSConfig = &tls.Config{Certificates: []tls.Certificate{c}}
		s.server.EnableREQUIRETLS = true
	}
}

func enforce(mode sts.Mode, mx ...string) map[string]*sts.Policy {
	return map[string]*sts.Policy{"hamburger.edu": {Domain: "hamburger.edu", ID: "1", Mode: mode, MX: mx, MaxAge: time.Hour}}
}

// What is asked for by whom, what the host shows, and what comes of it.
func TestPolicies(t *testing.T) {
	good, roots := certificate(t, "mx.hamburger.edu")
	wrong, _ := certificate(t, "other.example")
	if leaf, err := x509.ParseCertificate(wrong.Certificate[0]); err == nil {
		roots.AddCert(leaf)
	}
	stranger, _ := certificate(t, "mx.hamburger.edu")
	const (
		secure, insecure = true, false
		noTLS            = "deferred mx.hamburger.edu:25: 454 4.7.5 TLS with mx.hamburger.edu:25 failed: "
	)
	tests := []struct {
		name    string
		host    func(*sink)
		zone    string
		signed  bool
		policy  map[string]*sts.Policy
		route   string
		require bool   // REQUIRETLS
		header  string // before the rest of the content
		want    string
		tls     bool
		report  string
	}{
		{name: "nothing asks, nothing is there", want: "relayed", report: "no-policy-found ok 0 failed 1 starttls-not-supported"},
		{name: "nothing asks, TLS by a stranger", host: withTLS(stranger), want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0"},

		{name: "DANE, the right key", host: withTLS(stranger), zone: tlsa(stranger, 3), signed: secure, want: "relayed", tls: true, report: "tlsa ok 1 failed 0"},
		{name: "DANE, another name and the right key", host: withTLS(wrong), zone: tlsa(wrong, 3), signed: secure, want: "relayed", tls: true, report: "tlsa ok 1 failed 0"},
		{name: "DANE, another key", host: withTLS(good), zone: tlsa(stranger, 3), signed: secure, want: noTLS + "certificate matches no TLSA record", report: "tlsa ok 0 failed 1 validation-failure"},
		{name: "DANE, no TLS", zone: tlsa(good, 3), signed: secure, want: noTLS + "TLS is required and not offered", report: "tlsa ok 0 failed 1 starttls-not-supported"},
		{name: "DANE, one of two keys", host: withTLS(stranger), zone: tlsa(good, 3) + tlsa(stranger, 3), signed: secure, want: "relayed", tls: true, report: "tlsa ok 1 failed 0"},
		{name: "DANE that nobody can use wants TLS", host: withTLS(stranger), zone: tlsa(good, 1), signed: secure, want: "relayed", tls: true, report: "tlsa ok 1 failed 1 tlsa-invalid"},
		{name: "DANE that nobody can use, and no TLS", zone: tlsa(good, 1), signed: secure, want: noTLS + "TLS is required and not offered", report: "tlsa ok 0 failed 2 starttls-not-supported tlsa-invalid"},
		{name: "TLSA without DNSSEC is nothing", host: withTLS(good), zone: tlsa(stranger, 3), signed: insecure, want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0"},
		{name: "DNSSEC without TLSA is nothing", signed: secure, want: "relayed", report: "no-policy-found ok 0 failed 1 starttls-not-supported"},
		{name: "DANE switched off", host: withTLS(good), zone: tlsa(stranger, 3), signed: secure, route: "mx?dane=off", want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0"},
		{name: "DANE goes before a route", zone: tlsa(good, 3), signed: secure, route: "mx?tls=none", want: noTLS + "TLS is required and not offered", report: "tlsa ok 0 failed 1 starttls-not-supported"},

		{name: "MTA-STS, all well", host: withTLS(good), policy: enforce(sts.Enforce, "mx.hamburger.edu"), want: "relayed", tls: true, report: "sts ok 1 failed 0"},
		{name: "MTA-STS, a stranger", host: withTLS(stranger), policy: enforce(sts.Enforce, "*.hamburger.edu"), want: noTLS + "tls: failed to verify certificate: x509: certificate signed by unknown authority", report: "sts ok 0 failed 1 certificate-not-trusted"},
		{name: "MTA-STS, another name", host: withTLS(wrong), policy: enforce(sts.Enforce, "mx.hamburger.edu"), want: noTLS + "tls: failed to verify certificate: x509: certificate is valid for other.example, not mx.hamburger.edu", report: "sts ok 0 failed 1 certificate-host-mismatch"},
		{name: "MTA-STS, no TLS", policy: enforce(sts.Enforce, "mx.hamburger.edu"), want: noTLS + "TLS is required and not offered", report: "sts ok 0 failed 1 starttls-not-supported"},
		{name: "MTA-STS, a host not named", host: withTLS(good), policy: enforce(sts.Enforce, "mx2.hamburger.edu"), want: "deferred hamburger.edu: 454 4.7.5 mail host mx.hamburger.edu is not one that the MTA-STS policy of hamburger.edu names", report: "sts ok 0 failed 1 validation-failure"},
		{name: "MTA-STS tested, a stranger", host: withTLS(stranger), policy: enforce(sts.Testing, "mx.hamburger.edu"), want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0; sts ok 0 failed 1 certificate-not-trusted"},
		{name: "MTA-STS tested, no TLS", policy: enforce(sts.Testing, "mx.hamburger.edu"), want: "relayed", report: "no-policy-found ok 0 failed 1 starttls-not-supported; sts ok 0 failed 1 starttls-not-supported"},
		{name: "MTA-STS tested, a host not named", host: withTLS(good), policy: enforce(sts.Testing, "mx2.hamburger.edu"), want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0; sts ok 0 failed 1 validation-failure"},
		{name: "MTA-STS over", host: withTLS(stranger), policy: enforce(sts.None), want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0"},
		{name: "MTA-STS switched off", policy: enforce(sts.Enforce, "mx2.hamburger.edu"), route: "mx?mta_sts=off", want: "relayed", report: "no-policy-found ok 0 failed 1 starttls-not-supported"},
		{name: "DANE goes before MTA-STS", host: withTLS(stranger), zone: tlsa(stranger, 3), signed: secure, policy: enforce(sts.Enforce, "mx2.hamburger.edu"), want: "relayed", tls: true, report: "sts ok 0 failed 1 validation-failure; tlsa ok 1 failed 0"},
		{name: "MTA-STS does not excuse DANE", host: withTLS(good), zone: tlsa(stranger, 3), signed: secure, policy: enforce(sts.Enforce, "mx.hamburger.edu"), want: noTLS + "certificate matches no TLSA record", report: "tlsa ok 0 failed 1 validation-failure"},

		{name: "a route that wants TLS, none there", route: "mx?tls=required", want: noTLS + "TLS is required and not offered", report: "no-policy-found ok 0 failed 1 starttls-not-supported"},
		{name: "a route that wants TLS, by a stranger", host: withTLS(stranger), route: "mx?tls=required", want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0"},

		{name: "REQUIRETLS by MTA-STS", require: true, host: withTLS(good), policy: enforce(sts.Enforce, "mx.hamburger.edu"), want: "relayed", tls: true, report: "sts ok 1 failed 0"},
		{name: "REQUIRETLS by DANE", require: true, host: withTLS(stranger), zone: tlsa(stranger, 3), signed: secure, want: "relayed", tls: true, report: "tlsa ok 1 failed 0"},
		{name: "REQUIRETLS by DNSSEC and a certificate", require: true, host: withTLS(good), signed: secure, want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0"},
		{name: "REQUIRETLS, a stranger", require: true, host: withTLS(stranger), signed: secure, want: noTLS + "tls: failed to verify certificate: x509: certificate signed by unknown authority", report: "no-policy-found ok 0 failed 1 certificate-not-trusted"},
		{name: "REQUIRETLS, a name that only DNS says", require: true, host: withTLS(good), want: "bounced hamburger.edu: 550 5.7.30 the message requires TLS, and nothing vouches for mx.hamburger.edu being a mail host of hamburger.edu"},
		{name: "REQUIRETLS, tested MTA-STS is not enough", require: true, host: withTLS(good), policy: enforce(sts.Testing, "mx.hamburger.edu"), want: "bounced hamburger.edu: 550 5.7.30 the message requires TLS, and nothing vouches for mx.hamburger.edu"},
		{name: "REQUIRETLS, no TLS", require: true, signed: secure, want: "bounced mx.hamburger.edu:25: 550 5.7.30 the message requires TLS all the way, and mx.hamburger.edu:25 does not do that: TLS is required and not offered", report: "no-policy-found ok 0 failed 1 starttls-not-supported"},
		{name: "REQUIRETLS not offered", require: true, signed: secure, host: func(s *sink) { withTLS(good)(s); s.server.EnableREQUIRETLS = false },
			want: "bounced mx.hamburger.edu:25: 550 5.7.30 the message requires TLS all the way, and mx.hamburger.edu:25 does not do that: REQUIRETLS is not offered"},
		{name: "REQUIRETLS goes before TLS-Required", require: true, header: "TLS-Required: No\r\n", policy: enforce(sts.Enforce, "mx.hamburger.edu"), want: "bounced", report: "sts ok 0 failed 1 starttls-not-supported"},

		{name: "TLS-Required: No, MTA-STS", header: "TLS-Required: No\r\n", policy: enforce(sts.Enforce, "mx2.hamburger.edu"), want: "relayed", report: "no-policy-found ok 0 failed 1 starttls-not-supported"},
		{name: "TLS-Required: No, DANE", header: "tls-required:  no\r\n", host: withTLS(good), zone: tlsa(stranger, 3), signed: secure, want: "relayed", tls: true, report: "no-policy-found ok 1 failed 0"},
		{name: "TLS-Required: something else", header: "TLS-Required: Yes\r\n", policy: enforce(sts.Enforce, "mx2.hamburger.edu"), want: "deferred", report: "sts ok 0 failed 1 validation-failure"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			n := &network{dns: dnstest.Start(t, policyZone+tt.zone), policies: tt.policy}
			if tt.signed {
				n.dns.Sign("hamburger.edu.")
			}
			s := newSink(t, tt.host)
			n.hosts = map[string]*sink{"192.0.2.1:25": s}
			r := n.relay(t, roots)
			if tt.route != "" {
				r.Routes = to(t, tt.route).Routes
			}
			m := message(t, "bob@hamburger.edu")
			m.Envelope.RequireTLS = tt.require
			m.Content = mail.Bytes(tt.header + "Subject: hi\r\n\r\nhi\r\n")
			got := short(r.Deliver(t.Context(), m, nil)[0])
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("got %q, want %q", got, tt.want)
			}
			all := s.all()
			if relayed := tt.want == "relayed"; relayed != (len(all) == 1) || relayed && (all[0].tls != tt.tls || all[0].mail.RequireTLS != tt.require) {
				t.Errorf("arrived: %+v", all)
			}
			if got := counted(r.Reports); tt.report != "" && got != tt.report {
				t.Errorf("reported %q, want %q", got, tt.report)
			}
		})
	}
}

// counted is what reports say of hamburger.edu.
func counted(c *tlsrpt.Counts) string {
	var out []string
	lines := strings.Split(string(c.Report(tlsrpt.Sender{}, "hamburger.edu", time.Now())), "\n")
	for _, line := range lines {
		key, value, _ := strings.Cut(strings.Trim(line, " ,"), ": ")
		value = strings.Trim(value, `"`)
		switch strings.Trim(key, `"`) {
		case "policy-type":
			out = append(out, value)
		case "total-successful-session-count":
			out[len(out)-1] += " ok " + value
		case "total-failure-session-count":
			out[len(out)-1] += " failed " + value
		case "result-type":
			out[len(out)-1] += " " + value
		}
	}
	return strings.Join(out, "; ")
}

// What is bogus is no reason to go on without DANE, and another host is.
func TestBogusTLSA(t *testing.T) {
	cert, roots := certificate(t, "mx2.hamburger.edu")
	n := &network{dns: dnstest.Start(t, policyZone)}
	n.dns.Sign("hamburger.edu.")
	n.dns.Fail("_25._tcp.mx.hamburger.edu.", dns.RcodeServerFailure)
	first, second := newSink(t, withTLS(cert)), newSink(t, withTLS(cert))
	n.hosts = map[string]*sink{"192.0.2.1:25": first}
	r := n.relay(t, roots)
	check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil),
		"deferred hamburger.edu: 451 4.7.5 look up TLSA of mx.hamburger.edu: server answers SERVFAIL (ours)")
	if got, want := counted(r.Reports), "tlsa ok 0 failed 1 dnssec-invalid"; got != want {
		t.Errorf("reported %q", got)
	}
	r = n.relay(t, roots)
	n.dns.Set(t, policyZone+"hamburger.edu. MX 20 mx2.hamburger.edu.\nmx2.hamburger.edu. A 192.0.2.2\n")
	n.hosts["192.0.2.2:25"] = second
	check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil), "relayed mx2.hamburger.edu:25: 250 2.0.0 OK: queued")
	if len(first.all()) != 0 {
		t.Error("sent to the host whose record is bogus")
	}
}

// A connection that was opened under one policy is not used under another.
func TestConnectionsByPolicy(t *testing.T) {
	cert, roots := certificate(t, "mx.hamburger.edu")
	n := &network{dns: dnstest.Start(t, policyZone)}
	n.dns.Sign("hamburger.edu.")
	s := newSink(t, withTLS(cert))
	n.hosts = map[string]*sink{"192.0.2.1:25": s}
	r := n.relay(t, roots)
	deliver := func(change func(*mail.Message)) {
		t.Helper()
		m := message(t, "bob@hamburger.edu")
		change(m)
		if res := r.Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Relayed {
			t.Fatal(short(res))
		}
	}
	plain := func(*mail.Message) {}
	for i, step := range []func(){
		func() { deliver(plain) },
		func() { deliver(func(m *mail.Message) { m.Envelope.RequireTLS = true }) },
		func() { deliver(func(m *mail.Message) { m.Content = mail.Bytes("TLS-Required: No\r\n\r\n") }) },
		func() { n.policies = enforce(sts.Enforce, "mx.hamburger.edu"); deliver(plain) },
		func() { n.policies["hamburger.edu"].ID = "2"; deliver(plain) },
	} {
		step()
		step()                                 // the same once more: on the same connection
		if got := s.sessions; got != 2*(i+1) { // go-smtp counts EHLO before and after STARTTLS
			t.Errorf("after step %d: %d sessions", i, got)
		}
	}
}

func TestIsRelaxed(t *testing.T) {
	long := strings.Repeat("x", 10<<10)
	for content, want := range map[string]bool{
		"TLS-Required: No\r\n\r\n":                                          true,
		"Subject: x\r\ntls-required:no\r\n\r\n":                             true,
		"X: " + long + "\r\nTLS-Required: No\r\n\r\n":                       true,
		"TLS-Required: Yes\r\n\r\n":                                         false,
		"TLS-Required: No, thanks\r\n\r\n":                                  false,
		"Subject: x\r\n\r\nTLS-Required: No\r\n":                            false,
		"\r\nTLS-Required: No\r\n":                                          false,
		"X: " + long[:4093] + "TLS-Required: No\r\n\r\n":                    false,
		"X: " + strings.Repeat("y", maxHeader) + "\r\nTLS-Required: No\r\n": false,
		"": false,
	} {
		if isRelaxed(mail.Bytes(content)) != want {
			t.Errorf("%.60q: %v", content, !want)
		}
	}
}
