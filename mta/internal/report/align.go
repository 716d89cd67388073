package report

import "slices"

// An Op says what became of a line.
type Op string

const (
	Kept    Op = " " // it is in both
	Removed Op = "-"
	Added   Op = "+"
	Changed Op = "~" // it is in both, and not the same
	Gap     Op = "…" // lines that are left out; the text says how many
)

// An edit is one step of an alignment: the element a of the one side and b of
// the other, of which an added or removed element has only one.
type edit struct {
	op   Op
	a, b int
}

// maxEdits bounds the work of one alignment, which grows with its square. What
// differs in more is shown as replaced altogether.
const maxEdits = 1000

// align is the shortest way from n elements to m others by adding and removing
// (E. W. Myers, An O(ND) Difference Algorithm and Its Variations, 1986).
func align(n, m int, same func(a, b int) bool) []edit {
	head := 0
	for head < n && head < m && same(head, head) {
		head++
	}
	tail := 0
	for tail < n-head && tail < m-head && same(n-1-tail, m-1-tail) {
		tail++
	}
	edits := run(nil, Kept, 0, 0, head)
	edits = append(edits, middle(head, n-head-tail, m-head-tail, same)...)
	return run(edits, Kept, n-tail, m-tail, tail)
}

// run adds count edits of one kind.
func run(edits []edit, op Op, a, b, count int) []edit {
	for range count {
		edits = append(edits, edit{op, a, b})
		if op != Added {
			a++
		}
		if op != Removed {
			b++
		}
	}
	return edits
}

// middle aligns n elements with m, which both begin at from.
func middle(from, n, m int, same func(a, b int) bool) []edit {
	if n == 0 || m == 0 {
		return run(run(nil, Removed, from, from, n), Added, from+n, from, m)
	}
	trace := search(from, n, m, same)
	if trace == nil {
		return run(run(nil, Removed, from, from, n), Added, from+n, from, m)
	}
	return walk(trace, from, n, m)
}

// A front is how far the paths of one number of edits come: the furthest a on
// each diagonal a-b, which begins at -len/2.
type front []int32

func (f front) at(diagonal int) int     { return int(f[diagonal+len(f)/2]) }
func (f front) set(diagonal int, a int) { f[diagonal+len(f)/2] = int32(a) }
func (f front) down(diagonal, d int) bool { // whether the path comes by an added element
	return diagonal == -d || diagonal != d && f.at(diagonal-1) < f.at(diagonal+1)
}

// search returns the fronts up to the one that reaches the end; nil if that
// takes more than maxEdits.
func search(from, n, m int, same func(a, b int) bool) []front {
	last := front{0, 0, 0} // as if one had come down to the origin
	var trace []front
	for d := 0; d <= min(n+m, maxEdits); d++ {
		next := make(front, 2*d+5)
		for k := -d; k <= d; k += 2 {
			a := 0
			switch {
			case d == 0:
			case last.down(k, d):
				a = last.at(k + 1)
			default:
				a = last.at(k-1) + 1
			}
			for b := a - k; a < n && b < m && same(from+a, from+b); b++ {
				a++
			}
			next.set(k, a)
			if a >= n && a-k >= m {
				return append(trace, next)
			}
		}
		trace = append(trace, next)
		last = next
	}
	return nil
}

// walk goes back through the fronts from the end to the beginning.
func walk(trace []front, from, n, m int) []edit {
	var edits []edit
	a, b := n, m
	for d := len(trace) - 1; d > 0; d-- {
		last, k := trace[d-1], a-b
		before, op := k-1, Removed
		if last.down(k, d) {
			before, op = k+1, Added
		}
		fromA := last.at(before)
		fromB := fromA - before
		startA := fromA // where the diagonal begins
		if op == Removed {
			startA++
		}
		for ; a > startA; a, b = a-1, b-1 {
			edits = append(edits, edit{Kept, from + a - 1, from + b - 1})
		}
		edits = append(edits, edit{op, from + fromA, from + fromB})
		a, b = fromA, fromB
	}
	for ; a > 0; a, b = a-1, b-1 {
		edits = append(edits, edit{Kept, from + a - 1, from + b - 1})
	}
	slices.Reverse(edits)
	return edits
}
