package mta

import (
	"iter"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// A Header is the header section of a message or of a part. Names are the same
// in any case of letters. Values are UTF-8 text in one line: the host folds
// long ones, and encodes what is not ASCII (RFC 2047).
type Header struct{ part int32 }

// Get is the first value of that name, decoded; empty if there is none.
func (h Header) Get(name string) string {
	f, ok := h.First(name)
	if !ok {
		return ""
	}
	return f.Value()
}

// Has tells whether there is a field of that name.
func (h Header) Has(name string) bool { return guest.HdrFind(h.part, name, 0) >= 0 }

// Values are all values of that name, decoded, from the top down.
func (h Header) Values(name string) []string {
	var values []string
	for i := guest.HdrFind(h.part, name, 0); i >= 0; i = guest.HdrFind(h.part, name, i+1) {
		values = append(values, Field{h.part, i}.Value())
	}
	return values
}

// Add adds a field at the bottom of the header section.
func (h Header) Add(name, value string) error {
	return failedOn("add header field", name, guest.HdrInsert(h.part, abi.IndexBottom, name, value))
}

// AddTop adds a field at the top of the header section, above the server's own
// Received: field. That is the place of trace fields, and of those that speak
// of what is below them.
func (h Header) AddTop(name, value string) error {
	return failedOn("add header field", name, guest.HdrInsert(h.part, abi.IndexTop, name, value))
}

// AddRaw adds a whole field at the bottom, as it is: "Name: value", already
// folded and encoded.
func (h Header) AddRaw(field string) error {
	return failed("add header field", guest.HdrInsertRaw(h.part, abi.IndexBottom, field))
}

// AddRawTop is AddRaw at the top.
func (h Header) AddRawTop(field string) error {
	return failed("add header field", guest.HdrInsertRaw(h.part, abi.IndexTop, field))
}

// Set gives the first field of that name a value and removes the others. If
// there is none, it adds one at the bottom.
func (h Header) Set(name, value string) error {
	first := guest.HdrFind(h.part, name, 0)
	if first < 0 {
		return h.Add(name, value)
	}
	if e := guest.HdrSet(h.part, first, value); e < 0 {
		return failedOn("set header field", name, e)
	}
	for i := guest.HdrFind(h.part, name, first+1); i >= 0; i = guest.HdrFind(h.part, name, i) {
		if e := guest.HdrRemove(h.part, i); e < 0 {
			return failedOn("set header field", name, e)
		}
	}
	return nil
}

// Remove removes all fields of that name, and says how many there were.
func (h Header) Remove(name string) (int, error) {
	n := guest.HdrRemoveAll(h.part, name)
	return int(max(n, 0)), failedOn("remove header field", name, n)
}

// First is the first field of that name.
func (h Header) First(name string) (Field, bool) {
	i := guest.HdrFind(h.part, name, 0)
	return Field{h.part, i}, i >= 0
}

// Len is the number of fields.
func (h Header) Len() int { return int(max(guest.HdrCount(h.part), 0)) }

// Fields are all fields from the top down. The field in hand may be removed;
// other changes of which fields there are wait until the walk is over.
func (h Header) Fields() iter.Seq[Field] {
	return func(yield func(Field) bool) {
		n := guest.HdrCount(h.part)
		for i := int32(0); i < n; {
			if !yield(Field{h.part, i}) {
				return
			}
			now := guest.HdrCount(h.part)
			if now >= n {
				i++
			}
			n = now
		}
	}
}

// Block is the whole header section as it is now, with its line ends.
func (h Header) Block() []byte {
	b, _ := read(func(buf []byte) int32 { return guest.HdrBlock(h.part, buf) })
	return append([]byte(nil), b...)
}

// A Field is one header field. It is named by its place, so it is void once a
// field above it comes or goes.
type Field struct{ part, index int32 }

// Name is the field's name, in the letters of the message.
func (f Field) Name() string {
	b, _ := read(func(buf []byte) int32 { return guest.HdrName(f.part, f.index, buf) })
	return string(b)
}

// Value is the value as text: unfolded, and its encoded words decoded.
func (f Field) Value() string { return f.value(abi.HdrDecoded) }

// Unfolded is the value in one line, with its encoded words as they are.
func (f Field) Unfolded() string { return f.value(abi.HdrUnfolded) }

// Raw is all that stands after the colon, octet by octet.
func (f Field) Raw() string { return f.value(abi.HdrRaw) }

func (f Field) value(mode int32) string {
	b, _ := read(func(buf []byte) int32 { return guest.HdrValue(f.part, f.index, mode, buf) })
	return string(b)
}

// Set gives the field a value; its name and place stay.
func (f Field) Set(value string) error {
	return failed("set header field", guest.HdrSet(f.part, f.index, value))
}

// Remove removes the field.
func (f Field) Remove() error {
	return failed("remove header field", guest.HdrRemove(f.part, f.index))
}
