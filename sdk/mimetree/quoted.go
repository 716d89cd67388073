package mimetree

import "bytes"

// quotedLine is the most octets of a line of quoted-printable text (RFC 2045
// §6.7 (5)).
const quotedLine = 76

// appendQuoted appends octets as quoted-printable text (RFC 2045 §6.7), so
// that they come back exactly: line ends other than eol are encoded, and so
// is what servers have been known to change, a line's first "From " and a
// line with one dot alone.
func appendQuoted(dst, octets []byte, eol string) []byte {
	for len(octets) > 0 {
		line, rest, hard := bytes.Cut(octets, []byte(eol))
		dst = appendQuotedLine(dst, line, eol)
		if hard {
			dst = append(dst, eol...)
		}
		octets = rest
	}
	return dst
}

func appendQuotedLine(dst, line []byte, eol string) []byte {
	column := 0
	for i, c := range line {
		code := c >= 0x7f || c < ' ' && c != '\t' || c == '=' || isBlankOctet(c) && i == len(line)-1 ||
			i == 0 && (bytes.HasPrefix(line, []byte("From ")) || string(line) == ".")
		width := 1
		if code {
			width = 3
		}
		room := quotedLine - 1 // for the soft line break
		if i == len(line)-1 {
			room = quotedLine
		}
		if column+width > room {
			dst, column = append(append(dst, '='), eol...), 0
		}
		if code {
			dst = append(dst, '=', upperHex[c>>4], upperHex[c&15])
		} else {
			dst = append(dst, c)
		}
		column += width
	}
	return dst
}

// A quotedDecoder takes what other readers take: lower case, an equals sign
// that begins no code, lines of any length, octets above 127.
type quotedDecoder struct {
	blanks []byte // that may be at the end of a line
	code   []byte // an equals sign and what came after it
}

// maxBlanks is how many blanks a quotedDecoder holds back.
const maxBlanks = 1 << 10

// decode appends what src stands for.
func (d *quotedDecoder) decode(dst, src []byte) []byte {
	for _, c := range src {
		dst = d.octet(dst, c)
	}
	return dst
}

func (d *quotedDecoder) octet(dst []byte, c byte) []byte {
	if len(d.code) > 0 {
		return d.inCode(dst, c)
	}
	switch {
	case c == '=':
		dst = append(dst, d.blanks...)
		d.blanks, d.code = d.blanks[:0], append(d.code, c)
		return dst
	case isBlankOctet(c), c == '\r':
		if len(d.blanks) < maxBlanks {
			d.blanks = append(d.blanks, c)
			return dst
		}
	case c == '\n': // blanks before it were added on the way (RFC 2045 §6.7 (3))
		if n := len(d.blanks); n > 0 && d.blanks[n-1] == '\r' {
			dst = append(append(dst, bytes.TrimRight(d.blanks[:n-1], " \t")...), '\r')
		}
		d.blanks = d.blanks[:0]
		return append(dst, '\n')
	}
	dst = append(append(dst, d.blanks...), c)
	d.blanks = d.blanks[:0]
	return dst
}

// inCode goes on after an equals sign.
func (d *quotedDecoder) inCode(dst []byte, c byte) []byte {
	soft := len(d.code) == 1 || isBlankOctet(d.code[1]) || d.code[1] == '\r'
	switch {
	case c == '\n' && soft:
		d.code = d.code[:0]
		return dst
	case soft && (isBlankOctet(c) || c == '\r') && len(d.code) < maxBlanks:
		d.code = append(d.code, c)
		return dst
	case len(d.code) == 1 && hexValue(c) >= 0:
		d.code = append(d.code, c)
		return dst
	case len(d.code) == 2 && hexValue(d.code[1]) >= 0 && hexValue(c) >= 0:
		dst = append(dst, byte(hexValue(d.code[1])<<4|hexValue(c)))
		d.code = d.code[:0]
		return dst
	}
	return d.octet(d.literal(dst), c)
}

// literal appends an equals sign that begins no code, and what came after it.
func (d *quotedDecoder) literal(dst []byte) []byte {
	dst = append(dst, d.code...)
	d.code = d.code[:0]
	return dst
}

// flush ends the text. A soft line break may be the last of it, and blanks at
// its end stay: without a line end after them they are not known to be padding.
func (d *quotedDecoder) flush(dst []byte) []byte {
	if len(d.code) == 1 || len(d.code) > 1 && hexValue(d.code[1]) < 0 {
		d.code = d.code[:0] // a soft line break without its line end
	}
	dst = append(d.literal(dst), d.blanks...)
	d.blanks = d.blanks[:0]
	return dst
}

func decodeQuoted(src []byte) []byte {
	var d quotedDecoder
	return d.flush(d.decode(make([]byte, 0, len(src)), src))
}
