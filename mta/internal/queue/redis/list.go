package redis

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var (
	pageScript  = newScript("page", false)
	countScript = newScript("count", false)
)

// List implements [queue.Store]. All shards answer a page each, again and again,
// and what comes before the end of the shortest is in order.
func (s *Store) List(ctx context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	if len(f.IDs) > 0 {
		return s.listIDs(ctx, now, f, after, max)
	}
	l := &listing{Store: s, now: now, after: after}
	var out []*queue.Entry
	for len(out) < max && !l.over {
		// A filter chooses few: then pages are long.
		page, err := l.next(ctx, min(8+2*(max/mail.Shards)+4*l.pages, 200))
		if err != nil {
			return nil, err
		}
		for _, e := range page {
			if f.Match(e, now) && len(out) < max {
				out = append(out, e)
			}
		}
	}
	return out, nil
}

// A listing goes through all entries in order.
type listing struct {
	*Store
	now   time.Time
	after mail.QueueID
	pages int
	over  bool
}

// next reads what comes after, up to where all shards were read.
func (l *listing) next(ctx context.Context, n int) ([]*queue.Entry, error) {
	var mu sync.Mutex
	var all []*queue.Entry
	end := ""
	err := l.each(everyShard(), func(shard int) error {
		a, err := l.run(ctx, pageScript, shard, l.now, "", string(l.after), n, pageBytes)
		if err != nil || len(a.rest) < 2 {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		if last := text(a.rest[1]); text(a.rest[0]) != "" && (end == "" || last < end) {
			end = last
		}
		for _, shown := range a.rest[2:] {
			e, err := l.entry(a, shown)
			if err != nil {
				return err
			}
			all = append(all, e)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.pages++
	l.over = end == ""
	l.after = mail.QueueID(end)
	slices.SortFunc(all, func(a, b *queue.Entry) int { return cmp.Compare(a.ID, b.ID) })
	for i, e := range all {
		if !l.over && e.ID > l.after {
			return all[:i], nil
		}
	}
	return all, nil
}

// listIDs is List where the filter names IDs: nothing else is read.
func (s *Store) listIDs(ctx context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) ([]*queue.Entry, error) {
	var ids []mail.QueueID
	for _, id := range f.IDs {
		if id = mail.QueueID(strings.ToUpper(string(id))); id > after {
			ids = append(ids, id)
		}
	}
	slices.Sort(ids)
	ids = slices.Compact(ids)
	var mu sync.Mutex
	var out []*queue.Entry
	err := s.eachShard(ids, 50, func(shard int, places []int) error {
		args := make([]any, len(places))
		for k, i := range places {
			args[k] = string(ids[i])
		}
		a, err := s.run(ctx, readScript, shard, now, "", args...)
		if err != nil {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		for _, shown := range a.rest {
			if e, err := s.entry(a, shown); err == nil && f.Match(e, now) {
				out = append(out, e)
			}
		}
		return nil
	})
	slices.SortFunc(out, func(a, b *queue.Entry) int { return cmp.Compare(a.ID, b.ID) })
	return out[:min(len(out), max)], err
}

// Stats implements [queue.Store]. What it asks for Redis has counted already.
func (s *Store) Stats(ctx context.Context, now time.Time) (queue.Stats, error) {
	var mu sync.Mutex
	var stats queue.Stats
	var oldest mail.QueueID
	lanes := map[string]int{}
	err := s.each(everyShard(), func(shard int) error {
		a, err := s.run(ctx, countScript, shard, now, "", queue.MaxLanes)
		if err != nil || len(a.rest) < 4 {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		all, active, held := number(a.rest[0]), number(a.rest[1]), number(a.rest[2])
		stats.Active += int(active)
		stats.Held += int(held)
		stats.Waiting += int(max(all-active-held, 0))
		if first := mail.QueueID(text(a.rest[3])); first != "" && (oldest == "" || first < oldest) {
			oldest = first
		}
		for i := 4; i+1 < len(a.rest); i += 2 {
			lanes[text(a.rest[i])] += int(number(a.rest[i+1]))
		}
		return nil
	})
	if err != nil {
		return queue.Stats{}, err
	}
	stats.Lanes = fullest(lanes)
	if oldest != "" {
		if e, err := s.Get(ctx, oldest); err == nil {
			stats.Oldest = e.Received
		}
	}
	return stats, nil
}

// fullest are the lanes with the most entries.
func fullest(lanes map[string]int) []queue.LaneStats {
	var out []queue.LaneStats
	for lane, n := range lanes {
		out = append(out, queue.LaneStats{Lane: lane, Entries: n})
	}
	slices.SortFunc(out, func(a, b queue.LaneStats) int {
		return cmp.Or(cmp.Compare(b.Entries, a.Entries), cmp.Compare(a.Lane, b.Lane))
	})
	return out[:min(len(out), queue.MaxLanes)]
}
