package host

import (
	"errors"
	"strings"
	"unicode/utf8"
)

// hasLineBreak tells whether s has an octet that ends a line, or a string, in
// what s may be written to.
func hasLineBreak(s string) bool { return strings.ContainsAny(s, "\r\n\x00") }

// hasControl tells whether s has any ASCII control character.
func hasControl(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] == 0x7f {
			return true
		}
	}
	return false
}

// sameAddress compares the local part to the octet and the domain without
// regard to ASCII case (RFC 5321 §2.4).
func sameAddress(a, b string) bool {
	i, j := strings.LastIndexByte(a, '@'), strings.LastIndexByte(b, '@')
	if i < 0 || j < 0 {
		return a == b
	}
	return a[:i] == b[:j] && strings.EqualFold(a[i:], b[j:])
}

// CheckPath is the check of addresses where [Input].Path is nil: a local part
// of up to 64 octets and a domain of up to 255 (RFC 5321 §4.5.3.1), without
// blanks and brackets outside of quotes. A server has the whole grammar.
func CheckPath(address string) (string, error) {
	if !utf8.ValidString(address) || hasControl(address) {
		return "", errors.New("not printable UTF-8")
	}
	at := strings.LastIndexByte(address, '@')
	local, domain := address, ""
	if at >= 0 {
		local, domain = address[:at], address[at+1:]
		if domain == "" {
			return "", errors.New("empty domain")
		}
	}
	if local == "" || len(local) > 64 || len(domain) > 255 {
		return "", errors.New("bad length")
	}
	quoted := len(local) > 2 && local[0] == '"' && local[len(local)-1] == '"'
	if !quoted && (strings.ContainsAny(local, ` ()<>[]:;@\,"`) || badDots(local)) {
		return "", errors.New("bad local part")
	}
	if at >= 0 && domain[0] != '[' && (strings.ContainsAny(domain, ` ()<>[]:;@\,"`) || badDots(domain)) {
		return "", errors.New("bad domain")
	}
	return address, nil
}

func badDots(s string) bool {
	return s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..")
}
