package mimetree

import "slices"

// A change is what it takes to undo one step of an edit.
type change struct {
	kind   changeKind
	part   *part
	index  int
	field  field
	fields []field
	shape  *shape
}

type changeKind uint8

const (
	shapeChanged changeKind = iota // shape was this
	partEdited                     // edited was false
	fieldAdded                     // at index
	fieldGone                      // field was at index
	fieldChanged                   // field was at index
	fieldsGone                     // fields were these
	deeper                         // the tree's depth was index
)

// Mark names the state of the message.
func (t *Tree) Mark() int { return len(t.undo) }

// Rollback undoes all edits since Mark returned that mark. Marks after it are
// void then, and so are the IDs of parts that those edits made.
func (t *Tree) Rollback(mark int) {
	if mark < 0 || mark >= len(t.undo) {
		return
	}
	for len(t.undo) > mark {
		i := len(t.undo) - 1
		t.undo[i].revert(t)
		t.undo[i] = change{}
		t.undo = t.undo[:i]
	}
	t.changed()
}

func (c *change) revert(t *Tree) {
	p := c.part
	switch c.kind {
	case shapeChanged:
		p.shape = *c.shape
	case partEdited:
		p.edited = false
	case fieldAdded:
		p.fields = slices.Delete(p.fields, c.index, c.index+1)
	case fieldGone:
		p.fields = slices.Insert(p.fields, c.index, c.field)
	case fieldChanged:
		p.fields[c.index] = c.field
	case fieldsGone:
		p.fields = c.fields
	case deeper:
		t.depth = c.index
	}
	p.about = nil
}

// edit runs f and undoes what it did if it fails.
func (t *Tree) edit(f func() error) error {
	mark := t.Mark()
	err := f()
	if err != nil {
		t.Rollback(mark)
	}
	return err
}

// touch notes that p is not as it came, and so are all that it is in.
func (t *Tree) touch(p *part) {
	p.about = nil
	t.changed()
	t.setApart(p)
	for !p.edited {
		p.edited = true
		t.undo = append(t.undo, change{kind: partEdited, part: p})
		if p.parent == None {
			return
		}
		p = t.parts[p.parent]
	}
}

// setApart puts line ends between p and what is beside it, where mail that has
// nothing there, or ends too early, or has no blank line, does without.
func (t *Tree) setApart(p *part) {
	if p.parent == None {
		return
	}
	up := t.parts[p.parent]
	if up.holdsMessage() {
		t.blankLine(up)
		return
	}
	if p.lead.cut {
		t.reshape(p)
		p.lead.span, p.lead.cut = t.join(p.lead.span, t.addString(t.eol)), false
	}
	owner, after := up, &up.tail
	if p.next != None {
		owner = t.parts[p.next]
		after = &owner.lead
	}
	if after.bare {
		t.reshape(owner)
		after.span, after.bare = t.join(t.addString(t.eol), after.span), false
	}
}

// join gives two spans one address.
func (t *Tree) join(a, b span) span {
	c := t.contentOf(func(segs []segment) []segment { return t.appendSpan(t.appendSpan(segs, a), b) })
	return t.addReader(c, c.size)
}

// changed forgets what is only true of the message as it was.
func (t *Tree) changed() {
	t.mu.Lock()
	t.view = nil
	t.mu.Unlock()
	t.version++
	t.text, t.stream = decoded{}, stream{}
}

// reshape notes the shape that p has before it is changed.
func (t *Tree) reshape(p *part) {
	old := p.shape
	t.undo = append(t.undo, change{kind: shapeChanged, part: p, shape: &old})
}

func (t *Tree) insertField(p *part, i int, f field) {
	t.moved(len(p.fields) - i)
	p.fields = slices.Insert(p.fields, i, f)
	t.undo = append(t.undo, change{kind: fieldAdded, part: p, index: i})
}

func (t *Tree) removeField(p *part, i int) {
	t.lastFieldGoes(p, i)
	t.undo = append(t.undo, change{kind: fieldGone, part: p, index: i, field: p.fields[i]})
	t.moved(len(p.fields) - i)
	p.fields = slices.Delete(p.fields, i, i+1)
}

// moved counts fields that change their places, as octets.
func (t *Tree) moved(fields int) { t.workedOn(int64(fields) * 24) }

func (t *Tree) replaceField(p *part, i int, f field) {
	t.lastFieldGoes(p, i)
	t.undo = append(t.undo, change{kind: fieldChanged, part: p, index: i, field: p.fields[i]})
	p.fields[i] = f
}

// lastFieldGoes notes that the last field, if it is that one, will have a line
// end.
func (t *Tree) lastFieldGoes(p *part, i int) {
	if p.unended && i == len(p.fields)-1 {
		t.reshape(p)
		p.unended = false
	}
}
