package shared

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/queuetest"
)

// A memory is a store whose disk is a map: what is in it outlives a restart,
// leases do not.
type memory struct {
	mu      sync.Mutex
	entries map[mail.QueueID]*queue.Entry
	content map[mail.QueueID]mail.Bytes
	blocked map[string]time.Time // lanes
	token   uint64
}

func newMemory() *memory {
	return &memory{entries: map[mail.QueueID]*queue.Entry{}, content: map[mail.QueueID]mail.Bytes{}, blocked: map[string]time.Time{}}
}

// restart ends all leases.
func (m *memory) restart() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.token += 1000
	for _, e := range m.entries {
		e.Lease = queue.Lease{}
	}
	clear(m.blocked)
}

func clone(e *queue.Entry) *queue.Entry {
	c := *e
	c.Envelope.Recipients = slices.Clone(e.Envelope.Recipients)
	c.Last = slices.Clone(e.Last)
	if e.Twin != nil {
		twin := *e.Twin
		c.Twin = &twin
	}
	return &c
}

func (m *memory) Put(ctx context.Context, e *queue.Entry, content mail.Content, until time.Time) error {
	return m.PutAll(ctx, []queue.Deposit{{Entry: e, Content: content, Until: until}})
}

func (m *memory) PutAll(_ context.Context, deposits []queue.Deposit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.putAll(deposits)
}

func (m *memory) putAll(deposits []queue.Deposit) error {
	contents := map[mail.QueueID]mail.Bytes{}
	for _, d := range deposits {
		octets, err := mail.ReadAll(d.Content)
		if err != nil {
			return err
		}
		_, there := m.entries[d.Entry.ID]
		if _, twice := contents[d.Entry.ID]; there || twice {
			return queue.ErrExists
		}
		contents[d.Entry.ID] = slices.Clone(octets)
	}
	maps.Copy(m.content, contents)
	for _, d := range deposits {
		if !d.Until.IsZero() {
			m.token++
			d.Entry.Lease = queue.Lease{Token: m.token, Until: d.Until}
		}
		m.entries[d.Entry.ID] = clone(d.Entry)
	}
	return nil
}

func (m *memory) waiting(now time.Time) []*queue.Entry {
	var out []*queue.Entry
	for _, e := range m.entries {
		if e.State(now) == queue.Waiting {
			out = append(out, e)
		}
	}
	slices.SortFunc(out, func(a, b *queue.Entry) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
	return out
}

func (m *memory) Claim(_ context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	room := map[string]int{}
	var out []*queue.Entry
	for _, e := range m.waiting(now) {
		if len(out) == max || e.Due.After(now) {
			break
		}
		if m.blocked[e.Lane].After(now) {
			continue
		}
		if _, asked := room[e.Lane]; !asked {
			room[e.Lane] = max
			if pick != nil {
				room[e.Lane], m.blocked[e.Lane] = pick(e.Lane)
			}
		}
		if room[e.Lane] <= 0 {
			continue
		}
		room[e.Lane]--
		m.token++
		e.Lease = queue.Lease{Token: m.token, Until: until}
		out = append(out, clone(e))
	}
	return out, nil
}

func (m *memory) Wake(_ context.Context, lane string) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.blocked, lane)
	return nil
}

func (m *memory) Take(_ context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, ok := m.entries[id]
	switch {
	case !ok:
		return nil, queue.ErrNotFound
	case e.State(now) == queue.Active:
		return nil, queue.ErrActive
	}
	m.token++
	e.Lease = queue.Lease{Token: m.token, Until: until}
	return clone(e), nil
}

// mine is the entry if its last lease has that token.
func (m *memory) mine(id mail.QueueID, token uint64) (*queue.Entry, error) {
	e, ok := m.entries[id]
	if !ok || e.Lease.Token == 0 || e.Lease.Token != token {
		return nil, queue.ErrLease
	}
	return e, nil
}

func (m *memory) Extend(_ context.Context, id mail.QueueID, token uint64, until time.Time) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, err := m.mine(id, token)
	if err != nil {
		return err
	}
	e.Lease.Until = until
	if until.IsZero() {
		e.Lease = queue.Lease{}
	}
	return nil
}

func (m *memory) Update(_ context.Context, e *queue.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.mine(e.ID, e.Lease.Token); err != nil {
		return err
	}
	m.entries[e.ID] = clone(e)
	m.entries[e.ID].Lease = queue.Lease{}
	return nil
}

func (m *memory) Remove(_ context.Context, e *queue.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, there := m.entries[e.ID]; !there {
		return nil
	}
	if _, err := m.mine(e.ID, e.Lease.Token); err != nil {
		return err
	}
	m.forget(e.ID)
	return nil
}

func (m *memory) forget(id mail.QueueID) {
	delete(m.entries, id)
	delete(m.content, id)
}

func (m *memory) Replace(_ context.Context, e *queue.Entry, content mail.Content, more []queue.Deposit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	octets, err := mail.ReadAll(content)
	if err != nil {
		return err
	}
	if _, err := m.mine(e.ID, e.Lease.Token); err != nil {
		return err
	}
	if err := m.putAll(more); err != nil {
		return err
	}
	if len(e.Envelope.Recipients) == 0 {
		m.forget(e.ID)
		return nil
	}
	m.entries[e.ID], m.content[e.ID] = clone(e), slices.Clone(octets)
	return nil
}

func (m *memory) Conclude(_ context.Context, e *queue.Entry, more []queue.Deposit) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if _, err := m.mine(e.ID, e.Lease.Token); err != nil {
		return err
	}
	if err := m.putAll(more); err != nil {
		return err
	}
	if len(e.Envelope.Recipients) == 0 {
		m.forget(e.ID)
		return nil
	}
	m.entries[e.ID] = clone(e)
	m.entries[e.ID].Lease = queue.Lease{}
	return nil
}

func (m *memory) Get(_ context.Context, id mail.QueueID) (*queue.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if e, ok := m.entries[id]; ok {
		return clone(e), nil
	}
	return nil, queue.ErrNotFound
}

func (m *memory) Content(_ context.Context, id mail.QueueID) (mail.Content, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if c, ok := m.content[id]; ok {
		return c, nil
	}
	return nil, fmt.Errorf("content of %s: %w", id, queue.ErrNotFound)
}

func (m *memory) List(_ context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []*queue.Entry
	for _, id := range slices.Sorted(maps.Keys(m.entries)) {
		if e := m.entries[id]; id > after && len(out) < max && f.Match(e, now) {
			out = append(out, clone(e))
		}
	}
	return out, nil
}

func (m *memory) NextDue(_ context.Context, now time.Time) (due time.Time, ok bool, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, e := range m.waiting(now) {
		at := e.Due
		if b := m.blocked[e.Lane]; b.After(at) {
			at = b
		}
		if !ok || at.Before(due) {
			due, ok = at, true
		}
	}
	return due, ok, nil
}

func (m *memory) Stats(_ context.Context, now time.Time) (queue.Stats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var s queue.Stats
	lanes := map[string]int{}
	for _, e := range m.entries {
		switch e.State(now) {
		case queue.Waiting:
			s.Waiting++
		case queue.Active:
			s.Active++
		case queue.Held:
			s.Held++
		}
		if s.Oldest.IsZero() || e.Received.Before(s.Oldest) {
			s.Oldest = e.Received
		}
		lanes[e.Lane]++
	}
	for lane, n := range lanes {
		s.Lanes = append(s.Lanes, queue.LaneStats{Lane: lane, Entries: n})
	}
	slices.SortFunc(s.Lanes, func(a, b queue.LaneStats) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Lane, b.Lane))
	})
	return s, nil
}

func (m *memory) Close() error { return nil }

// The tool is itself a store.
func TestMemory(t *testing.T) {
	var mu sync.Mutex
	all := map[string]*memory{}
	queuetest.Run(t, func(_ testing.TB, dir string) queue.Store {
		mu.Lock()
		defer mu.Unlock()
		if all[dir] == nil {
			all[dir] = newMemory()
		}
		all[dir].restart()
		return all[dir]
	})
}
