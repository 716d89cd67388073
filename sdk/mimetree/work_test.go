package mimetree_test

import (
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

// TestWork holds that what takes long in a large message counts for more than
// in a small one, and for the same each time.
func TestWork(t *testing.T) {
	message := func(n int) string {
		return strings.Repeat("X-Field: a\r\n", n) + "Content-Type: multipart/mixed; boundary=b\r\n\r\n" +
			strings.Repeat("--b\r\nContent-Transfer-Encoding: base64\r\n\r\n"+strings.Repeat("YWJj", 5*n)+"\r\n", n) + "--b--\r\n"
	}
	octets := make([]byte, 4096)
	for name, do := range map[string]func(*mimetree.Tree) error{
		"find field":    func(t *mimetree.Tree) error { _, err := t.FindField(0, "Content-Type", 0); return err },
		"header":        func(t *mimetree.Tree) error { _, err := t.Header(0); return err },
		"remove fields": func(t *mimetree.Tree) error { _, err := t.RemoveFields(0, "X-Field"); return err },
		"scan":          func(t *mimetree.Tree) error { _, err := t.First(0); return err },
		"find part":     func(t *mimetree.Tree) error { _, err := t.Find("image/*", 0); return ignore(err) },
		"decode": func(t *mimetree.Tree) error {
			id, _ := t.First(0)
			_, err := t.PartSize(id, mimetree.Content)
			return err
		},
		"insert": func(t *mimetree.Tree) error {
			_, err := t.Insert(0, mimetree.Bottom, "text/plain", "", octets)
			return err
		},
		"fork": func(t *mimetree.Tree) error { _, err := t.First(0); t.Fork(); return err },
	} {
		work := func(n int) int64 {
			tree := mimetree.Parse(strings.NewReader(message(n)), mimetree.Limits{})
			if err := do(tree); err != nil {
				t.Errorf("%s: %v", name, err)
			}
			return tree.Work()
		}
		small, large := work(5), work(300)
		if large < 10*small || large < 250 {
			t.Errorf("%s: %d in a small message, %d in a large one", name, small, large)
		}
		if again := work(300); again != large {
			t.Errorf("%s: %d, and then %d", name, large, again)
		}
	}
}

func ignore(err error) error {
	if err == mimetree.ErrNotFound {
		return nil
	}
	return err
}
