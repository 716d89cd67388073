package report

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

// alone is a leaf that is in one tree only; nil for other parts.
func alone(t *mimetree.Tree, n *node, op Op) (*Part, error) {
	if !n.text() {
		return nil, nil
	}
	lines, note, err := textOf(t, n)
	if err != nil {
		return nil, err
	}
	p := &Part{Path: n.info.Path, Type: n.info.Type, Note: note}
	for i, line := range lines {
		if i == maxAlone {
			p.Text = append(p.Text, gap(len(lines)-maxAlone))
			break
		}
		p.Text = append(p.Text, Line{op, line})
	}
	return p, nil
}

// comparePart is what changed in a part that is in both trees; nil if nothing
// did. The message's own header section is not looked at.
func comparePart(a, b *mimetree.Tree, before, after *node) (*Part, error) {
	p := &Part{Path: after.info.Path, Type: after.info.Type}
	var err error
	if before.id != mimetree.Root && after.id != mimetree.Root {
		if p.Header, err = compareHeaders(a, b, before.id, after.id); err != nil {
			return nil, err
		}
	}
	if before.sum != after.sum {
		if err := p.compareContents(a, b, before, after); err != nil {
			return nil, err
		}
	}
	if len(p.Header)+len(p.Text) == 0 && p.Note == "" {
		return nil, nil
	}
	if before.flags&mimetree.InsideSigned != 0 {
		p.note("it is inside a signed part, whose signature does not hold any more")
	}
	return p, nil
}

func (p *Part) compareContents(a, b *mimetree.Tree, before, after *node) error {
	if !before.text() || !after.text() {
		p.note(fmt.Sprintf("other content: %s before, %s now", size(before.size), size(after.size)))
		for _, side := range []struct {
			t  *mimetree.Tree
			n  *node
			op Op
		}{{a, before, Removed}, {b, after, Added}} {
			if only, err := alone(side.t, side.n, side.op); only != nil {
				p.Text = append(p.Text, only.Text...)
			} else if err != nil {
				return err
			}
		}
		return nil
	}
	old, noteA, err := textOf(a, before)
	if err != nil {
		return err
	}
	now, noteB, err := textOf(b, after)
	if err != nil {
		return err
	}
	if noteA == "" && noteB == "" {
		p.Text = changedLines(old, now, 2)
		if len(p.Text) > 0 {
			return nil
		}
		noteB = "only line ends, or how its characters are encoded, changed"
	}
	p.note(noteA)
	if noteB != noteA {
		p.note(noteB)
	}
	return nil
}

func (p *Part) note(text string) {
	if p.Note != "" && text != "" {
		p.Note += "; "
	}
	p.Note += text
}

// textOf are the lines of a part's decoded text, or a note why there are none.
func textOf(t *mimetree.Tree, n *node) (lines []string, note string, err error) {
	if n.size > maxCompare {
		return nil, fmt.Sprintf("%s of text are too much to compare by lines", size(n.size)), nil
	}
	r, err := t.OpenPart(n.id, mimetree.Text)
	if err == nil {
		var text []byte
		if text, err = io.ReadAll(io.LimitReader(r, 4*maxCompare)); err == nil {
			return linesOf(string(text)), "", nil
		}
	}
	switch {
	case errors.Is(err, mimetree.ErrCharset):
		return nil, fmt.Sprintf("its character set %q is not known", visible(n.info.Charset)), nil
	case errors.Is(err, mimetree.ErrEncoding):
		return nil, fmt.Sprintf("its transfer encoding %q is not known", visible(n.info.Encoding)), nil
	case errors.Is(err, mimetree.ErrLossy):
		return nil, "it has characters that cannot be read", nil
	}
	return nil, "", err
}

// linesOf are the lines of a text as they are shown.
func linesOf(text string) []string {
	lines := strings.Split(strings.ReplaceAll(text, "\r\n", "\n"), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	for i, line := range lines {
		lines[i] = visible(line)
	}
	return lines
}

// compareOctets are the lines of two messages, with all that is in them.
func compareOctets(a, b *mimetree.Tree) ([]Line, error) {
	before, err := rawLines(a)
	if err != nil {
		return nil, err
	}
	after, err := rawLines(b)
	if err != nil {
		return nil, err
	}
	if before == nil || after == nil {
		return []Line{{Changed, "octets between the parts"}}, nil
	}
	return changedLines(before, after, 1), nil
}

// rawLines are nil for a message that is too large.
func rawLines(t *mimetree.Tree) ([]string, error) {
	r, err := t.Open()
	if err != nil {
		return nil, err
	}
	defer r.Close()
	b, err := io.ReadAll(io.LimitReader(r, maxCompare+1))
	if err != nil || len(b) > maxCompare {
		return nil, err
	}
	lines := strings.SplitAfter(string(b), "\n")
	if lines[len(lines)-1] == "" {
		lines = lines[:len(lines)-1]
	}
	for i, line := range lines {
		lines[i] = octets(line)
	}
	return lines, nil
}
