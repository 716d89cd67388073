package mimetree

import (
	"bytes"
	"crypto/rand"
	"io"
	"mime"
	"strings"
	"unicode/utf8"
)

// headerChanged follows the change of a field of p. If the parts in p are not
// what the header section speaks of any more, they are gone, and what they
// were is the body, to be taken apart anew.
func (t *Tree) headerChanged(p *part, name string) error {
	if !sameName(name, describing[contentType]) && !sameName(name, describing[contentEncoding]) {
		return nil
	}
	p.about = nil
	if !p.scanned {
		return nil
	}
	a, err := t.about(p)
	if err != nil {
		return err
	}
	if p.structured && a.isIdentity() {
		message := p.holdsMessage() && a.holdsMessage()
		multipart := !p.holdsMessage() && a.isMultipart() && a.border == p.border && a.isDigest() == p.digest
		if message || multipart {
			return nil
		}
	}
	body := p.body
	if p.structured {
		c := t.bodyOf(p)
		body = t.addReader(c, c.size)
	}
	t.setBody(p, body)
	return nil
}

// setBody gives p a body of another span. Parts that were in p are gone.
func (t *Tree) setBody(p *part, body span) {
	for id := p.first; id != None; id = t.parts[id].next {
		child := t.parts[id]
		t.reshape(child)
		child.removed = true
	}
	t.reshape(p)
	p.first, p.last = None, None
	p.structured, p.scanned, p.cut, p.torn = false, false, false, false
	p.border, p.digest, p.body = "", false, body
	t.touch(p)
}

// Replace gives a part other content: octets, not encoded, which it keeps and
// which must not change any more. The content type becomes that one, or stays
// if that is empty; text that is UTF-8 and not ASCII gets a charset parameter
// if there is none. The transfer encoding is chosen so that the content is
// 7-bit and comes back as it was given, but that lines of text end as those of
// the message do (RFC 2046 §4.1.1). Other header fields stay, except for
// Content-MD5, which would be wrong.
//
// A multipart or message can be given as it stands, parts, delimiters and all.
func (t *Tree) Replace(id ID, contentType string, octets []byte) error {
	p, err := t.part(id)
	if err != nil {
		return err
	}
	if p.opaque {
		return ErrLimit
	}
	if strings.ContainsAny(contentType, "\r\n\x00") {
		return ErrArgument
	}
	return t.edit(func() error {
		if contentType != "" {
			if err := t.setDescribing(p, "Content-Type", withCharset(contentType, octets)); err != nil {
				return err
			}
		}
		a, err := t.about(p)
		if err != nil {
			return err
		}
		body, encoding := t.encode(p, a, octets)
		return t.putBody(p, body, encoding)
	})
}

// putBody gives p a body in a transfer encoding.
func (t *Tree) putBody(p *part, body span, encoding string) error {
	if err := t.setEncoding(p, encoding); err != nil {
		return err
	}
	if _, err := t.RemoveFields(p.id, "Content-MD5"); err != nil {
		return err
	}
	if err := t.terminate(p, len(p.fields)); err != nil {
		return err
	}
	t.setBody(p, body)
	t.blankLine(p)
	return nil
}

// setEncoding makes Content-Transfer-Encoding tell the truth. Where there is
// none, none is needed for "7bit" (RFC 2045 §6.1).
func (t *Tree) setEncoding(p *part, encoding string) error {
	a, err := t.about(p)
	if err != nil {
		return err
	}
	if a.encoding == encoding || a.encoding == "" && encoding == "7bit" {
		return nil
	}
	return t.setDescribing(p, "Content-Transfer-Encoding", encoding)
}

// setDescribing gives p one field of that name, which begins with "Content-".
// A message gets MIME-Version too, without which it means nothing (RFC 2045
// §4).
func (t *Tree) setDescribing(p *part, name, value string) error {
	i, err := t.FindField(p.id, name, 0)
	switch err {
	case nil:
		err = t.SetField(p.id, i, value)
		for err == nil {
			if i, err = t.FindField(p.id, name, i+1); err == nil {
				err = t.RemoveField(p.id, i)
				i--
			}
		}
		if err == ErrNotFound {
			err = nil
		}
	case ErrNotFound:
		err = t.addDescribing(p, name, value)
	}
	if err != nil || !t.isMessage(p) {
		return err
	}
	if _, err = t.FindField(p.id, "MIME-Version", 0); err == ErrNotFound {
		err = t.addDescribing(p, "MIME-Version", "1.0")
	}
	return err
}

// addDescribing adds a field after the last one of its kind, or at the bottom;
// MIME-Version goes before the first.
func (t *Tree) addDescribing(p *part, name, value string) error {
	first, last := len(p.fields), len(p.fields)
	for i, f := range p.fields {
		k, err := t.describes(f)
		if err != nil {
			return err
		}
		if k >= 0 {
			first, last = min(first, i), i+1
		}
	}
	if name == "MIME-Version" {
		return t.InsertField(p.id, first, name, value)
	}
	return t.InsertField(p.id, last, name, value)
}

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
// them, as the body of p (nil: of a new part).
func (t *Tree) encode(p *part, a *about, octets []byte) (span, string) {
	open := p == nil || p.id != Root
	if a.isMultipart() || strings.HasPrefix(a.mediaType, "message/") {
		if is7Bit(octets) {
			return t.add(octets), "7bit"
		}
		return t.add(octets), "8bit" // no other is allowed (RFC 2045 §6.4)
	}
	if a.isText() {
		if !isWide(a.charset) {
			octets = t.withLineEnds(octets)
		}
		switch {
		case t.isPlain(octets) && !t.hasBorder(p, octets):
			return t.add(octets), "7bit"
		case t.lineEndsOnly(octets):
			if q, ok := t.quoted(p, octets, quotedWorth); ok {
				return t.add(q), "quoted-printable"
			}
		}
	}
	return t.addBase64(bytes.NewReader(octets), int64(len(octets)), open), "base64"
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
// of the other kind.
func (t *Tree) withLineEnds(octets []byte) []byte {
	crlf := bytes.Count(octets, []byte("\r\n"))
	lf, cr := bytes.Count(octets, []byte("\n")), bytes.Count(octets, []byte("\r"))
	switch {
	case t.eol == "\r\n" && lf > 0 && cr == 0:
		return bytes.ReplaceAll(octets, []byte("\n"), []byte("\r\n"))
	case t.eol == "\n" && crlf > 0 && crlf == lf && crlf == cr:
		return bytes.ReplaceAll(octets, []byte("\r\n"), []byte("\n"))
	}
	return octets
}

// isPlain tells whether octets can go as they are: 7-bit lines of at most 998
// octets with the line ends of the message (RFC 2045 §2.7).
func (t *Tree) isPlain(octets []byte) bool {
	return is7Bit(octets) && t.lineEndsOnly(octets) && longestLine(octets) <= maxLine
}

func is7Bit(octets []byte) bool { return isASCII(octets) && bytes.IndexByte(octets, 0) < 0 }

// lineEndsOnly tells whether CR and LF are in octets as line ends only.
func (t *Tree) lineEndsOnly(octets []byte) bool {
	lf, cr := bytes.Count(octets, []byte("\n")), bytes.Count(octets, []byte("\r"))
	if t.eol == "\n" {
		return cr == 0
	}
	return lf == cr && lf == bytes.Count(octets, []byte("\r\n"))
}

func longestLine(octets []byte) int {
	longest := 0
	for line := range bytes.SplitSeq(octets, []byte("\n")) {
		longest = max(longest, len(bytes.TrimSuffix(line, []byte("\r"))))
	}
	return longest
}

// hasBorder tells whether a line of octets would be taken for a delimiter of a
// multipart that p is in.
func (t *Tree) hasBorder(p *part, octets []byte) bool {
	for p != nil && p.parent != None {
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

// Insert makes a new part in a multipart, before its part at index, or with
// [Bottom] after the last. Its octets are taken as by [Tree.Replace]. With a
// filename it is an attachment (RFC 2183), and the name may have any
// characters (RFC 2231).
func (t *Tree) Insert(parent ID, index int, contentType, filename string, octets []byte) (ID, error) {
	up, next, err := t.place(parent, index)
	if err != nil {
		return None, err
	}
	if strings.ContainsAny(contentType+filename, "\r\n\x00") || !utf8.ValidString(filename) {
		return None, ErrArgument
	}
	var a about
	a.setType(withCharset(contentType, octets))
	if a.odd {
		return None, ErrArgument
	}
	id := None
	err = t.edit(func() error {
		id = t.newPart()
		p := t.parts[id]
		p.parsed, p.edited = true, true
		p.parent = parent // for the delimiters that its octets must not have
		body, encoding := t.encode(p, &a, octets)
		p.blank, p.body = t.addString(t.eol), body
		fields := [][2]string{{"Content-Type", withCharset(contentType, octets)}, {"Content-Transfer-Encoding", encoding}}
		if filename != "" {
			fields = append(fields, [2]string{
				"Content-Disposition", mime.FormatMediaType("attachment", map[string]string{"filename": filename}),
			})
		}
		for _, f := range fields {
			b, err := t.format(f[0], f[1])
			if err != nil {
				return err
			}
			p.fields = append(p.fields, field{t.add(b), int32(len(f[0]))})
		}
		t.adopt(up, id, next)
		return nil
	})
	if err != nil {
		return None, err
	}
	return id, nil
}

// place finds the multipart to insert into, and the part to insert before.
func (t *Tree) place(parent ID, index int) (*part, ID, error) {
	up, err := t.part(parent)
	if err != nil {
		return nil, None, err
	}
	if err := t.scan(up); err != nil {
		return nil, None, err
	}
	if !up.structured || up.holdsMessage() {
		return nil, None, ErrShape
	}
	if len(t.parts) > t.limits.Parts {
		return nil, None, ErrLimit
	}
	next := up.first
	for ; index > 0 && next != None; index-- {
		next = t.parts[next].next
	}
	switch {
	case index == Bottom:
		return up, None, nil
	case index != 0:
		return nil, None, ErrNotFound
	}
	return up, next, nil
}

// adopt puts a part into a multipart, with the delimiter before it. A part at
// the beginning gets that of the part that was there, which needs no line end
// before it.
func (t *Tree) adopt(up *part, id, next ID) {
	t.reshape(up)
	p := t.parts[id]
	fresh := delimiter{span: t.addString(t.eol + "--" + up.border + t.eol)}
	p.lead = fresh
	if next != None {
		after := t.parts[next]
		t.reshape(after)
		if after.prev == None {
			p.lead, after.lead = after.lead, fresh
		} else {
			t.reshape(t.parts[after.prev])
		}
	} else if up.last != None {
		t.reshape(t.parts[up.last])
	}
	t.link(up.id, id, next)
	t.setApart(p)
	t.touch(up)
}

// Remove removes a part from its multipart. A multipart needs a part: the last
// one becomes an empty text/plain part, and a part that a message is the whole
// of cannot lose it.
func (t *Tree) Remove(id ID) error {
	p, err := t.part(id)
	if err != nil {
		return err
	}
	if p.parent == None {
		return ErrShape
	}
	up := t.parts[p.parent]
	if up.holdsMessage() {
		return ErrShape
	}
	return t.edit(func() error {
		if up.first == id && up.last == id {
			if _, err := t.Insert(up.id, Bottom, "text/plain", "", nil); err != nil {
				return err
			}
		}
		t.reshape(up)
		t.reshape(p)
		for _, near := range [...]ID{p.prev, p.next} {
			if near != None {
				t.reshape(t.parts[near])
			}
		}
		t.dropDelimiter(up, p)
		t.unlink(id)
		p.removed = true
		t.touch(up)
		return nil
	})
}

// dropDelimiter sees to it that what comes after p goes well with what is
// before it. Of the delimiters around p the one is dropped that would need a
// line end, or be the first line after one that would be a preamble.
func (t *Tree) dropDelimiter(up, p *part) {
	if p.next != None {
		next := t.parts[p.next]
		if next.lead.bare || p.prev == None && p.lead.start == up.body.start && up.pre.empty() {
			next.lead = p.lead
		}
	} else if up.tail.bare {
		up.tail.span, up.tail.bare = t.join(t.addString(t.eol), up.tail.span), false
	}
}

// Wrap puts a part into a new multipart ("multipart/mixed") that takes its
// place, and returns that. The message itself stays what it is named: its
// content goes into a new part, which is then the first one in it.
func (t *Tree) Wrap(id ID, contentType string) (ID, error) {
	p, err := t.part(id)
	if err != nil {
		return None, err
	}
	var a about
	a.setType(contentType)
	if !a.isMultipart() || a.odd || strings.ContainsAny(contentType, "\r\n\x00") {
		return None, ErrArgument
	}
	if len(t.parts) > t.limits.Parts {
		return None, ErrLimit
	}
	if a.border == "" {
		a.border = "=_" + rand.Text()
		contentType = strings.TrimRight(contentType, "; \t") + `; boundary="` + a.border + `"`
	}
	if !isBorder(a.border) {
		return None, ErrArgument
	}
	wrapper := id
	err = t.edit(func() error {
		if p.parent == None || t.parts[p.parent].holdsMessage() {
			return t.wrapMessage(p, contentType, a.border)
		}
		wrapper = t.newPart()
		return t.wrapPart(p, t.parts[wrapper], contentType, a.border)
	})
	if err != nil {
		return None, err
	}
	return wrapper, nil
}

// wrapPart puts p into w, which takes its place.
func (t *Tree) wrapPart(p, w *part, contentType, border string) error {
	b, err := t.format("Content-Type", contentType)
	if err != nil {
		return err
	}
	w.fields = []field{{t.add(b), int32(len("Content-Type"))}}
	w.blank = t.addString(t.eol)
	t.enclose(w, border)
	up := t.parts[p.parent]
	t.reshape(up)
	t.reshape(p)
	for _, near := range [...]ID{p.prev, p.next} {
		if near != None {
			t.reshape(t.parts[near])
		}
	}
	w.lead, w.edited = p.lead, true
	next := p.next
	t.unlink(p.id)
	t.link(up.id, w.id, next)
	p.lead = delimiter{span: t.addString("--" + border + t.eol)}
	t.link(w.id, p.id, None)
	t.setApart(w)
	t.touch(up)
	return nil
}

// enclose makes p a multipart without parts yet.
func (t *Tree) enclose(p *part, border string) {
	p.parsed, p.scanned, p.structured = true, true, true
	p.border = border
	p.pre, p.body = span{}, span{}
	p.tail = delimiter{span: t.addString(t.eol + "--" + border + "--" + t.eol), closing: true}
}

// wrapMessage puts the content of a message, with the fields that describe it,
// into a new part of it.
func (t *Tree) wrapMessage(p *part, contentType, border string) error {
	if p.opaque {
		return ErrLimit
	}
	if err := t.scan(p); err != nil { // for the IDs of its parts to stay
		return err
	}
	inner := t.parts[t.newPart()]
	if err := t.terminate(p, len(p.fields)); err != nil {
		return err
	}
	if err := t.moveDescribing(p, inner); err != nil {
		return err
	}
	t.blankLine(p)
	t.reshape(p)
	id, links := inner.id, inner.shape
	inner.shape = p.shape
	inner.parent, inner.prev, inner.next = links.parent, links.prev, links.next
	inner.blank, inner.edited = t.addString(t.eol), true
	for child := p.first; child != None; child = t.parts[child].next {
		t.reshape(t.parts[child])
		t.parts[child].parent = id
	}
	p.first, p.last, p.cut, p.torn, p.digest = None, None, false, false, false
	t.enclose(p, border)
	inner.lead = delimiter{span: t.addString("--" + border + t.eol)}
	t.link(p.id, id, None)
	t.touch(p)
	p.about = nil
	return t.setDescribing(p, "Content-Type", contentType)
}

// moveDescribing moves the fields that begin with "Content-".
func (t *Tree) moveDescribing(from, to *part) error {
	for i := 0; i < len(from.fields); {
		f := from.fields[i]
		name, err := t.octets(span{f.start, f.start + int64(f.name)})
		if err != nil {
			return err
		}
		if len(name) < len("Content-") || !sameName(name[:len("Content-")], "Content-") {
			i++
			continue
		}
		t.touch(from)
		t.removeField(from, i)
		to.fields = append(to.fields, f)
	}
	return nil
}

// ReplaceMessage makes octets the message. All parts but the message itself
// are gone.
func (t *Tree) ReplaceMessage(octets []byte) error {
	p := &t.root
	return t.edit(func() error {
		t.setBody(p, span{})
		t.undo = append(t.undo, change{kind: fieldsGone, part: p, fields: p.fields})
		t.reshape(p)
		p.fields = nil
		p.parsed, p.opaque, p.broken = false, false, false
		p.whole = t.add(octets)
		err := t.readHead(p)
		t.touch(p)
		return err
	})
}
