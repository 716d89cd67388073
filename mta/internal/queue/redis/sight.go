package redis

import (
	"cmp"
	"math"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A named entry is one that can be claimed.
type named struct {
	id    mail.QueueID
	shard int
	due   int64 // in microseconds from now: clocks of shards may differ
}

// A sight is what all shards named of what can be claimed.
type sight struct {
	lanes   map[string]*seen
	horizon int64 // before then there is no lane that was not named
	cut     []int // shards with more lanes than they named
}

// seen is what was named of one lane.
type seen struct {
	head    int64
	entries []named
	horizon int64 // up to then there is no entry that was not named
	shards  []int
}

func newSight() *sight {
	return &sight{lanes: map[string]*seen{}, horizon: math.MaxInt64}
}

// add notes what one shard named: for each lane its name, whether there is more
// of it, and entries with when they are due; at last, perhaps, the first lane that
// it left out.
func (v *sight) add(shard int, a answer) {
	for _, field := range a.rest {
		f, _ := field.([]any)
		if len(f) == 2 && text(f[1]) != "" && text(f[1]) != "1" {
			v.horizon = min(v.horizon, number(f[1])-a.now)
			v.cut = append(v.cut, shard)
			continue
		}
		if len(f) >= 4 {
			v.lane(text(f[0])).add(shard, a.now, text(f[1]) != "", f[2:])
		}
	}
}

func (v *sight) lane(name string) *seen {
	l := v.lanes[name]
	if l == nil {
		l = &seen{head: math.MaxInt64, horizon: math.MaxInt64}
		v.lanes[name] = l
	}
	return l
}

func (l *seen) add(shard int, now int64, more bool, fields []any) {
	due := int64(0)
	for i := 0; i+1 < len(fields); i += 2 {
		due = number(fields[i+1]) - now
		l.entries = append(l.entries, named{mail.QueueID(text(fields[i])), shard, due})
		l.head = min(l.head, due)
	}
	if more {
		l.horizon = min(l.horizon, due)
	}
	l.shards = append(l.shards, shard)
}

// order is the lanes by their earliest.
func (v *sight) order() []string {
	names := make([]string, 0, len(v.lanes))
	for name := range v.lanes {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		return cmp.Or(cmp.Compare(v.lanes[a].head, v.lanes[b].head), cmp.Compare(a, b))
	})
	return names
}

// known are the entries of a lane, in order, before which there are none that were
// not named.
func (v *sight) known(name string) []named {
	l := v.lanes[name]
	horizon := l.horizon
	if v.hidden(l) {
		horizon = min(horizon, v.horizon)
	}
	slices.SortFunc(l.entries, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
	})
	for i, e := range l.entries {
		if e.due > horizon {
			return l.entries[:i]
		}
	}
	return l.entries
}

// more tells whether there may be more of a lane than is known.
func (v *sight) more(name string) bool {
	l := v.lanes[name]
	return l.horizon < math.MaxInt64 || v.hidden(l)
}

// hidden tells whether a shard that left out lanes may have left out this one.
func (v *sight) hidden(l *seen) bool {
	return slices.ContainsFunc(v.cut, func(shard int) bool { return !slices.Contains(l.shards, shard) })
}
