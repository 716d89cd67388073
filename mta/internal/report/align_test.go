package report

import (
	"strings"
	"testing"

	"pgregory.net/rapid"
)

// applied makes b of a by the edits of their alignment.
func applied(t interface{ Fatalf(string, ...any) }, edits []edit, a, b []string) (made []string, changes int) {
	at := 0
	for _, e := range edits {
		switch e.op {
		case Kept:
			if e.a != at || a[e.a] != b[e.b] || len(made) != e.b {
				t.Fatalf("%v of %q and %q keeps what is not the same", e, a, b)
			}
			made = append(made, a[e.a])
			at++
		case Removed:
			if e.a != at {
				t.Fatalf("%v of %q and %q is out of order", e, a, b)
			}
			at++
			changes++
		case Added:
			if e.b != len(made) {
				t.Fatalf("%v of %q and %q is out of order", e, a, b)
			}
			made = append(made, b[e.b])
			changes++
		}
	}
	if at != len(a) {
		t.Fatalf("%d of %d elements are accounted for", at, len(a))
	}
	return made, changes
}

// distance is the least number of changes, found by the textbook's table.
func distance(a, b []string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range a {
		next := make([]int, len(b)+1)
		next[0] = i + 1
		for j := range b {
			next[j+1] = min(row[j+1], next[j]) + 1
			if a[i] == b[j] {
				next[j+1] = row[j]
			}
		}
		row = next
	}
	return row[len(b)]
}

func TestAnAlignmentIsTheShortestThatMakesOneOfTheOther(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		words := rapid.SliceOfN(rapid.SampledFrom([]string{"a", "b", "c", "d"}), 0, 40)
		a, b := words.Draw(t, "a"), words.Draw(t, "b")
		edits := align(len(a), len(b), func(i, j int) bool { return a[i] == b[j] })
		made, changes := applied(t, edits, a, b)
		if strings.Join(made, "") != strings.Join(b, "") || changes != distance(a, b) {
			t.Fatalf("%q becomes %q with %d changes, want %q with %d", a, made, changes, b, distance(a, b))
		}
	})
}

func TestWhatHasNothingInCommonIsReplaced(t *testing.T) {
	a, b := strings.Split(strings.Repeat("a", 3*maxEdits), ""), strings.Split(strings.Repeat("b", 3*maxEdits), "")
	compared := 0
	edits := align(len(a), len(b), func(i, j int) bool { compared++; return a[i] == b[j] })
	if made, changes := applied(t, edits, a, b); len(made) != len(b) || changes != len(a)+len(b) {
		t.Errorf("%d elements after %d changes", len(made), changes)
	}
	if most := 2 * maxEdits * maxEdits; compared > most {
		t.Errorf("compared %d times, want at most %d", compared, most)
	}
}
