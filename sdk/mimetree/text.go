package mimetree

import (
	"bytes"
	"cmp"
	"io"
	"strings"
	"unicode/utf8"
)

// ReplaceText gives a part of text other text, UTF-8 with any line ends. It is
// written in the part's own character set if that can say it, and in UTF-8
// otherwise, which the charset parameter then names; the transfer encoding
// stays if it can. Lines at the beginning and at the end that stay the same are
// written as they were. Text with U+FFFD in the place of what could not be read
// before is [ErrLossy]: what it stands for would be lost.
func (t *Tree) ReplaceText(id ID, text string) error {
	p, err := t.part(id)
	if err != nil {
		return err
	}
	a, err := t.about(p)
	switch {
	case err != nil:
		return err
	case p.opaque:
		return ErrLimit
	case !a.isText():
		return ErrShape
	case !utf8.ValidString(text):
		return ErrArgument
	}
	if strings.Contains(text, "\uFFFD") {
		if err := t.checkReadable(id, a); err != nil {
			return err
		}
	}
	return t.edit(func() error { return t.putText(p, a, t.likeLines(t.oldText(id), text)) })
}

// oldText is the text that a part has, as far as it is known without effort.
func (t *Tree) oldText(id ID) string {
	c, _, err := t.partContent(id, Text)
	if err != nil || c.size > keepDecoded {
		return ""
	}
	b, err := t.decodeAll(id, Text, c)
	if err != nil {
		return ""
	}
	return string(b)
}

// lines is text with the line ends of the message.
func (t *Tree) lines(text string) string {
	if strings.Contains(text, "\r") {
		text = strings.ReplaceAll(strings.ReplaceAll(text, "\r\n", "\n"), "\r", "\n")
	}
	if t.eol == "\n" {
		return text
	}
	return strings.ReplaceAll(text, "\n", t.eol)
}

// checkReadable is [ErrLossy] if a part's octets are not all characters of its
// charset.
func (t *Tree) checkReadable(id ID, a *about) error {
	r, err := t.OpenPart(id, Content)
	if err != nil {
		return err
	}
	octets, err := io.ReadAll(r)
	if err != nil {
		return err
	}
	if isUTF8(a.charset) {
		if !utf8.Valid(octets) {
			return ErrLossy
		}
		return nil
	}
	text, err := decodeCharset(a.charset, octets)
	if err != nil {
		return nil // nothing of it was read as text
	}
	back, ok := encodeCharset(a.charset, string(text))
	if !ok || !bytes.Equal(back, octets) {
		return ErrLossy
	}
	return nil
}

func (t *Tree) putText(p *part, a *about, text string) error {
	octets, ok := encodeCharset(a.charset, text)
	if !ok {
		if err := t.setCharset(p, a, "utf-8"); err != nil {
			return err
		}
		octets = []byte(text)
		var err error
		if a, err = t.about(p); err != nil {
			return err
		}
	}
	body, encoding, err := t.encodeLike(p, a, octets)
	if err != nil {
		return err
	}
	return t.putBody(p, body, encoding)
}

// setCharset makes the charset parameter of p's content type that one.
func (t *Tree) setCharset(p *part, a *about, charset string) error {
	value := a.mediaType
	if i, err := t.FindField(p.id, "Content-Type", 0); err == nil {
		old, err := t.FieldValue(p.id, i, Unfolded)
		if err != nil {
			return err
		}
		if head, _, _ := parseParams(string(old)); strings.EqualFold(head, a.mediaType) {
			value = string(old)
		}
	}
	return t.setDescribing(p, "Content-Type", withParam(value, "charset", charset))
}

// encodeLike encodes octets of text as those were that p has, if that can be.
func (t *Tree) encodeLike(p *part, a *about, octets []byte) (span, string, error) {
	switch a.encoding {
	case "", "7bit", "8bit": // line ends that are not the message's are those that were there
		if bytes.IndexByte(octets, 0) >= 0 || linesOf(octets).longest > maxLine || t.hasBorder(p, octets) {
			break
		}
		if isASCII(octets) {
			return t.add(octets), cmp.Or(a.encoding, "7bit"), nil
		}
		if a.encoding == "8bit" || t.is8Bit(p) { // many clients do not say so
			return t.add(octets), "8bit", nil
		}
	case "quoted-printable":
		if body, ok := t.resume(p, a.encoding, octets); ok {
			return body, a.encoding, nil
		}
		if q := appendQuoted(nil, octets, t.eol); !t.hasBorder(p, q) {
			return t.add(q), a.encoding, nil
		}
	case "base64":
		if body, ok := t.resume(p, a.encoding, octets); ok {
			return body, a.encoding, nil
		}
		return t.addBase64(bytes.NewReader(octets), int64(len(octets)), p.id != Root), a.encoding, nil
	}
	return t.encode(p, a, octets)
}

// is8Bit tells whether p's body has octets above 127 as it stands. Of a large
// one that is not known.
func (t *Tree) is8Bit(p *part) bool {
	if p.structured || p.body.len() > keepDecoded {
		return false
	}
	b, err := t.front(p.body, int(p.body.len()))
	return err == nil && !isASCII(b)
}
