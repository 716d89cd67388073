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

	// maxNamed is how many entries one shard names at a time.
	maxNamed = 256

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

// A claim is one Claim under way.
type claim struct {
	*Store
	now, until time.Time
	shards     []int
	left       int // how many more may be claimed
	pick       queue.Pick
	room       map[string]int       // of lanes that pick was asked about
	shut       map[string]time.Time // lanes that are not to be looked at before
	got        []*queue.Entry
	err        error // the last
}

// Claim implements [queue.Store]. It claims from the shards that are this node's
// to schedule, in two exchanges with Redis unless lanes have no room: all shards
// name their earliest, and those that are the earliest of all are claimed.
func (s *Store) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	s.claiming.Lock()
	defer s.claiming.Unlock()
	if s.calmUntil().After(time.Now()) {
		return nil, nil
	}
	if pick == nil {
		pick = func(string) (int, time.Time) { return max, time.Time{} }
	}
	shards := s.scheduled()
	if len(shards) == 0 {
		return nil, nil
	}
	c := &claim{
		Store: s, now: now, until: until, shards: shards, left: max, pick: pick,
		room: map[string]int{}, shut: map[string]time.Time{},
	}
	c.recover(ctx)
	for range maxRounds {
		if c.left <= 0 || c.round(ctx) {
			break
		}
	}
	c.pace(ctx)
	if len(c.got) > 0 {
		return c.got, nil // what is claimed must not be forgotten, whatever failed
	}
	return nil, c.err
}

// recover gets what earlier claims got, their answer having been lost.
func (c *claim) recover(ctx context.Context) {
	for shard, op := range c.pending {
		if op != "" && c.left > 0 {
			c.take(ctx, map[int][]named{shard: nil})
		}
	}
}

// A named entry is one that can be claimed.
type named struct {
	id    mail.QueueID
	lane  string
	shard int
	due   int64
}

// round claims what is earliest of all that is named; over says that there is no
// more.
func (c *claim) round(ctx context.Context) (over bool) {
	all, horizon := c.look(ctx)
	chosen := map[int][]named{}
	left, shut := c.left, len(c.shut)
	for _, n := range all {
		if left == 0 || n.due > horizon {
			break
		}
		if c.open(n.lane) {
			c.room[n.lane]--
			chosen[n.shard] = append(chosen[n.shard], n)
			left--
		}
	}
	c.take(ctx, chosen)
	for lane, room := range c.room {
		if _, noted := c.shut[lane]; room <= 0 && !noted {
			c.shut[lane] = time.Time{}
		}
	}
	more := horizon < math.MaxInt64
	return !more && len(c.shut) == shut || len(chosen) == 0 && len(c.shut) == shut
}

// open tells whether a lane has room, and asks about it if nobody did.
func (c *claim) open(lane string) bool {
	if _, asked := c.room[lane]; !asked {
		n, notBefore := c.pick(lane)
		c.room[lane] = n
		if n <= 0 {
			c.shut[lane] = notBefore
		}
	}
	return c.room[lane] > 0
}

// look has all shards name their earliest, in order. Up to the horizon these are
// all that there are.
func (c *claim) look(ctx context.Context) (all []named, horizon int64) {
	each := min(8+2*(c.left/len(c.shards)+1), maxNamed)
	args := []any{2 * each, each, c.quiet().Microseconds()}
	for lane := range c.shut {
		args = append(args, lane)
	}
	horizon = math.MaxInt64
	var mu sync.Mutex
	c.fail(c.each(c.shards, func(shard int) error {
		a, err := c.run(ctx, peekScript, shard, c.now, "", args...)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, lane := range a.rest {
			all, horizon = c.name(all, horizon, a, shard, lane)
		}
		return nil
	}))
	slices.SortFunc(all, func(a, b named) int {
		return cmp.Or(cmp.Compare(a.due, b.due), cmp.Compare(a.id, b.id))
	})
	return all, horizon
}

// name adds what a shard named of one lane. Clocks of shards may differ: times
// are seen from now.
func (c *claim) name(all []named, horizon int64, a answer, shard int, v any) ([]named, int64) {
	f, _ := v.([]any)
	switch {
	case len(f) < 2:
	case len(f) < 3:
		horizon = min(horizon, number(f[1])-a.now)
	default:
		for i := 3; i+1 < len(f); i += 2 {
			all = append(all, named{mail.QueueID(text(f[i])), text(f[0]), shard, number(f[i+1]) - a.now})
		}
		if text(f[2]) != "" {
			horizon = min(horizon, all[len(all)-1].due)
		}
	}
	return all, horizon
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
func (c *claim) pace(ctx context.Context) {
	var args []any
	for lane, notBefore := range c.shut {
		if notBefore.After(c.now) {
			args = append(args, lane, c.from(notBefore, c.now))
		}
	}
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
