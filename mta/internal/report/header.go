package report

import (
	"bytes"
	"strings"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

// A field is a header field as it is and as it is shown.
type field struct {
	name       string
	raw, shown string
}

func fieldsOf(t *mimetree.Tree, id mimetree.ID) ([]field, error) {
	n, err := t.FieldCount(id)
	if err != nil {
		return nil, err
	}
	fields := make([]field, n)
	for i := range fields {
		name, err := t.FieldName(id, i)
		if err != nil {
			return nil, err
		}
		raw, err := t.FieldValue(id, i, mimetree.Raw)
		if err != nil {
			return nil, err
		}
		value, err := t.FieldValue(id, i, mimetree.Decoded)
		if err != nil {
			return nil, err
		}
		fields[i] = field{name, string(raw), visible(strings.ReplaceAll(string(value), "\t", " "))}
	}
	return fields, nil
}

// compareHeaders are the fields that differ in any octet. They are shown
// decoded, and as they are where decoding hides the difference.
func compareHeaders(a, b *mimetree.Tree, ida, idb mimetree.ID) ([]Line, error) {
	headA, err := a.Header(ida)
	if err != nil {
		return nil, err
	}
	headB, err := b.Header(idb)
	if err != nil || bytes.Equal(headA, headB) {
		return nil, err
	}
	before, err := fieldsOf(a, ida)
	if err != nil {
		return nil, err
	}
	after, err := fieldsOf(b, idb)
	if err != nil {
		return nil, err
	}
	edits := align(len(before), len(after), func(i, j int) bool {
		return before[i].name == after[j].name && before[i].raw == after[j].raw
	})
	hidden := map[string]int{} // how often a line as it is shown is removed and added
	for _, e := range edits {
		switch e.op {
		case Removed:
			hidden[before[e.a].line(false)] |= 1
		case Added:
			hidden[after[e.b].line(false)] |= 2
		}
	}
	lines := make([]Line, len(edits))
	for i, e := range edits {
		f := before
		at := e.a
		if e.op == Added {
			f, at = after, e.b
		}
		raw := e.op != Kept && hidden[f[at].line(false)] == 3
		lines[i] = Line{e.op, f[at].line(raw)}
	}
	return trim(lines, 1), nil
}

// line is the field as it is shown.
func (f field) line(raw bool) string {
	if raw {
		return visible(f.name) + ":" + octets(f.raw)
	}
	return visible(f.name) + ": " + f.shown
}
