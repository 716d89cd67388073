package mimetree

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"golang.org/x/text/encoding"
	"golang.org/x/text/encoding/htmlindex"
	"golang.org/x/text/encoding/ianaindex"
	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/runes"
	"golang.org/x/text/transform"
)

// unknown8Bit is what octets above 127 are called when nobody said what they
// mean (RFC 1428 §3).
const unknown8Bit = "unknown-8bit"

// isUTF8 tells whether a charset is UTF-8 or a part of it. No charset is
// US-ASCII (RFC 2045 §5.2).
func isUTF8(charset string) bool { return isASCIICharset(charset) || isOneOf(charset, "utf-8", "utf8") }

func isASCIICharset(charset string) bool {
	return isOneOf(charset, "", "us-ascii", "ascii", "ansi_x3.4-1968")
}

func isOneOf(s string, names ...string) bool {
	for _, n := range names {
		if strings.EqualFold(s, n) {
			return true
		}
	}
	return false
}

// isWide tells whether the characters of a charset are not octets, so that its
// line ends are not those of ASCII.
func isWide(charset string) bool {
	c := strings.ToLower(charset)
	return strings.HasPrefix(c, "utf-16") || strings.HasPrefix(c, "utf-32") || strings.Contains(c, "ucs")
}

// charsetOf finds a charset by its name: as the register for mail has it, or
// else as browsers do.
func charsetOf(name string) (encoding.Encoding, error) {
	if isUTF8(name) {
		return unicode.UTF8, nil
	}
	if e, err := ianaindex.MIME.Encoding(name); err == nil && e != nil {
		return e, nil
	}
	if e, err := htmlindex.Get(name); err == nil && e != encoding.Replacement {
		return e, nil
	}
	return nil, fmt.Errorf("%w %q", ErrCharset, name)
}

// decoderOf makes UTF-8 of text in a charset. Octets that are no character of
// it become U+FFFD; in text that names no charset or US-ASCII, UTF-8 stays.
func decoderOf(charset string) (transform.Transformer, error) {
	if isUTF8(charset) {
		return runes.ReplaceIllFormed(), nil
	}
	e, err := charsetOf(charset)
	if err != nil {
		return nil, err
	}
	return e.NewDecoder(), nil
}

// decodeCharset is text in a charset as UTF-8.
func decodeCharset(charset string, text []byte) ([]byte, error) {
	if isUTF8(charset) && utf8.Valid(text) {
		return text, nil
	}
	d, err := decoderOf(charset)
	if err != nil {
		return nil, err
	}
	out, _, err := transform.Bytes(d, text)
	return out, err
}

// toUTF8 is b with U+FFFD for what is not UTF-8.
func toUTF8(b []byte) []byte {
	if utf8.Valid(b) {
		return b
	}
	return []byte(strings.ToValidUTF8(string(b), "\uFFFD"))
}

// encodeCharset is UTF-8 text in a charset; ok is false if that cannot say all
// of it.
func encodeCharset(charset, text string) (octets []byte, ok bool) {
	switch {
	case isASCII(text) && isUTF8(charset):
		return []byte(text), true
	case isASCIICharset(charset):
		return nil, false
	case isUTF8(charset):
		return []byte(text), utf8.ValidString(text)
	}
	e, err := charsetOf(charset)
	if err != nil {
		return nil, false
	}
	octets, err = e.NewEncoder().Bytes([]byte(text))
	if err != nil {
		return nil, false
	}
	// Some character sets write two characters in the same way.
	back, err := e.NewDecoder().Bytes(octets)
	return octets, err == nil && string(back) == text
}

func isASCII[T []byte | string](s T) bool {
	for len(s) >= 8 {
		if (s[0]|s[1]|s[2]|s[3]|s[4]|s[5]|s[6]|s[7])&utf8.RuneSelf != 0 {
			return false
		}
		s = s[8:]
	}
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}
