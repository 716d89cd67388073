package mimetree

import (
	"bytes"
	"io"
	"strings"
	"unicode/utf8"
)

// withCharset is a content type that says of text what it is in.
func withCharset(contentType string, octets []byte) string {
	head, params, _ := parseParams(contentType)
	if len(head) < 5 || !strings.EqualFold(head[:5], "text/") || plain(params, "charset") != "" ||
		isASCII(octets) || !utf8.Valid(octets) {
		return contentType
	}
	return strings.TrimRight(contentType, "; \t") + "; charset=utf-8"
}

// encode gives octets an address in the transfer encoding that is best for
// them as the body of p.
func (t *Tree) encode(p *part, a *about, octets []byte) (span, string, error) {
	if a.isMultipart() || strings.HasPrefix(a.mediaType, "message/") {
		octets, l := t.withLineEnds(octets)
		if t.hasBorder(p, octets) || !l.endsOnly(t.eol) || bytes.IndexByte(octets, 0) >= 0 {
			return span{}, "", ErrArgument // as it stands it goes over the wire, where a bare CR or LF may end a line
		}
		if is7Bit(octets) {
			return t.add(octets), "7bit", nil
		}
		return t.add(octets), "8bit", nil // no other is allowed (RFC 2045 §6.4)
	}
	if a.isText() {
		var l lines
		if isWide(a.charset) {
			l = linesOf(octets)
		} else {
			octets, l = t.withLineEnds(octets)
		}
		switch {
		case t.isPlain(octets, l) && !t.hasBorder(p, octets):
			return t.add(octets), "7bit", nil
		case l.endsOnly(t.eol):
			if q, ok := t.quoted(p, octets, quotedWorth); ok {
				return t.add(q), "quoted-printable", nil
			}
		}
	}
	return t.addBase64(bytes.NewReader(octets), int64(len(octets)), p.id != Root), "base64", nil
}

// quoted is octets as quoted-printable, if that is worth it: up to so many
// halves of their length in base64.
func (t *Tree) quoted(p *part, octets []byte, worth int) ([]byte, bool) {
	if len(octets) > keepDecoded {
		return nil, false
	}
	v := base64View{n: int64(len(octets)), eol: t.eol}
	q := appendQuoted(make([]byte, 0, len(octets)*5/4), octets, t.eol)
	return q, int64(len(q)) <= int64(worth)*v.size()/2 && !t.hasBorder(p, q)
}

// addBase64 gives the encoding of n octets of r an address. It is open at its
// end where a delimiter follows.
func (t *Tree) addBase64(r io.ReaderAt, n int64, open bool) span {
	v := &base64View{r: r, n: n, eol: t.eol, open: open}
	return t.addReader(v, v.size())
}

// quotedWorth is how long text may become as quoted-printable, in halves of
// its length in base64: a person can read it as it stands, and that is worth
// half as much again.
const quotedWorth = 3

// withLineEnds gives text the line ends of the message, if all of its own are
// of the other kind. It returns the lines of what it gives.
func (t *Tree) withLineEnds(octets []byte) ([]byte, lines) {
	l := linesOf(octets)
	switch {
	case t.eol == "\r\n" && l.lf > 0 && l.cr == 0:
		return bytes.ReplaceAll(octets, []byte("\n"), []byte("\r\n")), lines{l.lf, l.lf, l.lf, l.longest}
	case t.eol == "\n" && l.crlf > 0 && l.crlf == l.lf && l.crlf == l.cr:
		return bytes.ReplaceAll(octets, []byte("\r\n"), []byte("\n")), lines{0, l.lf, 0, l.longest}
	}
	return octets, l
}

// lines are what the lines of octets are like.
type lines struct {
	cr, lf, crlf int // how many there are of each; a CRLF counts at all three
	longest      int // octets of the longest line, without its end
}

func linesOf(octets []byte) (l lines) {
	l.cr = bytes.Count(octets, []byte("\r"))
	for {
		end := bytes.IndexByte(octets, '\n')
		if end < 0 {
			l.longest = max(l.longest, len(bytes.TrimSuffix(octets, []byte("\r"))))
			return l
		}
		l.lf++
		size := end
		if end > 0 && octets[end-1] == '\r' {
			l.crlf++
			size--
		}
		l.longest = max(l.longest, size)
		octets = octets[end+1:]
	}
}

// endsOnly tells whether CR and LF are there as line ends of that kind only.
func (l lines) endsOnly(eol string) bool {
	if eol == "\n" {
		return l.cr == 0
	}
	return l.lf == l.cr && l.lf == l.crlf
}

// isPlain tells whether octets with these lines can go as they are: 7-bit lines
// of at most 998 octets with the line ends of the message (RFC 2045 §2.7).
func (t *Tree) isPlain(octets []byte, l lines) bool {
	return l.endsOnly(t.eol) && l.longest <= maxLine && is7Bit(octets)
}

func is7Bit(octets []byte) bool { return isASCII(octets) && bytes.IndexByte(octets, 0) < 0 }

// hasBorder tells whether a line of octets would be taken for a delimiter of a
// multipart that p is in.
func (t *Tree) hasBorder(p *part, octets []byte) bool {
	for p.parent != None {
		p = t.parts[p.parent]
		if p.border != "" && hasLine(octets, "--"+p.border) {
			return true
		}
	}
	return false
}

// hasLine tells whether a line of octets begins with prefix.
func hasLine(octets []byte, prefix string) bool {
	return bytes.HasPrefix(octets, []byte(prefix)) || bytes.Contains(octets, []byte("\n"+prefix))
}
