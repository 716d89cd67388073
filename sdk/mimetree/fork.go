package mimetree

import "slices"

// Fork returns a tree of its own that begins as this one is now: the same
// parts with the same IDs, the same octets. An edit of one does not show in the
// other, and cannot be undone in it: marks are of one tree. The source and what
// was added to the message are shared, as nothing of that changes. Of two forks
// each may be used by another goroutine.
func (t *Tree) Fork() *Tree {
	f := &Tree{
		src: t.src, size: t.size, limits: t.limits,
		added: slices.Clip(t.added), end: t.end,
		version: t.version, depth: t.depth, eol: t.eol,
		head: t.head, recent: t.recent,
		root: t.root,
	}
	f.root.fields = slices.Clone(t.root.fields)
	t.work += 8 * int64(len(t.parts))
	if len(t.parts) == 1 {
		f.few[0] = &f.root
		f.parts = f.few[:1]
		return f
	}
	parts := make([]part, len(t.parts)-1)
	f.parts = make([]*part, 1, len(t.parts))
	f.parts[0] = &f.root
	for i, p := range t.parts[1:] {
		parts[i] = *p
		parts[i].fields = slices.Clone(p.fields)
		f.parts = append(f.parts, &parts[i])
	}
	return f
}
