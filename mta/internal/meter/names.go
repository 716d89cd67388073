package meter

// Subsections of the name section whose keys are function indices: names of
// functions, of their locals, and of their labels (the last one proposed).
const (
	nameFunctions = 1
	nameLocals    = 2
	nameLabels    = 3
)

// names moves the functions in a name section (§7.4.1) to their new indices,
// and names those that were added, so that a trace of the stack reads well.
// What is not understood is left out: names have no meaning to the machine.
func (w *rewriter) names(data []byte) []byte {
	var b []byte
	r := &reader{b: data}
	for r.more() {
		id := r.byte()
		s := r.sub(r.u32())
		content := s.b
		if id == nameFunctions || id == nameLocals || id == nameLabels {
			content = w.nameMap(s, id)
		}
		if r.err != nil || s.err != nil {
			break
		}
		b = section(b, id, content)
	}
	return b
}

func (w *rewriter) nameMap(r *reader, id byte) []byte {
	var b []byte
	entries := r.count(2)
	n := entries
	for range entries {
		i := r.u32()
		if r.err != nil {
			return nil
		}
		b = appendU32(b, w.call(i))
		if id == nameFunctions {
			b = appendName(b, r.name())
			continue
		}
		at := r.pos
		for range r.count(2) {
			r.u32()
			r.name()
		}
		b = append(b, r.b[at:r.pos]...)
	}
	if id == nameFunctions {
		for i, f := range w.added {
			b = appendName(appendU32(b, uint32(w.m.funcCount()+1+i)), f.name)
			n++
		}
	}
	return append(appendU32(nil, uint32(n)), b...)
}
