package queuetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// laneTests are those of lanes and of shards.
var laneTests = map[string]func(*testing.T, *fixture){
	"lanes come by their earliest, and each is asked about once": testLaneOrder,
	"no more of a lane is claimed than there is room":            testLaneRoom,
	"a blocked lane is left alone until its time":                testLaneBlocked,
	"a lane that is woken is asked about again":                  testLaneWake,
	"an entry waits where its lane is now":                       testLaneMoves,
	"the next due time leaves out blocked lanes":                 testLaneNextDue,
	"counts name the fullest lanes":                              testLaneStats,
	"filters choose by lane":                                     testLaneFilter,
	"what is stored in one step has one shard":                   testShards,
}

// inLane is the nth entry, in a lane.
func inLane(n int, lane string) *queue.Entry {
	e := entry(n)
	e.Lane = lane
	return e
}

// A picker answers for lanes, and notes which it was asked about.
type picker struct {
	room      map[string]int // none: as much as one likes
	notBefore map[string]time.Time
	asked     []string
}

func (p *picker) pick(lane string) (int, time.Time) {
	p.asked = append(p.asked, lane)
	if n, ok := p.room[lane]; ok {
		return n, p.notBefore[lane]
	}
	return 1 << 30, time.Time{}
}

func (f *fixture) claimPick(now time.Time, max int, p *picker) []mail.QueueID {
	f.t.Helper()
	p.asked = nil
	entries, err := f.store.Claim(ctx, now, now.Add(lease), max, p.pick)
	if err != nil {
		f.t.Fatalf("claim: %v", err)
	}
	return ids(entries)
}

func wantAsked(t *testing.T, what string, p *picker, want ...string) {
	t.Helper()
	if !slices.Equal(p.asked, want) {
		t.Errorf("%s: asked about %q, want %q", what, p.asked, want)
	}
}

func numbers(of ...int) []mail.QueueID {
	out := []mail.QueueID{}
	for _, n := range of {
		out = append(out, id(n))
	}
	return out
}

func testLaneOrder(t *testing.T, f *fixture) {
	for n, lane := range []string{"c", "a", "c", "b", "a", "", "late"} {
		f.put(inLane(n, lane))
	}
	held := inLane(20, "held")
	held.Held, held.Due = "held", base
	f.put(held)
	p := &picker{}
	now := base.Add(5 * time.Second)
	wantIDs(t, "claimed with a limit", f.claimPick(now, 3, p), numbers(0, 2, 1))
	wantAsked(t, "with a limit", p, "c", "a")
	wantIDs(t, "claimed then", f.claimPick(now, 10, p), numbers(3, 4, 5))
	wantAsked(t, "then", p, "b", "a", "")
	wantIDs(t, "claimed at last", f.claimPick(now, 10, p), numbers())
	wantAsked(t, "when nothing is due", p)
}

func testLaneRoom(t *testing.T, f *fixture) {
	for n := range 10 {
		f.put(inLane(n, fmt.Sprint("lane ", n%2)))
	}
	p := &picker{room: map[string]int{"lane 0": 2}}
	now := base.Add(time.Hour)
	wantIDs(t, "claimed", f.claimPick(now, 100, p), numbers(0, 2, 1, 3, 5, 7, 9))
	wantAsked(t, "with some room", p, "lane 0", "lane 1")
	p.room["lane 0"] = -1 // which is none, and not for longer than this once
	wantIDs(t, "claimed without room", f.claimPick(now, 100, p), numbers())
	wantAsked(t, "without room", p, "lane 0")
	p.room["lane 0"] = 100
	wantIDs(t, "claimed after", f.claimPick(now, 2, p), numbers(4, 6))
	wantIDs(t, "claimed at last", f.claimPick(now, 2, p), numbers(8))
}

func testLaneBlocked(t *testing.T, f *fixture) {
	f.put(inLane(1, "down"))
	f.put(inLane(2, "up"))
	f.put(inLane(3, "down"))
	now := base.Add(3 * time.Second)
	free := now.Add(lease / 2) // while what was claimed still is
	p := &picker{room: map[string]int{"down": 0}, notBefore: map[string]time.Time{"down": free}}
	wantIDs(t, "claimed", f.claimPick(now, 10, p), numbers(2))
	wantAsked(t, "first", p, "down", "up")
	f.remove(f.get(id(2)))
	f.put(inLane(0, "down"))
	delete(p.room, "down")
	wantIDs(t, "claimed while it is blocked", f.claimPick(free.Add(-1), 10, p), numbers())
	wantAsked(t, "while it is blocked", p)
	f.update(f.take(id(1), now)) // an operator can
	wantIDs(t, "claimed while it is blocked", f.claimPick(free.Add(-1), 10, p), numbers())
	wantIDs(t, "claimed after", f.claimPick(free, 10, p), numbers(0, 1, 3))
	wantAsked(t, "after", p, "down")
}

func testLaneWake(t *testing.T, f *fixture) {
	for n := range 4 {
		f.put(inLane(n, "down"))
	}
	now := base.Add(10 * time.Second)
	p := &picker{room: map[string]int{"down": 0}, notBefore: map[string]time.Time{"down": now.Add(time.Hour)}}
	wantIDs(t, "claimed", f.claimPick(now, 10, p), numbers())
	for _, lane := range []string{"down", "never heard of"} {
		if err := f.store.Wake(ctx, lane); err != nil {
			t.Fatalf("wake %s: %v", lane, err)
		}
	}
	p.room["down"] = 1
	wantIDs(t, "claimed once it is woken", f.claimPick(now, 10, p), numbers(0))
	wantAsked(t, "once it is woken", p, "down")
	wantIDs(t, "claimed with room for one", f.claimPick(now, 10, p), numbers(1))
	p.room["down"] = 0
	f.claimPick(now, 10, p)
	wantIDs(t, "claimed once it is blocked again", f.claimPick(now, 10, p), numbers())
	wantAsked(t, "once it is blocked again", p)
}

func testLaneMoves(t *testing.T, f *fixture) {
	for n := range 3 {
		f.put(inLane(n, "down"))
	}
	now := base.Add(10 * time.Second)
	p := &picker{room: map[string]int{"down": 0}, notBefore: map[string]time.Time{"down": now.Add(time.Hour)}}
	f.claimPick(now, 10, p)
	e := f.take(id(1), now)
	e.Lane = "up"
	f.update(e)
	wantIDs(t, "claimed", f.claimPick(now, 10, p), numbers(1))
	wantAsked(t, "about what moved", p, "up")
	e = f.get(id(1))
	e.Lane = "down"
	f.update(e)
	wantIDs(t, "claimed once it moved back", f.claimPick(now, 10, p), numbers())
	f.reopen() // a store may or may not know what is blocked
	if err := f.store.Wake(ctx, "down"); err != nil {
		t.Fatal(err)
	}
	p = &picker{}
	wantIDs(t, "claimed after reopening", f.claimPick(now.Add(2*lease), 10, p), numbers(0, 1, 2))
	wantAsked(t, "after reopening", p, "down")
}

func testLaneNextDue(t *testing.T, f *fixture) {
	want := func(name string, now, want time.Time) {
		t.Helper()
		due, ok, err := f.store.NextDue(ctx, now)
		if err != nil || ok != !want.IsZero() || !due.Equal(want) {
			t.Errorf("%s: got %v %v %v, want %v", name, due, ok, err, want)
		}
	}
	now := base.Add(3 * time.Second)
	free := base.Add(time.Minute)
	f.put(inLane(2, "down"))
	want("one lane", now, entry(2).Due)
	p := &picker{room: map[string]int{"down": 0}, notBefore: map[string]time.Time{"down": free}}
	f.claimPick(now, 10, p)
	want("it is blocked", now, free)
	f.put(inLane(30, "up"))
	want("another is due before", now, entry(30).Due)
	f.update(f.take(id(30), now))
	f.put(inLane(3, "down"))
	want("more in the blocked lane", now, entry(30).Due)
	f.remove(f.take(id(30), now))
	want("the other is removed", now, free)
	if err := f.store.Wake(ctx, "down"); err != nil {
		t.Fatal(err)
	}
	want("woken", now, entry(2).Due)
	f.claimPick(now, 10, p)
	for _, n := range []int{2, 3} {
		e := f.take(id(n), now)
		e.Due = base.Add(time.Hour)
		f.update(e)
	}
	want("due after the lane is free", now, base.Add(time.Hour))
}

func testLaneStats(t *testing.T, f *fixture) {
	n := 0
	var want []queue.LaneStats
	for i := range queue.MaxLanes + 3 { // in lane i, 1 for the last ones and up to 4 for the first
		lane := fmt.Sprintf("lane %03d", i)
		entries := max(4-i, 1)
		for range entries {
			f.put(inLane(n, lane))
			n++
		}
		want = append(want, queue.LaneStats{Lane: lane, Entries: entries})
	}
	check := func(what string, want []queue.LaneStats) {
		t.Helper()
		stats, err := f.store.Stats(ctx, base)
		if err != nil || len(stats.Lanes) != queue.MaxLanes {
			t.Fatalf("%s: %d lanes, %v", what, len(stats.Lanes), err)
		}
		if diff := cmp.Diff(want, stats.Lanes[:len(want)]); diff != "" {
			t.Errorf("%s (-want +got):\n%s", what, diff)
		}
		for _, l := range stats.Lanes[len(want):] {
			if l.Entries != 1 {
				t.Errorf("%s: lane %s has %d entries", what, l.Lane, l.Entries)
			}
		}
	}
	check("put", want[:3])
	e := f.take(id(0), base) // active, then held, then elsewhere: it counts
	e.Held = "held"
	f.update(e)
	check("one held", want[:3])
	e = f.take(id(0), base)
	e.Lane = ""
	f.update(e)
	f.remove(f.take(id(4), base))
	want = []queue.LaneStats{{Lane: want[0].Lane, Entries: 3}}
	stats := []queue.LaneStats{want[0], {Lane: "lane 001", Entries: 2}, {Lane: "lane 002", Entries: 2}}
	for range 2 {
		got, err := f.store.Stats(ctx, base)
		if err != nil {
			t.Fatal(err)
		}
		slices.SortFunc(got.Lanes[1:3], func(a, b queue.LaneStats) int { return slices.Compare([]byte(a.Lane), []byte(b.Lane)) })
		if diff := cmp.Diff(stats, got.Lanes[:3]); diff != "" {
			t.Errorf("one moved, one removed (-want +got):\n%s", diff)
		}
		f.reopen()
	}
}

func testLaneFilter(t *testing.T, f *fixture) {
	for n, lane := range []string{"mx.example.org:25", "example.com", "", "Example.net"} {
		f.put(inLane(n, lane))
	}
	for _, tt := range []struct {
		lane string
		want []mail.QueueID
	}{
		{"example.com", numbers(1)},
		{"EXAMPLE.*", numbers(1, 3)},
		{"*.example.org*", numbers(0)},
		{"*", numbers(0, 1, 2, 3)},
		{"example", numbers()},
	} {
		wantIDs(t, tt.lane, f.list(base, queue.Filter{Lane: tt.lane}, "", 10), tt.want)
	}
}

func testShards(t *testing.T, f *fixture) {
	there := deposit(1, 10, base.Add(lease))
	if err := f.store.Put(ctx, there.Entry, there.Content, there.Until); err != nil {
		t.Fatal(err)
	}
	elsewhere := func(n int) queue.Deposit { // in another shard
		d := deposit(n, 300<<10, time.Time{})
		d.Entry = entry(1000 + n)
		return d
	}
	if id(2).Shard() == id(1002).Shard() {
		t.Fatal("the test has one shard")
	}
	if err := f.store.PutAll(ctx, []queue.Deposit{deposit(2, 10, time.Time{}), elsewhere(3)}); err == nil {
		t.Error("two shards were put in one step")
	}
	err := f.store.Replace(ctx, there.Entry, mail.Bytes("x"), []queue.Deposit{deposit(2, 10, time.Time{}), elsewhere(3)})
	if err == nil {
		t.Error("two shards were changed in one step")
	}
	wantIDs(t, "entries", f.list(base, queue.Filter{}, "", 10), numbers(1))
	if got := f.octets(id(1)); len(got) != 10 {
		t.Errorf("the content has %d octets", len(got))
	}
	if err := f.store.PutAll(ctx, []queue.Deposit{elsewhere(2), elsewhere(3)}); err != nil {
		t.Errorf("another shard: %v", err)
	}
	f.update(there.Entry) // the lease is still good
}
