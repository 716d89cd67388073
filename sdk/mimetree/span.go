package mimetree

import (
	"io"
	"sort"
)

// A span is a piece of the message by address. The source has the addresses
// from zero up to its size, what was added has those above; no span has some
// of both, or of two chunks.
type span struct{ start, end int64 }

func (s span) len() int64  { return s.end - s.start }
func (s span) empty() bool { return s.end == s.start }

// A chunk is octets that are not in the source.
type chunk struct {
	span
	b []byte
	r io.ReaderAt // where b is nil
}

// add gives octets an address. They must not change any more.
func (t *Tree) add(b []byte) span { return t.addChunk(chunk{b: b}, int64(len(b))) }

func (t *Tree) addString(s string) span { return t.add([]byte(s)) }

// addReader gives the first n octets of r an address.
func (t *Tree) addReader(r io.ReaderAt, n int64) span { return t.addChunk(chunk{r: r}, n) }

func (t *Tree) addChunk(c chunk, n int64) span {
	c.span = span{t.end, t.end + n}
	t.end = c.end
	if n > 0 {
		t.added = append(t.added, c)
	}
	return c.span
}

// chunk is the one that has s, which is not in the source.
func (t *Tree) chunk(s span) chunk {
	i := sort.Search(len(t.added), func(i int) bool { return t.added[i].end > s.start })
	return t.added[i]
}

// front reads the first octets of s, n of them if there are as many. They are
// not the caller's to change.
func (t *Tree) front(s span, n int) ([]byte, error) {
	s.end = min(s.end, s.start+int64(n))
	if s.empty() {
		return nil, nil
	}
	if s.start >= t.size {
		if c := t.chunk(s); c.b != nil {
			return c.b[s.start-c.start : s.end-c.start : s.end-c.start], nil
		}
	}
	b := make([]byte, s.len())
	return b, t.read(b, s.start)
}

// read fills p, which is not empty, with the octets from an address on.
func (t *Tree) read(p []byte, at int64) error {
	if at < t.size {
		return readFull(t.src, p, at)
	}
	c := t.chunk(span{at, at + int64(len(p))})
	if c.b != nil {
		copy(p, c.b[at-c.start:])
		return nil
	}
	return readFull(c.r, p, at-c.start)
}

// octets are those of s. They are not the caller's to change.
func (t *Tree) octets(s span) ([]byte, error) {
	switch {
	case s.end <= int64(len(t.head)):
		return t.head[s.start:s.end:s.end], nil
	case t.recent.has(s):
		return t.recent.octets(s), nil
	}
	return t.front(s, int(s.len()))
}

// A window is octets of the source that were read.
type window struct {
	start int64
	b     []byte
}

func (w window) end() int64          { return w.start + int64(len(w.b)) }
func (w window) has(s span) bool     { return s.start >= w.start && s.end <= w.end() }
func (w window) octet(at int64) byte { return w.b[at-w.start] }

func (w window) octets(s span) []byte {
	return w.b[s.start-w.start : s.end-w.start : s.end-w.start]
}

// readFull is ReadAt for a place that is known to have len(p) octets.
func readFull(r io.ReaderAt, p []byte, off int64) error {
	n, err := r.ReadAt(p, off)
	if n == len(p) {
		return nil
	}
	if err == nil || err == io.EOF {
		return io.ErrUnexpectedEOF // the source is shorter than it said
	}
	return err
}

// A segment is a piece of what a message or part is now: of the source, where
// b and r are nil.
type segment struct {
	b   []byte
	r   io.ReaderAt
	off int64 // in the source or r
	n   int64
	at  int64 // where it stands in the content
}

// A content is what a message or a part was at one moment. It does not change.
type content struct {
	src  io.ReaderAt
	segs []segment
	size int64
}

func (t *Tree) contentOf(render func([]segment) []segment) *content {
	c := &content{src: t.src, segs: render(make([]segment, 0, 4))}
	t.work += int64(len(c.segs))
	for i := range c.segs {
		c.segs[i].at = c.size
		c.size += c.segs[i].n
	}
	return c
}

// appendSpan appends what s is made of. Neighbours in the source become one.
func (t *Tree) appendSpan(segs []segment, s span) []segment {
	if s.empty() {
		return segs
	}
	if s.start < t.size {
		return appendSource(segs, s.start, s.len())
	}
	c := t.chunk(s)
	off := s.start - c.start
	if c.b != nil {
		return append(segs, segment{b: c.b[off : off+s.len()], n: s.len()})
	}
	if inner, ok := c.r.(*content); ok {
		return inner.appendTo(segs, off, s.len())
	}
	return append(segs, segment{r: c.r, off: off, n: s.len()})
}

func appendSource(segs []segment, off, n int64) []segment {
	if i := len(segs) - 1; i >= 0 && segs[i].inSource() && segs[i].off+segs[i].n == off {
		segs[i].n += n
		return segs
	}
	return append(segs, segment{off: off, n: n})
}

func (s *segment) inSource() bool { return s.b == nil && s.r == nil }

// appendTo appends n octets of c from off.
func (c *content) appendTo(segs []segment, off, n int64) []segment {
	for i := c.find(off); i < len(c.segs) && n > 0; i++ {
		s := c.segs[i]
		skip := off - s.at
		take := min(s.n-skip, n)
		switch {
		case s.b != nil:
			segs = append(segs, segment{b: s.b[skip : skip+take], n: take})
		case s.r != nil:
			segs = append(segs, segment{r: s.r, off: s.off + skip, n: take})
		default:
			segs = appendSource(segs, s.off+skip, take)
		}
		off, n = off+take, n-take
	}
	return segs
}

// find is the segment that off is in.
func (c *content) find(off int64) int {
	return sort.Search(len(c.segs), func(i int) bool { return c.segs[i].at+c.segs[i].n > off })
}

// Size is the number of octets.
func (c *content) Size() int64 { return c.size }

// ReadAt implements [io.ReaderAt].
func (c *content) ReadAt(p []byte, off int64) (int, error) {
	if off < 0 {
		return 0, ErrArgument
	}
	n := 0
	for i := c.find(off); i < len(c.segs) && n < len(p); i++ {
		m, err := c.segs[i].readAt(c.src, p[n:], off+int64(n)-c.segs[i].at)
		n += m
		if err != nil {
			return n, err
		}
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// readAt reads as much of s from off on as there is and p can take.
func (s *segment) readAt(src io.ReaderAt, p []byte, off int64) (int, error) {
	if s.b != nil {
		return copy(p, s.b[off:]), nil
	}
	r := s.r
	if r == nil {
		r = src
	}
	p = p[:min(int64(len(p)), s.n-off)]
	n, err := r.ReadAt(p, s.off+off)
	switch {
	case n == len(p):
		return n, nil
	case err == nil || err == io.EOF:
		return n, io.ErrUnexpectedEOF
	}
	return n, err
}

func (c *content) open() io.ReadCloser { return &reader{c: c} }

// A reader reads a content from its first octet.
type reader struct {
	c   *content
	off int64
}

// copyBuffer is what WriteTo reads at once.
const copyBuffer = 32 << 10

func (r *reader) Read(p []byte) (int, error) {
	if r.off >= r.c.size {
		return 0, io.EOF
	}
	p = p[:min(int64(len(p)), r.c.size-r.off)]
	n, err := r.c.ReadAt(p, r.off)
	r.off += int64(n)
	return n, err
}

// WriteTo implements [io.WriterTo].
func (r *reader) WriteTo(w io.Writer) (int64, error) {
	var buf []byte
	begin := r.off
	for r.off < r.c.size {
		s := &r.c.segs[r.c.find(r.off)]
		piece := s.b
		if piece != nil {
			piece = piece[r.off-s.at:]
		} else {
			if buf == nil {
				buf = make([]byte, min(copyBuffer, r.c.size-r.off))
			}
			n, err := s.readAt(r.c.src, buf, r.off-s.at)
			if err != nil {
				return r.off - begin, err
			}
			piece = buf[:n]
		}
		n, err := w.Write(piece)
		r.off += int64(n)
		if err != nil {
			return r.off - begin, err
		}
	}
	return r.off - begin, nil
}

// Close implements [io.Closer]. There is nothing to close: the source belongs
// to whoever made the tree.
func (r *reader) Close() error { return nil }
