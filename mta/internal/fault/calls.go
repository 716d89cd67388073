package fault

import (
	"fmt"
	"io"
	"slices"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
)

// Calls counts calls to the disk, by what the queue was about.
type Calls map[string]map[faultdisk.Op]int

// What a queue is about. A call is counted at each thing that is under way, for a
// commit is of all that wait at the same time.
const (
	opening    = "opening"
	accepting  = "accepting"
	claiming   = "claiming"
	delivering = "delivering" // the end of an attempt, without a DSN
	bouncing   = "bouncing"   // the end of an attempt, and a DSN
	compacting = "compacting"
	finishing  = "finishing" // nothing else is under way: removals go along with the next commit, or alone
)

var phases = []string{opening, accepting, claiming, delivering, bouncing, compacting, finishing}

func (c Calls) count(phase string, op faultdisk.Op, n int) {
	if c[phase] == nil {
		c[phase] = map[faultdisk.Op]int{}
	}
	c[phase][op] += n
}

func (c Calls) add(o Calls) {
	for phase, ops := range o {
		for op, n := range ops {
			c.count(phase, op, n)
		}
	}
}

// table prints it in Markdown.
func (c Calls) table(w io.Writer) {
	var ops []faultdisk.Op
	for _, of := range c {
		for op := range of {
			if !slices.Contains(ops, op) {
				ops = append(ops, op)
			}
		}
	}
	slices.Sort(ops)
	head, line := "| broken while |", "|---|"
	for _, op := range ops {
		head, line = head+fmt.Sprintf(" %s |", op), line+"--:|"
	}
	fmt.Fprintf(w, "%s\n%s\n", head, line)
	for _, phase := range phases {
		if len(c[phase]) == 0 {
			continue
		}
		row := "| " + phase + " |"
		for _, op := range ops {
			row += fmt.Sprintf(" %d |", c[phase][op])
		}
		fmt.Fprintln(w, row)
	}
}

// A gauge knows what a queue is about. Safe for concurrent use.
type gauge struct {
	mu    sync.Mutex
	under map[string]int
}

// begin notes that something is under way until what it returns is called.
func (g *gauge) begin(phase string) (end func()) {
	g.change(phase, 1)
	return func() { g.change(phase, -1) }
}

func (g *gauge) change(phase string, by int) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.under == nil {
		g.under = map[string]int{}
	}
	g.under[phase] += by
}

// now is what is under way.
func (g *gauge) now() (phases []string) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for phase, n := range g.under {
		if n > 0 {
			phases = append(phases, phase)
		}
	}
	if phases == nil {
		phases = []string{finishing}
	}
	return phases
}
