package queuetest

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// deposit is the nth entry with a content of that size.
func deposit(n, size int, until time.Time) queue.Deposit {
	return queue.Deposit{Entry: entry(n), Content: mail.Bytes(bytes.Repeat([]byte{'a' + byte(n)}, size)), Until: until}
}

func testPutAll(t *testing.T, f *fixture) {
	held := deposit(3, 0, time.Time{})
	held.Entry.Held = "held"
	deposits := []queue.Deposit{
		deposit(1, len(text), base.Add(lease)), deposit(2, 300<<10, time.Time{}), held, deposit(4, 300<<10, base.Add(lease)),
	}
	if err := f.store.PutAll(ctx, deposits); err != nil {
		t.Fatalf("put all: %v", err)
	}
	for _, d := range deposits {
		if leased := d.Entry.Lease.Token != 0; leased == d.Until.IsZero() {
			t.Errorf("%s has the lease %v, and asked for one until %v", d.Entry.ID, d.Entry.Lease, d.Until)
		}
	}
	wantIDs(t, "claimed by another", ids(f.claim(base.Add(10*time.Second), 10)), numbered(2, 2))
	deposits[0].Entry.Attempts = 1
	f.update(deposits[0].Entry)
	f.reopen()
	for _, d := range deposits {
		f.same(f.get(d.Entry.ID), d.Entry)
		if got := f.octets(d.Entry.ID); !bytes.Equal(got, d.Content.(mail.Bytes)) {
			t.Errorf("content of %s came back as %d other octets", d.Entry.ID, len(got))
		}
	}
	if got, err := f.store.Stats(ctx, base.Add(time.Hour)); err != nil || got.Waiting != 3 || got.Held != 1 {
		t.Errorf("stats %+v, %v", got, err)
	}
}

func testPutNone(t *testing.T, f *fixture) {
	f.put(entry(9))
	broken := deposit(3, 0, base.Add(lease))
	broken.Content = brokenContent(1 << 20)
	for _, tt := range []struct {
		name string
		last queue.Deposit
		want error
	}{
		{"an ID in use", deposit(9, 10, base.Add(lease)), queue.ErrExists},
		{"an ID in use, with a large content", deposit(9, 300<<10, base.Add(lease)), queue.ErrExists},
		{"the same ID twice", deposit(1, 10, base.Add(lease)), queue.ErrExists},
		{"a content that cannot be read", broken, errBroken},
	} {
		err := f.store.PutAll(ctx, []queue.Deposit{deposit(1, 10, base.Add(lease)), deposit(2, 300<<10, time.Time{}), tt.last})
		wantErr(t, tt.name, err, tt.want)
		wantIDs(t, "entries after "+tt.name, f.list(base, queue.Filter{}, "", 10), numbered(9, 9))
	}
	if got := f.octets(id(9)); string(got) != text {
		t.Errorf("the content of the entry that was there is %q", got)
	}
	f.same(f.claimOne(base.Add(time.Minute)), entry(9))
	f.reopen()
	wantIDs(t, "entries after reopening", f.list(base, queue.Filter{}, "", 10), numbered(9, 9))
	f.put(entry(1)) // the IDs are free
	f.put(entry(2))
}

// modelSizes are mostly small: a large content may be a file, and costs syncs.
var modelSizes = []int{0, 100, 100, 100, 100, 100, 100, 100, 100, 140_000}

// putAll puts a few entries together.
func (m *model) putAll(rt *rapid.T) {
	var deposits []queue.Deposit
	for range rapid.IntRange(1, 3).Draw(rt, "entries") {
		m.next++
		d := deposit(m.next%20, rapid.SampledFrom(modelSizes).Draw(rt, "size"), time.Time{})
		d.Entry = entry(m.next)
		d.Entry.Received, d.Entry.Due = m.now, m.now
		if rapid.Bool().Draw(rt, "leased") {
			d.Until = m.now.Add(lease)
		}
		deposits = append(deposits, d)
	}
	if err := m.f.store.PutAll(ctx, deposits); err != nil {
		rt.Fatalf("put all: %v", err)
	}
	for _, d := range deposits {
		m.entries[d.Entry.ID] = d.Entry
		if !d.Until.IsZero() {
			m.claimed = append(m.claimed, clone(d.Entry))
		}
	}
}
