package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// Scheme says how a hop is found and spoken to.
type Scheme string

const (
	MX    Scheme = "mx"    // SMTP to the hosts that DNS names for a domain (RFC 5321 §5.1)
	SMTP  Scheme = "smtp"  // SMTP to one host
	SMTPS Scheme = "smtps" // SMTP to one host, TLS from the first octet (RFC 8314 §3)
	LMTP  Scheme = "lmtp"  // LMTP to one host (RFC 2033)
)

var defaultPorts = map[Scheme]int{MX: 25, SMTP: 25, SMTPS: 465, LMTP: 24}

// A Hop is a place to send mail on to. Two hops that are equal share
// connections and limits.
type Hop struct {
	Scheme   Scheme
	Host     string // a name or an address; with MX a mail domain, or empty for the recipient's
	Port     int
	User     string // empty: no AUTH
	Password string
	TLS      smtpc.TLSMode
	Verify   bool // the certificate has to be valid for the host
	NoSTS    bool // with MX: whatever MTA-STS says
	NoDANE   bool // with MX: whatever TLSA records say
}

// NewHop is the hop with the port and the TLS that its kind calls for: a
// password goes only to a host that proves its name, unless it is this one;
// other hosts get TLS where they offer it.
func NewHop(scheme Scheme, host string, port int, user, password string) Hop {
	h := Hop{Scheme: scheme, Host: host, Port: port, User: user, Password: password}
	if h.Port == 0 {
		h.Port = defaultPorts[scheme]
	}
	switch {
	case scheme == SMTPS:
		h.TLS, h.Verify = smtpc.TLSImplicit, true
	case user != "" && !isLoopback(host):
		h.TLS, h.Verify = smtpc.TLSRequired, true
	}
	return h
}

func isLoopback(host string) bool {
	if host == "localhost" {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.IsLoopback()
}

// ParseHop reads `mx`, `smtp://host:port`, `smtps://user:password@host`,
// `lmtp://[::1]:24`, each with options if need be: `?tls=none`,
// `?tls=opportunistic`, `?tls=required`, `verify=yes`, `verify=no`, and with mx
// `mta_sts=off`, `dane=off`.
func ParseHop(s string) (Hop, error) {
	if s == string(MX) || strings.HasPrefix(s, "mx?") {
		s = "mx:" + s[len(MX):]
	}
	u, err := url.Parse(s)
	if err != nil { // its text would show the password
		return Hop{}, errors.New("not mx, smtp://host:port, smtps://host:port or lmtp://host:port")
	}
	scheme := Scheme(u.Scheme)
	if _, ok := defaultPorts[scheme]; !ok {
		return Hop{}, fmt.Errorf("unknown scheme %q; use mx, smtp, smtps or lmtp", u.Scheme)
	}
	if scheme != MX && u.Hostname() == "" {
		return Hop{}, fmt.Errorf("%s without a host", scheme)
	}
	if u.Path != "" || u.Fragment != "" {
		return Hop{}, errors.New("a next hop has no path")
	}
	port := 0
	if p := u.Port(); p != "" {
		n, err := strconv.ParseUint(p, 10, 16)
		if err != nil || n == 0 {
			return Hop{}, fmt.Errorf("bad port %q", p)
		}
		port = int(n)
	}
	password, _ := u.User.Password()
	h := NewHop(scheme, u.Hostname(), port, u.User.Username(), password)
	return h, h.options(u.Query())
}

var tlsModes = map[string]smtpc.TLSMode{
	"none":          smtpc.TLSNone,
	"opportunistic": smtpc.TLSOpportunistic,
	"required":      smtpc.TLSRequired,
}

func (h *Hop) options(q url.Values) error {
	for key, values := range q {
		value := values[0]
		switch key {
		case "tls":
			mode, ok := tlsModes[value]
			if !ok {
				return fmt.Errorf("tls=%s; use none, opportunistic or required", value)
			}
			if h.Scheme == SMTPS {
				return errors.New("smtps has TLS always")
			}
			h.TLS = mode
			h.Verify = mode == smtpc.TLSRequired && h.Scheme != MX
		case "verify":
		case "mta_sts", "dane":
			if h.Scheme != MX || value != "off" {
				return fmt.Errorf("%s=%s; it can be off, with mx", key, value)
			}
			h.NoSTS = h.NoSTS || key == "mta_sts"
			h.NoDANE = h.NoDANE || key == "dane"
		default:
			return fmt.Errorf("unknown option %q; known are tls, verify, mta_sts and dane", key)
		}
	}
	switch q.Get("verify") {
	case "":
	case "yes":
		h.Verify = true
	case "no":
		h.Verify = false
	default:
		return fmt.Errorf("verify=%s; use yes or no", q.Get("verify"))
	}
	return nil
}

// A Security is when mail goes under TLS, in an operator's words.
type Security string

// The words.
const (
	Opportunistic Security = "opportunistic" // where it is offered and works; empty is the same
	Required      Security = "required"      // or not at all
	Verified      Security = "verified"      // or not at all; the certificate has to be valid for the host
	NoTLS         Security = "none"
)

// with is h with s, unless h is more particular: a hop with a user, one that
// requires TLS, SMTPS, and LMTP, which is this host's own matter.
func (h Hop) with(s Security) Hop {
	if h.Scheme == LMTP || h.TLS != smtpc.TLSOpportunistic {
		return h
	}
	return h.With(s)
}

// With is h with s, as a route says it.
func (h Hop) With(s Security) Hop {
	switch s {
	case Required:
		h.TLS, h.Verify = smtpc.TLSRequired, false
	case Verified:
		h.TLS, h.Verify = smtpc.TLSRequired, true
	case NoTLS:
		h.TLS, h.Verify = smtpc.TLSNone, false
	case Opportunistic:
		h.TLS, h.Verify = smtpc.TLSOpportunistic, false
	}
	return h
}

// String is the hop without its password.
func (h Hop) String() string {
	if h.Scheme == MX && h.Host == "" {
		return "mx"
	}
	return string(h.Scheme) + "://" + h.address()
}

func (h Hop) address() string { return net.JoinHostPort(h.Host, strconv.Itoa(h.Port)) }

// hopOf is the hop that a plugin or the directory names.
func hopOf(n *mail.NextHop) Hop {
	scheme := MX
	switch {
	case n.LMTP:
		scheme = LMTP
	case n.NoMX:
		scheme = SMTP
	}
	h := NewHop(scheme, strings.ToLower(n.Host), n.Port, "", "")
	if n.RequireTLS {
		h.TLS = smtpc.TLSRequired
	}
	return h
}

// A Route is the hop of some domains.
type Route struct {
	Domain string // "crepes.fr"; "*.crepes.fr" for what lies below it; "*" for every domain
	Hop    Hop
}

// matches takes domain in lower case.
func (r *Route) matches(domain string) bool {
	pattern := strings.ToLower(r.Domain)
	if suffix, ok := strings.CutPrefix(pattern, "*"); ok {
		return suffix == "" || suffix[0] == '.' && len(domain) > len(suffix) && strings.HasSuffix(domain, suffix)
	}
	return pattern == domain
}
