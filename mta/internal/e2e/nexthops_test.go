package e2e

import (
	"crypto/tls"
	"encoding/json"
	"net"
	"net/textproto"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	gosmtp "github.com/emersion/go-smtp"
)

// startTLS goes under TLS with a server whose certificate nobody looks at.
func startTLS(t testing.TB, addr string) *smtpClient {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	c := &smtpClient{t, textproto.NewConn(conn)}
	c.want(220)
	if offered := c.say(250, "EHLO client.example"); strings.Contains(offered, "REQUIRETLS") || !strings.Contains(offered, "STARTTLS") {
		t.Errorf("without TLS it offers %q", offered)
	}
	c.say(530, "MAIL FROM:<alice@hamburger.edu> REQUIRETLS")
	c.say(220, "STARTTLS")
	c.text = textproto.NewConn(tls.Client(conn, &tls.Config{InsecureSkipVerify: true}))
	if offered := c.say(250, "EHLO client.example"); !strings.Contains(offered, "REQUIRETLS") || strings.Contains(offered, "STARTTLS") {
		t.Errorf("under TLS it offers %q", offered)
	}
	return c
}

// nextHops is a server that relays by the DNS of a world, and tries once.
const nextHops = `hostname: hamburger.edu
state: var
tls: {cert: cert.pem, key: key.pem}
listen:
  smtp: [127.0.0.1:0]
  http: [127.0.0.1:0]
domains:
  hamburger.edu: {deliver: mailbox}
accounts:
  alice@hamburger.edu: {password: PASSWORD}
relay:
  allow: [127.0.0.0/8]
  dns: DNS
  timeout: 10s
  routes:
    required.example: mx?tls=required
    verified.example: mx?tls=verified
    "*": mx
queue:
  retry: {first: 1h, factor: 2, max: 4h}
`

// The hosts of a world for next hops.
const (
	plainHost    = "$1" // SMTP without more
	goodHost     = "$2" // TLS with good certificates, REQUIRETLS
	strangerHost = "$3" // TLS by an authority that nobody knows, REQUIRETLS
	wrongHost    = "$4" // TLS for another name
	nobody       = "$5" // listens
	laxHost      = "$6" // TLS with good certificates, no REQUIRETLS
	policyHost   = "$7" // has the MTA-STS policies
)

// hop is a case of TestNextHops.
type hop struct {
	name   string
	domain string
	zone   string // of the domain, in which @ is it
	policy string // MTA-STS
	rcpt   string // before the domain; empty: bob
	said   string // what MAIL says more
	header string
	want   string // event and reply
	at     string // host that took it
	tls    bool
}

func mxTo(host string) string { return "@ MX 10 mx.@\nmx.@ A " + host + "\n" }

func policyOf(mode, mx string) string {
	return "version: STSv1\r\nmode: " + mode + "\r\nmx: " + mx + "\r\nmax_age: 86400\r\n"
}

// hops are the cases. Names of zones below signed.example are secure.
func hops(good, stranger *authority) []hop {
	dane := func(a *authority, host string) string { return mxTo(host) + "_25._tcp.mx.@ " + a.tlsa() + "\n" }
	const failed = "deferred 454 4.7.5 TLS with mx.@:25 failed: "
	return []hop{
		{name: "the best host first", domain: "order.example", zone: "@ MX 20 b.@\n@ MX 10 a.@\na.@ A $1\nb.@ A $2\n", want: "relayed", at: plainHost},
		{name: "the next when it is down", domain: "down.example", zone: "@ MX 20 b.@\n@ MX 10 a.@\na.@ A $5\nb.@ A $2\n", want: "relayed", at: goodHost, tls: true},
		{name: "all are down", domain: "away.example", zone: mxTo(nobody), want: "deferred 451 4.4.1 connect to mx.@:25: connection refused"},
		{name: "no MX", domain: "implicit.example", zone: "@ A $1\n", want: "relayed", at: plainHost},
		{name: "null MX", domain: "null.example", zone: "@ MX 0 .\n@ A $1\n", want: "bounced 556 5.1.10 @ accepts no mail"},
		{name: "no such domain", domain: "missing.example", want: "bounced 550 5.1.2 "},
		{name: "a domain that is an alias", domain: "alias.example", zone: "@ CNAME real.@\nreal.@ MX 10 mx.@\nmx.@ A $1\n", want: "relayed", at: plainHost},
		{name: "an MX that is an alias", domain: "mxalias.example", zone: "@ MX 10 mx.@\nmx.@ CNAME real.@\nreal.@ A $1\n", want: "relayed", at: plainHost},
		{name: "IPv6 that leads nowhere", domain: "six.example", zone: "@ MX 10 mx.@\nmx.@ AAAA 100::1\nmx.@ A $1\n", want: "relayed", at: plainHost},

		{name: "an address that the host cannot be told", domain: "ascii.example", zone: mxTo(plainHost), rcpt: "bø", said: " SMTPUTF8", want: "bounced 553 5.6.7 "},

		{name: "TLS by a stranger", domain: "stranger.example", zone: mxTo(strangerHost), want: "relayed", at: strangerHost, tls: true},
		{name: "required, none there", domain: "required.example", zone: mxTo(plainHost), want: failed + "TLS is required and not offered"},
		{name: "verified, a stranger", domain: "verified.example", zone: mxTo(strangerHost), want: failed + "tls: failed to verify certificate: x509: certificate signed by unknown authority"},

		{name: "MTA-STS, all well", domain: "sts.example", zone: mxTo(goodHost), policy: policyOf("enforce", "mx.@"), want: "relayed", at: goodHost, tls: true},
		{name: "MTA-STS, no TLS", domain: "stsplain.example", zone: mxTo(plainHost), policy: policyOf("enforce", "*.@"), want: failed + "TLS is required and not offered"},
		{name: "MTA-STS, another name", domain: "stsname.example", zone: mxTo(wrongHost), policy: policyOf("enforce", "mx.@"), want: failed + "tls: failed to verify certificate: x509: certificate is valid for other.example, not mx.@"},
		{name: "MTA-STS, a host not named", domain: "stsmx.example", zone: mxTo(goodHost), policy: policyOf("enforce", "mail.@"), want: "deferred 454 4.7.5 mail host mx.@ is not one that the MTA-STS policy of @ names"},
		{name: "MTA-STS tested, no TLS", domain: "ststest.example", zone: mxTo(plainHost), policy: policyOf("testing", "mx.@"), want: "relayed", at: plainHost},
		{name: "MTA-STS tested, a host not named", domain: "ststestmx.example", zone: mxTo(goodHost), policy: policyOf("testing", "mail.@"), want: "relayed", at: goodHost, tls: true},
		{name: "MTA-STS, TLS-Required: No", domain: "stsno.example", zone: mxTo(plainHost), policy: policyOf("enforce", "mx.@"), header: "TLS-Required: No\r\n", want: "relayed", at: plainHost},

		{name: "DANE, the right key", domain: "dane.signed.example", zone: dane(stranger, strangerHost), want: "relayed", at: strangerHost, tls: true},
		{name: "DANE, another key", domain: "mismatch.signed.example", zone: dane(stranger, goodHost), want: failed + "certificate matches no TLSA record"},
		{name: "DANE, no TLS", domain: "plain.signed.example", zone: dane(good, plainHost), want: failed + "TLS is required and not offered"},
		{name: "DANE that is not signed", domain: "insecure.example", zone: dane(stranger, goodHost), want: "relayed", at: goodHost, tls: true},
		{name: "DANE that is bogus", domain: "bogus.signed.example", zone: mxTo(goodHost), want: "deferred 451 4.7.5 look up TLSA of mx.@: server answers SERVFAIL"},

		{name: "REQUIRETLS", domain: "req.signed.example", zone: mxTo(goodHost), said: " REQUIRETLS", want: "relayed", at: goodHost, tls: true},
		{name: "REQUIRETLS by MTA-STS", domain: "reqsts.example", zone: mxTo(goodHost), policy: policyOf("enforce", "mx.@"), said: " REQUIRETLS", want: "relayed", at: goodHost, tls: true},
		{name: "REQUIRETLS, nothing vouches for the host", domain: "reqdns.example", zone: mxTo(goodHost), said: " REQUIRETLS", want: "bounced 550 5.7.30 the message requires TLS, and nothing vouches for mx.@"},
		{name: "REQUIRETLS, not offered", domain: "reqlax.signed.example", zone: mxTo(laxHost), said: " REQUIRETLS", want: "bounced 550 5.7.30 the message requires TLS all the way, and mx.@:25 does not do that: REQUIRETLS is not offered"},
		{name: "REQUIRETLS, no TLS", domain: "reqplain.signed.example", zone: mxTo(plainHost), said: " REQUIRETLS", want: "bounced 550 5.7.30 the message requires TLS all the way, and mx.@:25 does not do that: TLS is required and not offered"},
	}
}

// in is text with the domain of h, as it stands in zones and replies.
func (h *hop) in(text string, root bool) string {
	domain := h.domain
	if root {
		domain += "."
	}
	return strings.ReplaceAll(text, "@", domain)
}

func (h *hop) address() string {
	if h.rcpt != "" {
		return h.rcpt + "@" + h.domain
	}
	return "bob@" + h.domain
}

// TestNextHops sends a message to each of many domains, and looks where it
// came, under which TLS, and what is said of it. What is counted of TLS ends in
// metrics and reports, and policies outlive a restart without their server.
func TestNextHops(t *testing.T) {
	w := newWorld(t)
	stranger := newAuthority(t)
	under := func(config *tls.Config) func(*gosmtp.Server) {
		return func(srv *gosmtp.Server) { srv.TLSConfig, srv.EnableREQUIRETLS = config, true }
	}
	w.host("1", nil)
	w.host("2", under(w.trusted.config()))
	w.host("3", under(stranger.config()))
	w.host("4", under(w.trusted.config("other.example")))
	w.host("6", func(srv *gosmtp.Server) { srv.TLSConfig = w.trusted.config() })
	w.serve("7")
	all := hops(w.trusted, stranger)
	var zone strings.Builder
	for _, h := range all {
		zone.WriteString(h.in(h.zone, true))
		if h.policy != "" {
			w.policies[h.domain] = h.in(h.policy, false)
			zone.WriteString(h.in("mta-sts.@ A "+policyHost+"\n_mta-sts.@ TXT \"v=STSv1; id=1;\"\n", true))
		}
	}
	w.zone(zone.String())
	w.dns.Sign("signed.example.")
	w.dns.Fail("_25._tcp.mx.bogus.signed.example.", 2) // SERVFAIL

	s := Configure(t, strings.NewReplacer("PASSWORD", demoPassword, "DNS", w.dns.Addr).Replace(nextHops))
	s.trust(w.trusted)
	cert, key := selfSigned(t, "hamburger.edu")
	for name, text := range map[string]string{"cert.pem": cert, "key.pem": key} {
		if err := os.WriteFile(filepath.Join(s.Dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s.Up()
	c := startTLS(t, s.Addr("smtp"))
	for i := range all {
		c.sendTo(&all[i])
	}
	for _, h := range all {
		t.Run(h.name, func(t *testing.T) { s.t = t; h.check(t, s, w) })
	}
	s.t = t
	for name, want := range map[string]string{
		`mta_relay_tls_total{failure="none",policy="sts"}`:                      "2", // one by REQUIRETLS
		`mta_relay_tls_total{failure="validation-failure",policy="sts"}`:        "2",
		`mta_relay_tls_total{failure="certificate-host-mismatch",policy="sts"}`: "1",
		`mta_relay_tls_total{failure="starttls-not-supported",policy="sts"}`:    "2",
		`mta_relay_tls_total{failure="dnssec-invalid",policy="tlsa"}`:           "1",
		`mta_relay_tls_total{failure="validation-failure",policy="tlsa"}`:       "1",
		`mta_relay_tls_total{failure="none",policy="tlsa"}`:                     "1",
	} {
		if got := s.metric(name); got != want {
			t.Errorf("%s is %s, want %s", name, got, want)
		}
	}
	s.Stop()
	s.checkReport(t, "stsmx.example", 0, 1)
	s.checkReport(t, "dane.signed.example", 1, 0)

	w.policy.Close()
	w.dns.Set(t, "stsplain.example. MX 10 mx.stsplain.example.\nmx.stsplain.example. A "+w.net+"1\n") // no word of a policy
	s.Up()
	smtpDial(t, s.Addr("smtp")).send("alice@hamburger.edu", "carol@stsplain.example", "pickles")
	again := hop{domain: "stsplain.example", rcpt: "carol", want: "deferred 454 4.7.5 TLS with mx.@:25 failed: TLS is required and not offered"}
	again.check(t, s, w)
}

func (c *smtpClient) sendTo(h *hop) {
	c.t.Helper()
	c.say(250, "MAIL FROM:<alice@hamburger.edu>%s", h.said)
	c.say(250, "RCPT TO:<%s>", h.address())
	c.say(354, "DATA")
	c.say(250, "From: alice@hamburger.edu\r\n%sSubject: pickles\r\n\r\nHow about them?\r\n.", h.header)
}

// check waits for what became of the message of h, and looks where it is.
func (h *hop) check(t *testing.T, s *Server, w *world) {
	t.Helper()
	h.checkEvent(t, s)
	got := w.arrivedAt(h.address())
	switch {
	case h.at == "" && len(got) != 0:
		t.Errorf("arrived: %+v", got)
	case h.at != "" && (len(got) != 1 || "$"+got[0].host != h.at || got[0].tls != h.tls):
		t.Errorf("arrived: %+v, want one at %s", got, h.at)
	case h.at != "" && got[0].options.RequireTLS != strings.Contains(h.said, "REQUIRETLS"):
		t.Errorf("MAIL came with %+v", got[0].options)
	}
}

// checkEvent waits for what the log says of the message of h.
func (h *hop) checkEvent(t *testing.T, s *Server) {
	t.Helper()
	e := s.Wait("the result of "+h.address(), func(e Event) bool {
		return e.Str("rcpt") == h.address() && (e.Msg() == "relayed" || e.Msg() == "deferred" || e.Msg() == "bounced")
	})
	if got, want := e.Msg()+" "+e.Str("reply"), h.in(h.want, false); !strings.HasPrefix(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

// checkReport reads today's report about a domain.
func (s *Server) checkReport(t *testing.T, domain string, ok, failed int) {
	t.Helper()
	text, err := os.ReadFile(filepath.Join(s.Dir, "var/tls-reports", time.Now().UTC().Format(time.DateOnly), domain+".json"))
	if err != nil {
		t.Error(err)
		return
	}
	var report struct {
		Policies []struct {
			Summary map[string]int `json:"summary"`
		} `json:"policies"`
	}
	if err := json.Unmarshal(text, &report); err != nil || len(report.Policies) != 1 {
		t.Fatalf("%s: %v\n%s", domain, err, text)
	}
	got := report.Policies[0].Summary
	if got["total-successful-session-count"] != ok || got["total-failure-session-count"] != failed {
		t.Errorf("%s: %v, want %d and %d", domain, got, ok, failed)
	}
}
