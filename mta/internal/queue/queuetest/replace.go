package queuetest

import (
	"bytes"
	"fmt"
	"testing"
	"time"

	"pgregory.net/rapid"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

func testReplace(t *testing.T, f *fixture) {
	n := 0
	for _, sizes := range [][]int{{0, 10}, {10, 300 << 10}, {300 << 10, 10}, {300 << 10, 301 << 10, 302 << 10}} {
		n++
		d := deposit(n, sizes[0], base.Add(lease))
		if err := f.store.Put(ctx, d.Entry, d.Content, d.Until); err != nil {
			t.Fatal(err)
		}
		e := d.Entry
		for i, size := range sizes[1:] {
			e.Attempts, e.Size = i+1, int64(size)
			content := bytes.Repeat([]byte{'A' + byte(i)}, size)
			var more []queue.Deposit
			if i == 0 {
				more = []queue.Deposit{deposit(10+n, 300<<10, time.Time{}), deposit(20+n, 10, base.Add(lease))}
			}
			what := fmt.Sprintf("%d octets by %d", sizes[i], size)
			if err := f.store.Replace(ctx, e, mail.Bytes(content), more); err != nil {
				t.Fatalf("replace %s: %v", what, err)
			}
			f.same(f.get(e.ID), e)
			if got := f.octets(e.ID); !bytes.Equal(got, content) {
				t.Errorf("replace %s: the content has %d octets", what, len(got))
			}
			if state := f.get(e.ID).State(base); state != queue.Active {
				t.Errorf("replace %s: it is %s", what, state)
			}
		}
		f.get(id(10 + n))
		if leased := f.get(id(20 + n)); leased.State(base) != queue.Active {
			t.Errorf("the other entry is %s", leased.State(base))
		}
	}
	last := f.get(id(4))
	f.reopen()
	f.same(f.get(id(4)), last)
	if got, want := f.octets(id(4)), bytes.Repeat([]byte{'B'}, 302<<10); !bytes.Equal(got, want) {
		t.Errorf("after reopening the content has %d octets", len(got))
	}
	taken := f.take(id(4), base.Add(time.Hour))
	f.update(taken) // which leaves the content where it is
	if got := f.octets(id(4)); len(got) != 302<<10 {
		t.Errorf("after an update the content has %d octets", len(got))
	}
	f.remove(f.take(id(4), base.Add(time.Hour)))
	if _, err := f.store.Content(ctx, id(4)); err == nil {
		t.Error("the content is there after the entry was removed")
	}
}

func testReplaceByOthers(t *testing.T, f *fixture) {
	for n, size := range []int{10, 300 << 10} {
		d := deposit(n+1, size, base.Add(lease))
		if err := f.store.Put(ctx, d.Entry, d.Content, d.Until); err != nil {
			t.Fatal(err)
		}
		d.Entry.Envelope.Recipients = nil
		other := deposit(n+11, 10, time.Time{})
		if err := f.store.Replace(ctx, d.Entry, mail.Bytes("x"), []queue.Deposit{other}); err != nil {
			t.Fatal(err)
		}
		_, err := f.store.Get(ctx, d.Entry.ID)
		wantErr(t, "get what is gone", err, queue.ErrNotFound)
		if err := f.store.Remove(ctx, d.Entry); err != nil {
			t.Errorf("remove what is gone: %v", err)
		}
	}
	f.reopen()
	wantIDs(t, "entries", f.list(base, queue.Filter{}, "", 10), numbered(11, 12))
	if got, err := f.store.Stats(ctx, base); err != nil || got.Waiting != 2 {
		t.Errorf("stats %+v, %v", got, err)
	}
}

func testReplaceFails(t *testing.T, f *fixture) {
	was := deposit(1, 300<<10, base.Add(lease))
	if err := f.store.Put(ctx, was.Entry, was.Content, was.Until); err != nil {
		t.Fatal(err)
	}
	f.put(entry(9))
	broken := deposit(3, 0, time.Time{})
	broken.Content = brokenContent(1 << 20)
	good := mail.Bytes("replaced")
	for _, tt := range []struct {
		name    string
		stale   bool
		content mail.Content
		other   queue.Deposit
		want    error
	}{
		{"a content that cannot be read", false, brokenContent(1 << 20), deposit(2, 10, time.Time{}), errBroken},
		{"another's content that cannot be read", false, good, broken, errBroken},
		{"another's ID that is in use", false, good, deposit(9, 300<<10, time.Time{}), queue.ErrExists},
		{"a lease that has passed", true, good, deposit(2, 300<<10, time.Time{}), queue.ErrLease},
	} {
		e := clone(was.Entry)
		e.Attempts = 7
		if tt.stale {
			e.Lease.Token--
		}
		err := f.store.Replace(ctx, e, tt.content, []queue.Deposit{deposit(4, 10, time.Time{}), tt.other})
		wantErr(t, tt.name, err, tt.want)
		f.same(f.get(id(1)), was.Entry)
		if got := f.octets(id(1)); len(got) != 300<<10 {
			t.Errorf("%s: the content has %d octets", tt.name, len(got))
		}
		wantIDs(t, "entries after "+tt.name, f.list(base, queue.Filter{}, "", 10), []mail.QueueID{id(1), id(9)})
	}
	f.update(was.Entry) // the lease is still good
	f.reopen()
	f.same(f.get(id(1)), was.Entry)
}

// replace gives an entry another content, and perhaps puts another with it.
func (m *model) replace(rt *rapid.T) {
	e, valid := m.draw(rt)
	e.Attempts++
	var more []queue.Deposit
	if rapid.Bool().Draw(rt, "another") {
		m.next++
		more = append(more, deposit(m.next%20, 100, time.Time{}))
		more[0].Entry = entry(m.next)
		more[0].Entry.Received, more[0].Entry.Due = m.now, m.now
	}
	if rapid.IntRange(0, 3).Draw(rt, "nobody is left") == 0 {
		e.Envelope.Recipients = nil
	}
	size := rapid.SampledFrom(modelSizes).Draw(rt, "size")
	err := m.f.store.Replace(ctx, e, mail.Bytes(make([]byte, size)), more)
	if !valid {
		wantErr(rt, "replace with an old lease", err, queue.ErrLease)
		return
	}
	if err != nil {
		rt.Fatalf("replace: %v", err)
	}
	m.entries[e.ID] = e
	if len(e.Envelope.Recipients) == 0 {
		delete(m.entries, e.ID)
	}
	for _, d := range more {
		m.entries[d.Entry.ID] = d.Entry
	}
}
