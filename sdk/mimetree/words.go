package mimetree

import (
	"bytes"
	"strings"
)

// A word is an encoded word (RFC 2047 §2), decoded but for its charset.
type word struct {
	charset string
	octets  []byte
}

// decodeWords is a value with its encoded words as UTF-8 (RFC 2047 §6.2). Of
// neighbours in one charset the octets are put together first: many clients
// cut characters in two (against RFC 2047 §5).
func decodeWords(v []byte) []byte {
	if !bytes.Contains(v, []byte("=?")) {
		return toUTF8(v)
	}
	out := make([]byte, 0, len(v))
	for len(v) > 0 {
		w, n := cutWord(v)
		if n == 0 {
			next := bytes.Index(v[1:], []byte("=?")) + 1
			if next == 0 {
				next = len(v)
			}
			out, v = append(out, toUTF8(v[:next])...), v[next:]
			continue
		}
		for {
			gap, more, m := nextWord(v[n:])
			if m == 0 || !strings.EqualFold(more.charset, w.charset) {
				break
			}
			w.octets, n = append(w.octets, more.octets...), n+gap+m
		}
		if text, err := decodeCharset(w.charset, w.octets); err == nil {
			out = append(out, text...)
			gap, _, m := nextWord(v[n:])
			if m > 0 {
				n += gap
			}
		} else {
			out = append(out, toUTF8(v[:n])...)
		}
		v = v[n:]
	}
	return out
}

// nextWord is the encoded word that follows after blanks alone.
func nextWord(v []byte) (gap int, w word, n int) {
	gap = len(v) - len(bytes.TrimLeft(v, " \t"))
	if gap == 0 {
		return 0, word{}, 0
	}
	w, n = cutWord(v[gap:])
	return gap, w, n
}

// cutWord reads the encoded word at the front of v, n octets; none is zero.
func cutWord(v []byte) (w word, n int) {
	rest, ok := bytes.CutPrefix(v, []byte("=?"))
	if !ok {
		return word{}, 0
	}
	charset, rest, ok := bytes.Cut(rest, []byte("?"))
	if !ok || len(rest) < 2 || rest[1] != '?' || !isToken(strings.TrimSuffix(string(charset), "*")) {
		return word{}, 0
	}
	text, after, ok := bytes.Cut(rest[2:], []byte("?="))
	if !ok {
		return word{}, 0
	}
	switch rest[0] {
	case 'b', 'B':
		w.octets = decodeBase64(text)
	case 'q', 'Q':
		if bytes.IndexByte(text, '?') >= 0 {
			return word{}, 0
		}
		w.octets = decodeQ(text)
	default:
		return word{}, 0
	}
	w.charset, _, _ = strings.Cut(string(charset), "*") // a language may follow (RFC 2231 §5)
	return w, len(v) - len(after)
}

// decodeQ decodes the Q encoding (RFC 2047 §4.2).
func decodeQ(text []byte) []byte {
	out := make([]byte, 0, len(text))
	for i := 0; i < len(text); i++ {
		switch c := text[i]; {
		case c == '_':
			out = append(out, ' ')
		case c == '=' && i+2 < len(text) && hexValue(text[i+1]) >= 0 && hexValue(text[i+2]) >= 0:
			out = append(out, byte(hexValue(text[i+1])<<4|hexValue(text[i+2])))
			i += 2
		default:
			out = append(out, c)
		}
	}
	return out
}

// Encoded words (RFC 2047 §2).
const (
	maxWord     = 75 // octets of one
	maxWordLine = 76 // octets of a line that has one
	wordFrame   = len("=?utf-8?q??=")
)

// appendWords appends text as encoded words with blanks between them. The
// first begins in a column of its line.
func appendWords(dst []byte, charset, text string, column int) []byte {
	q := 2*qLen(text) <= quotedWorth*((len(text)+2)/3*4) // Q can be read as it stands
	frame := wordFrame - len("utf-8") + len(charset)
	room := maxWordLine - column
	for first := true; text != ""; first = false {
		if !first {
			dst = append(dst, ' ')
			room = maxWordLine - 1
		}
		n := fit(text, min(room, maxWord)-frame, q)
		dst = append(append(dst, "=?"...), charset...)
		if q {
			dst = appendQ(append(dst, "?q?"...), text[:n])
		} else {
			dst = appendBase64(append(dst, "?b?"...), text[:n])
		}
		dst = append(dst, "?="...)
		text = text[n:]
	}
	return dst
}

// fit is how much of text has room in one word: whole characters, and at
// least one.
func fit(text string, room int, q bool) int {
	n, used := 0, 0
	for n < len(text) {
		size := runeSize(text[n:])
		if q {
			used += qLen(text[n : n+size])
		} else {
			used = (n + size + 2) / 3 * 4
		}
		if used > room && n > 0 {
			break
		}
		n += size
	}
	return n
}

// qLen is the length of text in the Q encoding.
func qLen(text string) int {
	n := 0
	for i := range len(text) {
		if isQ(text[i]) {
			n++
		} else {
			n += 3
		}
	}
	return n
}

// isQ tells whether c needs no code, or only an underscore, wherever a word
// may stand (RFC 2047 §5 (3)).
func isQ(c byte) bool {
	return 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || strings.IndexByte(" !*+-/", c) >= 0
}

func appendQ(dst []byte, text string) []byte {
	for i := range len(text) {
		switch c := text[i]; {
		case c == ' ':
			dst = append(dst, '_')
		case isQ(c):
			dst = append(dst, c)
		default:
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		}
	}
	return dst
}

const upperHex = "0123456789ABCDEF"
