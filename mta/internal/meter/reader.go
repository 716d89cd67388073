package meter

import (
	"errors"
	"fmt"
	"unicode/utf8"
)

var errShort = errors.New("unexpected end")

// reader reads the binary format (WebAssembly core 2.0 §5). The first error
// stays: what is read after it is zero and empty, so that callers look at err
// once, at the end of what they read.
type reader struct {
	b    []byte
	pos  int
	base int // offset of b in the module, for errors
	err  error
}

// fail keeps the first error, with the offset in the module it is at, and
// lets the reader be at its end.
func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = fmt.Errorf("offset %#x: %w", r.base+r.pos, err)
	}
	r.pos = len(r.b)
}

func (r *reader) failf(format string, args ...any) { r.fail(fmt.Errorf(format, args...)) }

func (r *reader) more() bool { return r.err == nil && r.pos < len(r.b) }

func (r *reader) byte() byte {
	if r.pos >= len(r.b) {
		r.fail(errShort)
		return 0
	}
	r.pos++
	return r.b[r.pos-1]
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.b)-r.pos) {
		r.fail(errShort)
		return nil
	}
	r.pos += int(n)
	return r.b[r.pos-int(n) : r.pos : r.pos]
}

// zero reads an octet that the format reserves.
func (r *reader) zero() {
	if c := r.byte(); c != 0 {
		r.failf("reserved octet is %#x, not 0", c)
	}
}

// u32 reads an unsigned LEB128 of at most five octets (§5.2.2).
func (r *reader) u32() uint32 {
	if r.pos < len(r.b) && r.b[r.pos] < 0x80 { // nine in ten
		r.pos++
		return uint32(r.b[r.pos-1])
	}
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		c := r.byte()
		v |= uint32(c&0x7f) << shift
		if c < 0x80 {
			if shift == 28 && c > 0x0f {
				break
			}
			return v
		}
	}
	r.failf("integer of more than 32 bits")
	return 0
}

// signed reads a signed LEB128 of the given width. Overlong numbers are left
// for the runtime to refuse: what counts here is where the number ends.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; shift < bits; shift += 7 {
		c := r.byte()
		v |= int64(c&0x7f) << shift
		if c < 0x80 {
			if shift+7 < 64 && c&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
	r.failf("integer of more than %d bits", bits)
	return 0
}

// count reads the length of a vector whose elements take at least min octets
// each, so that nobody allocates for elements that cannot be there.
func (r *reader) count(min int) int {
	n := r.u32()
	if uint64(n)*uint64(min) > uint64(len(r.b)-r.pos) {
		r.failf("%d elements in %d octets", n, len(r.b)-r.pos)
		return 0
	}
	return int(n)
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		r.failf("name is not UTF-8")
	}
	return string(b)
}

// index reads an index that must be below n.
func (r *reader) index(what string, n int) uint32 {
	i := r.u32()
	if r.err == nil && uint64(i) >= uint64(n) {
		r.failf("%s %d, but there are only %d", what, i, n)
	}
	return i
}

// sub is a reader of the next n octets alone.
func (r *reader) sub(n uint32) *reader {
	at := r.pos
	return &reader{b: r.bytes(n), base: r.base + at, err: r.err}
}

// done is the reader's error, or that something is left over.
func (r *reader) done() error {
	if r.err == nil && r.pos < len(r.b) {
		r.failf("%d octets too many", len(r.b)-r.pos)
	}
	return r.err
}

// The other direction: append what the names say, in the shortest form.

func appendU32(b []byte, v uint32) []byte {
	for v >= 0x80 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v))
}

func appendSigned(b []byte, v int64) []byte {
	for v < -0x40 || v >= 0x40 {
		b = append(b, byte(v)|0x80)
		v >>= 7
	}
	return append(b, byte(v)&0x7f)
}

func appendName(b []byte, s string) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}

func appendBytes(b, s []byte) []byte {
	return append(appendU32(b, uint32(len(s))), s...)
}
