package mimetree

import (
	"bytes"
	"strings"
)

// First is the first part in a part.
func (t *Tree) First(id ID) (ID, error) {
	p, err := t.part(id)
	if err == nil {
		err = t.scan(p)
	}
	if err != nil {
		return None, err
	}
	return found(p.first)
}

// Next is the part after one in the same parent.
func (t *Tree) Next(id ID) (ID, error) {
	p, err := t.part(id)
	if err != nil {
		return None, err
	}
	return found(p.next)
}

// Parent is the part that a part is in.
func (t *Tree) Parent(id ID) (ID, error) {
	p, err := t.part(id)
	if err != nil {
		return None, err
	}
	return found(p.parent)
}

func found(id ID) (ID, error) {
	if id == None {
		return None, ErrNotFound
	}
	return id, nil
}

// After is the part after one in preorder: its first part, or else the next
// one after it or after a part that it is in.
func (t *Tree) After(id ID) (ID, error) {
	next, err := t.First(id)
	for err == ErrNotFound {
		if next, err = t.Next(id); err != ErrNotFound {
			break
		}
		if id, err = t.Parent(id); err != nil {
			break
		}
		err = ErrNotFound
	}
	return next, err
}

// Find is the first part of a type ("text/html", "text/*", "*/*") in preorder,
// at from or after it.
func (t *Tree) Find(mediaType string, from ID) (ID, error) {
	id, err := from, t.exists(from)
	for ; err == nil; id, err = t.After(id) {
		t.work += 4
		p, err := t.part(id) // reads its header section, if that was not done
		if err != nil {
			return None, err
		}
		a, err := t.about(p)
		if err != nil {
			return None, err
		}
		if matches(mediaType, a.mediaType) {
			return id, nil
		}
	}
	return None, err
}

func matches(pattern, mediaType string) bool {
	if major, ok := strings.CutSuffix(pattern, "*"); ok {
		return major == "*/" || major == "" ||
			len(major) <= len(mediaType) && strings.EqualFold(major, mediaType[:len(major)])
	}
	return strings.EqualFold(pattern, mediaType)
}

// scan finds the parts in p, if they are not known yet.
func (t *Tree) scan(p *part) error {
	if p.scanned {
		return nil
	}
	a, err := t.about(p)
	if err != nil {
		return err
	}
	switch {
	case !a.isMultipart() && !a.holdsMessage():
	case p.opaque:
	case !a.isIdentity() || p.depth >= t.limits.Depth:
		p.torn = true
	case a.isMultipart():
		p.digest = a.isDigest()
		if err := t.split(p, a.border); err != nil {
			return err
		}
	case len(t.parts) > t.limits.Parts:
		p.torn = true
	default:
		t.hold(p)
	}
	p.scanned = true
	return nil
}

// hold makes the body of p its only part, a message.
func (t *Tree) hold(p *part) {
	child := t.newPart()
	t.parts[child].whole = p.body
	p.structured, p.border = true, ""
	p.pre = span{p.body.start, p.body.start}
	p.tail.span = span{p.body.end, p.body.end}
	t.parts[child].lead.span = p.pre
	t.link(p.id, child, None)
}

// maxBorder is the most octets of a boundary (RFC 2046 §5.1.1 has 70; some
// clients write more).
const maxBorder = 200

// isBorder tells whether s can be a boundary: longer ones and those with other
// than printable ASCII are not looked for.
func isBorder(s string) bool {
	for i := range len(s) {
		if s[i] < ' ' || s[i] >= 0x7f {
			return false
		}
	}
	return s != "" && len(s) <= maxBorder
}

// split finds the parts of a multipart (RFC 2046 §5.1.1).
func (t *Tree) split(p *part, border string) error {
	if !isBorder(border) {
		p.torn = true
		return nil
	}
	s := t.delimiters(p.body, border)
	var found []delimiter
	closed := false
	for !closed {
		d, ok, err := s.next()
		if err != nil {
			return err
		}
		if !ok {
			break
		}
		found = append(found, d)
		closed = d.closing
		if !closed && len(t.parts)+len(found) > t.limits.Parts+1 {
			p.cut, closed = true, true
		}
	}
	p.torn = !closed || len(found) < 2
	if closed && len(found) > 1 || !closed && len(found) > 0 {
		t.build(p, border, found, closed)
	}
	return nil
}

// build makes the parts between delimiters.
func (t *Tree) build(p *part, border string, found []delimiter, closed bool) {
	p.structured, p.border = true, border
	p.pre = span{p.body.start, found[0].start}
	p.tail = delimiter{span: span{p.body.end, p.body.end}}
	if closed {
		last := len(found) - 1
		p.tail = found[last]
		p.tail.end = p.body.end
		found = found[:last]
	}
	for i, d := range found {
		end := p.tail.start
		if i+1 < len(found) {
			end = found[i+1].start
		}
		id := t.newPart()
		t.parts[id].lead = d
		t.parts[id].whole = span{d.end, end}
		t.link(p.id, id, None)
	}
}

// A delimiter is one delimiter line with the line end before it, which belongs
// to it (RFC 2046 §5.1.1).
type delimiter struct {
	span
	closing bool
	bare    bool // the line end before it is that of another delimiter: nothing is between them
	cut     bool // it has no line end of its own: the message ends there
}

// A lineScanner finds delimiters in a piece of the message, one window at a
// time.
type lineScanner struct {
	t    *Tree
	mark []byte // a line end, two hyphens and the boundary
	all  span   // what is searched
	at   int64  // where the search goes on, at the earliest at a line end
	done int64  // the end of the last delimiter
	buf  []byte
	seen window // at least the octet before at, and all that a delimiter takes
}

// scanWindow is how much a lineScanner reads at once: few reads of a file, and
// no burden on memory.
const scanWindow = 64 << 10

// maxPadding is how many blanks may follow a delimiter on its line.
const maxPadding = 1 << 10

func (t *Tree) delimiters(s span, border string) *lineScanner {
	return &lineScanner{t: t, mark: []byte("\n--" + border), all: s, at: s.start, done: s.start}
}

// next is the next delimiter.
func (s *lineScanner) next() (d delimiter, ok bool, err error) {
	if s.all.empty() {
		return d, false, nil
	}
	if s.at == s.all.start { // the first line has no line end before it
		if err := s.fill(); err != nil {
			return d, false, err
		}
		if d, ok := s.match(s.at); ok {
			return s.take(d), true, nil
		}
	}
	for s.at < s.all.end {
		if err := s.fill(); err != nil {
			return d, false, err
		}
		i := bytes.Index(s.seen.b[s.at-s.seen.start:], s.mark)
		if i < 0 {
			s.at = max(s.at+1, s.seen.end()-int64(len(s.mark))+1)
			continue
		}
		s.at += int64(i)
		if err := s.fill(); err != nil {
			return d, false, err
		}
		if d, ok := s.match(s.at + 1); ok {
			return s.take(s.withLineEnd(d)), true, nil
		}
		s.at++
	}
	return d, false, nil
}

// take goes on after d. Its line end may be the one before the next.
func (s *lineScanner) take(d delimiter) delimiter {
	s.at, s.done = max(d.end-1, s.at+1), d.end
	return d
}

// withLineEnd is d with the line end before it, if that is not the one of
// the delimiter before.
func (s *lineScanner) withLineEnd(d delimiter) delimiter {
	d.start--
	if d.start > s.all.start && s.seen.octet(d.start-1) == '\r' {
		d.start--
	}
	d.start, d.bare = max(d.start, s.done), d.start < s.done
	return d
}

// match tells whether the line that begins at pos is a delimiter.
func (s *lineScanner) match(pos int64) (delimiter, bool) {
	line, ok := bytes.CutPrefix(s.seen.b[pos-s.seen.start:], s.mark[1:])
	if !ok {
		return delimiter{}, false
	}
	line, closing := bytes.CutPrefix(line, []byte("--"))
	padding := len(line) - len(bytes.TrimLeft(line, " \t\r"))
	end := s.seen.end() - int64(len(line)-padding)
	cut := padding == len(line)
	if !cut && line[padding] == '\n' {
		end++
	} else if !cut || end < s.all.end {
		return delimiter{}, false
	}
	if closing { // its line end is the beginning of the epilogue
		end = s.all.end
	}
	return delimiter{span: span{pos, end}, closing: closing, cut: cut}, true
}

// fill reads what the search needs at s.at.
func (s *lineScanner) fill() error {
	from := max(s.at-1, s.all.start)
	need := min(s.at+int64(len(s.mark)+len("--\r\n")+maxPadding), s.all.end)
	if s.seen.has(span{from, need}) {
		return nil
	}
	if err := s.t.asked(); err != nil {
		return err
	}
	n := min(scanWindow, s.all.end-from)
	if s.buf == nil {
		s.buf = make([]byte, n)
	}
	s.seen = window{from, s.buf[:n]}
	s.t.workedOn(n)
	return s.t.read(s.seen.b, from)
}
