package mta

import (
	"io"
	"iter"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// A Part is a part of the message's MIME tree. The root is the message itself.
type Part struct{ id int32 }

// IsRoot tells whether p is the message itself.
func (p Part) IsRoot() bool { return p.id == abi.Root }

// Header is the part's header section.
func (p Part) Header() Header { return Header{p.id} }

// Type is the media type in lower case, "text/plain".
func (p Part) Type() string { return p.info(abi.PartType) }

// Charset is the character set that the part names; empty if it names none.
func (p Part) Charset() string { return p.info(abi.PartCharset) }

// Filename is the name of the file that the part carries; empty if it has none.
func (p Part) Filename() string { return p.info(abi.PartFilename) }

// Encoding is the content transfer encoding in lower case.
func (p Part) Encoding() string { return p.info(abi.PartEncoding) }

// Disposition is "inline", "attachment" or empty.
func (p Part) Disposition() string { return p.info(abi.PartDisposition) }

// ContentID is the part's Content-ID without its angle brackets.
func (p Part) ContentID() string { return p.info(abi.PartContentID) }

// Path is the part's place in the tree, "1.2"; empty for the root.
func (p Part) Path() string { return p.info(abi.PartPath) }

func (p Part) info(what int32) string {
	b, _ := read(func(buf []byte) int32 { return guest.PartInfo(p.id, what, buf) })
	return string(b)
}

// Flags are what there is to know of a part at once.
type Flags int32

// Flags tells all of the part's flags in one call.
func (p Part) Flags() Flags { return Flags(max(guest.PartFlags(p.id), 0)) }

// Multipart: the part has parts.
func (f Flags) Multipart() bool { return int32(f)&abi.FlagMultipart != 0 }

// Attachment: the part is a file for the reader to save, not to show.
func (f Flags) Attachment() bool { return int32(f)&abi.FlagAttachment != 0 }

// InsideSigned: a change would break the signature around it.
func (f Flags) InsideSigned() bool { return int32(f)&abi.FlagInsideSigned != 0 }

// Malformed: the part does not follow its grammar.
func (f Flags) Malformed() bool { return int32(f)&abi.FlagMalformed != 0 }

// Modified: a stage changed the part.
func (f Flags) Modified() bool { return int32(f)&abi.FlagModified != 0 }

// Parent is the part that p is in.
func (p Part) Parent() (Part, bool) { return optional(guest.PartParent(p.id)) }

// First is the first part in p.
func (p Part) First() (Part, bool) { return optional(guest.PartFirst(p.id)) }

// Next is the part after p in the same parent.
func (p Part) Next() (Part, bool) { return optional(guest.PartNext(p.id)) }

// optional is the part of that ID, and whether there is one. What there is not
// cannot be read or changed.
func optional(id int32) (Part, bool) { return Part{id}, id >= 0 }

// Children are the parts in p. The part in hand may be replaced or removed.
func (p Part) Children() iter.Seq[Part] {
	return func(yield func(Part) bool) { p.children(yield) }
}

func (p Part) children(yield func(Part) bool) bool {
	c, ok := p.First()
	for ok {
		next, more := c.Next() // asked for now: c may be gone afterwards
		if !yield(c) {
			return false
		}
		c, ok = next, more
	}
	return true
}

// All are p and all parts in it, each before those in it. The part in hand may
// be replaced or removed; what is in a part that was removed is passed over.
func (p Part) All() iter.Seq[Part] {
	return func(yield func(Part) bool) { p.walk(yield) }
}

func (p Part) walk(yield func(Part) bool) bool {
	return yield(p) && p.children(func(c Part) bool { return c.walk(yield) })
}

// Size is the size of the content, decoded, in octets.
func (p Part) Size() int64 { return max(guest.PartSize(p.id, abi.ReadDecoded), 0) }

// BodySize is the size of the body as it is in the message, in octets.
func (p Part) BodySize() int64 { return max(guest.PartSize(p.id, abi.ReadBody), 0) }

// Open reads the content: the body without its content transfer encoding.
func (p Part) Open() io.Reader { return p.open(abi.ReadDecoded) }

// OpenBody reads the body as it is in the message.
func (p Part) OpenBody() io.Reader { return p.open(abi.ReadBody) }

// OpenRaw reads the header section and the body as they are in the message.
func (p Part) OpenRaw() io.Reader { return p.open(abi.ReadRaw) }

func (p Part) open(mode int32) io.Reader {
	return &reader{op: "read part", at: func(offset int64, buf []byte) int32 {
		return guest.PartRead(p.id, mode, offset, buf)
	}}
}

// Octets is the whole content, decoded.
func (p Part) Octets() ([]byte, error) { return p.AppendOctets(nil) }

// AppendOctets appends the whole content, decoded, to b, which may be a buffer
// from an earlier message.
func (p Part) AppendOctets(b []byte) ([]byte, error) { return p.read(abi.ReadDecoded, b) }

// Text is the whole content as UTF-8, whatever its encoding and character set.
// A character set that the host does not know is [ErrUnsupported].
func (p Part) Text() (string, error) {
	b, err := p.read(abi.ReadText, nil)
	return string(b), err
}

func (p Part) read(mode int32, b []byte) ([]byte, error) {
	size := guest.PartSize(p.id, mode)
	if size < 0 {
		return b, failed("read part", int32(size))
	}
	end := len(b) + int(size)
	b = slices.Grow(b, int(size))
	for len(b) < end {
		n := guest.PartRead(p.id, mode, int64(len(b)-end)+size, b[len(b):end])
		switch {
		case n < 0:
			return b, failed("read part", n)
		case n == 0:
			return b, nil
		}
		b = b[:len(b)+int(n)]
	}
	return b, nil
}

// Replace makes octets, or several slices of them one after the other, the
// content. The host picks the transfer encoding and keeps the other header
// fields. An empty media type leaves that as it is.
func (p Part) Replace(mediaType string, octets ...[]byte) error {
	h := blob(octets...)
	if h >= 0 {
		h = guest.PartReplace(p.id, mediaType, h)
	}
	return failed("replace part", h)
}

// ReplaceText makes text the content, in UTF-8. The part stays what it is,
// text/plain or text/html.
func (p Part) ReplaceText(text string) error { return p.Replace(p.UTF8Type(), []byte(text)) }

// UTF8Type is the part's media type for [Part.Replace] once its text is UTF-8:
// with that character set, and the other parameters that it has.
func (p Part) UTF8Type() string { return utf8Type(p.Type(), p.contentType()) }

func (p Part) contentType() string {
	f, ok := p.Header().First("Content-Type")
	if !ok {
		return ""
	}
	return f.Unfolded()
}

// Parameter is a parameter of the part's Content-Type, such as "format"; empty
// if there is none.
func (p Part) Parameter(name string) string {
	_, params, _ := strings.Cut(p.contentType(), ";")
	for params != "" {
		var one string
		one, params = cutParameter(params)
		key, value, _ := strings.Cut(one, "=")
		if strings.EqualFold(strings.TrimSpace(key), name) {
			return unquote(strings.TrimSpace(value))
		}
	}
	return ""
}

// unquote removes quotes (RFC 5322 §3.2.4).
func unquote(s string) string {
	if len(s) < 2 || s[0] != '"' || s[len(s)-1] != '"' {
		return s
	}
	b := make([]byte, 0, len(s))
	for i := 1; i < len(s)-1; i++ {
		if s[i] == '\\' && i+1 < len(s)-1 {
			i++
		}
		b = append(b, s[i])
	}
	return string(b)
}

// utf8Type is a media type with UTF-8 and the parameters of an old one.
func utf8Type(mediaType, old string) string {
	t := mediaType + "; charset=utf-8"
	_, params, _ := strings.Cut(printable(old, len(old)), ";")
	for params != "" {
		var one string
		one, params = cutParameter(params)
		name, value, _ := strings.Cut(one, "=")
		name, _, _ = strings.Cut(strings.TrimSpace(name), "*") // RFC 2231
		if name != "" && value != "" && !strings.EqualFold(name, "charset") {
			t += "; " + strings.TrimSpace(one)
		}
	}
	return t
}

// cutParameter cuts at the first semicolon that is not in quotes.
func cutParameter(s string) (one, rest string) {
	quoted := false
	for i := 0; i < len(s); i++ {
		switch {
		case s[i] == '"':
			quoted = !quoted
		case s[i] == '\\' && quoted:
			i++
		case s[i] == ';' && !quoted:
			return s[:i], s[i+1:]
		}
	}
	return s, ""
}

// Insert puts a new part in the multipart p, before the one at index; -1 is
// the end. With a filename it is an attachment.
func (p Part) Insert(index int, mediaType, filename string, octets []byte) (Part, error) {
	h := blob(octets)
	if h >= 0 {
		h = guest.PartInsert(p.id, int32(index), mediaType, filename, h)
	}
	return Part{h}, failed("insert part", h)
}

// Remove removes the part from its multipart.
func (p Part) Remove() error { return failed("remove part", guest.PartRemove(p.id)) }

// Wrap puts p in a new multipart ("multipart/mixed") that takes its place, and
// returns that.
func (p Part) Wrap(mediaType string) (Part, error) {
	id := guest.PartWrap(p.id, mediaType)
	return Part{id}, failed("wrap part", id)
}
