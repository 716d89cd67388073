package queuetest

import (
	"bytes"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

func testConclude(t *testing.T, f *fixture) {
	for n, size := range []int{10, 300 << 10} {
		d := deposit(n, size, base.Add(lease))
		if err := f.store.Put(ctx, d.Entry, d.Content, d.Until); err != nil {
			t.Fatal(err)
		}
		e := clone(d.Entry)
		e.Attempts, e.Lane, e.Due = 1, "crepes.fr", base.Add(time.Hour)
		e.Envelope.Recipients = e.Envelope.Recipients[1:]
		more := []queue.Deposit{deposit(10+n, 300<<10, time.Time{}), deposit(20+n, 10, base.Add(lease))}
		if err := f.store.Conclude(ctx, e, more); err != nil {
			t.Fatalf("conclude: %v", err)
		}
		f.same(f.get(id(n)), e)
		if state := f.get(id(n)).State(base); state != queue.Waiting {
			t.Errorf("what was concluded is %s", state)
		}
		if got := f.octets(id(n)); !bytes.Equal(got, d.Content.(mail.Bytes)) {
			t.Errorf("its content has %d other octets", len(got))
		}
		if more[0].Entry.Lease.Token != 0 || more[1].Entry.Lease.Token == 0 || f.get(id(20+n)).State(base) != queue.Active {
			t.Errorf("the others have the leases %v and %v", more[0].Entry.Lease, more[1].Entry.Lease)
		}
		wantErr(t, "concluded again", f.store.Conclude(ctx, e, []queue.Deposit{deposit(30+n, 10, time.Time{})}), queue.ErrLease)
	}
	f.reopen()
	wantIDs(t, "entries", f.list(base, queue.Filter{}, "", 10), []mail.QueueID{id(0), id(1), id(10), id(11), id(20), id(21)})
	if got := f.octets(id(1)); len(got) != 300<<10 {
		t.Errorf("after reopening the content has %d octets", len(got))
	}
	if got, want := f.octets(id(11)), deposit(11, 300<<10, time.Time{}).Content.(mail.Bytes); !bytes.Equal(got, want) {
		t.Errorf("after reopening another's content has %d octets", len(got))
	}
}

func testConcludeLast(t *testing.T, f *fixture) {
	for n, size := range []int{10, 300 << 10} {
		d := deposit(n, size, base.Add(lease))
		if err := f.store.Put(ctx, d.Entry, d.Content, d.Until); err != nil {
			t.Fatal(err)
		}
		e := clone(d.Entry)
		e.Envelope.Recipients = nil
		if err := f.store.Conclude(ctx, e, []queue.Deposit{deposit(10+n, 10, time.Time{})}); err != nil {
			t.Fatal(err)
		}
		_, err := f.store.Get(ctx, e.ID)
		wantErr(t, "get what is gone", err, queue.ErrNotFound)
		_, err = f.store.Content(ctx, e.ID)
		wantErr(t, "content of what is gone", err, queue.ErrNotFound)
		wantErr(t, "concluded again", f.store.Conclude(ctx, e, []queue.Deposit{deposit(20+n, 10, time.Time{})}), queue.ErrLease)
		if err := f.store.Remove(ctx, e); err != nil {
			t.Errorf("remove what is gone: %v", err)
		}
	}
	f.reopen()
	wantIDs(t, "entries", f.list(base, queue.Filter{}, "", 10), numbered(10, 11))
	if got, err := f.store.Stats(ctx, base.Add(time.Hour)); err != nil || got.Waiting != 2 {
		t.Errorf("stats %+v, %v", got, err)
	}
}

func testConcludeFails(t *testing.T, f *fixture) {
	was := deposit(1, 300<<10, base.Add(lease))
	if err := f.store.Put(ctx, was.Entry, was.Content, was.Until); err != nil {
		t.Fatal(err)
	}
	f.put(entry(9))
	broken := deposit(3, 0, time.Time{})
	broken.Content = brokenContent(1 << 20)
	for _, tt := range []struct {
		name    string
		stale   bool
		nobody  bool
		another queue.Deposit
		want    error
	}{
		{"a content that cannot be read", false, false, broken, errBroken},
		{"a content that cannot be read, and nobody is left", false, true, broken, errBroken},
		{"an ID that is in use", false, false, deposit(9, 300<<10, time.Time{}), queue.ErrExists},
		{"an ID that is in use, and nobody is left", false, true, deposit(9, 10, base.Add(lease)), queue.ErrExists},
		{"a lease that has passed", true, false, deposit(2, 300<<10, time.Time{}), queue.ErrLease},
		{"a lease that has passed, and nobody is left", true, true, deposit(2, 10, time.Time{}), queue.ErrLease},
	} {
		e := clone(was.Entry)
		e.Attempts = 7
		if tt.nobody {
			e.Envelope.Recipients = nil
		}
		if tt.stale {
			e.Lease.Token--
		}
		err := f.store.Conclude(ctx, e, []queue.Deposit{deposit(4, 10, time.Time{}), tt.another})
		wantErr(t, tt.name, err, tt.want)
		f.same(f.get(id(1)), was.Entry)
		wantIDs(t, "entries after "+tt.name, f.list(base, queue.Filter{}, "", 10), []mail.QueueID{id(1), id(9)})
	}
	if err := f.store.Conclude(ctx, was.Entry, nil); err != nil { // the lease is still good
		t.Errorf("conclude in the end: %v", err)
	}
	f.reopen()
	f.same(f.get(id(1)), was.Entry)
}

// conclude ends an attempt, and perhaps puts another entry with it.
func (m *model) conclude(rt *rapid.T) {
	e, valid := m.draw(rt)
	e.Attempts++
	e.Due = m.now.Add(rapid.SampledFrom([]time.Duration{0, time.Minute}).Draw(rt, "due"))
	if rapid.IntRange(0, 2).Draw(rt, "nobody is left") == 0 {
		e.Envelope.Recipients = nil
	}
	m.next++
	more := []queue.Deposit{deposit(m.next%20, rapid.SampledFrom(modelSizes).Draw(rt, "size"), time.Time{})}
	more[0].Entry = entry(m.next)
	more[0].Entry.Received, more[0].Entry.Due = m.now, m.now
	err := m.f.store.Conclude(ctx, e, more)
	if !valid {
		wantErr(rt, "conclude with an old lease", err, queue.ErrLease)
		return
	}
	if err != nil {
		rt.Fatalf("conclude: %v", err)
	}
	e.Lease = queue.Lease{}
	m.entries[e.ID] = e
	if len(e.Envelope.Recipients) == 0 {
		delete(m.entries, e.ID)
	}
	m.entries[more[0].Entry.ID] = more[0].Entry
}
