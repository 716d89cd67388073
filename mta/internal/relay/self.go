package relay

import (
	"net"
	"net/netip"
	"slices"
)

// Listens is the [Relay.Self] of a server that listens on addrs. One that
// listens on every address of the host, listens on those that the host has now.
func Listens(addrs []net.Addr) func(netip.AddrPort) bool {
	exact := map[netip.AddrPort]bool{}
	var everywhere []uint16
	for _, a := range addrs {
		tcp, ok := a.(*net.TCPAddr)
		if !ok {
			continue
		}
		ap := netip.AddrPortFrom(tcp.AddrPort().Addr().Unmap(), uint16(tcp.Port))
		if ap.Addr().IsUnspecified() {
			everywhere = append(everywhere, ap.Port())
			continue
		}
		exact[ap] = true
	}
	local := hostAddrs(len(everywhere) > 0)
	return func(ap netip.AddrPort) bool {
		addr := ap.Addr().Unmap()
		if exact[netip.AddrPortFrom(addr, ap.Port())] {
			return true
		}
		return slices.Contains(everywhere, ap.Port()) && (addr.IsLoopback() || slices.Contains(local, addr))
	}
}

// hostAddrs returns the addresses of this host, as far as it says and if they
// are needed.
func hostAddrs(needed bool) []netip.Addr {
	if !needed {
		return nil
	}
	nets, err := net.InterfaceAddrs()
	if err != nil { // the greeting of a host that DNS named is looked at too
		return nil
	}
	var addrs []netip.Addr
	for _, n := range nets {
		if prefix, err := netip.ParsePrefix(n.String()); err == nil {
			addrs = append(addrs, prefix.Addr().Unmap())
		}
	}
	return addrs
}
