package mimetree_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/sdk/mimetree"
)

// TestInterrupt ends the decoding of a large part, and lets it be read again
// when nobody is asked any more.
func TestInterrupt(t *testing.T) {
	body := strings.Repeat("=41=42=43 and so on=\r\n", 100_000)
	src := strings.NewReader("Content-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: quoted-printable\r\n\r\n" + body)
	tree := mimetree.Parse(src, mimetree.Limits{})
	asked, late := 0, errors.New("late")
	tree.Interrupt(func() error {
		if asked++; asked > 3 {
			return late
		}
		return nil
	})
	for range 2 {
		if n, err := tree.PartSize(0, mimetree.Text); !errors.Is(err, late) {
			t.Errorf("size is %d, %v; want an error", n, err)
		}
		if n, err := tree.ReadPart(0, mimetree.Text, 1_000_000, make([]byte, 10)); !errors.Is(err, late) {
			t.Errorf("read %d octets, %v; want an error", n, err)
		}
	}
	if asked > 10 {
		t.Errorf("asked %d times, long after the first no", asked)
	}
	tree.Interrupt(nil)
	if n, err := tree.PartSize(0, mimetree.Text); err != nil || n != 1_300_000 {
		t.Errorf("size is %d, %v", n, err)
	}
}

// TestInterruptSearch ends the search for the parts of a large multipart, which
// are found when nobody is asked any more.
func TestInterruptSearch(t *testing.T) {
	part := "--b\r\n\r\n" + strings.Repeat("All work and no play\r\n", 50_000)
	src := strings.NewReader("Content-Type: multipart/mixed; boundary=b\r\n\r\n" + strings.Repeat(part, 4) + "--b--\r\n")
	tree := mimetree.Parse(src, mimetree.Limits{})
	asked, late := 0, errors.New("late")
	tree.Interrupt(func() error {
		if asked++; asked > 2 {
			return late
		}
		return nil
	})
	for range 2 {
		if id, err := tree.First(mimetree.Root); !errors.Is(err, late) {
			t.Errorf("got part %d, %v; want an error", id, err)
		}
	}
	if asked > 5 {
		t.Errorf("asked %d times, long after the first no", asked)
	}
	tree.Interrupt(nil)
	n := 0
	for id, err := tree.First(mimetree.Root); id != mimetree.None; id, err = tree.Next(id) {
		if err != nil {
			break
		}
		n++
	}
	if n != 4 {
		t.Errorf("%d parts, want 4", n)
	}
}
