package meter

// Subsections of the name section: the names of the module, of functions, and
// of what is in functions: locals, and labels (which are only proposed).
const (
	nameModule    = 0
	nameFunctions = 1
	nameLocals    = 2
	nameLabels    = 3
)

// names moves the functions in a name section (§7.4.1) to their new indices,
// and names those that were added, so that a trace of the stack reads well.
// What is not understood is left out, with all that follows it: names have no
// meaning to the machine.
func (w *rewriter) names(data []byte) []byte {
	var b []byte
	r := &reader{b: data}
	for r.more() {
		id := r.byte()
		s := r.sub(r.u32())
		content := s.b
		switch id {
		case nameModule:
			s.name()
		case nameFunctions:
			content = w.functionNames(s)
		case nameLocals, nameLabels:
			content = w.namesInFunctions(s)
		default:
			s.pos = len(s.b)
		}
		if s.done() != nil {
			break
		}
		b = section(b, id, content)
	}
	return b
}

func (w *rewriter) functionNames(r *reader) []byte {
	var b []byte
	n := r.count(2)
	for range n {
		i := r.u32()
		b = appendName(appendU32(b, w.call(i)), r.name())
	}
	for i, f := range w.added {
		b = appendName(appendU32(b, uint32(w.m.funcCount()+1+i)), f.name)
	}
	return append(appendU32(nil, uint32(n+len(w.added))), b...)
}

func (w *rewriter) namesInFunctions(r *reader) []byte {
	n := r.count(2)
	b := appendU32(nil, uint32(n))
	for range n {
		b = appendU32(b, w.call(r.u32()))
		at := r.pos
		for range r.count(2) {
			r.u32()
			r.name()
		}
		b = append(b, r.b[at:r.pos]...)
	}
	return b
}
