package imapd

import (
	"bytes"
	"errors"
	"io"
	"strings"

	"github.com/emersion/go-imap/v2"

	"github.com/wasmta/wasmta/mta/internal/mailbox"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// A content is an open message.
type content struct {
	octets *mailbox.Content
	tree   *mimetree.Tree
}

func (s *session) open(uid mailbox.UID) (*content, error) {
	octets, err := s.box.Open(uid)
	if err != nil {
		return nil, err
	}
	return &content{octets, mimetree.Parse(octets, mimetree.Limits{})}, nil
}

func (c *content) close() { c.octets.Close() }

// answer looks up all that options ask for.
func (c *content) answer(options *imap.FetchOptions) (*answer, error) {
	a := &answer{options: options}
	if c == nil {
		return a, nil
	}
	var err error
	if options.Envelope {
		if a.envelope, err = c.envelope(mimetree.Root); err != nil {
			return nil, err
		}
	}
	if options.BodyStructure != nil {
		if a.structure, err = c.structure(mimetree.Root); err != nil {
			return nil, err
		}
	}
	for _, item := range options.BodySection {
		sec, err := c.section(item)
		if err != nil {
			return nil, err
		}
		a.sections = append(a.sections, sec.partial(item.Partial))
	}
	for _, item := range options.BinarySection {
		sec, err := c.binary(item.Part)
		if err != nil {
			return nil, err
		}
		a.binary = append(a.binary, sec.partial(item.Partial))
	}
	for _, item := range options.BinarySectionSize {
		sec, err := c.binary(item.Part)
		if err != nil {
			return nil, err
		}
		a.sizes = append(a.sizes, uint32(sec.size))
	}
	return a, nil
}

// section is what BODY[…] asks for, before the partial. A part that is not
// there is empty.
func (c *content) section(item *imap.FetchItemBodySection) (section, error) {
	if len(item.Part) == 0 && item.Specifier == imap.PartSpecifierNone {
		return section{c.octets, c.octets.Size()}, nil
	}
	id, err := c.locate(item.Part)
	if err != nil {
		return section{}, orEmpty(err)
	}
	switch item.Specifier {
	case imap.PartSpecifierNone:
		return c.body(id)
	case imap.PartSpecifierMIME:
		if len(item.Part) == 0 { // RFC 3501 §6.4.5
			return section{}, &imap.Error{Type: imap.StatusResponseTypeBad, Code: imap.ResponseCodeClientBug, Text: "MIME needs the number of a part"}
		}
		return c.header(id, item)
	}
	if len(item.Part) > 0 { // HEADER and TEXT are those of a message in a part
		if id, err = c.inner(id); err != nil {
			return section{}, orEmpty(err)
		}
	}
	if item.Specifier == imap.PartSpecifierHeader {
		return c.header(id, item)
	}
	return c.body(id)
}

// orEmpty drops the error of a part that is not there.
func orEmpty(err error) error {
	if errors.Is(err, mimetree.ErrNotFound) {
		return nil
	}
	return err
}

// locate finds the part with these numbers (RFC 3501 §6.4.5). No numbers are
// the message. Where a message has no parts, its body is part 1.
func (c *content) locate(numbers []int) (mimetree.ID, error) {
	id, leaf := mimetree.Root, false
	for i, n := range numbers {
		in, err := mimetree.None, mimetree.ErrNotFound
		if i > 0 {
			in, err = c.inner(id)
		}
		switch {
		case err == nil:
			id, leaf = in, false
		case leaf: // nothing is in it
			return mimetree.None, mimetree.ErrNotFound
		}
		multipart, err := c.isMultipart(id)
		switch {
		case err != nil:
			return mimetree.None, err
		case multipart:
			if id, err = c.child(id, n); err != nil {
				return mimetree.None, err
			}
			multipart, err = c.isMultipart(id)
			leaf = !multipart
			if err != nil {
				return mimetree.None, err
			}
		case n != 1:
			return mimetree.None, mimetree.ErrNotFound
		default:
			leaf = true
		}
	}
	return id, nil
}

func (c *content) isMultipart(id mimetree.ID) (bool, error) {
	info, err := c.tree.Info(id)
	return strings.HasPrefix(info.Type, "multipart/"), err
}

// child is the n-th part of a multipart, from 1.
func (c *content) child(id mimetree.ID, n int) (mimetree.ID, error) {
	child, err := c.tree.First(id)
	for ; n > 1 && err == nil; n-- {
		child, err = c.tree.Next(child)
	}
	if n < 1 {
		return mimetree.None, mimetree.ErrNotFound
	}
	return child, err
}

// inner is the message that a message/rfc822 part has.
func (c *content) inner(id mimetree.ID) (mimetree.ID, error) {
	multipart, err := c.isMultipart(id)
	if err != nil {
		return mimetree.None, err
	}
	if multipart {
		return mimetree.None, mimetree.ErrNotFound
	}
	return c.tree.First(id)
}

func (c *content) body(id mimetree.ID) (section, error) {
	return c.part(id, mimetree.Body)
}

func (c *content) part(id mimetree.ID, form mimetree.Form) (section, error) {
	size, err := c.tree.PartSize(id, form)
	return section{partReader{c.tree, id, form}, size}, err
}

// A partReader reads one form of a part.
type partReader struct {
	tree *mimetree.Tree
	id   mimetree.ID
	form mimetree.Form
}

// ReadAt implements [io.ReaderAt].
func (r partReader) ReadAt(p []byte, off int64) (n int, err error) {
	for n < len(p) {
		m, err := r.tree.ReadPart(r.id, r.form, off+int64(n), p[n:])
		n += m
		if err != nil {
			return n, err
		}
		if m == 0 {
			return n, io.EOF
		}
	}
	return n, nil
}

// header is the header section of a part with the blank line after it, if it
// has one: what is not its body. Or it is those fields that are asked for, and
// a blank line.
func (c *content) header(id mimetree.ID, item *imap.FetchItemBodySection) (section, error) {
	if len(item.HeaderFields)+len(item.HeaderFieldsNot) == 0 {
		body, err := c.body(id)
		if err != nil {
			return section{}, err
		}
		all, err := c.part(id, mimetree.Entity)
		all.size -= body.size
		return all, err
	}
	count, err := c.tree.FieldCount(id)
	if err != nil {
		return section{}, err
	}
	var b bytes.Buffer
	for i := range count {
		name, err := c.tree.FieldName(id, i)
		if err != nil {
			return section{}, err
		}
		if wantsField(item, name) {
			raw, err := c.tree.FieldValue(id, i, mimetree.Raw)
			if err != nil {
				return section{}, err
			}
			b.WriteString(name + ":")
			b.Write(raw)
			if !bytes.HasSuffix(raw, []byte("\n")) {
				b.WriteString("\r\n")
			}
		}
	}
	b.WriteString("\r\n")
	return inMemory(b.Bytes()), nil
}

func wantsField(item *imap.FetchItemBodySection, name string) bool {
	for _, f := range item.HeaderFields {
		if strings.EqualFold(f, name) {
			return true
		}
	}
	if len(item.HeaderFields) > 0 {
		return false
	}
	for _, f := range item.HeaderFieldsNot {
		if strings.EqualFold(f, name) {
			return false
		}
	}
	return true
}

func inMemory(b []byte) section { return section{bytes.NewReader(b), int64(len(b))} }

// binary is a part without its transfer encoding (RFC 3516).
func (c *content) binary(part []int) (section, error) {
	if len(part) == 0 {
		return section{c.octets, c.octets.Size()}, nil
	}
	id, err := c.locate(part)
	if err != nil {
		return section{}, orEmpty(err)
	}
	sec, err := c.part(id, mimetree.Content)
	if errors.Is(err, mimetree.ErrEncoding) {
		err = &imap.Error{Type: imap.StatusResponseTypeNo, Code: imap.ResponseCodeUnknownCTE, Text: "Unknown transfer encoding"}
	}
	return sec, err
}
