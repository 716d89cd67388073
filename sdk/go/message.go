package mta

import (
	"io"
	"iter"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// A Message is the message that a hook is asked about, with its transaction and
// what is known of the session that it came in. It is the host's: every method
// asks it there.
type Message struct{ Transaction }

// Size is the size of the message in octets, as it is now.
func (m *Message) Size() int64 { return max(guest.MsgSize(), 0) }

// Open reads the whole message, as it is now: header section and body, lines
// ending in CRLF.
func (m *Message) Open() io.Reader {
	return &reader{op: "read message", at: guest.MsgRead}
}

// Replace makes octets the message. Their lines end in CRLF. All parts and
// header fields found before are void.
func (m *Message) Replace(octets []byte) error {
	h := blob(octets)
	if h >= 0 {
		h = guest.MsgReplace(h)
	}
	return failed("replace message", h)
}

// Header is the header section of the message.
func (m *Message) Header() Header { return Header{abi.Root} }

// Root is the message as the uppermost part of its MIME tree.
func (m *Message) Root() Part { return Part{abi.Root} }

// Parts are all parts, from the root down, each before its children. A part
// may be replaced or removed while they are walked; the children of a part
// that was removed are passed over.
func (m *Message) Parts() iter.Seq[Part] { return m.Root().All() }

// Find is the first part of a media type ("text/html", "text/*").
func (m *Message) Find(mediaType string) (Part, bool) {
	id := guest.PartFind(mediaType, abi.Root)
	return optional(id)
}

// A reader streams from a function of the host.
type reader struct {
	op  string
	at  func(offset int64, buf []byte) int32
	off int64
}

// Read implements [io.Reader].
func (r *reader) Read(p []byte) (int, error) {
	if len(p) == 0 {
		return 0, nil
	}
	n := r.at(r.off, p)
	switch {
	case n < 0:
		return 0, failed(r.op, n)
	case n == 0:
		return 0, io.EOF
	}
	r.off += int64(n)
	return int(n), nil
}
