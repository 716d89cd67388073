package mimetree

import (
	"crypto/rand"
	"mime"
	"strings"
	"unicode/utf8"
)

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
	t.workedOn(int64(len(octets)))
	id := None
	err = t.edit(func() error {
		id = t.newPart()
		p := t.parts[id]
		p.parsed, p.edited = true, true
		p.parent = parent // for the delimiters that its octets must not have
		body, encoding, err := t.encode(p, &a, octets)
		if err != nil {
			return err
		}
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
		t.work++
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
			if next.lead.cut {
				t.setApart(next)
			}
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
	if len(t.parts) > t.limits.Parts || t.depth >= t.limits.Depth {
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
		t.undo = append(t.undo, change{kind: deeper, part: p, index: t.depth})
		defer func(depth int) { t.depth = max(t.depth, depth+1) }(t.depth)
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
	t.endFields(p)
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
