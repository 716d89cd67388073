package host

import (
	"slices"
	"strings"

	"github.com/wasmta/wasmta/sdk/abi"
)

// HdrCount is hdr_count.
func (c *Call) HdrCount(part int32) int32 {
	m, e := c.header(part, abi.AccessReadHeader)
	if e != abi.OK {
		return int32(e)
	}
	return first(m.HdrCount(part))
}

// HdrFind is hdr_find: the place of the first field of that name, in any case
// of letters, at or after from.
func (c *Call) HdrFind(part int32, name string, from int32) int32 {
	m, e := c.header(part, abi.AccessReadHeader)
	if e != abi.OK {
		return int32(e)
	}
	return first(m.HdrFind(part, name, from))
}

// HdrName is hdr_name, in the letters of the message.
func (c *Call) HdrName(part, index int32) (string, abi.Errno) {
	m, e := c.header(part, abi.AccessReadHeader)
	if e != abi.OK {
		return "", e
	}
	return m.HdrName(part, index)
}

// HdrValue is hdr_value.
func (c *Call) HdrValue(part, index, mode int32) ([]byte, abi.Errno) {
	m, e := c.header(part, abi.AccessReadHeader)
	if e != abi.OK {
		return nil, e
	}
	return m.HdrValue(part, index, mode)
}

// HdrBlock is hdr_block: all fields with their line ends.
func (c *Call) HdrBlock(part int32) ([]byte, abi.Errno) {
	m, e := c.header(part, abi.AccessReadHeader)
	if e != abi.OK {
		return nil, e
	}
	return m.HdrBlock(part)
}

// HdrInsert is hdr_insert: a new field before the one at index. The value is
// folded, and encoded (RFC 2047) where it is not ASCII.
func (c *Call) HdrInsert(part, index int32, name, value string) abi.Errno {
	m, e := c.header(part, abi.AccessEditHeader)
	if e != abi.OK {
		return e
	}
	if !isFieldName(name) || hasLineBreak(value) {
		return abi.BadArg
	}
	return c.addField(len(name)+len(value), 1, func() abi.Errno {
		return m.HdrInsert(part, index, name, value)
	})
}

// HdrInsertRaw is hdr_insert_raw: a whole field, folded by the plugin, with or
// without the line end after it.
func (c *Call) HdrInsertRaw(part, index int32, field string) abi.Errno {
	m, e := c.header(part, abi.AccessEditHeader)
	if e != abi.OK {
		return e
	}
	field = strings.TrimSuffix(field, "\r\n")
	name, value, colon := strings.Cut(field, ":")
	if !colon || !isFieldName(strings.TrimRight(name, " \t")) || !isFolded(value) {
		return abi.BadArg
	}
	return c.addField(len(field), 1, func() abi.Errno {
		return m.HdrInsertRaw(part, index, field+"\r\n")
	})
}

// HdrSet is hdr_set: a new value for a field, which keeps its name and place.
func (c *Call) HdrSet(part, index int32, value string) abi.Errno {
	m, e := c.header(part, abi.AccessEditHeader)
	if e != abi.OK {
		return e
	}
	if hasLineBreak(value) {
		return abi.BadArg
	}
	return c.addField(len(value), 0, func() abi.Errno {
		return m.HdrSet(part, index, value)
	})
}

// HdrRemove is hdr_remove.
func (c *Call) HdrRemove(part, index int32) abi.Errno {
	m, e := c.header(part, abi.AccessEditHeader)
	if e == abi.OK {
		e = c.edit(0, func() abi.Errno { return m.HdrRemove(part, index) })
	}
	return e
}

// HdrRemoveAll is hdr_remove_all: all fields of that name; the result is how
// many there were.
func (c *Call) HdrRemoveAll(part int32, name string) int32 {
	m, e := c.header(part, abi.AccessEditHeader)
	if e == abi.OK {
		_, e = m.HdrCount(part) // so that what is not found below is a field
	}
	if e != abi.OK {
		return int32(e)
	}
	var places []int32
	for i := int32(0); ; i++ {
		if i, e = m.HdrFind(part, name, i); e != abi.OK {
			break
		}
		places = append(places, i)
	}
	if e != abi.NotFound {
		return int32(e)
	}
	mark := m.Mark()
	for _, i := range slices.Backward(places) { // so that few fields move
		if e := c.edit(0, func() abi.Errno { return m.HdrRemove(part, i) }); e != abi.OK {
			m.Rollback(mark)
			return int32(e)
		}
	}
	return int32(len(places))
}

// header is the message of which the plugin may do that with a part's header
// fields. Those of a part within the message are a piece of its body too.
func (c *Call) header(part int32, a abi.Access) (Message, abi.Errno) {
	if part != abi.Root {
		inner := abi.AccessReadPart
		if a == abi.AccessEditHeader {
			inner = abi.AccessEditPart
		}
		if e := c.may(inner); e != abi.OK {
			return nil, e
		}
	}
	return c.content(a)
}

// addField runs an edit that makes a header section larger, within the limits.
func (c *Call) addField(octets, fields int, f func() abi.Errno) abi.Errno {
	if octets > c.limits.FieldOctets || c.headerOctets+octets > c.limits.HeaderOctets ||
		c.headerAdded+fields > c.limits.FieldsAdded {
		return abi.Limit
	}
	e := c.edit(0, f)
	if e == abi.OK {
		c.headerOctets += octets
		c.headerAdded += fields
	}
	return e
}

// edit runs an edit that gives the message so many octets of content, within
// the limits: what an edit replaces is kept, to be put back.
func (c *Call) edit(octets int, f func() abi.Errno) abi.Errno {
	if c.edits >= c.limits.Edits || c.editOctets+octets > c.limits.EditOctets {
		return abi.Limit
	}
	if !c.hasTime(octets) {
		return abi.Timeout
	}
	c.edits++
	c.editOctets += octets
	e := f()
	if e == abi.OK && c.selected == 0 {
		c.changed = true
	}
	return e
}

// isFieldName tells whether s is a header field's name (RFC 5322 §2.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}

// isFolded tells whether each line break in s is CRLF before a blank, with
// more than blanks on every line that follows (RFC 5322 §2.2.3, §3.2.2).
func isFolded(s string) bool {
	for i, line := range strings.Split(s, "\r\n") {
		if hasLineBreak(line) {
			return false
		}
		if i > 0 && (line == "" || line[0] != ' ' && line[0] != '\t' || strings.Trim(line, " \t") == "") {
			return false
		}
	}
	return true
}

// first makes one result of a value and an error.
func first(v int32, e abi.Errno) int32 {
	if e != abi.OK {
		return int32(e)
	}
	return v
}
