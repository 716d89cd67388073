package mimetree

import (
	"bytes"
	"slices"
	"strings"
)

// A Mode says how [Tree.FieldValue] gives a value.
type Mode int

const (
	Raw      Mode = iota // all octets after the colon, but for the line end after the field
	Unfolded             // in one line, without the blanks around it (RFC 5322 §2.2.3)
	Decoded              // unfolded, with encoded words as UTF-8 (RFC 2047)
)

// Indexes of [Tree.InsertField] and [Tree.Insert] beside those of fields and
// parts.
const (
	Top    = 0
	Bottom = -1
)

// FieldCount is the number of header fields of a part. A mailbox file's
// "From " line above them counts as one, without a name.
func (t *Tree) FieldCount(id ID) (int, error) {
	p, err := t.part(id)
	if err != nil {
		return 0, err
	}
	return len(p.fields), nil
}

// FindField is the place of the first field of that name, in any case of
// letters, at from or after it.
func (t *Tree) FindField(id ID, name string, from int) (int, error) {
	p, err := t.part(id)
	if err != nil {
		return 0, err
	}
	if from < 0 || name == "" {
		return 0, ErrArgument
	}
	for i := from; i < len(p.fields); i++ {
		t.work++
		f := p.fields[i]
		if int(f.name) != len(name) {
			continue
		}
		b, err := t.octets(span{f.start, f.start + int64(f.name)})
		if err != nil {
			return 0, err
		}
		if sameName(b, name) {
			return i, nil
		}
	}
	return 0, ErrNotFound
}

// field is the octets of one field.
func (t *Tree) field(id ID, i int) (*part, []byte, error) {
	p, err := t.part(id)
	if err != nil {
		return nil, nil, err
	}
	if i < 0 || i >= len(p.fields) {
		return nil, nil, ErrNotFound
	}
	b, err := t.octets(p.fields[i].span)
	return p, b, err
}

// FieldName is a field's name as it is spelled.
func (t *Tree) FieldName(id ID, i int) (string, error) {
	p, b, err := t.field(id, i)
	if err != nil {
		return "", err
	}
	return string(b[:p.fields[i].name]), nil
}

// FieldValue is a field's value. Decoded is valid UTF-8 always: an encoded
// word in a character set that is not known stays as it is, and octets that
// are neither ASCII nor UTF-8 become U+FFFD.
func (t *Tree) FieldValue(id ID, i int, mode Mode) ([]byte, error) {
	p, b, err := t.field(id, i)
	if err != nil {
		return nil, err
	}
	t.workedOn(int64(len(b)))
	raw := rawValue(b, p.fields[i])
	switch mode {
	case Raw:
		return slices.Clone(raw), nil
	case Unfolded:
		return unfold(raw), nil
	case Decoded:
		return decodeWords(unfold(raw)), nil
	}
	return nil, ErrArgument
}

// rawValue is what stands after the colon in the octets of a field.
func rawValue(b []byte, f field) []byte {
	b = b[f.name:]
	if f.name > 0 {
		b = b[bytes.IndexByte(b, ':')+1:]
	}
	if n := len(b); n > 0 && b[n-1] == '\n' {
		b = bytes.TrimSuffix(b[:n-1], []byte("\r"))
	}
	return b
}

// unfold is a copy of raw in one line (RFC 5322 §2.2.3).
func unfold(raw []byte) []byte {
	out := make([]byte, 0, len(raw))
	for i, c := range raw {
		if c == '\n' || c == '\r' && i+1 < len(raw) && raw[i+1] == '\n' {
			continue
		}
		out = append(out, c)
	}
	return bytes.Trim(out, " \t")
}

// Header is all fields of a part as they are, with their line ends.
func (t *Tree) Header(id ID) ([]byte, error) {
	p, err := t.part(id)
	if err != nil {
		return nil, err
	}
	var out []byte
	for _, f := range p.fields {
		b, err := t.octets(f.span)
		if err != nil {
			return nil, err
		}
		out = append(out, b...)
	}
	t.work += int64(len(p.fields))
	t.workedOn(int64(len(out)))
	return out, nil
}

// InsertField adds a field before the one at i; [Bottom] is below all. It is
// written as [SetField] writes values. In a message without a header section
// it is followed by a blank line, so that what was there is all body. Nothing
// goes above a mailbox file's "From " line.
func (t *Tree) InsertField(id ID, i int, name, value string) error {
	if !isName(name) {
		return ErrArgument
	}
	return t.insertNew(id, i, name, func() ([]byte, error) { return t.format(name, value) })
}

// InsertRawField adds a field that is folded and encoded already: the name, a
// colon and the value, with CRLF or LF before continuation lines, and perhaps
// at the end. Line ends become those of the message.
func (t *Tree) InsertRawField(id ID, i int, raw string) error {
	raw = strings.TrimSuffix(strings.ReplaceAll(raw, "\r\n", "\n"), "\n")
	n := nameLen([]byte(raw))
	if n == 0 || !isFolded(raw) {
		return ErrArgument
	}
	return t.insertNew(id, i, raw[:n], func() ([]byte, error) {
		return []byte(strings.ReplaceAll(raw, "\n", t.eol) + t.eol), nil
	})
}

// isFolded tells whether raw is lines that may be a field: each but the first
// begins with a blank and has more than blanks (RFC 5322 §3.2.2), and none is
// too long.
func isFolded(raw string) bool {
	for i, line := range strings.Split(raw, "\n") {
		if strings.ContainsAny(line, "\r\x00") || len(line) > maxLine {
			return false
		}
		if i > 0 && (line == "" || !isBlankOctet(line[0]) || strings.Trim(line, " \t") == "") {
			return false
		}
	}
	return true
}

func isName(name string) bool {
	for i := range len(name) {
		if !isNameOctet(name[i]) {
			return false
		}
	}
	return name != "" && len(name) <= maxName
}

func (t *Tree) insertNew(id ID, i int, name string, octets func() ([]byte, error)) error {
	p, err := t.part(id)
	if err != nil {
		return err
	}
	if i == Bottom {
		i = len(p.fields)
	}
	if i < 0 || i > len(p.fields) {
		return ErrNotFound
	}
	for i < len(p.fields) && p.fields[i].name == 0 {
		i++
	}
	b, err := octets()
	if err != nil {
		return err
	}
	return t.edit(func() error {
		if err := t.separate(p); err != nil {
			return err
		}
		if i == len(p.fields) {
			t.endFields(p)
		}
		t.touch(p)
		t.insertField(p, i, field{t.add(b), int32(len(name))})
		return t.headerChanged(p, name)
	})
}

// separate puts the blank line after a header section that there was none of
// but for trace fields: what is below is body then. In other header sections
// without it, we cannot know what was meant, and leave them as they are.
func (t *Tree) separate(p *part) error {
	if !p.blank.empty() || p.opaque || !p.structured && p.body.empty() {
		return nil
	}
	for _, f := range p.fields {
		name, err := t.octets(span{f.start, f.start + int64(f.name)})
		if err != nil {
			return err
		}
		if f.name > 0 && !isTrace(name) {
			return nil
		}
	}
	t.blankLine(p)
	return nil
}

// blankLine puts the line between header section and body if it is missing.
func (t *Tree) blankLine(p *part) {
	if p.blank.empty() {
		t.endFields(p)
		t.reshape(p)
		p.blank = t.addString(t.eol)
		t.touch(p)
	}
}

// endFields gives the last field a line end if it has none.
func (t *Tree) endFields(p *part) {
	if !p.unended {
		return
	}
	i := len(p.fields) - 1
	f := p.fields[i]
	f.span = t.join(f.span, t.addString(t.eol))
	t.touch(p)
	t.replaceField(p, i, f)
}

// SetField gives a field another value; its name keeps its spelling. The value
// is UTF-8 in one line: CR, LF and NUL are [ErrArgument]. It is folded at 78
// octets where it has blanks (RFC 5322 §2.1.1), and what is not ASCII in it is
// encoded as the field allows it:
//
//   - in fields of addresses (From, To, Resent-Cc…) the display names and the
//     comments (RFC 2047 §5); an address itself stays UTF-8 (RFC 6532 §3.2);
//   - in Content-Type and Content-Disposition the parameters (RFC 2231);
//   - in other fields of a fixed grammar (Message-ID, Received, Date,
//     DKIM-Signature…) nothing: they stay UTF-8 (RFC 6532), as an encoded word
//     would be part of the grammar there;
//   - in all others, which are text, the words that need it (RFC 2047 §5).
//
// A value that is ASCII is never encoded, but for a word of text that is too
// long for a line (RFC 5322 §2.1.1). A line that would be too long and cannot
// be folded is [ErrArgument].
func (t *Tree) SetField(id ID, i int, value string) error {
	p, old, err := t.field(id, i)
	if err != nil {
		return err
	}
	n := p.fields[i].name
	if n == 0 {
		return ErrArgument
	}
	name := string(old[:n])
	b, err := t.format(name, value)
	if err != nil {
		return err
	}
	return t.edit(func() error {
		t.touch(p)
		t.replaceField(p, i, field{t.add(b), n})
		return t.headerChanged(p, name)
	})
}

// RemoveField removes a field.
func (t *Tree) RemoveField(id ID, i int) error {
	name, err := t.FieldName(id, i)
	if err != nil {
		return err
	}
	return t.edit(func() error {
		p := t.parts[id]
		t.touch(p)
		t.removeField(p, i)
		return t.headerChanged(p, name)
	})
}

// RemoveFields removes all fields of that name, and says how many there were.
func (t *Tree) RemoveFields(id ID, name string) (int, error) {
	n := 0
	err := t.edit(func() error {
		i, err := t.FindField(id, name, 0)
		for ; err == nil; i, err = t.FindField(id, name, i) {
			if err := t.RemoveField(id, i); err != nil {
				return err
			}
			n++
		}
		if err == ErrNotFound && n > 0 {
			err = nil
		}
		return err
	})
	if err == ErrNotFound {
		return 0, t.exists(id)
	}
	return n, err
}

func (t *Tree) exists(id ID) error {
	_, err := t.part(id)
	return err
}
