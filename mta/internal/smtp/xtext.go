package smtp

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// decodeXtext undoes `+3D` and the like (RFC 3461 §4). Octets above 127 stand
// for themselves (RFC 6531 §3.4).
func decodeXtext(s string) (string, bool) {
	if strings.IndexByte(s, '+') < 0 {
		return s, !strings.Contains(s, "=")
	}
	b := make([]byte, 0, len(s))
	for i := 0; i < len(s); i++ {
		switch c := s[i]; c {
		case '=':
			return "", false
		case '+':
			if i+2 >= len(s) {
				return "", false
			}
			hi, lo := hexDigit(s[i+1]), hexDigit(s[i+2])
			if hi < 0 || lo < 0 {
				return "", false
			}
			b = append(b, byte(hi<<4|lo))
			i += 2
		default:
			b = append(b, c)
		}
	}
	return string(b), true
}

// hexDigit is the value of one of 0-9 and A-F, the only ones xtext has.
func hexDigit(c byte) int { return strings.IndexByte("0123456789ABCDEF", c) }

// decodeUnitext undoes the `\x{20AC}` of the utf-8 address type (RFC 6533 §3).
func decodeUnitext(s string) (string, bool) {
	var b strings.Builder
	for {
		before, rest, found := strings.Cut(s, `\x{`)
		b.WriteString(before)
		if !found {
			break
		}
		hex, after, closed := strings.Cut(rest, "}")
		n, err := strconv.ParseUint(hex, 16, 32)
		if !closed || err != nil || len(hex) < 2 || len(hex) > 6 || !utf8.ValidRune(rune(n)) {
			return "", false
		}
		b.WriteRune(rune(n))
		s = after
	}
	out := b.String()
	return out, utf8.ValidString(out) && strings.IndexFunc(out, unicode.IsControl) < 0
}

// isPrintable tells whether s is safe in a header field or a reply: ASCII from
// the blank to the tilde, or valid UTF-8 without control characters.
func isPrintable(s string) bool {
	return utf8.ValidString(s) && strings.IndexFunc(s, unicode.IsControl) < 0
}
