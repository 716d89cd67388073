package mimetree

import (
	"errors"
	"io"

	"golang.org/x/text/transform"
)

// A Form is what of a part is read.
type Form int

const (
	Entity  Form = iota // header section and body, as they are
	Body                // the body as it is
	Content             // the body without its transfer encoding
	Text                // that as UTF-8
)

// keepDecoded is the largest body that is decoded as a whole and kept, so that
// asking for its size and then for its octets decodes once.
const keepDecoded = 1 << 20

// decoded is what a part's body was decoded to.
type decoded struct {
	id     ID
	form   Form
	octets []byte
	valid  bool
}

// stream is a decoder and how far it was read.
type stream struct {
	id   ID
	form Form
	r    io.Reader
	at   int64
}

// PartSize is the number of octets that [Tree.OpenPart] gives.
func (t *Tree) PartSize(id ID, form Form) (int64, error) {
	c, plain, err := t.partContent(id, form)
	if err != nil {
		return 0, err
	}
	if plain {
		return c.size, nil
	}
	if c.size <= keepDecoded {
		b, err := t.decodeAll(id, form, c)
		return int64(len(b)), err
	}
	known := &t.parts[id].sizes[form-Content]
	if known.version != t.version+1 {
		r, err := t.decoder(id, form, c)
		if err != nil {
			return 0, err
		}
		n, err := io.Copy(io.Discard, r)
		if err != nil {
			return 0, err
		}
		*known = size{n, t.version + 1}
	}
	return known.n, nil
}

// ReadPart reads octets of a part from an offset on. At the end it returns
// zero and no error. Reading large parts from front to back is quick, going
// back in one that is encoded decodes it again.
func (t *Tree) ReadPart(id ID, form Form, off int64, p []byte) (int, error) {
	c, plain, err := t.partContent(id, form)
	if err != nil {
		return 0, err
	}
	if off < 0 {
		return 0, ErrArgument
	}
	if plain {
		n, err := c.ReadAt(p, off)
		return n, ignoreEOF(err)
	}
	if c.size <= keepDecoded {
		b, err := t.decodeAll(id, form, c)
		return copy(p, b[min(off, int64(len(b))):]), err
	}
	n, err := t.readStream(id, form, c, off, p)
	if err = ignoreEOF(err); err != nil {
		t.stream = stream{}
	}
	return n, err
}

func (t *Tree) readStream(id ID, form Form, c *content, off int64, p []byte) (int, error) {
	s := &t.stream
	if s.r == nil || s.id != id || s.form != form || s.at > off {
		r, err := t.decoder(id, form, c)
		if err != nil {
			return 0, err
		}
		*s = stream{id: id, form: form, r: r}
	}
	skipped, err := io.CopyN(io.Discard, s.r, off-s.at)
	s.at += skipped
	if err != nil {
		return 0, err
	}
	n, err := io.ReadFull(s.r, p)
	s.at += int64(n)
	return n, err
}

func ignoreEOF(err error) error {
	if errors.Is(err, io.EOF) || err == io.ErrUnexpectedEOF {
		return nil
	}
	return err
}

// OpenPart reads a part as it is at this moment; later edits do not show. Text
// in a character set that is not known is [ErrCharset], a body in a transfer
// encoding that is not known is [ErrEncoding].
func (t *Tree) OpenPart(id ID, form Form) (io.Reader, error) {
	c, plain, err := t.partContent(id, form)
	if err != nil || plain {
		if err != nil {
			return nil, err
		}
		return c.open(), nil
	}
	return t.decoder(id, form, c)
}

// partContent is the octets of a part that form is made of; plain is true if
// they are the same.
func (t *Tree) partContent(id ID, form Form) (c *content, plain bool, err error) {
	p, err := t.part(id)
	if err != nil {
		return nil, false, err
	}
	switch form {
	case Entity:
		return t.contentOf(func(s []segment) []segment { return t.render(s, p) }), true, nil
	case Body:
		return t.bodyOf(p), true, nil
	case Content, Text:
		a, err := t.about(p)
		if err != nil {
			return nil, false, err
		}
		if p.opaque {
			return nil, false, ErrLimit
		}
		return t.bodyOf(p), form == Content && (a.isIdentity() || p.structured), nil
	}
	return nil, false, ErrArgument
}

func (t *Tree) bodyOf(p *part) *content {
	return t.contentOf(func(s []segment) []segment { return t.renderBody(s, p) })
}

// decodeAll is the whole of a part's body, decoded.
func (t *Tree) decodeAll(id ID, form Form, c *content) ([]byte, error) {
	if d := &t.text; d.valid && d.id == id && d.form == form {
		return d.octets, nil
	}
	r, err := t.decoder(id, form, c)
	if err != nil {
		return nil, err
	}
	b, err := io.ReadAll(r)
	if err == nil {
		t.text = decoded{id, form, b, true}
	}
	return b, err
}

// decoder reads a body's octets or text.
func (t *Tree) decoder(id ID, form Form, c *content) (io.Reader, error) {
	a, err := t.about(t.parts[id])
	if err != nil {
		return nil, err
	}
	r := io.Reader(&workingReader{c.open(), t})
	if t.interrupt != nil {
		r = &interruptedReader{r, t.interrupt}
	}
	if !t.parts[id].structured {
		if r, err = decodeEncoding(a.encoding, r); err != nil {
			return nil, err
		}
	}
	if form == Text {
		d, err := decoderOf(a.charset)
		if err != nil {
			return nil, err
		}
		r = transform.NewReader(r, d)
	}
	return r, nil
}

// Interrupt has f asked now and then while a part is decoded, or searched for
// its parts, which takes long if it is large. An error of f ends that, and is
// what the method returns; the tree is as it was. nil asks nobody.
func (t *Tree) Interrupt(f func() error) { t.interrupt = f }

// asked is the error of Interrupt's function.
func (t *Tree) asked() error {
	if t.interrupt == nil {
		return nil
	}
	return t.interrupt()
}

// workingReader counts what is read as work of the tree: that of a decoder.
type workingReader struct {
	r io.Reader
	t *Tree
}

func (r *workingReader) Read(p []byte) (int, error) {
	n, err := r.r.Read(p)
	r.t.workedOn(decoderWork * int64(n))
	return n, err
}

// decoderWork is what decoding an octet takes beside copying it.
const decoderWork = 8

// interruptedReader asks before each read.
type interruptedReader struct {
	r   io.Reader
	ask func() error
}

func (r *interruptedReader) Read(p []byte) (int, error) {
	if err := r.ask(); err != nil {
		return 0, err
	}
	return r.r.Read(p)
}

// decodeEncoding reads what r stands for in a transfer encoding (RFC 2045 §6).
func decodeEncoding(encoding string, r io.Reader) (io.Reader, error) {
	switch encoding {
	case "", "7bit", "8bit", "binary":
		return r, nil
	case "base64":
		return &decodingReader{r: r, d: &base64Decoder{}}, nil
	case "quoted-printable":
		return &decodingReader{r: r, d: &quotedDecoder{}}, nil
	}
	return nil, ErrEncoding
}

// A decodingReader reads what the octets of r stand for.
type decodingReader struct {
	r io.Reader
	d interface {
		decode(dst, src []byte) []byte
		flush(dst []byte) []byte
	}
	in, out, ready []byte
	err            error
}

// decodeAtOnce is how much a decodingReader reads at once.
const decodeAtOnce = 16 << 10

func (r *decodingReader) Read(p []byte) (int, error) {
	if r.in == nil {
		r.in = make([]byte, decodeAtOnce)
	}
	for len(r.ready) == 0 {
		if r.err != nil {
			return 0, r.err
		}
		var n int
		n, r.err = r.r.Read(r.in)
		r.out = r.d.decode(r.out[:0], r.in[:n])
		if r.err == io.EOF {
			r.out = r.d.flush(r.out)
		}
		r.ready = r.out
	}
	n := copy(p, r.ready)
	r.ready = r.ready[n:]
	return n, nil
}
