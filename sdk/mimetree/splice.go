package mimetree

import "bytes"

// A text that gets a footer is the same text for the most part, and how its
// lines were encoded is not ours to change. What follows finds the lines that
// stay, so that they leave as they came.

// sameEnds is how many octets old and text have in common at their beginning
// and at their end, in whole lines, none of them counted twice.
func sameEnds(old, text string) (front, back int) {
	n := min(len(old), len(text))
	for front < n && old[front] == text[front] {
		front++
	}
	for front > 0 && old[front-1] != '\n' {
		front--
	}
	for n -= front; back < n && old[len(old)-1-back] == text[len(text)-1-back]; {
		back++
	}
	for back > 0 && back < len(text) && text[len(text)-1-back] != '\n' {
		back--
	}
	return front, back
}

// likeLines is text with the line ends of the message, but for the lines that
// were in old: those keep theirs.
func (t *Tree) likeLines(old, text string) string {
	front, back := sameEnds(old, text)
	return text[:front] + t.lines(text[front:len(text)-back]) + text[len(text)-back:]
}

// resume gives octets an address as the body of p in the encoding that it has,
// keeping its lines as far as they stand for the same.
func (t *Tree) resume(p *part, encoding string, octets []byte) (span, bool) {
	if p.structured || p.body.len() > 2*keepDecoded {
		return span{}, false
	}
	raw, err := t.front(p.body, int(p.body.len()))
	if err != nil {
		return span{}, false
	}
	switch encoding {
	case "quoted-printable":
		return t.resumeQuoted(p, raw, octets)
	case "base64":
		return t.resumeBase64(p, raw, octets)
	}
	return span{}, false
}

// A block is lines of quoted-printable text up to one without a soft line
// break at its end.
type block struct {
	raw     int // octets
	decoded []byte
}

// blocks takes quoted-printable text apart. Of a last line without line end
// nothing is said.
func blocks(raw []byte) []block {
	var out []block
	for start, at := 0, 0; ; {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 {
			return out
		}
		line := bytes.TrimRight(raw[at:at+n], " \t\r")
		at += n + 1
		if !bytes.HasSuffix(line, []byte("=")) {
			out = append(out, block{at - start, decodeQuoted(raw[start:at])})
			start = at
		}
	}
}

func (t *Tree) resumeQuoted(p *part, raw, octets []byte) (span, bool) {
	all := blocks(raw)
	first, rawFront, front := 0, 0, 0
	for first < len(all) && bytes.HasPrefix(octets[front:], all[first].decoded) {
		rawFront, front = rawFront+all[first].raw, front+len(all[first].decoded)
		first++
	}
	tail := 0 // of raw, after the last block
	for _, b := range all {
		tail += b.raw
	}
	rest := decodeQuoted(raw[tail:])
	rawBack, back := 0, 0
	middle := octets[front:]
	if bytes.HasSuffix(middle, rest) {
		rawBack, back = len(raw)-tail, len(rest)
		for i := len(all) - 1; i >= first && bytes.HasSuffix(middle[:len(middle)-back], all[i].decoded); i-- {
			rawBack, back = rawBack+all[i].raw, back+len(all[i].decoded)
		}
	}
	middle = middle[:len(middle)-back]
	if len(middle) > 0 && !bytes.HasSuffix(middle, []byte(t.eol)) { // the last line goes on in what stays
		middle, rawBack = octets[front:], 0
	}
	q := appendQuoted(nil, middle, t.eol)
	return t.around(p, rawFront, q, rawBack), !t.hasBorder(p, q)
}

// around is a body with b in the place of all but its first and last octets.
func (t *Tree) around(p *part, front int, b []byte, back int) span {
	body := t.join(span{p.body.start, p.body.start + int64(front)}, t.add(b))
	return t.join(body, span{p.body.end - int64(back), p.body.end})
}

// resumeBase64 keeps lines of whole groups at the beginning.
func (t *Tree) resumeBase64(p *part, raw, octets []byte) (span, bool) {
	var d base64Decoder
	var line []byte
	keep, same := 0, 0
	for at := 0; ; {
		n := bytes.IndexByte(raw[at:], '\n')
		if n < 0 || bytes.IndexByte(raw[at:at+n], '=') >= 0 {
			break
		}
		at += n + 1
		line = d.decode(line[:0], raw[at-n-1:at])
		if d.n != 0 || !bytes.HasPrefix(octets[same:], line) {
			break
		}
		keep, same = at, same+len(line)
	}
	v := base64View{n: int64(len(octets) - same), eol: t.eol, open: p.id != Root}
	b := v.encode(nil, octets[same:])
	return t.around(p, keep, b[:v.size()], 0), true
}
