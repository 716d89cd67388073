package report

import (
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"
)

// visible is s without what a terminal would obey or hide: control characters,
// marks that turn the direction of writing, and octets that are no UTF-8 are
// written as in a Go string. Tabs stay.
func visible(s string) string {
	clean := func(r rune) bool { return r == '\t' || unicode.IsPrint(r) }
	if utf8.ValidString(s) && strings.IndexFunc(s, func(r rune) bool { return !clean(r) }) < 0 {
		return s
	}
	var b strings.Builder
	for len(s) > 0 {
		r, size := utf8.DecodeRuneInString(s)
		switch {
		case r == utf8.RuneError && size == 1:
			fmt.Fprintf(&b, `\x%02x`, s[0])
		case clean(r):
			b.WriteString(s[:size])
		case r < 0x80:
			fmt.Fprintf(&b, `\x%02x`, r)
		case r < 0x10000:
			fmt.Fprintf(&b, `\u%04x`, r)
		default:
			fmt.Fprintf(&b, `\U%08x`, r)
		}
		s = s[size:]
	}
	return b.String()
}

// octets is s with its line ends and tabs written out too.
func octets(s string) string {
	var b strings.Builder
	for len(s) > 0 {
		i := strings.IndexAny(s, "\r\n\t")
		if i < 0 {
			i = len(s)
		}
		b.WriteString(visible(s[:i]))
		if i < len(s) {
			b.WriteString(map[byte]string{'\r': `\r`, '\n': `\n`, '\t': `\t`}[s[i]])
			i++
		}
		s = s[i:]
	}
	return b.String()
}

// size is a number of octets for a person.
func size(n int64) string {
	switch {
	case n < 1000:
		return fmt.Sprintf("%d B", n)
	case n < 1<<20:
		return fmt.Sprintf("%.1f KiB", float64(n)/(1<<10))
	}
	return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20))
}
