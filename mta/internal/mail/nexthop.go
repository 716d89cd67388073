package mail

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strconv"
	"strings"
)

// The default ports of next hops (RFC 5321 §4.5.4.2). LMTP has none
// (RFC 2033 §5).
const smtpPort = 25

// ParseNextHop reads what [NextHop.String] writes: `smtp://host:port`,
// `lmtp://host:port` and `mx://domain`, the last for the hosts that DNS names
// for a domain. A port of SMTP may be left out. `+tls` after the scheme, as in
// `smtp+tls://host`, is RequireTLS.
func ParseNextHop(s string) (*NextHop, error) {
	scheme, rest, ok := strings.Cut(s, "://")
	if !ok {
		return nil, errNextHop
	}
	n := &NextHop{}
	scheme, n.RequireTLS = strings.CutSuffix(scheme, "+tls")
	switch scheme {
	case "smtp":
		n.NoMX = true
	case "lmtp":
		n.NoMX, n.LMTP = true, true
	case "mx":
	default:
		return nil, errNextHop
	}
	return n, n.parseHost(rest)
}

var errNextHop = errors.New("not smtp://host:port, lmtp://host:port or mx://domain")

func (n *NextHop) parseHost(s string) error {
	if strings.Contains(s, "@") {
		return errors.New("a next hop has no user here; one with a password goes into relay.routes")
	}
	host, port, err := net.SplitHostPort(s)
	if err != nil {
		host, port = strings.TrimSuffix(strings.TrimPrefix(s, "["), "]"), ""
	}
	if port != "" {
		p, err := strconv.ParseUint(port, 10, 16)
		if err != nil || p == 0 {
			return fmt.Errorf("bad port %q", port)
		}
		n.Port = int(p)
	}
	if _, err := netip.ParseAddr(host); err != nil {
		if err := checkDomain(host); err != nil || s[0] == '[' {
			return fmt.Errorf("bad host %q", host)
		}
	} else if !n.NoMX {
		return fmt.Errorf("%s is an address, not a domain; write smtp://%s", host, s)
	}
	if n.LMTP && n.Port == 0 {
		return errors.New("LMTP has no port of its own; write lmtp://host:port")
	}
	n.Host = strings.ToLower(host)
	return nil
}

// String is n as a URL; [ParseNextHop] reads it.
func (n *NextHop) String() string {
	scheme := "mx"
	switch {
	case n.LMTP:
		scheme = "lmtp"
	case n.NoMX:
		scheme = "smtp"
	}
	if n.RequireTLS {
		scheme += "+tls"
	}
	if scheme[0] == 'm' && (n.Port == 0 || n.Port == smtpPort) {
		return scheme + "://" + n.Host
	}
	port := n.Port
	if port == 0 {
		port = smtpPort
	}
	return scheme + "://" + net.JoinHostPort(n.Host, strconv.Itoa(port))
}
