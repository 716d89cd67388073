package host

import (
	"encoding/base32"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
)

// PartFirst is part_first: the first child.
func (c *Call) PartFirst(id int32) int32 { return c.walk(Message.PartFirst, id) }

// PartNext is part_next: the next part with the same parent.
func (c *Call) PartNext(id int32) int32 { return c.walk(Message.PartNext, id) }

// PartParent is part_parent.
func (c *Call) PartParent(id int32) int32 { return c.walk(Message.PartParent, id) }

func (c *Call) walk(step func(Message, int32) (int32, abi.Errno), id int32) int32 {
	m, e := c.content(abi.AccessReadPart)
	if e != abi.OK {
		return int32(e)
	}
	return first(step(m, id))
}

// PartFind is part_find: the first part of that type ("text/html", "text/*")
// in preorder, at from or after it.
func (c *Call) PartFind(mediaType string, from int32) int32 {
	m, e := c.content(abi.AccessReadPart)
	if e != abi.OK {
		return int32(e)
	}
	return first(m.PartFind(mediaType, from))
}

// PartInfo is part_info.
func (c *Call) PartInfo(id, what int32) (string, abi.Errno) {
	m, e := c.content(abi.AccessReadPart)
	if e != abi.OK {
		return "", e
	}
	return m.PartInfo(id, what)
}

// PartFlags is part_flags.
func (c *Call) PartFlags(id int32) int32 { return c.walk(Message.PartFlags, id) }

// PartSize is part_size, in octets of what part_read of the same mode reads.
func (c *Call) PartSize(id, mode int32) int64 {
	m, e := c.content(abi.AccessReadPart)
	if e != abi.OK {
		return int64(e)
	}
	n, e := m.PartSize(id, mode)
	if e != abi.OK {
		return int64(e)
	}
	return n
}

// PartRead is part_read: octets copied to p, 0 at the end.
func (c *Call) PartRead(id, mode int32, offset int64, p []byte) int32 {
	access := abi.AccessReadPart
	if mode == abi.ReadRaw { // its header section is in there
		access = abi.AccessReadAll
	}
	m, e := c.content(access)
	if e != abi.OK {
		return int32(e)
	}
	if offset < 0 {
		return int32(abi.BadArg)
	}
	n, e := m.PartRead(id, mode, offset, p)
	return first(int32(n), e)
}

// PartReplace is part_replace: a part's body becomes the blob's octets. The
// host picks the transfer encoding and keeps the other header fields.
func (c *Call) PartReplace(id int32, mediaType string, blob int32) abi.Errno {
	m, e := c.content(abi.AccessEditPart)
	if e != abi.OK {
		return e
	}
	body, e := c.blob(blob)
	if e != abi.OK || !isMediaType(mediaType, true) {
		return orBadArg(e)
	}
	return c.edit(len(body), func() abi.Errno { return m.PartReplace(id, mediaType, body) })
}

// PartInsert is part_insert: a new part as a child of a multipart.
func (c *Call) PartInsert(parent, index int32, mediaType, filename string, blob int32) int32 {
	if e := c.may(abi.AccessEditPart); e != abi.OK {
		return int32(e)
	}
	body, e := c.blob(blob)
	if e != abi.OK || !isMediaType(mediaType, false) || hasControl(filename) {
		return int32(orBadArg(e))
	}
	return c.addPart(len(body), func(m Message) (int32, abi.Errno) {
		return m.PartInsert(parent, index, mediaType, filename, body)
	})
}

// PartRemove is part_remove.
func (c *Call) PartRemove(id int32) abi.Errno {
	m, e := c.content(abi.AccessEditPart)
	if e == abi.OK {
		e = c.edit(0, func() abi.Errno { return m.PartRemove(id) })
	}
	return e
}

// PartWrap is part_wrap: the part becomes the only child of a new multipart.
func (c *Call) PartWrap(id int32, mediaType string) int32 {
	if e := c.may(abi.AccessEditPart); e != abi.OK || !isMediaType(mediaType, false) {
		return int32(orBadArg(e))
	}
	if mediaType = strings.TrimRight(mediaType, "; \t"); !strings.Contains(strings.ToLower(mediaType), "boundary") {
		border, e := c.boundary(id)
		if e != abi.OK {
			return int32(e)
		}
		mediaType += `; boundary="` + border + `"`
	}
	return c.addPart(0, func(m Message) (int32, abi.Errno) { return m.PartWrap(id, mediaType) })
}

// boundary is one that no other part has: random, so that nobody can write it
// into a message beforehand, and with the part's ID and a count, so that two
// differ where a test's random octets do not.
func (c *Call) boundary(id int32) (string, abi.Errno) {
	var b [15]byte
	if _, err := io.ReadFull(c.in.Random, b[:]); err != nil {
		return "", abi.IO
	}
	return "=_" + base32.StdEncoding.EncodeToString(b[:]) + fmt.Sprintf("_%d_%d", id, c.partsAdded), abi.OK
}

// addPart runs an edit that makes a part of so many octets, within the limits.
func (c *Call) addPart(octets int, f func(Message) (int32, abi.Errno)) int32 {
	m, e := c.content(abi.AccessEditPart)
	if e != abi.OK {
		return int32(e)
	}
	if c.partsAdded >= c.limits.PartsAdded {
		return int32(abi.Limit)
	}
	id := int32(0)
	e = c.edit(octets, func() abi.Errno {
		var e abi.Errno
		id, e = f(m)
		return e
	})
	if e != abi.OK {
		return int32(e)
	}
	c.partsAdded++
	return id
}

// MsgSize is msg_size: the octets of the whole message as it is now.
func (c *Call) MsgSize() int64 {
	m, e := c.content(abi.AccessReadPart)
	if e != abi.OK {
		return int64(e)
	}
	return m.Size()
}

// MsgRead is msg_read: octets copied to p, 0 at the end.
func (c *Call) MsgRead(offset int64, p []byte) int32 {
	m, e := c.content(abi.AccessReadAll)
	if e != abi.OK {
		return int32(e)
	}
	if offset < 0 {
		return int32(abi.BadArg)
	}
	n, err := m.ReadAt(p, offset)
	if n == 0 && err != nil && !errors.Is(err, io.EOF) {
		return int32(abi.IO)
	}
	return int32(n)
}

// MsgReplace is msg_replace: the blob is the message from here on. Its lines
// end in CRLF; a bare CR or LF, and NUL, are refused (RFC 5321 §2.3.8). All
// part IDs are new.
func (c *Call) MsgReplace(blob int32) abi.Errno {
	m, e := c.content(abi.AccessEditAll)
	if e != abi.OK {
		return e
	}
	octets, e := c.blob(blob)
	if e != abi.OK {
		return e
	}
	if !c.hasTime(len(octets)) {
		return abi.Timeout
	}
	if len(octets) == 0 || !hasOnlyCRLF(octets) {
		return abi.BadArg
	}
	return c.edit(len(octets), func() abi.Errno { return m.MsgReplace(octets) })
}

// hasOnlyCRLF tells whether b has no NUL, and CR and LF only side by side.
func hasOnlyCRLF(b []byte) bool {
	for i, c := range b {
		switch {
		case c == 0,
			c == '\r' && (i+1 == len(b) || b[i+1] != '\n'),
			c == '\n' && (i == 0 || b[i-1] != '\r'):
			return false
		}
	}
	return true
}

// isMediaType tells whether s is `type/subtype`, perhaps with parameters.
// Where none is needed the empty string will do.
func isMediaType(s string, optional bool) bool {
	if s == "" {
		return optional
	}
	if hasControl(s) {
		return false
	}
	s, _, _ = strings.Cut(s, ";")
	kind, sub, slash := strings.Cut(strings.TrimSpace(s), "/")
	return slash && isToken(kind) && isToken(sub)
}

// isToken tells whether s is a token (RFC 2045 §5.1).
func isToken(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || strings.IndexByte(`()<>@,;:\"/[]?=`, s[i]) >= 0 {
			return false
		}
	}
	return s != ""
}

func orBadArg(e abi.Errno) abi.Errno {
	if e == abi.OK {
		return abi.BadArg
	}
	return e
}
