package queuetest

import (
	"slices"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var modelLanes = []string{"", "a.example", "b.example", "c.example"}

// drawLane is in which lane an entry is to be.
func (m *model) drawLane(rt *rapid.T) string {
	if !m.lanes {
		return ""
	}
	return rapid.SampledFrom(modelLanes).Draw(rt, "lane")
}

// blocked tells whether nothing of a lane is to be had.
func (m *model) blocked(lane string) bool { return m.notBefore[lane].After(m.now) }

// claimByLane claims with some room in some lanes, and goes the way that the
// store went: which of two lanes comes first is the store's to say if the
// earliest of both are due at the same time.
func (m *model) claimByLane(rt *rapid.T) {
	if !m.lanes {
		rt.Skip()
	}
	p := &picker{room: map[string]int{}, notBefore: map[string]time.Time{}}
	for _, lane := range modelLanes {
		if rapid.Bool().Draw(rt, "bounded") {
			p.room[lane] = rapid.IntRange(0, 2).Draw(rt, "room")
			p.notBefore[lane] = m.now.Add(rapid.SampledFrom([]time.Duration{0, time.Second, 40 * time.Second}).Draw(rt, "block"))
		}
	}
	max := rapid.IntRange(1, 6).Draw(rt, "max")
	got, err := m.f.store.Claim(ctx, m.now, m.now.Add(lease), max, p.pick)
	if err != nil {
		rt.Fatalf("claim: %v", err)
	}
	wantIDs(rt, "claimed", ids(got), m.claimable(rt, p, max))
	for _, e := range got {
		m.f.same(e, m.entries[e.ID])
		m.entries[e.ID].Lease = e.Lease
		m.claimed = append(m.claimed, e)
	}
}

// claimable are those that the store must give, having asked p as it did.
func (m *model) claimable(rt *rapid.T, p *picker, max int) []mail.QueueID {
	left := map[string][]*queue.Entry{}
	for _, e := range m.due() {
		if !m.blocked(e.Lane) {
			left[e.Lane] = append(left[e.Lane], e)
		}
	}
	want := []mail.QueueID{}
	for _, lane := range p.asked {
		if len(want) == max || len(left[lane]) == 0 {
			rt.Fatalf("asked about %q, of which nothing was to be had; in all about %q", lane, p.asked)
		}
		for other, entries := range left {
			if entries[0].Due.Before(left[lane][0].Due) {
				rt.Fatalf("asked about %q before %q; in all about %q", lane, other, p.asked)
			}
		}
		n, bounded := p.room[lane]
		if !bounded {
			n = max
		}
		if n == 0 {
			m.notBefore[lane] = p.notBefore[lane]
		}
		n = min(n, max-len(want), len(left[lane]))
		want = append(want, ids(left[lane][:n])...)
		delete(left, lane)
	}
	if len(want) < max && len(left) > 0 {
		rt.Fatalf("asked about %q alone, and %d lanes more have something due", p.asked, len(left))
	}
	return want
}

// wake has a lane be asked about again.
func (m *model) wake(rt *rapid.T) {
	lane := m.drawLane(rt)
	if err := m.f.store.Wake(ctx, lane); err != nil {
		rt.Fatalf("wake: %v", err)
	}
	delete(m.notBefore, lane)
}

// wakeAll forgets what is blocked, for a store that does not keep it.
func (m *model) wakeAll(rt *rapid.T) {
	for _, lane := range modelLanes {
		if err := m.f.store.Wake(ctx, lane); err != nil {
			rt.Fatalf("wake: %v", err)
		}
	}
	clear(m.notBefore)
}

// checkNextDue compares when there is something for a claim; what is past is now.
func (m *model) checkNextDue(rt *rapid.T) {
	var want time.Time
	for _, e := range m.entries {
		if e.State(m.now) != queue.Waiting {
			continue
		}
		at := slices.MaxFunc([]time.Time{e.Due, m.notBefore[e.Lane], m.now}, time.Time.Compare)
		if want.IsZero() || at.Before(want) {
			want = at
		}
	}
	got, ok, err := m.f.store.NextDue(ctx, m.now)
	if ok && got.Before(m.now) {
		got = m.now
	}
	if err != nil || ok == want.IsZero() || ok && !got.Equal(want) {
		rt.Fatalf("next due %v %v %v, want %v", got, ok, err, want)
	}
}

// checkLanes compares how many entries the lanes have.
func (m *model) checkLanes(rt *rapid.T, got []queue.LaneStats) {
	want := map[string]int{}
	for _, e := range m.entries {
		want[e.Lane]++
	}
	for i, l := range got {
		if want[l.Lane] != l.Entries || i > 0 && got[i-1].Entries < l.Entries {
			rt.Fatalf("lanes %+v, want %v", got, want)
		}
	}
	if len(got) != len(want) {
		rt.Fatalf("lanes %+v, want %v", got, want)
	}
}
