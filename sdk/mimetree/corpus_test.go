package mimetree

import (
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

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

// TestCorpusSetAndRemove sets and removes each field of each message: all
// other octets stay.
func TestCorpusSetAndRemove(t *testing.T) {
	for name, octets := range corpusFiles(t) {
		tree := parse(octets)
		n, err := tree.FieldCount(Root)
		if err != nil {
			t.Fatal(err)
		}
		for i := range n {
			f := tree.root.fields[i]
			if err := tree.RemoveField(Root, i); err != nil {
				t.Fatal(name, err)
			}
			if got := all(t, tree); got != octets[:f.start]+octets[f.end:] {
				t.Errorf("%s: removing field %d changed more than that", name, i)
			}
			tree.Rollback(0)
			if f.name == 0 {
				continue
			}
			if err := tree.SetField(Root, i, "x"); err != nil {
				t.Fatal(name, err)
			}
			want := octets[:f.start+int64(f.name)] + ": x" + tree.eol + octets[f.end:]
			if got := all(t, tree); got != want {
				t.Errorf("%s: setting field %d changed more than that", name, i)
			}
			tree.Rollback(0)
			if all(t, tree) != octets {
				t.Fatalf("%s: Rollback", name)
			}
		}
	}
}

// TestCorpusReplace gives each part its own content: what is written reads the
// same, and the octets around the part stay.
func TestCorpusReplace(t *testing.T) {
	replaced := 0
	for name, octets := range corpusFiles(t) {
		tree := parse(octets)
		for _, id := range ids(t, tree) {
			p := tree.parts[id]
			content, err := content7(tree, id)
			a, _ := tree.about(p)
			if err != nil || p.structured || p.opaque || a.isMultipart() || a.holdsMessage() {
				continue // of those, other content could have parts
			}
			if err := tree.Replace(id, "", []byte(content)); err != nil {
				t.Fatal(name, err)
			}
			replaced++
			got := all(t, tree)
			if !strings.HasPrefix(got, octets[:p.whole.start]) || !strings.HasSuffix(got, octets[p.whole.end:]) {
				t.Errorf("%s: replacing part %d changed what is around it", name, id)
			}
			again := parse(got)
			path, _ := tree.Info(id)
			back, err := content7(again, at(t, again, path.Path))
			if err != nil || !sameLines(back, content) {
				t.Errorf("%s: part %q was %.200q, is %.200q, %v", name, path.Path, content, back, err)
			}
			tree.Rollback(0)
			p = tree.parts[id]
		}
		if all(t, tree) != octets {
			t.Fatalf("%s: Rollback", name)
		}
	}
	t.Logf("%d parts replaced", replaced)
}

// sameLines compares text whose line ends may be of another kind.
func sameLines(a, b string) bool {
	return a == b || strings.ReplaceAll(a, "\r\n", "\n") == strings.ReplaceAll(b, "\r\n", "\n")
}

// TestCorpusText puts a footer below each text: the text above it reads as
// before, and the other parts are the same.
func TestCorpusText(t *testing.T) {
	for name, octets := range corpusFiles(t) {
		tree := parse(octets)
		for _, id := range ids(t, tree) {
			info, _ := tree.Info(id)
			r, err := tree.OpenPart(id, Text)
			if err != nil || !strings.HasPrefix(info.Type, "text/") {
				continue
			}
			_ = r
			was := read(t, tree, id, Text)
			switch err := tree.ReplaceText(id, was+"\n-- \nDer Fu\u00df\n"); {
			case err == ErrLossy:
				continue
			case err != nil:
				t.Fatal(name, err)
			}
			again := parse(all(t, tree))
			want := was + "\n-- \nDer Fu\u00df\n"
			if got := read(t, again, at(t, again, info.Path), Text); !strings.HasPrefix(got, was[:strings.LastIndexByte(was, '\n')+1]) ||
				again.lines(got) != again.lines(want) {
				t.Errorf("%s: part %q is %.300q, want %.300q", name, info.Path, got, want)
			}
			tree.Rollback(0)
		}
	}
}

func TestCorpusTo7Bit(t *testing.T) {
	files := corpusFiles(t)
	names := make([]string, 0, len(files))
	for name := range files {
		names = append(names, name)
	}
	slices.Sort(names)
	changed := 0
	for _, name := range names {
		t.Run(name, func(t *testing.T) {
			checkTo7Bit(t, files[name])
			if _, done, _ := To7Bit(parse(files[name])); done.Changed {
				changed++
				if done.Left {
					t.Log("addresses that are not ASCII are left")
				}
			}
		})
	}
	t.Logf("%d messages, %d of them not 7-bit", len(files), changed)
}
