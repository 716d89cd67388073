package queue_test

import (
	"cmp"
	"container/heap"
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

// memory is a store in memory, for tests of what the queue makes of one. It has
// what real stores have of order, leases and lanes, and passes their suite.
type memory struct {
	mu      sync.Mutex
	entries map[mail.QueueID]*kept
	lanes   map[string]*memoryLane
	leases  dueHeap
	token   uint64
	forget  bool // contents: each is as if it were short
}

// kept is an entry with its content.
type kept struct {
	entry   *queue.Entry
	content mail.Content
	queued  time.Time // the due time under which it stands in its lane; zero: not there
	lane    string
}

type memoryLane struct {
	due    dueHeap
	before time.Time
	count  int
}

type dueItem struct {
	at time.Time
	id mail.QueueID
}

type dueHeap []dueItem

func (h dueHeap) Len() int { return len(h) }
func (h dueHeap) Less(i, j int) bool {
	return cmp.Or(h[i].at.Compare(h[j].at), cmp.Compare(h[i].id, h[j].id)) < 0
}
func (h dueHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *dueHeap) Push(x any)   { *h = append(*h, x.(dueItem)) }
func (h *dueHeap) Pop() any {
	old := *h
	x := old[len(old)-1]
	*h = old[:len(old)-1]
	return x
}

func newMemory() *memory {
	return &memory{entries: map[mail.QueueID]*kept{}, lanes: map[string]*memoryLane{}}
}

func TestMemory(t *testing.T) {
	var mu sync.Mutex
	stores := map[string]*memory{}
	open := func(_ testing.TB, dir string) queue.Store {
		mu.Lock()
		defer mu.Unlock()
		if stores[dir] == nil {
			stores[dir] = newMemory()
		}
		stores[dir].reopened()
		return stores[dir]
	}
	queuetest.Run(t, open)
	queuetest.RunLanes(t, open)
}

// reopened is what a restart does to what need not be durable.
func (s *memory) reopened() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, l := range s.lanes {
		l.before = time.Time{}
	}
	for _, k := range s.entries {
		k.entry.Lease.Until = time.Time{}
		s.enqueue(k)
	}
}

func copyOf(e *queue.Entry) *queue.Entry {
	c := *e
	c.Envelope.Recipients = slices.Clone(e.Envelope.Recipients)
	c.Last = slices.Clone(e.Last)
	c.Notes = maps.Clone(e.Notes)
	return &c
}

// enqueue sees to it that an entry stands where it waits: in its lane, or among
// the leases. Called with mu held.
func (s *memory) enqueue(k *kept) {
	s.move(k)
	if until := k.entry.Lease.Until; !until.IsZero() {
		k.queued = time.Time{}
		heap.Push(&s.leases, dueItem{until, k.entry.ID})
		return
	}
	s.stand(k)
}

// stand has an entry stand in its lane. Called with mu held.
func (s *memory) stand(k *kept) {
	if k.entry.Held != "" {
		k.queued = time.Time{}
		return
	}
	if !k.queued.Equal(k.entry.Due) {
		k.queued = k.entry.Due
		heap.Push(&s.lane(k.entry.Lane).due, dueItem{k.queued, k.entry.ID})
	}
}

// lapse has entries whose leases are over stand in their lanes. Called with mu
// held.
func (s *memory) lapse(now time.Time) {
	for len(s.leases) > 0 && !s.leases[0].at.After(now) {
		item := heap.Pop(&s.leases).(dueItem)
		if k := s.entries[item.id]; k != nil && k.entry.Lease.Until.Equal(item.at) {
			s.stand(k)
		}
	}
}

// move counts k in the lane where it is. Called with mu held.
func (s *memory) move(k *kept) {
	if k.lane != k.entry.Lane {
		s.lane(k.lane).count--
		s.lane(k.entry.Lane).count++
		k.lane = k.entry.Lane
	}
}

func (s *memory) lane(name string) *memoryLane {
	l := s.lanes[name]
	if l == nil {
		l = &memoryLane{}
		s.lanes[name] = l
	}
	return l
}

// head is the first of a lane that waits, and when it is due. Called with mu held.
func (s *memory) head(name string, l *memoryLane, now time.Time) *kept {
	for len(l.due) > 0 {
		item := l.due[0]
		k := s.entries[item.id]
		stands := k != nil && k.entry.Held == "" && k.entry.Lane == name && k.queued.Equal(item.at)
		if stands && !k.entry.Lease.Until.After(now) {
			return k
		}
		heap.Pop(&l.due)
		if stands {
			s.enqueue(k)
		}
	}
	return nil
}

// lease gives an entry to the caller. Called with mu held.
func (s *memory) lease(k *kept, until time.Time) *queue.Entry {
	s.token++
	k.entry.Lease = queue.Lease{Token: s.token, Until: until}
	s.enqueue(k)
	return copyOf(k.entry)
}

func (s *memory) Put(ctx context.Context, e *queue.Entry, c mail.Content, until time.Time) error {
	return s.PutAll(ctx, []queue.Deposit{{Entry: e, Content: c, Until: until}})
}

func (s *memory) PutAll(_ context.Context, deposits []queue.Deposit) error {
	contents, err := readAll(deposits)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.mayPut(deposits); err != nil {
		return err
	}
	s.put(deposits, contents)
	return nil
}

func readAll(deposits []queue.Deposit) (all []mail.Content, err error) {
	for _, d := range deposits {
		b, err := mail.ReadAll(d.Content)
		if err != nil {
			return nil, err
		}
		all = append(all, mail.Bytes(b))
	}
	return all, nil
}

func (s *memory) mayPut(deposits []queue.Deposit) error {
	seen := map[mail.QueueID]bool{}
	for _, d := range deposits {
		if id := d.Entry.ID; s.entries[id] != nil || seen[id] {
			return queue.ErrExists
		}
		seen[d.Entry.ID] = true
		if d.Entry.ID.Shard() != deposits[0].Entry.ID.Shard() {
			return fmt.Errorf("%s is in another shard", d.Entry.ID)
		}
	}
	return nil
}

func (s *memory) put(deposits []queue.Deposit, contents []mail.Content) {
	for i, d := range deposits {
		k := &kept{entry: copyOf(d.Entry), content: contents[i], lane: d.Entry.Lane}
		if s.forget {
			k.content = mail.Bytes(crepe)
		}
		s.entries[d.Entry.ID] = k
		s.lane(k.lane).count++
		k.entry.Lease = queue.Lease{}
		if d.Until.IsZero() {
			s.enqueue(k)
			continue
		}
		d.Entry.Lease = s.lease(k, d.Until).Lease
	}
}

func (s *memory) Claim(_ context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lapse(now)
	type first struct {
		name string
		l    *memoryLane
		at   time.Time
		id   mail.QueueID
	}
	var order []first
	for name, l := range s.lanes {
		if k := s.head(name, l, now); k != nil && !k.queued.After(now) && !l.before.After(now) {
			order = append(order, first{name, l, k.entry.Due, k.entry.ID})
		}
	}
	slices.SortFunc(order, func(a, b first) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	var got []*queue.Entry
	for _, o := range order {
		if len(got) == max {
			break
		}
		n := max
		if pick != nil {
			var before time.Time
			if n, before = pick(o.name); n <= 0 {
				o.l.before = before
			}
		}
		for ; n > 0 && len(got) < max; n-- {
			k := s.head(o.name, o.l, now)
			if k == nil || k.queued.After(now) {
				break
			}
			heap.Pop(&o.l.due)
			k.queued = time.Time{}
			got = append(got, s.lease(k, until))
		}
	}
	return got, nil
}

func (s *memory) Wake(_ context.Context, lane string) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lane(lane).before = time.Time{}
	return nil
}

func (s *memory) Take(_ context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch k := s.entries[id]; {
	case k == nil:
		return nil, queue.ErrNotFound
	case k.entry.Lease.Until.After(now):
		return nil, queue.ErrActive
	default:
		return s.lease(k, until), nil
	}
}

// owned is the entry if the token is its last. Called with mu held.
func (s *memory) owned(id mail.QueueID, token uint64) (*kept, error) {
	k := s.entries[id]
	if k == nil || k.entry.Lease.Token == 0 || k.entry.Lease.Token != token {
		return nil, queue.ErrLease
	}
	return k, nil
}

func (s *memory) Extend(_ context.Context, id mail.QueueID, token uint64, until time.Time) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.owned(id, token)
	if err != nil {
		return err
	}
	k.entry.Lease.Until = until
	if until.IsZero() {
		k.entry.Lease.Token = 0
	}
	s.enqueue(k)
	return nil
}

func (s *memory) Update(_ context.Context, e *queue.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.owned(e.ID, e.Lease.Token)
	if err != nil {
		return err
	}
	s.replace(k, e, queue.Lease{})
	return nil
}

// replace puts e in the place of k. Called with mu held.
func (s *memory) replace(k *kept, e *queue.Entry, l queue.Lease) {
	k.entry = copyOf(e)
	k.entry.Lease = l
	k.queued = time.Time{}
	s.enqueue(k)
}

// remove forgets k. Called with mu held.
func (s *memory) remove(k *kept) {
	s.lane(k.lane).count--
	delete(s.entries, k.entry.ID)
}

func (s *memory) Replace(_ context.Context, e *queue.Entry, c mail.Content, more []queue.Deposit) error {
	return s.change(e, append([]queue.Deposit{{Entry: e, Content: c}}, more...), func(k *kept, contents []mail.Content) {
		lease := k.entry.Lease
		k.content = contents[0]
		s.replace(k, e, lease)
		s.put(more, contents[1:])
	})
}

func (s *memory) Conclude(_ context.Context, e *queue.Entry, more []queue.Deposit) error {
	return s.change(e, append([]queue.Deposit{{Entry: e, Content: mail.Bytes{}}}, more...), func(k *kept, contents []mail.Content) {
		s.replace(k, e, queue.Lease{})
		s.put(more, contents[1:])
	})
}

// change does a thing to an entry and puts what is behind it in all.
func (s *memory) change(e *queue.Entry, all []queue.Deposit, do func(*kept, []mail.Content)) error {
	contents, err := readAll(all)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	k, err := s.owned(e.ID, e.Lease.Token)
	if err != nil {
		return err
	}
	delete(s.entries, e.ID) // so that it is in nobody's way
	err = s.mayPut(all)
	s.entries[e.ID] = k
	if err != nil {
		return err
	}
	do(k, contents)
	if len(e.Envelope.Recipients) == 0 {
		s.remove(k)
	}
	return nil
}

func (s *memory) Remove(_ context.Context, e *queue.Entry) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.entries[e.ID] == nil {
		return nil
	}
	k, err := s.owned(e.ID, e.Lease.Token)
	if err == nil {
		s.remove(k)
	}
	return err
}

func (s *memory) Get(_ context.Context, id mail.QueueID) (*queue.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.entries[id]; k != nil {
		return copyOf(k.entry), nil
	}
	return nil, queue.ErrNotFound
}

func (s *memory) Content(_ context.Context, id mail.QueueID) (mail.Content, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if k := s.entries[id]; k != nil {
		return k.content, nil
	}
	return nil, queue.ErrNotFound
}

func (s *memory) List(_ context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var ids []mail.QueueID
	for id, k := range s.entries {
		if id > after && f.Match(k.entry, now) {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	var got []*queue.Entry
	for _, id := range ids[:min(max, len(ids))] {
		got = append(got, copyOf(s.entries[id].entry))
	}
	return got, nil
}

func (s *memory) NextDue(_ context.Context, now time.Time) (due time.Time, ok bool, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lapse(now)
	for name, l := range s.lanes {
		k := s.head(name, l, now)
		if k == nil {
			continue
		}
		at := k.queued
		if l.before.After(at) {
			at = l.before
		}
		if !ok || at.Before(due) {
			due, ok = at, true
		}
	}
	return due, ok, nil
}

func (s *memory) Stats(_ context.Context, now time.Time) (stats queue.Stats, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, k := range s.entries {
		switch k.entry.State(now) {
		case queue.Active:
			stats.Active++
		case queue.Held:
			stats.Held++
		default:
			stats.Waiting++
		}
		if stats.Oldest.IsZero() || k.entry.Received.Before(stats.Oldest) {
			stats.Oldest = k.entry.Received
		}
	}
	for name, l := range s.lanes {
		if l.count > 0 {
			stats.Lanes = append(stats.Lanes, queue.LaneStats{Lane: name, Entries: l.count})
		}
	}
	slices.SortFunc(stats.Lanes, func(a, b queue.LaneStats) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Lane, b.Lane))
	})
	stats.Lanes = stats.Lanes[:min(len(stats.Lanes), queue.MaxLanes)]
	return stats, nil
}

// steal gives an entry that somebody has the lease of to somebody else.
func (s *memory) steal(id mail.QueueID) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.lease(s.entries[id], time.Now().Add(time.Hour))
}

func (s *memory) Close() error { return nil }
