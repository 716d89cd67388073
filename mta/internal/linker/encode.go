package linker

import (
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"slices"
)

func (l *Linker) encode(n *numbers) ([]byte, error) {
	m := l.mod
	types := make([]uint32, len(l.funcs)) // before the types are written
	for i, f := range l.funcs {
		types[i] = m.typeOf(f.Signature)
	}
	elem, err := n.elements(m.sections[secElem])
	if err != nil {
		return nil, fmt.Errorf("table: %w", err)
	}
	code, err := l.code(n)
	if err != nil {
		return nil, err
	}
	start, err := n.start(m.sections[secStart])
	if err != nil {
		return nil, err
	}
	out := []byte(header)
	for _, s := range []struct {
		id      byte
		content []byte
	}{
		{secType, typeSection(m.types)},
		{secImport, importSection(n.imports)},
		{secFunc, funcSection(slices.Concat(m.funcs, types))},
		{secTable, m.sections[secTable]},
		{secMemory, m.sections[secMemory]},
		{secGlobal, l.globalSection()},
		{secExport, l.exportSection(n)},
		{secStart, start},
		{secElem, elem},
		{secDataCount, l.dataCount()},
		{secCode, code},
		{secData, l.dataSection()},
	} {
		if len(s.content) > 0 {
			out = appendOctets(append(out, s.id), s.content)
		}
	}
	return out, nil
}

func appendOctets[T ~[]byte | ~string](b []byte, octets T) []byte {
	return append(binary.AppendUvarint(b, uint64(len(octets))), octets...)
}

// appendAll writes how many entries there are, and each.
func appendAll[T any](list []T, entry func([]byte, T) []byte) []byte {
	b := binary.AppendUvarint(nil, uint64(len(list)))
	for _, e := range list {
		b = entry(b, e)
	}
	return b
}

func typeSection(types []Signature) []byte {
	return appendAll(types, func(b []byte, s Signature) []byte {
		b = append(b, 0x60)
		for _, list := range [][]Type{s.Params, s.Results} {
			b = binary.AppendUvarint(b, uint64(len(list)))
			for _, t := range list {
				b = append(b, byte(t))
			}
		}
		return b
	})
}

func importSection(imports []importEntry) []byte {
	return appendAll(imports, func(b []byte, e importEntry) []byte {
		b = append(appendOctets(appendOctets(b, e.module), e.name), e.kind)
		if e.kind == kindFunc {
			return binary.AppendUvarint(b, uint64(e.typ))
		}
		return append(b, e.desc...)
	})
}

func funcSection(types []uint32) []byte {
	return appendAll(types, func(b []byte, t uint32) []byte { return binary.AppendUvarint(b, uint64(t)) })
}

// rest is a section's content after the number of its entries.
func rest(content []byte) []byte {
	_, width := binary.Uvarint(content)
	return content[max(width, 0):]
}

func (l *Linker) globalSection() []byte {
	b := binary.AppendUvarint(nil, uint64(l.mod.globals)+uint64(len(l.globals)))
	b = append(b, rest(l.mod.sections[secGlobal])...)
	for range l.globals {
		b = append(b, byte(I32), 1, opI32Const, 0, opEnd)
	}
	return b
}

func (l *Linker) exportSection(n *numbers) []byte {
	var list []exportEntry
	for _, e := range l.mod.exports {
		if _, again := l.exports[e.name]; again || l.removed[e.name] {
			continue
		}
		if e.kind == kindFunc {
			e.index = n.old[e.index]
		}
		list = append(list, e)
	}
	for _, name := range slices.Sorted(maps.Keys(l.exports)) {
		list = append(list, exportEntry{name, kindFunc, n.of(l.exports[name])})
	}
	return appendAll(list, func(b []byte, e exportEntry) []byte {
		return binary.AppendUvarint(append(appendOctets(b, e.name), e.kind), uint64(e.index))
	})
}

func (n *numbers) start(content []byte) ([]byte, error) {
	if content == nil {
		return nil, nil
	}
	r := &reader{b: content}
	i, err := n.moved(r.number())
	return binary.AppendUvarint(nil, uint64(i)), errors.Join(r.err, err)
}

// elements are the functions in tables, under their new numbers. Compilers of C
// write those that list numbers; the forms with expressions are refused.
func (n *numbers) elements(content []byte) ([]byte, error) {
	if content == nil {
		return nil, nil
	}
	r := &reader{b: content}
	count := r.count()
	out := binary.AppendUvarint(nil, uint64(count))
	for range count {
		before := r.b
		flags := r.number()
		if flags > 3 {
			return nil, fmt.Errorf("elements of form %d", flags)
		}
		if flags == 2 {
			r.number() // the table
		}
		if flags&1 == 0 {
			r.constant()
		}
		if flags != 0 {
			r.octet() // what the elements are: functions
		}
		if r.err != nil {
			return nil, r.err
		}
		out = append(out, before[:len(before)-len(r.b)]...)
		list := r.count()
		out = binary.AppendUvarint(out, uint64(list))
		for range list {
			i, err := n.moved(r.number())
			if err != nil {
				return nil, err
			}
			out = binary.AppendUvarint(out, uint64(i))
		}
	}
	return out, r.err
}

// constant skips an expression that says where elements go.
func (r *reader) constant() {
	switch op := r.octet(); op {
	case opI32Const, opGlobalGet:
		r.signed()
	default:
		r.fail(fmt.Errorf("a constant by instruction %#x", op))
	}
	if r.octet() != opEnd {
		r.fail(errors.New("a constant of more than one instruction"))
	}
}

func (l *Linker) dataCount() []byte {
	if l.mod.sections[secDataCount] == nil && len(l.data) == 0 {
		return nil
	}
	return binary.AppendUvarint(nil, uint64(l.mod.datas)+uint64(len(l.data)))
}

func (l *Linker) dataSection() []byte {
	if l.mod.sections[secData] == nil && len(l.data) == 0 {
		return nil
	}
	b := binary.AppendUvarint(nil, uint64(l.mod.datas)+uint64(len(l.data)))
	b = append(b, rest(l.mod.sections[secData])...)
	for _, s := range l.data {
		b = appendOctets(append(b, 1), s.octets) // passive
	}
	return b
}
