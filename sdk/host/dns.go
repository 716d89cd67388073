package host

import (
	"math"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
)

// DNS is dns: the records of a type, by its number (RFC 1035 §3.2.2), that a
// name has, one a line.
func (c *Call) DNS(qtype int32, name string) (string, abi.Errno) {
	if e := c.may(abi.AccessDNS); e != abi.OK {
		return "", e
	}
	switch {
	case c.in.Resolver == nil:
		return "", abi.Unsupported
	case qtype < 1 || qtype > math.MaxUint16 || !isDomainName(name):
		return "", abi.BadArg
	case c.used.dns >= c.limits.DNSQueries:
		return "", abi.Limit
	}
	c.used.dns++
	records, err := c.in.Resolver.Lookup(c.in.Ctx, uint16(qtype), name)
	if e := c.serviceErrno("dns", err); e != abi.OK {
		return "", e
	}
	if len(records) == 0 {
		return "", abi.NotFound
	}
	octets := len(records)
	for _, r := range records {
		octets += len(r)
		if hasLineBreak(r) {
			return "", abi.IO // a record must not look like two
		}
	}
	if octets > c.limits.DNSOctets {
		return "", abi.Limit
	}
	return strings.Join(records, "\n"), abi.OK
}

// isDomainName tells whether s can be asked for: visible ASCII without
// escapes, labels of up to 63 octets and 253 in all (RFC 1035 §2.3.4), with or
// without the dot at the end.
func isDomainName(s string) bool {
	s = strings.TrimSuffix(s, ".")
	if s == "" || len(s) > 253 {
		return false
	}
	for label := range strings.SplitSeq(s, ".") {
		if label == "" || len(label) > 63 {
			return false
		}
		for i := range len(label) {
			if c := label[i]; c <= ' ' || c >= 0x7f || c == '\\' || c == '"' {
				return false
			}
		}
	}
	return true
}
