package queuetest

import (
	"bytes"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

func testPut(t *testing.T, f *fixture) {
	e := entry(1)
	e.Attempts, e.Done, e.Warned = 3, 1, true
	e.Last = []queue.Attempt{{At: base, NextHop: "mx:25", Code: 451, Enh: "4.3.0", Text: "busy\nlater", Peer: true, Error: "why"}, {At: base}}
	f.put(e)
	f.same(f.get(e.ID), e)
	f.reopen()
	f.same(f.get(e.ID), e)
	_, err := f.store.Get(ctx, id(2))
	wantErr(t, "get what is not there", err, queue.ErrNotFound)
	_, err = f.store.Content(ctx, id(2))
	wantErr(t, "content of what is not there", err, queue.ErrNotFound)
}

func testExists(t *testing.T, f *fixture) {
	for n, size := range []int{len(text), 300 << 10} {
		first := bytes.Repeat([]byte("1"), size)
		if err := f.store.Put(ctx, entry(n), mail.Bytes(first), time.Time{}); err != nil {
			t.Fatal(err)
		}
		again := entry(n)
		again.Attempts = 7
		err := f.store.Put(ctx, again, mail.Bytes(bytes.Repeat([]byte("2"), size)), base.Add(lease))
		wantErr(t, "put the same ID", err, queue.ErrExists)
		f.same(f.get(id(n)), entry(n))
		if got := f.octets(id(n)); !bytes.Equal(got, first) {
			t.Errorf("the second put changed a content of %d octets", size)
		}
	}
	wantIDs(t, "claimed after the refused puts", ids(f.claim(base.Add(time.Hour), 10)), numbered(0, 1))
}

func testContent(t *testing.T, f *fixture) {
	sizes := []int{0, 1, 4096, 64 << 10, 128<<10 - 1, 128 << 10, 128<<10 + 1, 3 << 20}
	contents := map[mail.QueueID][]byte{}
	for n, size := range sizes {
		e := entry(n)
		contents[e.ID] = random(size)
		if err := f.store.Put(ctx, e, mail.Bytes(contents[e.ID]), time.Time{}); err != nil {
			t.Fatalf("put %d octets: %v", size, err)
		}
	}
	for range 2 {
		for id, want := range contents {
			if got := f.octets(id); !bytes.Equal(got, want) {
				t.Errorf("content of %d octets came back as %d others", len(want), len(got))
			}
		}
		f.reopen()
	}
	last := id(len(sizes) - 1)
	e := f.take(last, base)
	c, err := f.store.Content(ctx, last)
	if err != nil {
		t.Fatal(err)
	}
	f.update(e)
	if got, err := mail.ReadAll(c); err != nil || !bytes.Equal(got, contents[last]) {
		t.Errorf("content after an update: %d octets, %v", len(got), err)
	}
}

func testBadContent(t *testing.T, f *fixture) {
	for n, size := range []int64{1000, 1 << 20} {
		err := f.store.Put(ctx, entry(n), brokenContent(size), base.Add(lease))
		wantErr(t, "put content that cannot be read", err, errBroken)
		_, err = f.store.Get(ctx, id(n))
		wantErr(t, "get it", err, queue.ErrNotFound)
		f.put(entry(n)) // the ID is free
	}
	f.reopen()
	wantIDs(t, "entries", f.list(base, queue.Filter{}, "", 10), numbered(0, 1))
}

func testConcurrentPuts(t *testing.T, f *fixture) {
	const writers, each = 16, 20
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range each {
				n := w*each + i
				err := f.store.Put(ctx, entry(n), mail.Bytes(fmt.Sprint("content ", n)), time.Time{})
				if err != nil {
					t.Errorf("put %d: %v", n, err)
				}
			}
		})
	}
	wg.Wait()
	f.reopen()
	wantIDs(t, "entries", f.list(base, queue.Filter{}, "", 1000), numbered(0, writers*each-1))
	for n := range writers * each {
		if got, want := string(f.octets(id(n))), fmt.Sprint("content ", n); got != want {
			t.Errorf("content of %d is %q", n, got)
		}
	}
}

func testClaimOrder(t *testing.T, f *fixture) {
	for _, n := range []int{5, 1, 4, 2, 3, 6} {
		f.put(entry(n))
	}
	wantIDs(t, "claimed before anything is due", ids(f.claim(base.Add(time.Second-1), 10)), numbered(1, 0))
	wantIDs(t, "claimed on the dot", ids(f.claim(base.Add(time.Second), 10)), numbered(1, 1))
	wantIDs(t, "claimed with a limit", ids(f.claim(base.Add(5*time.Second), 2)), numbered(2, 3))
	wantIDs(t, "claimed then", ids(f.claim(base.Add(5*time.Second), 10)), numbered(4, 5))
	wantIDs(t, "claimed again", ids(f.claim(base.Add(5*time.Second), 10)), numbered(1, 0))
}

func testClaimExclusive(t *testing.T, f *fixture) {
	const entries = 300
	for n := range entries {
		f.put(entry(n))
	}
	var mu sync.Mutex
	got := map[mail.QueueID]int{}
	tokens := map[uint64]bool{}
	now := base.Add(entries * time.Second)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for {
				claimed, err := f.store.Claim(ctx, now, now.Add(lease), 7, nil)
				if err != nil {
					t.Errorf("claim: %v", err)
				}
				mu.Lock()
				for _, e := range claimed {
					got[e.ID]++
					tokens[e.Lease.Token] = true
				}
				mu.Unlock()
				if len(claimed) == 0 {
					return
				}
			}
		})
	}
	wg.Wait()
	for id, times := range got {
		if times != 1 {
			t.Errorf("%s was claimed %d times", id, times)
		}
	}
	if len(got) != entries || tokens[0] {
		t.Errorf("claimed %d of %d entries; a token of zero: %v", len(got), entries, tokens[0])
	}
}

func testLeaseLapses(t *testing.T, f *fixture) {
	f.put(entry(0))
	slow := f.claimOne(base)
	if got := f.claim(base.Add(lease-1), 10); len(got) != 0 {
		t.Fatalf("claimed %v while another has the lease", ids(got))
	}
	fast := f.claimOne(base.Add(lease))
	if fast.Lease.Token <= slow.Lease.Token {
		t.Errorf("the later token, %d, is not above the earlier, %d", fast.Lease.Token, slow.Lease.Token)
	}
	slow.Attempts = 66
	wantErr(t, "update by the late one", f.store.Update(ctx, slow), queue.ErrLease)
	wantErr(t, "remove by the late one", f.store.Remove(ctx, slow), queue.ErrLease)
	wantErr(t, "extend by the late one", f.store.Extend(ctx, slow.ID, slow.Lease.Token, base.Add(time.Hour)), queue.ErrLease)
	fast.Attempts = 1
	f.update(fast)
	wantErr(t, "update by the late one, nobody else having it", f.store.Update(ctx, slow), queue.ErrLease)
	f.same(f.get(id(0)), fast)
}

func testExtend(t *testing.T, f *fixture) {
	f.put(entry(0))
	e := f.claimOne(base)
	if err := f.store.Extend(ctx, e.ID, e.Lease.Token, base.Add(2*lease)); err != nil {
		t.Fatalf("extend: %v", err)
	}
	if got := f.claim(base.Add(lease), 1); len(got) != 0 {
		t.Error("an extended lease was claimed")
	}
	if err := f.store.Extend(ctx, e.ID, e.Lease.Token, time.Time{}); err != nil {
		t.Fatalf("give back: %v", err)
	}
	wantErr(t, "update after giving back", f.store.Update(ctx, e), queue.ErrLease)
	again := f.claimOne(base)
	again.Lease = queue.Lease{}
	f.same(again, entry(0))
	wantErr(t, "extend what is not there", f.store.Extend(ctx, id(9), 1, base), queue.ErrLease)
}

func testPutLeased(t *testing.T, f *fixture) {
	e := entry(0)
	if err := f.store.Put(ctx, e, mail.Bytes(text), base.Add(lease)); err != nil {
		t.Fatal(err)
	}
	if e.Lease.Token == 0 || f.get(e.ID).State(base) != queue.Active {
		t.Errorf("lease %v, state %s", e.Lease, f.get(e.ID).State(base))
	}
	if got := f.claim(base, 1); len(got) != 0 {
		t.Error("it was claimed by another")
	}
	e.Attempts, e.Due = 1, base.Add(lease)
	f.update(e)
	f.same(f.claimOne(base.Add(lease)), e)
}

func testReopenActive(t *testing.T, f *fixture) {
	f.put(entry(0))
	leased := entry(1)
	if err := f.store.Put(ctx, leased, mail.Bytes(text), base.Add(lease)); err != nil {
		t.Fatal(err)
	}
	old := f.claimOne(base)
	f.reopen()
	now := base.Add(2 * lease)
	wantIDs(t, "claimed", ids(f.claim(now, 10)), numbered(0, 1))
	wantErr(t, "update from before", f.store.Update(ctx, old), queue.ErrLease)
}

func testUpdate(t *testing.T, f *fixture) {
	for n, size := range []int{10, 300 << 10} {
		content := random(size)
		if err := f.store.Put(ctx, entry(n), mail.Bytes(content), time.Time{}); err != nil {
			t.Fatal(err)
		}
		e := f.take(id(n), base)
		e.Due = base.Add(time.Hour)
		e.Envelope.Recipients = e.Envelope.Recipients[1:]
		e.Attempts, e.Done = 1, 1
		e.Last = []queue.Attempt{{At: base, Code: 450}}
		f.update(e)
		wantErr(t, "update without a lease", f.store.Update(ctx, e), queue.ErrLease)
		wantIDs(t, "claimed at the old time", ids(f.claim(base.Add(30*time.Minute), 10)), numbered(1, 0))
		f.reopen()
		claimed := f.claimOne(base.Add(time.Hour))
		f.same(claimed, e)
		if got := f.octets(e.ID); !bytes.Equal(got, content) {
			t.Errorf("an update changed the content of %d octets", size)
		}
		f.remove(claimed)
	}
}

func testRemove(t *testing.T, f *fixture) {
	for n, size := range []int{10, 300 << 10} {
		if err := f.store.Put(ctx, entry(n), mail.Bytes(random(size)), time.Time{}); err != nil {
			t.Fatal(err)
		}
	}
	f.put(entry(2))
	for n := range 2 {
		e := f.take(id(n), base)
		f.remove(e)
		f.remove(e)
		_, err := f.store.Get(ctx, e.ID)
		wantErr(t, "get", err, queue.ErrNotFound)
		_, err = f.store.Content(ctx, e.ID)
		wantErr(t, "content", err, queue.ErrNotFound)
		_, err = f.store.Take(ctx, e.ID, base, base.Add(lease))
		wantErr(t, "take", err, queue.ErrNotFound)
		wantErr(t, "update", f.store.Update(ctx, e), queue.ErrLease)
	}
	for range 2 {
		wantIDs(t, "listed", f.list(base, queue.Filter{}, "", 10), numbered(2, 2))
		if stats, err := f.store.Stats(ctx, base); err != nil || stats.Waiting != 1 || stats.Active+stats.Held != 0 {
			t.Errorf("stats %+v, %v", stats, err)
		}
		f.reopen()
	}
	wantIDs(t, "claimed", ids(f.claim(base.Add(time.Hour), 10)), numbered(2, 2))
}

func testHeld(t *testing.T, f *fixture) {
	e := entry(0)
	e.Held = "looks odd"
	f.put(e)
	for range 2 {
		if got := f.claim(base.Add(time.Hour), 10); len(got) != 0 {
			t.Fatalf("claimed a held entry")
		}
		if state := f.get(e.ID).State(base); state != queue.Held {
			t.Errorf("state %s", state)
		}
		f.reopen()
	}
	released := f.take(e.ID, base)
	released.Held, released.Due = "", base.Add(time.Minute)
	f.update(released)
	again := f.claimOne(base.Add(time.Minute))
	f.same(again, released)
	again.Held = "once more"
	f.update(again)
	if got := f.claim(base.Add(time.Hour), 10); len(got) != 0 {
		t.Errorf("claimed an entry that was held after an attempt")
	}
	f.remove(f.take(e.ID, base.Add(time.Hour)))
	wantIDs(t, "left", f.list(base, queue.Filter{}, "", 10), numbered(1, 0))
}

func testTake(t *testing.T, f *fixture) {
	f.put(entry(1))
	e := f.take(id(1), base) // not due yet
	_, err := f.store.Take(ctx, id(1), base, base.Add(lease))
	wantErr(t, "take it twice", err, queue.ErrActive)
	if got := f.claim(base.Add(time.Second), 1); len(got) != 0 {
		t.Error("a taken entry was claimed")
	}
	f.update(e)
	claimed := f.claimOne(base.Add(time.Second))
	_, err = f.store.Take(ctx, id(1), base.Add(time.Second), base.Add(lease))
	wantErr(t, "take a claimed entry", err, queue.ErrActive)
	f.take(id(1), base.Add(time.Second+lease))
	wantErr(t, "update after it was taken over", f.store.Update(ctx, claimed), queue.ErrLease)
	_, err = f.store.Take(ctx, id(2), base, base.Add(lease))
	wantErr(t, "take what is not there", err, queue.ErrNotFound)
}

func testPages(t *testing.T, f *fixture) {
	for n := range 25 {
		e := entry(n)
		e.Attempts = n
		f.put(e)
	}
	f.remove(f.take(id(10), base))
	want := slices.Concat(numbered(0, 9), numbered(11, 24))
	var got []mail.QueueID
	for after := mail.QueueID(""); ; {
		page := f.list(base, queue.Filter{}, after, 7)
		got = append(got, page...)
		if len(page) < 7 {
			break
		}
		after = page[6]
	}
	wantIDs(t, "all pages", got, want)
	wantIDs(t, "after an ID that is gone", f.list(base, queue.Filter{}, id(10), 2), numbered(11, 12))
}

func testFilters(t *testing.T, f *fixture) {
	e := entry(1)
	e.Envelope.ReversePath = mail.Path{}
	f.put(e)
	e = entry(2)
	e.Held = "Looks like a virus"
	f.put(e)
	e = entry(3)
	e.Envelope.Recipients = e.Envelope.Recipients[:1]
	e.Last = []queue.Attempt{{Code: 450, Enh: "4.2.1", Text: "Mailbox is busy"}}
	f.put(e)
	f.put(entry(4))
	f.take(id(4), base)
	for _, tt := range []struct {
		name   string
		filter queue.Filter
		want   []int
	}{
		{"all", queue.Filter{}, []int{1, 2, 3, 4}},
		{"IDs, in any case", queue.Filter{IDs: []mail.QueueID{id(3), "0test00000000010", "NOSUCH"}}, []int{1, 3}},
		{"an ID that another field excludes", queue.Filter{IDs: []mail.QueueID{id(3)}, State: queue.Held}, nil},
		{"the null reverse-path", queue.Filter{From: "<>"}, []int{1}},
		{"a reverse-path in another case", queue.Filter{From: "Alice@CREPES.fr"}, []int{2, 3, 4}},
		{"a reverse-path with a star", queue.Filter{From: "*@crepes.fr"}, []int{2, 3, 4}},
		{"part of a reverse-path", queue.Filter{From: "alice"}, nil},
		{"a recipient", queue.Filter{To: `"a b"@example.org`}, []int{1, 2, 4}},
		{"a domain", queue.Filter{Domain: "example.org"}, []int{1, 2, 4}},
		{"a domain and a recipient that is elsewhere", queue.Filter{Domain: "example.org", To: "bob@*"}, nil},
		{"why it is held", queue.Filter{Reason: "virus"}, []int{2}},
		{"what the peer said", queue.Filter{Reason: "4.2.1 mailbox"}, []int{3}},
		{"age", queue.Filter{Before: base.Add(3 * time.Second)}, []int{1, 2}},
		{"held", queue.Filter{State: queue.Held}, []int{2}},
		{"active", queue.Filter{State: queue.Active}, []int{4}},
		{"waiting", queue.Filter{State: queue.Waiting}, []int{1, 3}},
	} {
		want := []mail.QueueID{}
		for _, n := range tt.want {
			want = append(want, id(n))
		}
		wantIDs(t, tt.name, f.list(base, tt.filter, "", 10), want)
	}
}

func testNextDue(t *testing.T, f *fixture) {
	want := func(name string, now time.Time, n int) {
		t.Helper()
		due, ok, err := f.store.NextDue(ctx, now)
		if err != nil || ok != (n > 0) || ok && !due.Equal(entry(n).Due) {
			t.Errorf("%s: got %v %v %v, want entry %d", name, due, ok, err, n)
		}
	}
	want("empty", base, 0)
	e := entry(1)
	e.Held = "held"
	f.put(e)
	want("only a held one", base, 0)
	f.put(entry(3))
	f.put(entry(2))
	want("two", base, 2)
	f.take(id(2), base)
	want("the first is active", base, 3)
	want("its lease has lapsed", base.Add(lease), 2)
	f.remove(f.take(id(3), base))
	want("the other is removed", base, 0)
	f.reopen()
	want("reopened", base.Add(lease), 2)
}

func testStats(t *testing.T, f *fixture) {
	want := func(name string, want queue.Stats) {
		t.Helper()
		got, err := f.store.Stats(ctx, base)
		if err != nil || got.Waiting != want.Waiting || got.Active != want.Active || got.Held != want.Held || !got.Oldest.Equal(want.Oldest) {
			t.Errorf("%s: got %+v, %v; want %+v", name, got, err, want)
		}
	}
	want("empty", queue.Stats{})
	for n := 1; n <= 5; n++ {
		e := entry(n)
		if n == 3 {
			e.Held = "held"
		}
		f.put(e)
	}
	oldest := entry(1).Received
	want("one held", queue.Stats{Waiting: 4, Held: 1, Oldest: oldest})
	e := f.take(id(2), base)
	want("one active", queue.Stats{Waiting: 3, Active: 1, Held: 1, Oldest: oldest})
	e.Held = "too"
	f.update(e)
	want("two held", queue.Stats{Waiting: 3, Held: 2, Oldest: oldest})
	f.reopen()
	want("reopened", queue.Stats{Waiting: 3, Held: 2, Oldest: oldest})
	f.remove(f.take(id(3), base))
	f.remove(f.take(id(4), base))
	f.reopen()
	want("two removed", queue.Stats{Waiting: 2, Held: 1, Oldest: oldest})
}
