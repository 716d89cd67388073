package relay

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// A Family says which addresses of a host are used, and which come first. The
// others follow in turn, one of each family.
type Family string

// The families.
const (
	AnyFamily Family = ""     // the first is that of the resolver (RFC 6724)
	IPv4First Family = "ipv4" //
	IPv6First Family = "ipv6"
	IPv4Only  Family = "ipv4-only"
	IPv6Only  Family = "ipv6-only"
)

// order takes turns between the families: one that leads nowhere must not use
// up what a message may try (RFC 8305 §4).
func (f Family) order(addrs []netip.AddrPort) []netip.AddrPort {
	var four, six []netip.AddrPort
	for _, a := range addrs {
		if a.Addr().Is4() {
			four = append(four, a)
		} else {
			six = append(six, a)
		}
	}
	first, second := six, four
	switch {
	case f == IPv4Only:
		return four
	case f == IPv6Only:
		return six
	case f == IPv4First, f == AnyFamily && len(addrs) > 0 && addrs[0].Addr().Is4():
		first, second = four, six
	}
	ordered := make([]netip.AddrPort, 0, len(addrs))
	for i := range max(len(first), len(second)) {
		if i < len(first) {
			ordered = append(ordered, first[i])
		}
		if i < len(second) {
			ordered = append(ordered, second[i])
		}
	}
	return ordered
}

// headStart is how long the first of two families may take to connect before
// the second is tried beside it: longer than any good way takes, and shorter
// than anyone notices of mail.
const headStart = time.Second

// A dialed is how connecting went.
type dialed struct {
	conn net.Conn
	addr netip.AddrPort
	err  error
	both bool // both addresses failed; err is that of addr
}

// dialEither connects to first; or to second beside it, when first takes long.
// What comes first is used, the other is given up. Where second is not valid,
// there is no choice. A first that fails before that is the caller's matter.
func (r *Relay) dialEither(ctx context.Context, first, second netip.AddrPort) dialed {
	if !second.IsValid() {
		conn, err := r.dial(ctx, first)
		return dialed{conn: conn, addr: first, err: err}
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	results := make(chan dialed, 2)
	start := func(addr netip.AddrPort) {
		conn, err := r.dial(ctx, addr)
		results <- dialed{conn: conn, addr: addr, err: err}
	}
	go start(first)
	timer := time.NewTimer(headStart)
	defer timer.Stop()
	select {
	case d := <-results:
		return d
	case <-timer.C:
	}
	go start(second)
	d := <-results
	if d.err != nil {
		d = <-results
		d.both = d.err != nil
		return d
	}
	cancel()
	if late := <-results; late.err == nil { // soon: it has been cancelled
		late.conn.Close()
	}
	return d
}
