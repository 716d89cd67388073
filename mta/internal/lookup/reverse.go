package lookup

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// reversed is the address that a name below in-addr.arpa (RFC 1035 §3.5) or
// ip6.arpa (RFC 3596 §2.5) stands for. The name is in lower case.
func reversed(name string) (netip.Addr, bool) {
	if v4, ok := strings.CutSuffix(name, ".in-addr.arpa."); ok {
		octets := strings.Split(v4, ".")
		slices.Reverse(octets)
		addr, err := netip.ParseAddr(strings.Join(octets, "."))
		return addr, err == nil && addr.Is4()
	}
	v6, ok := strings.CutSuffix(name, ".ip6.arpa.")
	digits := strings.Split(v6, ".")
	if !ok || len(digits) != 32 {
		return netip.Addr{}, false
	}
	var b [16]byte
	for i, d := range digits {
		n, err := strconv.ParseUint(d, 16, 4)
		if err != nil || len(d) != 1 {
			return netip.Addr{}, false
		}
		b[15-i/2] |= byte(n) << (4 * (i % 2))
	}
	return netip.AddrFrom16(b), true
}
