package config

import (
	"errors"
	"fmt"
	"net/netip"
	"net/url"
	"slices"
	"strconv"
	"strings"
)

// Security is when mail to a next hop goes under TLS.
type Security string

// The values of relay.tls and of `?tls=`.
const (
	SecurityNone          Security = "none"          // never
	SecurityOpportunistic Security = "opportunistic" // where it is offered and works
	SecurityRequired      Security = "required"      // or not at all; by anyone
	SecurityVerified      Security = "verified"      // or not at all; with a certificate for the host
)

// String is the endpoint as the file has it, without its secrets.
func (e Endpoint) String() string {
	text := e.Scheme
	switch {
	case e.Host == "":
	case e.User != "":
		text += "://" + e.User + "@" + e.Addr()
	default:
		text += "://" + e.Addr()
	}
	var options []string
	if e.TLS != "" {
		options = append(options, "tls="+string(e.TLS))
	}
	if e.NoMTASTS {
		options = append(options, "mta_sts=off")
	}
	if e.NoDANE {
		options = append(options, "dane=off")
	}
	if options == nil {
		return text
	}
	return text + "?" + strings.Join(options, "&")
}

// defaultPorts are those of the schemes. LMTP has none (RFC 2033 §5).
var defaultPorts = map[string]uint16{"smtp": 25, "smtps": 465}

// endpoint is one of words, or scheme://host:port. Its errors do not repeat
// the value, which may have a password in it.
func endpoint(want string, words, schemes []string) scalar[Endpoint] {
	return scalar[Endpoint]{
		words: want, want: want, fill: inURL,
		schema: schema{Pattern: "^(" + strings.Join(words, "|") + "|(" + strings.Join(schemes, "|") + `)://.+|\$\{.+\}|file:.+)$`},
		show:   func(e Endpoint) any { return showText(e.String()) },
		parse:  func(s string) (Endpoint, error) { return parseEndpoint(s, words, schemes) },
	}
}

// hop is an endpoint that may have options: mx, or a host.
func hop() scalar[Endpoint] {
	k := endpoint("mx, or smtp://host:port", []string{"mx"}, []string{"smtp", "smtps", "lmtp"})
	k.schema.Pattern = `^(mx(\?.+)?|(smtp|smtps|lmtp)://.+|\$\{.+\}|file:.+)$`
	k.parse = func(s string) (Endpoint, error) {
		s, query, _ := strings.Cut(s, "?")
		e, err := parseEndpoint(s, []string{"mx"}, []string{"smtp", "smtps", "lmtp"})
		if err != nil {
			return e, err
		}
		return e, e.setOptions(query)
	}
	return k
}

func parseEndpoint(s string, words, schemes []string) (Endpoint, error) {
	if slices.Contains(words, s) {
		return Endpoint{Scheme: s}, nil
	}
	u, err := url.Parse(s)
	switch {
	case err != nil || u.Scheme == "" || u.Host == "":
		return Endpoint{}, errors.New("is not a URL")
	case Nearest(u.Scheme, schemes) != u.Scheme:
		return Endpoint{}, fmt.Errorf("scheme %q is not known here", quotable(u.Scheme))
	case u.RawQuery != "" || u.Fragment != "" || strings.Trim(u.Path, "/") != "":
		return Endpoint{}, errors.New("has more than a host and a port")
	}
	e := Endpoint{Scheme: u.Scheme, Host: u.Hostname(), User: u.User.Username()}
	password, _ := u.User.Password()
	e.Password = Secret(password)
	return e, e.setPort(u.Port())
}

func (e *Endpoint) setPort(port string) error {
	if _, err := parseDomain(e.Host); err != nil {
		if _, err := netip.ParseAddr(e.Host); err != nil {
			return errors.New("has a bad host")
		}
	}
	if (e.User == "") != (e.Password == "") {
		return &unitError{"has only one of user and password", "write both, as in smtp://user:${PASSWORD}@host:587"}
	}
	e.Port = defaultPorts[e.Scheme]
	if e.User != "" && e.Scheme == "smtp" {
		e.Port = 587 // a smarthost takes its users' mail there (RFC 6409 §3.1)
	}
	if port == "" && e.Port == 0 {
		return &unitError{"has no port", "write scheme://host:port"}
	}
	if port == "" {
		return nil
	}
	n, err := strconv.ParseUint(port, 10, 16)
	if err != nil || n == 0 {
		return &unitError{"has a bad port", "write a number up to 65535"}
	}
	e.Port = uint16(n)
	return nil
}

var securities = []string{string(SecurityNone), string(SecurityOpportunistic), string(SecurityRequired), string(SecurityVerified)}

// setOptions reads what follows the question mark.
func (e *Endpoint) setOptions(query string) error {
	for option := range strings.SplitSeq(query, "&") {
		name, value, _ := strings.Cut(option, "=")
		switch {
		case option == "":
		case name == "tls" && e.Scheme == "smtps":
			return &unitError{"has an option tls, and smtps has TLS always", "leave it out"}
		case name == "tls" && slices.Contains(securities, value):
			e.TLS = Security(value)
		case name == "tls":
			return &unitError{"has a bad option tls", "write ?tls= and " + oneOf(securities)}
		case (name == "mta_sts" || name == "dane") && (e.Scheme != "mx" || value != "off"):
			return &unitError{"has a bad option " + name, "write mx?" + name + "=off; other next hops do without it"}
		case name == "mta_sts":
			e.NoMTASTS = true
		case name == "dane":
			e.NoDANE = true
		default:
			return &unitError{"has an unknown option", "known options are tls, mta_sts and dane, as in mx?tls=required"}
		}
	}
	if e.User != "" && e.TLS != "" && e.TLS != SecurityVerified {
		return &unitError{"has a password and less than verified TLS", "leave tls out: whoever has a user gets verified TLS"}
	}
	return nil
}
