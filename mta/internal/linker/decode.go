package linker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
)

const header = "\x00asm\x01\x00\x00\x00"

// The sections of a module, in their order in it: data count stands before code.
const (
	secCustom    = 0
	secType      = 1
	secImport    = 2
	secFunc      = 3
	secTable     = 4
	secMemory    = 5
	secGlobal    = 6
	secExport    = 7
	secStart     = 8
	secElem      = 9
	secDataCount = 12
	secCode      = 10
	secData      = 11
)

const (
	kindFunc   = 0
	kindTable  = 1
	kindMemory = 2
	kindGlobal = 3
)

// maxCount bounds what a section says it has, so that a damaged module cannot
// make us allocate: an entry is an octet at least.
const maxCount = 10 << 20

// A module is what of it is looked at; the rest stays in octets.
type module struct {
	types    []Signature
	imports  []importEntry
	funcs    []uint32 // the type of each
	exports  []exportEntry
	globals  uint32 // those defined, without imported ones
	datas    uint32
	sections map[byte][]byte // content
}

type importEntry struct {
	module, name string
	kind         byte
	typ          uint32 // of a function
	desc         []byte // of anything else
}

type exportEntry struct {
	name  string
	kind  byte
	index uint32
}

var errTruncated = errors.New("module ends too early")

// A reader takes a module apart. After an error it gives zeros.
type reader struct {
	b   []byte
	err error
}

func (r *reader) fail(err error) {
	if r.err == nil {
		r.err = err
	}
	r.b = nil
}

func (r *reader) octet() byte {
	if len(r.b) == 0 {
		r.fail(errTruncated)
		return 0
	}
	c := r.b[0]
	r.b = r.b[1:]
	return c
}

func (r *reader) number() uint32 {
	n, width := binary.Uvarint(r.b[:min(len(r.b), binary.MaxVarintLen32)])
	if width <= 0 || n > 1<<32-1 {
		r.fail(errTruncated)
		return 0
	}
	r.b = r.b[width:]
	return uint32(n)
}

func (r *reader) count() int {
	n := r.number()
	if n > maxCount || int(n) > len(r.b) {
		r.fail(errTruncated)
		return 0
	}
	return int(n)
}

func (r *reader) octets() []byte {
	n := r.number()
	if uint64(n) > uint64(len(r.b)) {
		r.fail(errTruncated)
		return nil
	}
	b := r.b[:n:n]
	r.b = r.b[n:]
	return b
}

func (r *reader) types() []Type {
	b := r.octets()
	types := make([]Type, len(b))
	for i, c := range b {
		types[i] = Type(c)
	}
	return types
}

func decode(wasm []byte) (*module, error) {
	if len(wasm) < len(header) || string(wasm[:len(header)]) != header {
		return nil, errors.New("no WebAssembly module")
	}
	m := &module{sections: map[byte][]byte{}}
	r := &reader{b: wasm[len(header):]}
	for len(r.b) > 0 {
		id, content := r.octet(), r.octets()
		if id == secCustom {
			continue
		}
		if _, ok := m.sections[id]; ok || id > secDataCount {
			return nil, fmt.Errorf("section %d stands twice or is not known", id)
		}
		m.sections[id] = content
	}
	if r.err != nil {
		return nil, r.err
	}
	for _, part := range []struct {
		id   byte
		read func(*reader)
	}{
		{secType, m.readTypes}, {secImport, m.readImports}, {secFunc, m.readFuncs}, {secExport, m.readExports},
		{secGlobal, func(r *reader) { m.globals = r.number() }}, {secData, func(r *reader) { m.datas = r.number() }},
	} {
		content, ok := m.sections[part.id]
		if !ok {
			continue
		}
		r := &reader{b: content}
		if part.read(r); r.err != nil {
			return nil, fmt.Errorf("section %d: %w", part.id, r.err)
		}
	}
	return m, nil
}

func (m *module) readTypes(r *reader) {
	for range r.count() {
		if r.octet() != 0x60 {
			r.fail(errors.New("a type that is no function's"))
			return
		}
		m.types = append(m.types, Signature{r.types(), r.types()})
	}
}

func (m *module) readImports(r *reader) {
	for range r.count() {
		e := importEntry{module: string(r.octets()), name: string(r.octets()), kind: r.octet()}
		before := r.b
		switch e.kind {
		case kindFunc:
			if e.typ = r.number(); int64(e.typ) >= int64(len(m.types)) {
				r.fail(errors.New("a type that is not there"))
				return
			}
		case kindTable:
			r.octet()
			r.limits()
		case kindMemory:
			r.limits()
		case kindGlobal:
			r.octet()
			r.octet()
		default:
			r.fail(fmt.Errorf("an import of kind %d", e.kind))
			return
		}
		if e.kind != kindFunc && r.err == nil {
			e.desc = before[:len(before)-len(r.b)]
		}
		m.imports = append(m.imports, e)
	}
}

func (r *reader) limits() {
	if r.octet()&1 != 0 {
		r.number()
	}
	r.number()
}

func (m *module) readFuncs(r *reader) {
	for range r.count() {
		m.funcs = append(m.funcs, r.number())
	}
}

func (m *module) readExports(r *reader) {
	own := uint32(len(m.funcImports()) + len(m.funcs))
	for range r.count() {
		e := exportEntry{string(r.octets()), r.octet(), r.number()}
		if e.kind == kindFunc && e.index >= own {
			r.fail(errors.New("a function that is not there"))
			return
		}
		m.exports = append(m.exports, e)
	}
}

func (m *module) funcImports() []importEntry {
	var list []importEntry
	for _, e := range m.imports {
		if e.kind == kindFunc {
			list = append(list, e)
		}
	}
	return list
}

func (m *module) importedGlobals() uint32 {
	n := uint32(0)
	for _, e := range m.imports {
		if e.kind == kindGlobal {
			n++
		}
	}
	return n
}

// typeOf is the number of a type, which is added if it is not there.
func (m *module) typeOf(s Signature) uint32 {
	i := slices.IndexFunc(m.types, func(t Signature) bool {
		return slices.Equal(t.Params, s.Params) && slices.Equal(t.Results, s.Results)
	})
	if i < 0 {
		i = len(m.types)
		m.types = append(m.types, s)
	}
	return uint32(i)
}
