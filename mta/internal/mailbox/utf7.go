package mailbox

import (
	"encoding/base64"
	"errors"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// utf7Encoding is the base64 of modified UTF-7: a comma for the slash, no
// padding, no bits left over (RFC 3501 §5.1.3).
var utf7Encoding = base64.NewEncoding("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+,").
	WithPadding(base64.NoPadding).Strict()

var errUTF7 = errors.New("not modified UTF-7")

// encodeUTF7 writes one segment of a name in modified UTF-7. The dot, which
// stands between segments in a Maildir++, is encoded too.
func encodeUTF7(s string) string {
	var b strings.Builder
	var run []rune
	flush := func() {
		if len(run) == 0 {
			return
		}
		units := utf16.Encode(run)
		octets := make([]byte, 0, 2*len(units))
		for _, u := range units {
			octets = append(octets, byte(u>>8), byte(u))
		}
		b.WriteString("&" + utf7Encoding.EncodeToString(octets) + "-")
		run = run[:0]
	}
	for _, r := range s {
		if r < ' ' || r > '~' || r == '.' {
			run = append(run, r)
			continue
		}
		flush()
		if r == '&' {
			b.WriteString("&-")
			continue
		}
		b.WriteRune(r)
	}
	flush()
	return b.String()
}

// decodeUTF7 reads what encodeUTF7 writes, and nothing else: each name has one
// encoding.
func decodeUTF7(s string) (string, error) {
	var b strings.Builder
	for rest := s; rest != ""; {
		i := strings.IndexByte(rest, '&')
		if i < 0 {
			b.WriteString(rest)
			break
		}
		b.WriteString(rest[:i])
		code, after, ok := strings.Cut(rest[i+1:], "-")
		if !ok {
			return "", errUTF7
		}
		if code == "" {
			b.WriteByte('&')
		} else if !decodeRun(&b, code) {
			return "", errUTF7
		}
		rest = after
	}
	if out := b.String(); utf8.ValidString(out) && encodeUTF7(out) == s {
		return out, nil
	}
	return "", errUTF7
}

func decodeRun(b *strings.Builder, code string) bool {
	octets, err := utf7Encoding.DecodeString(code)
	if err != nil || len(octets)%2 != 0 {
		return false
	}
	units := make([]uint16, len(octets)/2)
	for i := range units {
		units[i] = uint16(octets[2*i])<<8 | uint16(octets[2*i+1])
	}
	for _, r := range utf16.Decode(units) {
		b.WriteRune(r)
	}
	return true
}
