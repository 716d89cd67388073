package meter

// A graph has a node for each function defined here, and one for each type
// that is called indirectly: from a function to the types it calls, and from
// a type to the functions of that type that something refers to.
type graph struct {
	m     *module
	fns   []function
	types [][]uint32 // by type: the functions that an indirect call can reach
	same  []uint32   // by type: the first type that is equal
}

// markCyclic marks the functions that are on a cycle of calls: those can be
// on the stack more than once, all others at most once. Calls that the host
// makes while the guest is in an import are not seen here.
func markCyclic(m *module, fns []function, referenced []bool) {
	g := &graph{m: m, fns: fns, types: make([][]uint32, len(m.types)), same: sameTypes(m.types)}
	for i, ref := range referenced[m.imported.funcs:] {
		if t := g.same[m.funcs[i]]; ref {
			g.types[t] = append(g.types[t], uint32(i))
		}
	}
	g.components()
}

// sameTypes maps each type to the first that is equal to it: indirect calls
// compare what types say, not their numbers.
func sameTypes(types []funcType) []uint32 {
	first := map[string]uint32{}
	same := make([]uint32, len(types))
	for i, t := range types {
		if _, ok := first[t.key()]; !ok {
			first[t.key()] = uint32(i)
		}
		same[i] = first[t.key()]
	}
	return same
}

func (g *graph) nodes() int { return len(g.fns) + len(g.types) }

// edge is the i-th node that n leads to.
func (g *graph) edge(n uint32, i int) (uint32, bool) {
	functions := uint32(len(g.fns))
	if n >= functions {
		to := g.types[n-functions]
		if i < len(to) {
			return to[i], true
		}
		return 0, false
	}
	f := &g.fns[n]
	if i < len(f.calls) {
		return f.calls[i] - uint32(g.m.imported.funcs), true
	}
	if i -= len(f.calls); i < len(f.indirect) {
		return functions + g.same[f.indirect[i]], true
	}
	return 0, false
}

// components is Tarjan's algorithm, with a stack of its own in place of
// recursion: a chain of calls may be as long as the module.
func (g *graph) components() {
	type visit struct {
		node uint32
		next int // edge
	}
	var (
		order = make([]uint32, g.nodes()) // 1, 2… in order of discovery; 0: not yet
		low   = make([]uint32, g.nodes())
		open  = make([]bool, g.nodes())
		stack []uint32
		path  []visit
		count uint32
	)
	enter := func(n uint32) {
		count++
		order[n], low[n], open[n] = count, count, true
		stack = append(stack, n)
		path = append(path, visit{node: n})
	}
	for root := range uint32(g.nodes()) {
		if order[root] != 0 {
			continue
		}
		for enter(root); len(path) > 0; {
			v := &path[len(path)-1]
			if to, ok := g.edge(v.node, v.next); ok {
				v.next++
				if order[to] == 0 {
					enter(to)
				} else if open[to] {
					low[v.node] = min(low[v.node], order[to])
				}
				continue
			}
			n := v.node
			if path = path[:len(path)-1]; len(path) > 0 {
				up := path[len(path)-1].node
				low[up] = min(low[up], low[n])
			}
			if low[n] == order[n] {
				stack = g.component(stack, n, open)
			}
		}
	}
}

// component takes the strongly connected component of n from the stack, and
// marks its functions if they are on a cycle.
func (g *graph) component(stack []uint32, n uint32, open []bool) []uint32 {
	at := len(stack) - 1
	for stack[at] != n {
		at--
	}
	for _, c := range stack[at:] {
		open[c] = false
		if c < uint32(len(g.fns)) {
			g.fns[c].cyclic = len(stack)-at > 1 || g.callsItself(c)
		}
	}
	return stack[:at]
}

func (g *graph) callsItself(n uint32) bool {
	for _, to := range g.fns[n].calls {
		if to-uint32(g.m.imported.funcs) == n {
			return true
		}
	}
	return false
}
