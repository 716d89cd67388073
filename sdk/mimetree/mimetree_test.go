package mimetree

import (
	"bytes"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// parse makes a tree of octets in memory.
func parse(octets string) *Tree { return Parse(strings.NewReader(octets), Limits{}) }

// all is what t is now, as Open gives it; Size, WriteTo and ReadAt have to say the
// same.
func all(t testing.TB, tree *Tree) string {
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

// corpus is the folder of real messages, which is not part of the repository.
const corpus = "../../../shared/corpus"

// corpusFiles are the messages of the corpus by name.
func corpusFiles(t testing.TB) map[string]string {
	t.Helper()
	files := map[string]string{}
	err := filepath.WalkDir(corpus, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() || name == "README.md" || strings.HasPrefix(name, "LICENSE") {
			return nil
		}
		b, err := os.ReadFile(path)
		files[strings.TrimPrefix(path, corpus+"/")] = string(b)
		return err
	})
	if err != nil {
		t.Skipf("the corpus is not there: %v", err)
	}
	return files
}

// ids are all parts in preorder.
func ids(t testing.TB, tree *Tree) []ID {
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

func TestCorpusIdentity(t *testing.T) {
	for name, octets := range corpusFiles(t) {
		tree := parse(octets)
		ids(t, tree)
		if all(t, tree) != octets {
			t.Errorf("%s: parsing changed it", name)
		}
	}
}

func TestCorpusField(t *testing.T) {
	for name, octets := range corpusFiles(t) {
		tree := parse(octets)
		if err := tree.InsertField(Root, Top, "X-Test", "yes"); err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		got := all(t, tree)
		field := "X-Test: yes" + tree.eol
		before, after, ok := strings.Cut(got, field)
		n, _ := tree.FieldCount(Root)
		if !ok || before+after != octets && !(n == 1 && before+strings.TrimPrefix(after, tree.eol) == octets) {
			t.Errorf("%s: %.300q", name, got)
		}
		if before != "" && !strings.Contains(before, "From ") {
			t.Errorf("%s: not at the top: %q", name, before)
		}
		tree.Rollback(0)
		if all(t, tree) != octets || tree.Modified() {
			t.Errorf("%s: rollback", name)
		}
	}
}
