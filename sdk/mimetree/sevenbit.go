package mimetree

import (
	"bytes"
	"io"
	"slices"
	"unicode/utf8"
)

// Octets is what kinds of octets there are in a message or part.
type Octets struct {
	EightBit bool  // above 127
	NUL      bool  // only binary content may have it (RFC 2045 §2.9)
	Bare     bool  // CR or LF that is not part of CRLF
	Longest  int64 // line, in octets without its line end; over 998 is not for SMTP (RFC 5321 §4.5.3.1.6)
}

// Octets reads the whole message.
func (t *Tree) Octets() (Octets, error) { return scanOctets(t.content().open()) }

// Needs8Bit tells whether there is an octet above 127, so that the next hop
// has to offer 8BITMIME, or the message be converted (RFC 6152 §3).
func (t *Tree) Needs8Bit() (bool, error) {
	o, err := t.Octets()
	return o.EightBit, err
}

func scanOctets(r io.Reader) (Octets, error) {
	var s octetScanner
	_, err := io.Copy(&s, r)
	s.end()
	return s.Octets, err
}

type octetScanner struct {
	Octets
	line int64 // octets of it so far, with its CR
	cr   bool  // the last octet was one
}

func (s *octetScanner) Write(p []byte) (int, error) {
	n := len(p)
	s.EightBit = s.EightBit || !isASCII(p)
	s.NUL = s.NUL || bytes.IndexByte(p, 0) >= 0
	for len(p) > 0 {
		i := bytes.IndexByte(p, '\n')
		line := p
		if i >= 0 {
			line = p[:i]
		}
		if len(line) > 0 {
			s.Bare = s.Bare || s.cr
			s.line += int64(len(line))
			s.cr = line[len(line)-1] == '\r'
			s.Bare = s.Bare || bytes.IndexByte(line[:len(line)-1], '\r') >= 0
		}
		if i < 0 {
			break
		}
		s.Bare = s.Bare || !s.cr
		if s.cr {
			s.line--
		}
		s.Longest = max(s.Longest, s.line)
		s.line, s.cr = 0, false
		p = p[i+1:]
	}
	return n, nil
}

func (s *octetScanner) end() {
	s.Bare = s.Bare || s.cr
	s.Longest = max(s.Longest, s.line)
}

// A Conversion is what [To7Bit] did.
type Conversion struct {
	Changed bool // the message was not 7-bit
	Signed  bool // content that is signed was converted: its signature does not hold any more
	Left    bool // addresses in header fields that are not ASCII, which no encoding is for (RFC 6532): SMTPUTF8 or a bounce
}

// To7Bit is t for a next hop that does not offer 8BITMIME (RFC 6152 §3):
// parts with octets above 127 are quoted-printable or base64, whichever is
// shorter, where text prefers quoted-printable; multiparts and messages,
// which must not be encoded (RFC 2045 §6.4), have their parts converted; in
// header fields there are encoded words and parameters. Every part has the
// same content as before. A message that is 7-bit is returned as it is; t is
// never changed.
//
// A body that is signed is converted too, and reported: RFC 6152 leaves only
// the choice between that and a bounce, and a reader is better off with a
// message whose signature fails. What claims to be a multipart or a message
// and cannot be taken apart is encoded as a whole, against RFC 2045 §6.4, as
// otherwise it would be lost. In preambles, epilogues and mailbox files'
// lines, which nobody is shown, octets above 127 become question marks. A
// message that is beyond the limits of its tree is [ErrLimit].
func To7Bit(t *Tree) (*Tree, Conversion, error) {
	o, err := t.Octets()
	if err != nil || o == (Octets{Longest: min(o.Longest, maxLine)}) {
		return t, Conversion{}, err
	}
	c := converter{Tree: t.clone()}
	if err := c.convert(Root); err != nil {
		return nil, Conversion{}, err
	}
	if !c.done.Changed {
		return t, c.done, nil
	}
	for _, id := range c.relabel {
		if err := c.setEncoding(c.parts[id], "7bit"); err != nil {
			return nil, Conversion{}, err
		}
	}
	return c.Tree, c.done, nil
}

// clone is a tree of its own in the same state, whose edits cannot be undone.
func (t *Tree) clone() *Tree {
	c := &Tree{
		src: t.src, size: t.size, limits: t.limits, added: slices.Clip(t.added), end: t.end,
		eol: t.eol, head: t.head,
	}
	c.parts = make([]*part, len(t.parts))
	for i, p := range t.parts {
		q := &c.root
		if i > 0 {
			q = new(part)
		}
		q.id, q.shape, q.fields, q.about = p.id, p.shape, slices.Clone(p.fields), p.about
		c.parts[i] = q
	}
	return c
}

// A converter makes a tree 7-bit.
type converter struct {
	*Tree
	done    Conversion
	relabel []ID // parts that call themselves 8bit or binary, and are not when we are done
}

func (c *converter) convert(id ID) error {
	p, err := c.part(id)
	if err != nil {
		return err
	}
	if err := c.scan(p); err != nil {
		return err
	}
	if err := c.header(p); err != nil {
		return err
	}
	if !p.structured || p.cut {
		return c.leaf(p)
	}
	if err := c.mask(p, &p.pre); err != nil {
		return err
	}
	if err := c.mask(p, &p.tail.span); err != nil {
		return err
	}
	for child := p.first; child != None; child = c.parts[child].next {
		if err := c.mask(c.parts[child], &c.parts[child].lead.span); err != nil {
			return err
		}
		if err := c.convert(child); err != nil {
			return err
		}
	}
	return c.label(p)
}

// label notes a part that calls itself what it will not be.
func (c *converter) label(p *part) error {
	a, err := c.about(p)
	if err == nil && (a.encoding == "8bit" || a.encoding == "binary") {
		c.relabel = append(c.relabel, p.id)
	}
	return err
}

// changed notes that p was changed; inside tells whether what holds p is what
// may be signed, and p's own type does not count.
func (c *converter) note(p *part, inside bool) error {
	c.done.Changed = true
	if inside {
		if p.parent == None {
			return nil
		}
		p = c.parts[p.parent]
	}
	sealed, err := c.insideSealed(p)
	c.done.Signed = c.done.Signed || sealed
	return err
}

// leaf encodes a body that is not 7-bit.
func (c *converter) leaf(p *part) error {
	body := c.bodyOf(p)
	o, err := scanOctets(body.open())
	if err != nil {
		return err
	}
	a, err := c.about(p)
	if err != nil {
		return err
	}
	if !o.EightBit && !o.NUL && (a.encoding != "binary" || !o.Bare && o.Longest <= maxLine) {
		return c.label(p)
	}
	if p.opaque {
		return ErrLimit
	}
	octets, size := io.ReaderAt(body), body.size
	if !a.isIdentity() && !p.structured { // it says it is encoded, and yet has such octets
		if all, err := c.decodeAll(p.id, Content, body); err == nil {
			octets, size = bytes.NewReader(all), int64(len(all))
		} else if err != ErrEncoding {
			return err
		}
	}
	if err := c.note(p, false); err != nil {
		return err
	}
	return c.encodeLeaf(p, a, octets, size)
}

func (c *converter) encodeLeaf(p *part, a *about, octets io.ReaderAt, size int64) error {
	var quoted []byte
	ok := false
	if size <= keepDecoded {
		all := make([]byte, size)
		if size > 0 {
			if err := readFull(octets, all, 0); err != nil {
				return err
			}
		}
		if err := c.nameCharset(p, a, all); err != nil {
			return err
		}
		worth := 2 // it has to be the shorter one
		if a.isText() {
			worth = quotedWorth
		}
		quoted, ok = c.quoted(p, all, worth)
	}
	if ok {
		if err := c.setEncoding(p, "quoted-printable"); err != nil {
			return err
		}
		c.newBody(p, c.add(quoted))
		return nil
	}
	if err := c.setEncoding(p, "base64"); err != nil {
		return err
	}
	c.newBody(p, c.addBase64(octets, size, p.id != Root))
	return nil
}

// nameCharset says of a message that names no type what its octets are: a
// reader of MIME would take them for US-ASCII otherwise (RFC 1428 §3).
func (c *converter) nameCharset(p *part, a *about, octets []byte) error {
	if a.typed || !c.isMessage(p) {
		return nil
	}
	charset := unknown8Bit
	if utf8.Valid(octets) {
		charset = "utf-8"
	}
	return c.setDescribing(p, "Content-Type", a.mediaType+"; charset="+charset)
}

// header encodes the fields of p that are not ASCII.
func (c *converter) header(p *part) error {
	for i, f := range p.fields {
		b, err := c.octets(f.span)
		if err != nil {
			return err
		}
		if is7Bit(b) {
			continue
		}
		if f.name == 0 {
			f.span = c.add(masked(slices.Clone(b)))
		} else {
			b = c.field7Bit(string(b[:f.name]), masked0(unfold(rawValue(b, f))))
			c.done.Left = c.done.Left || !isASCII(b)
			f.span = c.add(b)
		}
		if err := c.note(p, true); err != nil {
			return err
		}
		c.touch(p)
		c.replaceField(p, i, f)
	}
	return nil
}

// field7Bit is a field whose value is ASCII if there is a way.
func (c *converter) field7Bit(name string, value []byte) []byte {
	e := utf8Words
	if !utf8.Valid(value) {
		e.charset = unknown8Bit
	}
	out := string(value)
	switch grammarOf(name) {
	case addresses:
		out = e.addresses(out)
	case parameters:
		out = string(masked([]byte(e.params(out)))) // what is left is comments
	case fixed: // in comments it is where it belongs
		if out = e.addresses(out); !isASCII(out) {
			out = e.text(name, string(value))
		}
	default:
		out = e.text(name, out)
	}
	b, err := fold(name, out, c.eol)
	if err != nil { // too long for a line in some place: in words it is not
		b, err = fold(name, e.text(name, string(value)), c.eol)
	}
	if err != nil {
		b = []byte(name + ": " + out + c.eol)
	}
	return b
}

// mask makes octets ASCII that nobody is shown.
func (c *converter) mask(p *part, s *span) error {
	content := c.contentOf(func(segs []segment) []segment { return c.appendSpan(segs, *s) })
	o, err := scanOctets(content.open())
	if err != nil || !o.EightBit && !o.NUL {
		return err
	}
	c.reshape(p)
	*s = c.addReader(maskView{content}, content.size)
	c.touch(p)
	return c.note(p, false)
}

// A maskView has question marks for all that is not ASCII.
type maskView struct{ io.ReaderAt }

func (v maskView) ReadAt(p []byte, off int64) (int, error) {
	n, err := v.ReaderAt.ReadAt(p, off)
	masked(p[:n])
	return n, err
}

// masked puts question marks into b.
func masked(b []byte) []byte {
	for i, c := range b {
		if c >= 0x80 || c == 0 {
			b[i] = '?'
		}
	}
	return b
}

// masked0 puts question marks into b for NUL.
func masked0(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			b[i] = '?'
		}
	}
	return b
}
