package report

import (
	"crypto/sha256"
	"errors"
	"io"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

// A node is one MIME part on a list of all parts in preorder.
type node struct {
	id    mimetree.ID
	depth int
	info  mimetree.Info
	flags mimetree.Flags
	size  int64  // of the content without its transfer encoding
	sum   string // of that; empty: it holds other parts
}

func nodesOf(t *mimetree.Tree) ([]node, error) {
	var nodes []node
	depth := map[mimetree.ID]int{}
	for id := mimetree.ID(mimetree.Root); ; {
		n, err := nodeOf(t, id)
		if err != nil {
			return nil, err
		}
		if parent, err := t.Parent(id); err == nil {
			n.depth = depth[parent] + 1
		}
		depth[id] = n.depth
		nodes = append(nodes, n)
		id, err = t.After(id)
		if errors.Is(err, mimetree.ErrNotFound) {
			return nodes, nil
		}
		if err != nil {
			return nil, err
		}
	}
}

func nodeOf(t *mimetree.Tree, id mimetree.ID) (n node, err error) {
	n.id = id
	if n.info, err = t.Info(id); err != nil {
		return n, err
	}
	if n.flags, err = t.Flags(id); err != nil {
		return n, err
	}
	if _, err := t.First(id); err == nil {
		return n, nil
	}
	n.size, n.sum, err = contentSum(t, id, mimetree.Content)
	if errors.Is(err, mimetree.ErrEncoding) {
		n.size, n.sum, err = contentSum(t, id, mimetree.Body)
	}
	return n, err
}

func contentSum(t *mimetree.Tree, id mimetree.ID, form mimetree.Form) (int64, string, error) {
	r, err := t.OpenPart(id, form)
	if err != nil {
		return 0, "", err
	}
	h := sha256.New()
	n, err := io.Copy(h, r)
	return n, string(h.Sum(nil)), err
}

func (n *node) leaf() bool { return n.sum != "" }

func (n *node) text() bool { return n.leaf() && strings.HasPrefix(n.info.Type, "text/") }

// same tells whether two nodes are the same part, wherever each stands.
func (n *node) same(o *node) bool {
	return n.info.Type == o.info.Type && n.sum == o.sum && n.info.Filename == o.info.Filename &&
		n.info.Disposition == o.info.Disposition && n.info.Encoding == o.info.Encoding && strings.EqualFold(n.info.Charset, o.info.Charset)
}

// kin tells whether one node may have become the other.
func (n *node) kin(o *node) bool {
	return n.leaf() == o.leaf() && (n.info.Type == o.info.Type || n.text() && o.text() ||
		n.info.Filename != "" && n.info.Filename == o.info.Filename)
}

// line is the part as the structure shows it.
func (n *node) line() string {
	return strings.Repeat("  ", n.depth) + visible(strings.Join(n.words(), ", "))
}

// words are what there is to say of a part.
func (n *node) words() []string {
	words := []string{n.info.Type}
	if n.info.Charset != "" && n.text() {
		words = append(words, strings.ToLower(n.info.Charset))
	}
	if n.leaf() {
		if n.info.Encoding != "" {
			words = append(words, n.info.Encoding)
		}
		words = append(words, size(n.size))
	}
	if n.info.Filename != "" {
		words = append(words, `"`+n.info.Filename+`"`)
	}
	if n.info.Disposition != "" {
		words = append(words, n.info.Disposition)
	}
	if n.flags&mimetree.Malformed != 0 {
		words = append(words, "malformed")
	}
	return words
}

// compareTrees finds which parts came, went and changed, and how.
func (c *Changes) compareTrees(a, b *mimetree.Tree) error {
	before, err := nodesOf(a)
	if err != nil {
		return err
	}
	after, err := nodesOf(b)
	if err != nil {
		return err
	}
	edits := align(len(before), len(after), func(i, j int) bool { return before[i].same(&after[j]) })
	edits = pairUp(edits, before, after)
	lines := make([]Line, 0, len(edits))
	for _, e := range edits {
		var part *Part
		switch e.op {
		case Removed:
			lines = append(lines, Line{Removed, before[e.a].line()})
			part, err = alone(a, &before[e.a], Removed)
		case Added:
			lines = append(lines, Line{Added, after[e.b].line()})
			part, err = alone(b, &after[e.b], Added)
		default:
			lines = append(lines, pairLine(e.op, &before[e.a], &after[e.b]))
			part, err = comparePart(a, b, &before[e.a], &after[e.b])
		}
		if err != nil {
			return err
		}
		if part != nil && len(c.Parts) < maxLines {
			c.Parts = append(c.Parts, *part)
		}
	}
	c.Tree = trim(lines, 3)
	return nil
}

// pairLine shows a part that is in both trees, in its new place.
func pairLine(op Op, before, after *node) Line {
	text := after.line()
	if op == Changed {
		now := after.words()
		old := slices.DeleteFunc(before.words(), func(w string) bool { return slices.Contains(now, w) })
		if len(old) > 0 {
			text += ", was " + visible(strings.Join(old, ", "))
		}
	}
	return Line{op, text}
}

// pairUp makes a change of a removed and an added part that are kin.
func pairUp(edits []edit, before, after []node) []edit {
	var out []edit
	for len(edits) > 0 {
		if edits[0].op == Kept {
			out, edits = append(out, edits[0]), edits[1:]
			continue
		}
		n := 0
		var removed, added []edit
		for ; n < len(edits) && edits[n].op != Kept; n++ {
			if edits[n].op == Removed {
				removed = append(removed, edits[n])
			} else {
				added = append(added, edits[n])
			}
		}
		out = append(out, pairRun(removed, added, before, after)...)
		edits = edits[n:]
	}
	return out
}

// pairRun pairs removed and added parts in their order.
func pairRun(removed, added []edit, before, after []node) (out []edit) {
	for _, r := range removed {
		at := -1
		for i, x := range added {
			if before[r.a].kin(&after[x.b]) {
				at = i
				break
			}
		}
		if at < 0 {
			out = append(out, r)
			continue
		}
		out = append(out, added[:at]...)
		out = append(out, edit{Changed, r.a, added[at].b})
		added = added[at+1:]
	}
	return append(out, added...)
}
