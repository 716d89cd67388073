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
}

// seen is what was named of one lane.
type seen struct {
	head    int64
	entries []named
	more    bool // than those
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
		l = &seen{head: math.MaxInt64}
		v.lanes[name] = l
	}
	return l
}

func (l *seen) add(shard int, now int64, more bool, fields []any) {
	for i := 0; i+1 < len(fields); i += 2 {
		due := number(fields[i+1]) - now
		l.entries = append(l.entries, named{mail.QueueID(text(fields[i])), shard, due})
		l.head = min(l.head, due)
	}
	l.more = l.more || more
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

// known are the entries of a lane that were named, in order. Of each shard they are
// its earliest; where one has more, those are later than what it named, but not
// always than what others did. To have all of them in order would take an exchange
// for each lane.
func (v *sight) known(name string) []named {
	l := v.lanes[name]
	slices.SortFunc(l.entries, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
	})
	return l.entries
}

// more tells whether there is more of a lane than was named, which is worth asking
// for. Where there are so many lanes that not all were named it is left to another
// claim.
func (v *sight) more(name string) bool { return v.horizon == math.MaxInt64 && v.lanes[name].more }
