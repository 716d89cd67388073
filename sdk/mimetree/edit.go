package mimetree

import (
	"errors"
	"strings"
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
// the message do (RFC 2046 §4.1.1); text in the character set that was there
// keeps the encoding that was there, and its lines as [Tree.ReplaceText] does. Other header fields stay, except for
// Content-MD5, which would be wrong.
//
// A multipart or message can be given as it stands, parts, delimiters and all,
// but not with a delimiter of a multipart around it.
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
	old, err := t.about(p)
	if err != nil {
		return err
	}
	t.workedOn(int64(len(octets)))
	return t.edit(func() error {
		if contentType != "" {
			if err := t.setContentType(p, withCharset(contentType, octets)); err != nil {
				return err
			}
		}
		a, err := t.about(p)
		if err != nil {
			return err
		}
		encode := t.encode
		if a.isText() && old.isText() && strings.EqualFold(a.charset, old.charset) && !isWide(a.charset) {
			var l lines
			if octets, l = t.withLineEnds(octets); l.endsOnly(t.eol) {
				encode = t.encodeLike
			}
		}
		body, encoding, err := encode(p, a, octets)
		if err != nil {
			return err
		}
		return t.putBody(p, body, encoding)
	})
}

// setContentType makes value the Content-Type of p. Parameters that no line
// holds go: some mail has such, and its content can still be replaced.
func (t *Tree) setContentType(p *part, value string) error {
	err := t.setDescribing(p, "Content-Type", value)
	if !errors.Is(err, ErrArgument) {
		return err
	}
	var a about
	a.setType(value)
	bare := a.mediaType
	for _, param := range [...]struct{ name, value string }{{"boundary", a.border}, {"charset", a.charset}} {
		if isToken(param.value) {
			bare += "; " + param.name + "=" + param.value
		}
	}
	return t.setDescribing(p, "Content-Type", bare)
}

// putBody gives p a body in a transfer encoding.
func (t *Tree) putBody(p *part, body span, encoding string) error {
	if err := t.setEncoding(p, encoding); err != nil {
		return err
	}
	if _, err := t.RemoveFields(p.id, "Content-MD5"); err != nil {
		return err
	}
	t.newBody(p, body)
	return nil
}

// newBody is setBody with all that separates a body from what is before it.
func (t *Tree) newBody(p *part, body span) {
	t.setBody(p, body)
	t.blankLine(p)
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
