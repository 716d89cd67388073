package mimetree

import (
	"encoding/base64"
	"io"
	"slices"
)

// Base64 as mail has it: lines of 76 octets (RFC 2045 §6.8).
const (
	base64Line   = 76
	base64Octets = base64Line / 4 * 3 // that a line stands for
)

func appendBase64[T []byte | string](dst []byte, octets T) []byte {
	return base64.StdEncoding.AppendEncode(dst, []byte(octets))
}

// A base64View is the encoding of octets that are read when it is read.
type base64View struct {
	r    io.ReaderAt
	n    int64  // octets of r
	eol  string // after each line, but for the last where open
	open bool
}

// size is the number of octets of the encoding.
func (v *base64View) size() int64 {
	full, rest := v.n/base64Octets, v.n%base64Octets
	size := full * v.lineLen()
	if rest > 0 {
		size += (rest+2)/3*4 + int64(len(v.eol))
	}
	if v.open && size > 0 {
		size -= int64(len(v.eol))
	}
	return size
}

func (v *base64View) lineLen() int64 { return base64Line + int64(len(v.eol)) }

// viewLines is how many lines a base64View encodes at once.
const viewLines = 256

// ReadAt implements [io.ReaderAt].
func (v *base64View) ReadAt(p []byte, off int64) (int, error) {
	size := v.size()
	if off < 0 || off >= size {
		return 0, io.EOF
	}
	var octets [viewLines * base64Octets]byte
	text := make([]byte, 0, viewLines*int(v.lineLen()))
	n := 0
	for n < len(p) && off+int64(n) < size {
		line := (off + int64(n)) / v.lineLen()
		from := line * base64Octets
		in := octets[:min(int64(len(octets)), v.n-from, (int64(len(p)-n)/v.lineLen()+2)*base64Octets)]
		if err := readFull(v.r, in, from); err != nil {
			return n, err
		}
		text = v.encode(text[:0], in)
		skip := off + int64(n) - line*v.lineLen()
		m := copy(p[n:], text[skip:min(int64(len(text)), size-line*v.lineLen())])
		n += m
	}
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// encode appends whole lines, of which the last may be short.
func (v *base64View) encode(dst, octets []byte) []byte {
	for len(octets) > 0 {
		n := min(len(octets), base64Octets)
		dst = append(appendBase64(dst, octets[:n]), v.eol...)
		octets = octets[n:]
	}
	return dst
}

// base64Values are the values of the alphabet; other octets are 0xff, and the
// padding is 0xfe.
var base64Values = func() (v [256]byte) {
	for i := range v {
		v[i] = 0xff
	}
	for i := range byte(64) {
		v["ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"[i]] = i
	}
	v['='] = 0xfe
	return v
}()

// A base64Decoder takes what other readers take: octets that are not of the
// alphabet are passed over (RFC 2045 §6.8), padding may be missing, and after
// it another text may follow.
type base64Decoder struct {
	bits uint32
	n    int // of sextets in bits
}

// decode appends what src stands for.
func (d *base64Decoder) decode(dst, src []byte) []byte {
	dst = slices.Grow(dst, len(src)/4*3+3)
	for len(src) > 0 {
		if d.n == 0 {
			dst, src = decodeGroups(dst, src)
		}
		if len(src) > 0 {
			dst, src = d.octet(dst, src[0]), src[1:]
		}
	}
	return dst
}

// decodeGroups appends what whole groups at the front of src stand for, up to
// the first octet that is not of the alphabet.
func decodeGroups(dst, src []byte) (rest, left []byte) {
	v := &base64Values
	for len(src) >= 4 {
		a, b, c, d := v[src[0]], v[src[1]], v[src[2]], v[src[3]]
		if a|b|c|d >= 64 {
			break
		}
		dst = append(dst, a<<2|b>>4, b<<4|c>>2, c<<6|d)
		src = src[4:]
	}
	return dst, src
}

func (d *base64Decoder) octet(dst []byte, c byte) []byte {
	v := base64Values[c]
	if v == 0xfe {
		return d.flush(dst)
	}
	if v >= 64 {
		return dst
	}
	d.bits = d.bits<<6 | uint32(v)
	if d.n++; d.n < 4 {
		return dst
	}
	dst = append(dst, byte(d.bits>>16), byte(d.bits>>8), byte(d.bits))
	d.bits, d.n = 0, 0
	return dst
}

// flush appends the whole octets of a group that is not full.
func (d *base64Decoder) flush(dst []byte) []byte {
	switch d.n {
	case 2:
		dst = append(dst, byte(d.bits>>4))
	case 3:
		dst = append(dst, byte(d.bits>>10), byte(d.bits>>2))
	}
	d.bits, d.n = 0, 0
	return dst
}

func decodeBase64(src []byte) []byte {
	var d base64Decoder
	return d.flush(d.decode(make([]byte, 0, len(src)/4*3+3), src))
}
