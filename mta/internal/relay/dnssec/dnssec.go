// Package dnssec asks validating DNS resolvers, and tells which of their
// answers were signed. It validates nothing itself: an answer counts as secure
// if the resolver says so (the AD bit, RFC 6840 §5.8), so the way to the
// resolver must be trusted. What is bogus comes as a failure (RFC 4035 §5.5).
//
// The net package does not show the AD bit. See
// mta/docs/decisions/0045-dane.md for why this one stands on miekg/dns.
package dnssec

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/miekg/dns"

	"github.com/wasmta/wasmta/mta/internal/relay/dane"
)

const (
	tryFor  = 5 * time.Second // one question at one server, as resolv.conf(5) has it
	rounds  = 2               // through all servers, as resolv.conf(5) has it
	udpSize = 1232            // octets of an answer that no network divides (DNS flag day 2020)

	maxRecords = 100 // of one answer that are used
	maxAliases = 10  // of one name
)

// A Resolver asks servers, the first that answers. Safe for concurrent use.
type Resolver struct {
	servers []string // host:port
}

// New asks the server at address, host and port, and no other.
func New(address string) *Resolver { return &Resolver{servers: []string{address}} }

// System asks the servers of the file, which is /etc/resolv.conf but in tests.
func System(file string) (*Resolver, error) {
	conf, err := dns.ClientConfigFromFile(file)
	if err != nil {
		return nil, fmt.Errorf("which DNS servers to ask: %w", err)
	}
	r := &Resolver{}
	for _, s := range conf.Servers {
		r.servers = append(r.servers, net.JoinHostPort(s, conf.Port))
	}
	if len(r.servers) == 0 {
		return nil, fmt.Errorf("%s names no DNS server", file)
	}
	return r, nil
}

// OnLoopback tells whether every server is on this host: then nobody between
// can write an AD bit.
func (r *Resolver) OnLoopback() bool {
	for _, s := range r.servers {
		host, _, _ := net.SplitHostPort(s)
		addr, err := netip.ParseAddr(host)
		if host != "localhost" && (err != nil || !addr.IsLoopback()) {
			return false
		}
	}
	return true
}

// LookupMX returns the MX records of name; secure tells whether they, or that
// there are none, can be relied on. None is a [*net.DNSError] that IsNotFound.
func (r *Resolver) LookupMX(ctx context.Context, name string) (list []*net.MX, secure bool, err error) {
	m, err := r.ask(ctx, name, dns.TypeMX)
	if err != nil {
		return nil, false, err
	}
	for _, rr := range m.Answer {
		if mx, ok := rr.(*dns.MX); ok && len(list) < maxRecords {
			list = append(list, &net.MX{Host: mx.Mx, Pref: mx.Preference})
		}
	}
	if len(list) == 0 {
		err = notFound(name)
	}
	return list, m.AuthenticatedData, err
}

// A Host is what DNS has of a host.
type Host struct {
	Addrs []netip.Addr

	// Bases are the names that TLSA records may be found below, in the order to
	// ask for them (RFC 7672 §2.2.2, §2.2.3); none: the addresses cannot be
	// relied on, and so no TLSA record can.
	Bases []string
}

// LookupHost returns the addresses of name. None is a [*net.DNSError] that
// IsNotFound; one family that fails while the other has addresses is passed
// over, but then nothing is secure.
func (r *Resolver) LookupHost(ctx context.Context, name string) (Host, error) {
	type answer struct {
		m   *dns.Msg
		err error
	}
	six := make(chan answer, 1)
	go func() {
		m, err := r.ask(ctx, name, dns.TypeAAAA)
		six <- answer{m, err}
	}()
	m4, err4 := r.ask(ctx, name, dns.TypeA)
	a6 := <-six
	var h Host
	secure, canonical := true, ""
	for _, a := range []answer{a6, {m4, err4}} {
		if a.err != nil {
			secure = false
			continue
		}
		secure = secure && a.m.AuthenticatedData
		addrs, end := addressesOf(a.m, name)
		h.Addrs = append(h.Addrs, addrs...)
		if canonical == "" || len(addrs) > 0 {
			canonical = end
		}
	}
	if len(h.Addrs) == 0 {
		if err := errors.Join(a6.err, err4); err != nil {
			return Host{}, failure(name, a6.err, err4)
		}
		return Host{}, notFound(name)
	}
	own := plain(name)
	switch {
	case secure && canonical != own:
		h.Bases = []string{canonical, own}
	case secure:
		h.Bases = []string{own}
	case canonical != own && r.aliasSecure(ctx, name):
		h.Bases = []string{own}
	}
	return h, nil
}

// aliasSecure tells whether name itself is in a signed zone, though what it is
// an alias of is not.
func (r *Resolver) aliasSecure(ctx context.Context, name string) bool {
	m, err := r.ask(ctx, name, dns.TypeCNAME)
	return err == nil && m.AuthenticatedData
}

// failure is the worse of two errors: one that may pass keeps the message.
func failure(name string, errs ...error) error {
	for _, err := range errs {
		if dns, ok := errors.AsType[*net.DNSError](err); err != nil && !(ok && dns.IsNotFound) {
			return err
		}
	}
	return notFound(name)
}

// addressesOf are the addresses in m, and the name at the end of the aliases.
func addressesOf(m *dns.Msg, name string) ([]netip.Addr, string) {
	end := plain(name)
	for range maxAliases {
		next := ""
		for _, rr := range m.Answer {
			if c, ok := rr.(*dns.CNAME); ok && plain(c.Hdr.Name) == end {
				next = plain(c.Target)
			}
		}
		if next == "" || next == end {
			break
		}
		end = next
	}
	var addrs []netip.Addr
	for _, rr := range m.Answer {
		var ip net.IP
		switch rr := rr.(type) {
		case *dns.A:
			ip = rr.A
		case *dns.AAAA:
			ip = rr.AAAA
		}
		if addr, ok := netip.AddrFromSlice(ip); ok && len(addrs) < maxRecords {
			addrs = append(addrs, addr.Unmap())
		}
	}
	return addrs, end
}

// LookupTLSA returns the TLSA records of a TCP port of base, if they are
// secure; what is not secure is not there. No records is no error: an error
// means that nobody knows, and the host must not be used (RFC 7672 §2.1.2).
func (r *Resolver) LookupTLSA(ctx context.Context, port int, base string) ([]dane.Record, error) {
	m, err := r.ask(ctx, fmt.Sprintf("_%d._tcp.%s", port, plain(base)), dns.TypeTLSA)
	if dns, ok := errors.AsType[*net.DNSError](err); ok && dns.IsNotFound {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	var list []dane.Record
	for _, rr := range m.Answer {
		if t, ok := rr.(*dns.TLSA); ok && m.AuthenticatedData && len(list) < maxRecords {
			data, err := hex.DecodeString(t.Certificate)
			if err == nil {
				list = append(list, dane.Record{Usage: t.Usage, Selector: t.Selector, MatchingType: t.MatchingType, Data: data})
			}
		}
	}
	return list, nil
}

// plain is name in lower case without a dot at the end.
func plain(name string) string { return strings.ToLower(strings.TrimSuffix(name, ".")) }
