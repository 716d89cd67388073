package redis

import (
	"cmp"
	"context"
	"errors"
	"math"
	"slices"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	// maxRounds is how often one Claim looks: lanes that are shut hide others.
	maxRounds = 16

	// maxNamed and maxLanes are how many entries of a lane, and how many lanes, one
	// shard names at a time.
	maxNamed = 256
	maxLanes = 32

	// pollEvery is how soon what another node did is noticed.
	pollEvery = time.Second
)

var (
	peekScript  = newScript("peek", false)
	claimScript = newScript("claim", false)
	paceScript  = newScript("pace", false)
	nextScript  = newScript("next", false)
	holdScript  = newScript("hold", false)
)

// Claim implements [queue.Store]. It claims from the shards that are this node's
// to schedule, in two exchanges with Redis unless lanes have no room or a great
// many entries are due: all shards name the earliest of their lanes, and what is
// earliest of all is claimed.
func (s *Store) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	shards := s.scheduled()
	if len(shards) == 0 || s.calmUntil().After(time.Now()) {
		return nil, nil
	}
	if pick == nil {
		pick = func(string) (int, time.Time) { return max, time.Time{} }
	}
	c := &claim{
		Store: s, now: now, until: until, shards: shards, left: max, pick: pick, lanes: map[string]*room{},
	}
	c.recover(ctx)
	for range maxRounds {
		if c.left <= 0 || c.round(ctx) {
			break
		}
	}
	slices.SortStableFunc(c.got, func(a, b *queue.Entry) int { return cmp.Compare(c.rank(a), c.rank(b)) })
	if len(c.got) > 0 {
		return c.got, nil // what is claimed must not be forgotten, whatever failed
	}
	return nil, c.err
}

// A claim is one Claim under way.
type claim struct {
	*Store
	now, until time.Time
	shards     []int
	left       int // how many more may be claimed
	pick       queue.Pick
	lanes      map[string]*room // those that pick was asked about
	current    *room            // the one that there is more of than was named; nil: none
	got        []*queue.Entry
	err        error // the last
}

// A room is what pick said of a lane.
type room struct {
	lane  string
	rank  int // the how manieth it was
	left  int
	paced bool // it is not named for now
}

// rank is the place of an entry's lane among those asked about. What an earlier
// claim got comes first.
func (c *claim) rank(e *queue.Entry) int {
	if r := c.lanes[e.Lane]; r != nil {
		return r.rank
	}
	return -1
}

// recover gets what earlier claims got, their answer having been lost.
func (c *claim) recover(ctx context.Context) {
	for shard, op := range c.pending {
		if op != "" && c.left > 0 {
			c.take(ctx, map[int][]named{shard: nil})
		}
	}
}

// round claims what is earliest of all that is named; over says that there is no
// more.
func (c *claim) round(ctx context.Context) (over bool) {
	only := c.current != nil
	v := c.look(ctx)
	chosen := map[int][]named{}
	left := c.left
	over = !only // after one lane there are the others
	var blocked []any
	for _, lane := range v.order() {
		r := c.lanes[lane]
		if r == nil && v.lanes[lane].head > v.horizon {
			over = false // one that was not named may come first
			break
		}
		if r == nil {
			r = &room{lane: lane, rank: len(c.lanes)}
			c.lanes[lane] = r
			var notBefore time.Time
			if r.left, notBefore = c.pick(lane); r.left <= 0 && notBefore.After(c.now) {
				blocked = append(blocked, lane, c.from(notBefore, c.now))
				r.paced = true
			}
		}
		known := v.known(lane)
		n := max(min(len(known), r.left, left), 0)
		for _, e := range known[:n] {
			chosen[e.shard] = append(chosen[e.shard], e)
		}
		r.left -= n
		left -= n
		if c.current = nil; r.left > 0 && left > 0 && v.more(lane) {
			c.current, over = r, false // all of this lane comes before the next
			break
		}
		if left == 0 {
			over = false // some of those may be had by another by now
			break
		}
	}
	if len(v.lanes) == 0 {
		c.current = nil
	}
	c.take(ctx, chosen)
	c.pace(ctx, blocked)
	return over && v.horizon == math.MaxInt64 || c.stuck(v, chosen, blocked)
}

// stuck tells that another round would see what this one saw.
func (c *claim) stuck(v *sight, chosen map[int][]named, blocked []any) bool {
	return c.err != nil && len(chosen) == 0 && len(blocked) == 0
}

// look has all shards name their earliest.
func (c *claim) look(ctx context.Context) *sight {
	each := min(8+2*(c.left/len(c.shards)+1), maxNamed)
	if c.current != nil {
		each = min(c.left, maxNamed)
	}
	args := []any{maxLanes, each, 2 * each, c.quiet().Microseconds(), ""}
	if c.current != nil {
		args = append(args[:4], "1", c.current.lane)
	} else {
		for lane, r := range c.lanes {
			if !r.paced {
				args = append(args, lane)
			}
		}
	}
	v := newSight()
	var mu sync.Mutex
	c.fail(c.each(c.shards, func(shard int) error {
		a, err := c.run(ctx, peekScript, shard, c.now, "", args...)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		v.add(shard, a)
		return nil
	}))
	return v
}

// take claims entries by name.
func (c *claim) take(ctx context.Context, chosen map[int][]named) {
	shards := make([]int, 0, len(chosen))
	for shard := range chosen {
		shards = append(shards, shard)
	}
	var mu sync.Mutex
	var got []*queue.Entry
	c.fail(c.each(shards, func(shard int) error {
		op := c.newOp()
		args := []any{c.from(c.until, c.now), pageBytes, c.pending[shard]}
		for _, n := range chosen[shard] {
			args = append(args, string(n.id))
		}
		a, err := c.run(ctx, claimScript, shard, c.now, op, args...)
		if err != nil {
			if c.pending[shard] == "" { // else that one is to be asked for again
				c.pending[shard] = op
			}
			return err
		}
		c.pending[shard] = ""
		mu.Lock()
		defer mu.Unlock()
		for _, shown := range a.rest {
			if e, err := c.entry(a, shown); err == nil {
				got = append(got, e)
			}
		}
		return nil
	}))
	c.keep(ctx, got)
}

// keep sorts what was claimed, and holds what cannot be read.
func (c *claim) keep(ctx context.Context, got []*queue.Entry) {
	slices.SortFunc(got, func(a, b *queue.Entry) int {
		return cmp.Or(a.Due.Compare(b.Due), cmp.Compare(a.ID, b.ID))
	})
	for _, e := range got {
		switch {
		case e.Damaged:
			c.log.Error("held", "queue_id", e.ID, "reason", e.Held)
			_, err := c.run(ctx, holdScript, e.ID.Shard(), zero, "", string(e.ID), token(e.Lease.Token))
			c.fail(err)
		case c.left <= 0: // a claim before this one was larger
			c.fail(c.Extend(ctx, e.ID, e.Lease.Token, zero))
		default:
			c.got = append(c.got, e)
			c.left--
		}
	}
}

// pace tells all shards of the lanes that are not to be looked at: whoever
// schedules them need not ask.
func (c *claim) pace(ctx context.Context, args []any) {
	if len(args) > 0 {
		c.fail(c.each(everyShard(), func(shard int) error {
			_, err := c.run(ctx, paceScript, shard, c.now, "", args...)
			return err
		}))
	}
}

func (c *claim) fail(err error) {
	if err != nil {
		c.err = err
	}
}

// Wake implements [queue.Store].
func (s *Store) Wake(ctx context.Context, lane string) error {
	return s.each(everyShard(), func(shard int) error {
		_, err := s.run(ctx, paceScript, shard, zero, "", lane, "")
		return err
	})
}

// NextDue implements [queue.Store]. While times are the server's it is never far
// away: other nodes put entries, too.
func (s *Store) NextDue(ctx context.Context, now time.Time) (due time.Time, ok bool, err error) {
	var mu sync.Mutex
	err = s.each(s.scheduled(), func(shard int) error {
		a, err := s.run(ctx, nextScript, shard, now, "", s.quiet().Microseconds())
		if err != nil || len(a.rest) == 0 {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if t := s.local(a, number(a.rest[0])); !ok || t.Before(due) {
			due, ok = t, true
		}
		return nil
	})
	if s.o.CallersClock || err != nil {
		return due, ok, err
	}
	if poll := now.Add(pollEvery); !ok || due.After(poll) {
		due = poll
	}
	if calm := s.calmUntil(); due.Before(calm) {
		due = calm
	}
	return due, true, nil
}

// each calls f for several shards at once. The calls that f makes share
// pipelines. It returns when all have, with one of the errors.
func (s *Store) each(shards []int, f func(shard int) error) error {
	errs := make([]error, len(shards))
	var wg sync.WaitGroup
	for i, shard := range shards {
		wg.Go(func() { errs[i] = f(shard) })
	}
	wg.Wait()
	for _, err := range errs {
		if errors.Is(err, ErrEmptied) {
			return err // tells most
		}
	}
	return cmp.Or(errs...)
}

func everyShard() []int {
	all := make([]int, mail.Shards)
	for i := range all {
		all[i] = i
	}
	return all
}
