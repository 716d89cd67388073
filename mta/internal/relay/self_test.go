package relay

import (
	"net"
	"net/netip"
	"testing"
)

func TestListens(t *testing.T) {
	self := Listens([]net.Addr{
		&net.TCPAddr{IP: net.IPv4(203, 0, 113, 1), Port: 25},
		&net.TCPAddr{IP: net.IPv6loopback, Port: 587},
		&net.TCPAddr{IP: net.IPv4zero, Port: 2525},
		&net.UnixAddr{Name: "/run/lmtp"},
	})
	tests := map[string]bool{
		"203.0.113.1:25":          true,
		"[::ffff:203.0.113.1]:25": true,
		"203.0.113.1:26":          false,
		"203.0.113.2:25":          false,
		"[::1]:587":               true,
		"127.0.0.1:2525":          true,
		"127.9.9.9:2525":          true,
		"203.0.113.1:2525":        false,
	}
	nets, err := net.InterfaceAddrs()
	if err != nil {
		t.Fatal(err)
	}
	for _, n := range nets {
		if prefix, err := netip.ParsePrefix(n.String()); err == nil && prefix.Addr().Is4() {
			tests[netip.AddrPortFrom(prefix.Addr(), 2525).String()] = true
			tests[netip.AddrPortFrom(prefix.Addr(), 2526).String()] = false
		}
	}
	for addr, want := range tests {
		if got := self(netip.MustParseAddrPort(addr)); got != want {
			t.Errorf("%s: got %v, want %v", addr, got, want)
		}
	}
}
