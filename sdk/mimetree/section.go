package mimetree

import "bytes"

// A field is one header field with its continuation lines and its line end.
type field struct {
	span
	name int32 // octets of its name, at its beginning; zero: a mailbox file's "From " line
}

// firstRead is how much of a part is read first to find its header section.
// Most header sections of mail from other servers are between 2 and 6 KiB.
const firstRead = 4 << 10

// readHead finds the header section of p, if that is not known yet.
func (t *Tree) readHead(p *part) error {
	if p.parsed {
		return nil
	}
	s := section{maxFields: t.limits.Fields, maxOctets: t.limits.HeaderOctets, mbox: t.isMessage(p)}
	for n := firstRead; ; n *= 4 {
		b, err := t.front(p.whole, min(n, t.limits.HeaderOctets+1))
		if err != nil {
			return err
		}
		whole := int64(len(b)) == p.whole.len()
		if s.parse(b, whole) || whole || len(b) > t.limits.HeaderOctets {
			t.keepHead(p, b, &s)
			return nil
		}
	}
}

// isMessage tells whether p is a message, and not only a part of one.
func (t *Tree) isMessage(p *part) bool {
	return p.parent == None || t.parts[p.parent].holdsMessage()
}

// keepHead takes what was found in b, the first octets of p.
func (t *Tree) keepHead(p *part, b []byte, s *section) {
	start := p.whole.start
	p.parsed, p.opaque = true, s.over
	p.blank = span{start + int64(s.end), start + int64(s.end+s.blank)}
	p.body = span{p.blank.end, p.whole.end}
	p.unended = s.end > 0 && b[s.end-1] != '\n'
	p.broken = s.blank == 0 && !p.body.empty()
	p.fields = s.fields
	for i := range p.fields {
		p.fields[i].start += start
		p.fields[i].end += start
	}
	if start < t.size {
		w := window{start, b[:s.end+s.blank]}
		if start == 0 {
			t.head = w.b
		} else {
			t.recent = w
		}
	}
	if t.eol == "" {
		t.eol = lineEnd(b)
	}
}

// lineEnd is how b ends its lines: CRLF, unless all of them end in LF.
func lineEnd(b []byte) string {
	i := bytes.IndexByte(b, '\n')
	if i < 0 || i > 0 && b[i-1] == '\r' || bytes.Contains(b, []byte("\r\n")) {
		return "\r\n"
	}
	return "\n"
}

// A section is a header section as far as it was parsed (RFC 5322 §2.2). It
// ends at the first line that is neither blank, nor a field, nor the
// continuation of one, as it does for other servers.
type section struct {
	maxFields, maxOctets int
	mbox                 bool // "From " lines may be in it

	fields []field // by their place in the section
	end    int     // of the fields
	blank  int     // octets of the blank line
	over   bool    // a limit was met
}

// parse goes on in b, which begins with what it was given before. It returns
// true at the end of the section. If b is all there is, it ends with b.
func (s *section) parse(b []byte, all bool) bool {
	if s.fields == nil {
		s.fields = make([]field, 0, 16)
	}
	for s.end < len(b) {
		line := b[s.end:]
		if n := bytes.IndexByte(line, '\n'); n >= 0 {
			line = line[:n+1]
		} else if !all {
			return s.overflow(line, len(b))
		}
		if s.overflow(line, s.end+len(line)) || s.line(b, line) {
			return true
		}
	}
	return all
}

// overflow ends the section before the field that reaches beyond the limit.
func (s *section) overflow(line []byte, end int) bool {
	if end <= s.maxOctets {
		return false
	}
	if n := len(s.fields); n > 0 && isBlankOctet(line[0]) {
		s.end = int(s.fields[n-1].start)
		s.fields = s.fields[:n-1]
	}
	s.over = true
	return true
}

// line takes one line, which begins at s.end; true is the end of the section.
func (s *section) line(b, line []byte) bool {
	n := len(s.fields)
	switch {
	case isBlank(line):
		s.blank = len(line)
		return true
	case isBlankOctet(line[0]):
		if n == 0 || s.fields[n-1].name == 0 {
			return true
		}
		s.fields[n-1].end += int64(len(line))
		s.end += len(line)
		return false
	}
	name := nameLen(line)
	if name == 0 && !s.isMailboxLine(b, line) {
		return true
	}
	if n == s.maxFields {
		s.over = true
		return true
	}
	start := int64(s.end)
	s.fields = append(s.fields, field{span{start, start + int64(len(line))}, int32(name)})
	s.end += len(line)
	return false
}

// isMailboxLine tells whether line is one that a mailbox file has before a
// message, and that some clients hand on. Fields of servers may be above it by
// now; it is part of the header section then if that goes on after it.
func (s *section) isMailboxLine(b, line []byte) bool {
	if !s.mbox || !bytes.HasPrefix(bytes.TrimPrefix(line, []byte(">")), []byte("From ")) {
		return false
	}
	return s.end == 0 || nameLen(b[s.end+len(line):]) > 0
}

// isTrace tells whether a field of that name is put above a message by the
// servers that it passes (RFC 5321 §4.4).
func isTrace(name []byte) bool {
	for _, s := range [...]string{"Received", "Return-Path", "Delivered-To", "X-Original-To"} {
		if sameName(name, s) {
			return true
		}
	}
	return false
}

// isBlank tells whether line has nothing but its end, which is CR CR LF in
// some mail.
func isBlank(line []byte) bool {
	for i, c := range line {
		if c == '\n' {
			return i == len(line)-1
		}
		if c != '\r' {
			return false
		}
	}
	return false
}

func isBlankOctet(c byte) bool { return c == ' ' || c == '\t' }

// nameLen is the length of the field name at the front of line, zero if line
// is no field (RFC 5322 §2.2). Blanks before the colon are an old form of it
// (RFC 5322 §4.5).
func nameLen(line []byte) int {
	n := 0
	for n < len(line) && isNameOctet(line[n]) {
		n++
	}
	colon := n
	for colon < len(line) && isBlankOctet(line[colon]) {
		colon++
	}
	if colon == len(line) || line[colon] != ':' {
		return 0
	}
	return n
}

func isNameOctet(c byte) bool { return c > ' ' && c < 0x7f && c != ':' }

// sameName compares field names without regard to case.
func sameName[A, B []byte | string](a A, b B) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if a[i] != b[i] && lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
