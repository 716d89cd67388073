package mimetree

import (
	"bytes"
	"io"
	"strings"

	"pgregory.net/rapid"
)

// parse makes a tree of octets in memory.
func parse(octets string) *Tree { return Parse(strings.NewReader(octets), Limits{}) }

// all is what t is now, as Open gives it; Size, WriteTo and ReadAt have to say the
// same.
func all(t rapid.TB, tree *Tree) string {
	t.Helper()
	r, err := tree.Open()
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(struct{ io.Reader }{r})
	if err != nil {
		t.Fatal(err)
	}
	if got := tree.Size(); got != int64(len(b)) {
		t.Fatalf("Size is %d, Open gives %d octets", got, len(b))
	}
	r, _ = tree.Open()
	var w bytes.Buffer
	if _, err := io.Copy(&w, r); err != nil || !bytes.Equal(w.Bytes(), b) {
		t.Fatalf("WriteTo gives %q, %v, want %q", w.Bytes(), err, b)
	}
	half := make([]byte, len(b)-len(b)/2)
	if n, err := tree.ReadAt(half, int64(len(b)/2)); n != len(half) || err != nil || !bytes.Equal(half, b[len(b)/2:]) {
		t.Fatalf("ReadAt gives %q, %v, want %q", half[:n], err, b[len(b)/2:])
	}
	return string(b)
}

// ids are all parts in preorder.
func ids(t rapid.TB, tree *Tree) []ID {
	t.Helper()
	var ids []ID
	id, err := Root, error(nil)
	for ; err == nil; id, err = tree.After(id) {
		ids = append(ids, id)
	}
	if err != ErrNotFound {
		t.Fatal(err)
	}
	return ids
}
