package dsn

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"unicode"
	"unicode/utf8"
)

// maxText is how many octets of a peer's text are repeated.
const maxText = 1000

// safe makes a text that came from outside fit for a header field or a line:
// control characters, line ends with them, become blanks, so nothing in it can
// begin a field or a part. What is not ASCII is escaped as RFC 6533 §3 does
// addresses, unless the notification is in UTF-8 itself.
func (c *composer) safe(s string) string { return safe(s, c.utf8) }

func safe(s string, utf8OK bool) string {
	if len(s) > maxText {
		s = s[:runeStart(s, maxText)] + "..."
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			b.WriteByte('?')
		case unicode.IsControl(r) || r == '\u2028' || r == '\u2029':
			b.WriteByte(' ')
		case r < utf8.RuneSelf || utf8OK:
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return strings.Join(strings.Fields(b.String()), " ")
}

// unitext is an address of type utf-8 (RFC 6533 §3): utf-8-address where the
// notification is in UTF-8, else utf-8-addr-xtext.
func unitext(s string, utf8OK bool) string {
	if len(s) > maxText {
		s = s[:runeStart(s, maxText)]
	}
	var b strings.Builder
	for _, r := range s {
		switch {
		case r == utf8.RuneError:
			b.WriteByte('?')
		case '!' <= r && r <= '~' && !strings.ContainsRune(`\+=`, r), r > 0x9f && utf8OK && r != '\u2028' && r != '\u2029':
			b.WriteRune(r)
		default:
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return b.String()
}

// runeStart is the last place at or before n where s can be cut.
func runeStart(s string, n int) int {
	for n > 1 && !utf8.RuneStart(s[n]) {
		n--
	}
	return n
}

// host is the host of a next hop, without its port.
func host(nextHop string) string {
	if h, _, err := net.SplitHostPort(nextHop); err == nil {
		return h
	}
	return nextHop
}

// mtaName is a host as the MTA fields have it, an address in brackets
// (RFC 3464 §2.1.2).
func mtaName(host string) string {
	if _, err := netip.ParseAddr(host); err == nil {
		return "[" + host + "]"
	}
	return host
}
