package mimetree

// A part is a node of the tree. What the message is now is written from it:
// the octets as they came while it is not edited, its fields, the blank line
// and the body otherwise. The body is body, or where the part has parts: pre,
// each of them after its lead, and tail.
type part struct {
	shape
	id     ID
	fields []field
	about  *about  // what its header section says of it; nil: look
	sizes  [2]size // of the decoded body, and of its text
}

// A size is one that was counted; it holds for one version of the tree.
type size struct {
	n       int64
	version int // one more than the tree's, so that zero is none
}

// A shape is all of a part but its fields, to be put back by Rollback.
type shape struct {
	parent, first, last, prev, next ID

	depth  int
	whole  span      // as it came: header section, blank line and body
	blank  span      // the line between header section and body; may be missing
	body   span      // after it, as it came
	lead   delimiter // before the part
	pre    span      // before the first part's lead: the preamble
	tail   delimiter // after the last part: the close delimiter, if there is one, and the epilogue
	border string

	parsed     bool // fields, blank and body are known
	scanned    bool // its parts are known, or that there are none
	structured bool // it has parts, or had some
	edited     bool // whole is not what it is any more
	digest     bool // its parts are messages unless they say otherwise
	removed    bool
	opaque     bool // a limit was met in the header section: body begins with the rest of it
	cut        bool // a limit was met among the parts: tail begins with the rest of them
	unended    bool // the last field has no line end
	broken     bool // the header section is malformed
	torn       bool // what should be its parts is
}

// part is the one of that ID, with its header section read.
func (t *Tree) part(id ID) (*part, error) {
	if id < 0 || int(id) >= len(t.parts) {
		return nil, ErrNotFound
	}
	p := t.parts[id]
	for q := p; ; q = t.parts[q.parent] {
		if q.removed {
			return nil, ErrNotFound
		}
		if q.parent == None {
			break
		}
	}
	return p, t.readHead(p)
}

// render appends what p is now.
func (t *Tree) render(segs []segment, p *part) []segment {
	if !p.edited {
		return t.appendSpan(segs, p.whole)
	}
	for _, f := range p.fields {
		segs = t.appendSpan(segs, f.span)
	}
	return t.renderBody(t.appendSpan(segs, p.blank), p)
}

func (t *Tree) renderBody(segs []segment, p *part) []segment {
	if !p.structured {
		return t.appendSpan(segs, p.body)
	}
	segs = t.appendSpan(segs, p.pre)
	for id := p.first; id != None; id = t.parts[id].next {
		segs = t.render(t.appendSpan(segs, t.parts[id].lead.span), t.parts[id])
	}
	return t.appendSpan(segs, p.tail.span)
}

// newPart makes a part that is not in the tree yet.
func (t *Tree) newPart() ID {
	p := &part{id: ID(len(t.parts)), shape: shape{parent: None, first: None, last: None, prev: None, next: None}}
	t.parts = append(t.parts, p)
	return p.id
}

// link puts a part into parent, before the part next; None is the end.
func (t *Tree) link(parent, id, next ID) {
	p, up := t.parts[id], t.parts[parent]
	p.parent, p.next, p.depth = parent, next, up.depth+1
	t.depth = max(t.depth, p.depth)
	if next == None {
		p.prev, up.last = up.last, id
	} else {
		p.prev, t.parts[next].prev = t.parts[next].prev, id
	}
	if p.prev == None {
		up.first = id
	} else {
		t.parts[p.prev].next = id
	}
}

// unlink takes a part out of its parent.
func (t *Tree) unlink(id ID) {
	p := t.parts[id]
	up := t.parts[p.parent]
	if p.prev == None {
		up.first = p.next
	} else {
		t.parts[p.prev].next = p.next
	}
	if p.next == None {
		up.last = p.prev
	} else {
		t.parts[p.next].prev = p.prev
	}
}
