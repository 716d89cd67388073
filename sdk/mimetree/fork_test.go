package mimetree

import (
	"bytes"
	"sync"
	"testing"

	"pgregory.net/rapid"
)

// TestForksAreApart edits and undoes in two forks by turns: what one does the
// other never shows.
func TestForksAreApart(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tree := parse(messages().Draw(r, "message"))
		for range rapid.IntRange(0, 4).Draw(r, "edits before") {
			draw(r, tree)
		}
		before := all(r, tree)
		forks := []*Tree{tree, tree.Fork()}
		if got := all(r, forks[1]); got != before {
			r.Fatalf("the fork is %q, want %q", got, before)
		}
		for range rapid.IntRange(1, 8).Draw(r, "edits after") {
			i := rapid.IntRange(0, 1).Draw(r, "fork")
			other := all(r, forks[1-i])
			if rapid.IntRange(0, 3).Draw(r, "undo") == 0 {
				forks[i].Rollback(rapid.IntRange(0, forks[i].Mark()).Draw(r, "mark"))
			} else {
				draw(r, forks[i])
			}
			if got := all(r, forks[1-i]); got != other {
				r.Fatalf("an edit in fork %d made the other %q, want %q", i, got, other)
			}
		}
		forks[1].Rollback(0)
		if got := all(r, forks[1]); got != before {
			r.Fatalf("rolled back to %q, want %q", got, before)
		}
	})
}

// TestForkIsTheSame makes the same edits in a tree and its fork: the parts have
// the same IDs, and the same comes of it.
func TestForkIsTheSame(t *testing.T) {
	rapid.Check(t, func(r *rapid.T) {
		tree := parse(messages().Draw(r, "message"))
		draw(r, tree)
		fork := tree.Fork()
		for range rapid.IntRange(1, 6).Draw(r, "edits") {
			edit, place, text := rapid.Byte().Draw(r, "edit"), rapid.Byte().Draw(r, "place"), rapid.Byte().Draw(r, "text")
			if edit%14 == 11 {
				edit++ // Wrap, whose boundary is another one each time
			}
			step(tree, edit, place, text)
			step(fork, edit, place, text)
			if got, want := all(r, fork), all(r, tree); got != want {
				r.Fatalf("got %q, want %q", got, want)
			}
		}
		if got, want := len(ids(r, fork)), len(ids(r, tree)); got != want {
			r.Fatalf("%d parts, want %d", got, want)
		}
	})
}

func draw(r *rapid.T, tree *Tree) {
	step(tree, rapid.Byte().Draw(r, "edit"), rapid.Byte().Draw(r, "place"), rapid.Byte().Draw(r, "text"))
}

// TestForksAtTheSameTime edits and reads forks in goroutines, for the race
// detector.
func TestForksAtTheSameTime(t *testing.T) {
	octets := []byte("Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\n\r\none\r\n--b\r\nContent-Transfer-Encoding: base64\r\n\r\nYQ==\r\n--b--\r\n")
	tree := Parse(bytes.NewReader(octets), Limits{})
	ids(t, tree)
	var wg sync.WaitGroup
	for i := range 4 {
		fork := tree.Fork()
		wg.Go(func() {
			for j := range 20 {
				step(fork, byte(j), byte(i), byte(j))
				all(t, fork)
			}
		})
	}
	wg.Wait()
	if got := all(t, tree); got != string(octets) {
		t.Errorf("got %q, want %q", got, octets)
	}
}

func BenchmarkFork(b *testing.B) {
	octets := bytes.NewReader([]byte("Subject: x\r\nContent-Type: multipart/mixed; boundary=b\r\n\r\n" +
		"--b\r\n\r\none\r\n--b\r\n\r\ntwo\r\n--b--\r\n"))
	tree := Parse(octets, Limits{})
	ids(b, tree)
	b.ReportAllocs()
	for b.Loop() {
		tree.Fork()
	}
}
