package queuetest

import (
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// testModel makes random operations at advancing times, on a store and on a
// map, and compares what they answer.
func testModel(t *testing.T, open Opener, lanes bool) {
	rapid.Check(t, func(rt *rapid.T) {
		dir := t.TempDir()
		m := &model{
			f:         &fixture{t: rt, open: func() queue.Store { return open(t, dir) }},
			lanes:     lanes,
			now:       base,
			entries:   map[mail.QueueID]*queue.Entry{},
			notBefore: map[string]time.Time{},
		}
		m.f.store = m.f.open()
		defer func() { m.f.store.Close() }()
		rt.Repeat(map[string]func(*rapid.T){
			"put":      m.put,
			"putAll":   m.putAll,
			"replace":  m.replace,
			"conclude": m.conclude,
			"claim":    m.claim,
			"update":   m.update,
			"remove":   m.remove,
			"wait":     m.wait,
			"reopen":   m.reopen,
			"":         m.check,
		})
	})
}

// A model is what a store ought to have.
type model struct {
	f         *fixture
	lanes     bool // entries are in several
	now       time.Time
	next      int
	entries   map[mail.QueueID]*queue.Entry // as they are in the store
	claimed   []*queue.Entry                // what we have leases of, perhaps lapsed ones
	notBefore map[string]time.Time          // of blocked lanes
}

func (m *model) put(rt *rapid.T) {
	m.next++
	e := inLane(m.next, m.drawLane(rt))
	e.Received = m.now
	e.Due = m.now.Add(rapid.SampledFrom([]time.Duration{-time.Second, 0, 20 * time.Second, 5 * time.Minute}).Draw(rt, "due"))
	e.Held = rapid.SampledFrom([]string{"", "", "", "held"}).Draw(rt, "held")
	size := rapid.SampledFrom([]int{0, 100, 70_000}).Draw(rt, "size")
	var until time.Time
	if e.Held == "" && rapid.Bool().Draw(rt, "leased") {
		until = m.now.Add(lease)
	}
	if err := m.f.store.Put(ctx, e, mail.Bytes(make([]byte, size)), until); err != nil {
		rt.Fatalf("put: %v", err)
	}
	m.entries[e.ID] = e
	if !until.IsZero() {
		m.claimed = append(m.claimed, clone(e))
	}
}

// due are those that a claim must give, in order.
func (m *model) due() []*queue.Entry {
	var due []*queue.Entry
	for _, e := range m.entries {
		if e.State(m.now) == queue.Waiting && !e.Due.After(m.now) {
			due = append(due, e)
		}
	}
	slices.SortFunc(due, func(a, b *queue.Entry) int {
		if c := a.Due.Compare(b.Due); c != 0 {
			return c
		}
		return slices.Compare([]byte(a.ID), []byte(b.ID))
	})
	return due
}

func (m *model) claim(rt *rapid.T) {
	if m.lanes {
		rt.Skip()
	}
	max := rapid.IntRange(1, 4).Draw(rt, "max")
	got := m.f.claim(m.now, max)
	want := m.due()
	want = want[:min(len(want), max)]
	wantIDs(rt, "claimed", ids(got), ids(want))
	for _, e := range got {
		m.f.same(e, m.entries[e.ID])
		m.entries[e.ID].Lease = e.Lease
		m.claimed = append(m.claimed, e)
	}
}

// draw chooses one of the leases we had; valid tells whether it is the last.
func (m *model) draw(rt *rapid.T) (e *queue.Entry, valid bool) {
	if len(m.claimed) == 0 {
		rt.Skip()
	}
	e = rapid.SampledFrom(m.claimed).Draw(rt, "entry")
	stored, ok := m.entries[e.ID]
	return clone(e), ok && stored.Lease.Token == e.Lease.Token
}

func (m *model) update(rt *rapid.T) {
	e, valid := m.draw(rt)
	e.Attempts++
	e.Due = m.now.Add(rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(rt, "due"))
	e.Held = rapid.SampledFrom([]string{"", "", "held"}).Draw(rt, "held")
	e.Lane = m.drawLane(rt)
	err := m.f.store.Update(ctx, e)
	if !valid {
		wantErr(rt, "update with an old lease", err, queue.ErrLease)
		return
	}
	if err != nil {
		rt.Fatalf("update: %v", err)
	}
	e.Lease = queue.Lease{}
	m.entries[e.ID] = e
}

func (m *model) remove(rt *rapid.T) {
	e, valid := m.draw(rt)
	_, there := m.entries[e.ID]
	err := m.f.store.Remove(ctx, e)
	if there && !valid {
		wantErr(rt, "remove with an old lease", err, queue.ErrLease)
		return
	}
	if err != nil {
		rt.Fatalf("remove: %v", err)
	}
	delete(m.entries, e.ID)
}

func (m *model) wait(rt *rapid.T) {
	m.now = m.now.Add(rapid.SampledFrom([]time.Duration{time.Second, 30 * time.Second, 2 * time.Minute}).Draw(rt, "wait"))
}

// reopen takes the time of a lease, for a store that keeps leases.
func (m *model) reopen(rt *rapid.T) {
	m.f.reopen()
	m.wakeAll(rt)
	m.now = m.now.Add(2 * lease)
	for _, e := range m.entries {
		e.Lease = queue.Lease{}
	}
	m.claimed = nil
}

// check compares all that can be seen.
func (m *model) check(rt *rapid.T) {
	want := queue.Stats{}
	for _, e := range m.entries {
		switch e.State(m.now) {
		case queue.Waiting:
			want.Waiting++
		case queue.Active:
			want.Active++
		case queue.Held:
			want.Held++
		}
		m.f.same(m.f.get(e.ID), e)
	}
	got, err := m.f.store.Stats(ctx, m.now)
	if m.lanes {
		m.checkNextDue(rt)
		m.checkLanes(rt, got.Lanes)
	}
	got.Oldest, got.Lanes = time.Time{}, nil
	if err != nil || !cmp.Equal(got, want) {
		rt.Fatalf("stats %+v, %v; want %+v", got, err, want)
	}
	all := m.f.list(m.now, queue.Filter{}, "", len(m.entries)+10)
	if len(all) != len(m.entries) {
		rt.Fatalf("listed %d entries, want %d", len(all), len(m.entries))
	}
}

func clone(e *queue.Entry) *queue.Entry {
	c := *e
	return &c
}
