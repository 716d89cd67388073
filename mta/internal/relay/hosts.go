package relay

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"golang.org/x/net/idna"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// dnsTimeout bounds one lookup: a resolver tries its servers for ten seconds
// or so; one that hangs longer does not answer.
const dnsTimeout = 30 * time.Second

var errSelf = errors.New("that is this server")

// A target is a host of a hop.
type target struct {
	name   string
	secure bool     // DNS vouches for the name, or an operator does (DNSSEC)
	bases  []string // names to look for TLSA records below; none: no DANE
}

// hosts returns the names or addresses of hop's hosts in the order to try
// them, and whether DNS vouches for them; or else what the recipients' result
// is.
func (r *Relay) hosts(ctx context.Context, hop Hop) (names []string, secure bool, failed *mail.Result) {
	if hop.Scheme != MX {
		return []string{hop.Host}, true, nil
	}
	if addr, err := netip.ParseAddr(hop.Host); err == nil { // what a plugin may write
		return []string{addr.String()}, false, nil
	}
	if literal, ok := strings.CutPrefix(hop.Host, "["); ok { // RFC 5321 §4.1.3
		addr, err := parseLiteral(strings.TrimSuffix(literal, "]"))
		if err != nil {
			res := bounced(501, "5.1.3", "bad address literal "+hop.Host)
			return nil, false, &res
		}
		return []string{addr.String()}, false, nil
	}
	return r.mxHosts(ctx, hop.Host)
}

// isAddress tells whether a hop's host is an address or a literal.
func isAddress(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil || strings.HasPrefix(host, "[")
}

// parseLiteral reads `192.0.2.1` and `IPv6:2001:db8::1`. A zone names an
// interface of ours, which nobody else knows.
func parseLiteral(s string) (netip.Addr, error) {
	if len(s) > 5 && strings.EqualFold(s[:5], "IPv6:") {
		s = s[5:]
	}
	addr, err := netip.ParseAddr(s)
	if err == nil && (addr.Zone() != "" || addr.IsUnspecified() || addr.IsMulticast()) {
		err = errors.New("not an address of a host")
	}
	return addr, err
}

// mxHosts does RFC 5321 §5.1, up to where hosts have names.
func (r *Relay) mxHosts(ctx context.Context, domain string) ([]string, bool, *mail.Result) {
	if domain == "" { // `postmaster`, which only we know (RFC 5321 §4.5.1)
		res := bounced(550, "5.1.3", "recipient without a domain")
		return nil, false, &res
	}
	ascii := asciiDomain(domain)
	if mail.HasUTF8(ascii) {
		res := bounced(550, "5.1.2", "bad domain "+domain)
		return nil, false, &res
	}
	list, secure, err := r.lookupMX(ctx, ascii+".")
	if err != nil && len(list) == 0 && !isNotFound(err) {
		res := deferred(451, "4.4.3", "look up MX of "+domain+": "+dnsReason(err), err)
		return nil, false, &res
	}
	if len(list) == 0 { // an implicit MX
		return []string{ascii}, secure, nil
	}
	list = slices.DeleteFunc(slices.Clone(list), func(mx *net.MX) bool { return mx.Host == "." || mx.Host == "" })
	if len(list) == 0 { // RFC 7505 §3
		res := bounced(556, "5.1.10", domain+" accepts no mail")
		return nil, false, &res
	}
	list = r.beforeUs(list)
	if len(list) == 0 {
		res := bounced(554, "5.4.6", "mail for "+domain+" loops back to "+r.Hostname)
		return nil, false, &res
	}
	return inOrder(list, or(r.MaxHosts, DefaultMaxHosts)), secure, nil
}

// asciiDomain is domain in ASCII (RFC 5890), or as it is if it has no such form.
func asciiDomain(domain string) string {
	ascii, err := idna.Lookup.ToASCII(domain)
	if err != nil { // underscores and the like, which DNS does not mind
		return domain
	}
	return ascii
}

func (r *Relay) lookupMX(ctx context.Context, name string) (list []*net.MX, secure bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	if r.DNSSEC != nil {
		return r.DNSSEC.LookupMX(ctx, name)
	}
	list, err = r.resolver().LookupMX(ctx, name)
	return list, false, err
}

// beforeUs leaves the hosts that DNS prefers to this one (RFC 5321 §5.1).
func (r *Relay) beforeUs(list []*net.MX) []*net.MX {
	us := -1
	for _, mx := range list {
		if strings.EqualFold(strings.TrimSuffix(mx.Host, "."), r.Hostname) && (us < 0 || int(mx.Pref) < us) {
			us = int(mx.Pref)
		}
	}
	if us < 0 {
		return list
	}
	return slices.DeleteFunc(list, func(mx *net.MX) bool { return int(mx.Pref) >= us })
}

// inOrder is the first n names of list by preference, equals at random.
func inOrder(list []*net.MX, n int) []string {
	rand.Shuffle(len(list), func(i, j int) { list[i], list[j] = list[j], list[i] })
	slices.SortStableFunc(list, func(a, b *net.MX) int { return cmp.Compare(a.Pref, b.Pref) })
	names := make([]string, 0, n)
	for _, mx := range list[:min(n, len(list))] {
		if name := strings.ToLower(strings.TrimSuffix(mx.Host, ".")); !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	return names
}

// addresses returns those of one host, in the order to try them, and the names
// that TLSA records may be found below.
func (r *Relay) addresses(ctx context.Context, hop Hop, host string) (addrs []netip.AddrPort, bases []string, err error) {
	if addr, err := netip.ParseAddr(host); err == nil {
		return []netip.AddrPort{netip.AddrPortFrom(addr.Unmap(), uint16(hop.Port))}, nil, nil
	}
	ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
	defer cancel()
	found, bases, err := r.lookupHost(ctx, hop, host)
	if err != nil {
		return nil, nil, fmt.Errorf("look up %s: %w", host, err)
	}
	for _, addr := range found {
		if !addr.IsUnspecified() && !addr.IsMulticast() {
			addrs = append(addrs, netip.AddrPortFrom(addr, uint16(hop.Port)))
		}
	}
	if addrs = r.Prefer.order(addrs); len(addrs) == 0 {
		return nil, nil, &net.DNSError{Err: "no usable address", Name: host, IsNotFound: true}
	}
	return addrs, bases, nil
}

func (r *Relay) lookupHost(ctx context.Context, hop Hop, host string) (addrs []netip.Addr, bases []string, err error) {
	if r.DNSSEC != nil && hop.Scheme == MX {
		h, err := r.DNSSEC.LookupHost(ctx, host)
		return h.Addrs, h.Bases, err
	}
	if hop.Scheme == MX { // what an operator writes may be short for something
		host += "."
	}
	found, err := r.resolver().LookupIPAddr(ctx, host)
	for _, f := range found {
		if addr, ok := netip.AddrFromSlice(f.IP); ok {
			addr = addr.Unmap()
			if f.Zone != "" {
				addr = addr.WithZone(f.Zone)
			}
			addrs = append(addrs, addr)
		}
	}
	return addrs, nil, err
}

// nameless is the result of a host that has no address.
func nameless(hop Hop, host string, err error) mail.Result {
	switch {
	case !isNotFound(err):
		return deferred(451, "4.4.3", "look up "+host+": "+dnsReason(err), err)
	case hop.Scheme != MX: // somebody's rule is wrong, not the message
		return deferred(451, "4.4.4", "host "+host+" is not known", err)
	case host == hop.Host:
		return bounced(550, "5.1.2", "domain "+host+" is not known")
	}
	return bounced(550, "5.4.4", "mail host "+host+" of "+hop.Host+" is not known")
}

func isNotFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}

// dnsReason is what may be told of err: not which resolver was asked.
func dnsReason(err error) string {
	if dns, ok := errors.AsType[*net.DNSError](err); ok && !dns.IsTimeout {
		return dns.Err
	}
	return reason(err)
}

func (r *Relay) resolver() Resolver {
	if r.Resolver != nil {
		return r.Resolver
	}
	return net.DefaultResolver
}
