package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// A version is what an entry is like.
type version struct {
	attempts int
	held     string
	content  string
}

// A world is what a store has to have. Of the changes that got no answer all or
// nothing is there; what was removed and not synced yet may come back.
type world struct {
	t      testing.TB
	s      *Store
	disk   *faultdisk.Disk
	now    time.Time
	is     map[mail.QueueID]version
	maybe  map[mail.QueueID]version // removed, without a sync since
	next   map[mail.QueueID]version // as it is if the change under way was made; nil: none is
	number int                      // of the last entry
	ended  error                    // why the script ended
}

var errStopped = faultdisk.ErrStopped

const crashDir = "/state/queue"

func newWorld(t testing.TB) *world {
	return &world{t: t, now: time.Date(2026, 3, 4, 5, 6, 7, 0, time.UTC), is: map[mail.QueueID]version{}, maybe: map[mail.QueueID]version{}}
}

// newDisk has the folder that the queue's is in.
func newDisk(t testing.TB) *faultdisk.Disk {
	d := faultdisk.New()
	dir := filepath.Dir(crashDir)
	if err := errors.Join(d.Mkdir(dir), d.SyncDir(filepath.Dir(dir))); err != nil {
		t.Fatal(err)
	}
	return d
}

// open opens the store on a disk. Segments are small, so that the script gets
// through many.
func (w *world) open(d *faultdisk.Disk) bool {
	w.disk = d
	s, err := OpenWith(crashDir, Options{FS: d, SegmentSize: 8 << 10, ManualUpkeep: true})
	if err != nil {
		w.ended = err
		if n := d.Handles(); n != 0 {
			w.t.Errorf("%d files are open, though the store is not: %v", n, err)
		}
		return false
	}
	w.s = s
	return true
}

// change makes a change; after says what is there if it is made.
func (w *world) change(after func(map[mail.QueueID]version), do func() error) bool {
	if w.ended != nil {
		return false
	}
	w.next = maps.Clone(w.is)
	after(w.next)
	if err := do(); err != nil {
		w.end(err)
		return false
	}
	w.is, w.next = w.next, nil
	clear(w.maybe) // it was synced with this
	return true
}

// end ends the script. What cannot be read because the disk has stopped is damaged
// for who reads it.
func (w *world) end(err error) {
	if w.ended = err; errors.Is(err, queue.ErrDamaged) && w.disk.Stopped() {
		w.ended = errStopped
	}
}

func text(n, size int) string {
	return string(bytes.Repeat([]byte(fmt.Sprintf("%08d", n)), size/8+1)[:size])
}

func (w *world) entry(v version) *queue.Entry {
	w.number++
	e := &queue.Entry{
		ID: mail.QueueID(fmt.Sprintf("0TEST%09d00", w.number)), Received: w.now, Due: w.now, Size: int64(len(v.content)),
		Attempts: v.attempts, Held: v.held, Lane: fmt.Sprintf("lane%d", w.number%3),
	}
	e.Envelope.Recipients = []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}}
	return e
}

// put puts n entries in one step.
func (w *world) put(n, size int, held string) (ids []mail.QueueID) {
	var deposits []queue.Deposit
	after := map[mail.QueueID]version{}
	for range n {
		v := version{held: held, content: text(w.number+1, size)}
		e := w.entry(v)
		ids, after[e.ID] = append(ids, e.ID), v
		deposits = append(deposits, queue.Deposit{Entry: e, Content: mail.Bytes(v.content)})
	}
	w.change(func(m map[mail.QueueID]version) { maps.Copy(m, after) }, func() error {
		return w.s.PutAll(context.Background(), deposits)
	})
	return ids
}

// with takes an entry and has f change it.
func (w *world) with(id mail.QueueID, f func(e *queue.Entry)) {
	if w.ended != nil {
		return
	}
	e, err := w.s.Take(context.Background(), id, w.now, w.now.Add(time.Minute))
	if err != nil {
		w.ended = err
		return
	}
	f(e)
}

func (w *world) update(id mail.QueueID, held string) {
	w.with(id, func(e *queue.Entry) {
		e.Attempts, e.Held = e.Attempts+1, held
		w.change(func(m map[mail.QueueID]version) {
			m[id] = version{e.Attempts, held, m[id].content}
		}, func() error { return w.s.Update(context.Background(), e) })
	})
}

func (w *world) replace(id mail.QueueID, size, more int) {
	w.with(id, func(e *queue.Entry) {
		e.Attempts++
		content := text(1000+w.number, size)
		deposits, after := w.others(more)
		w.change(func(m map[mail.QueueID]version) {
			m[id] = version{e.Attempts, e.Held, content}
			maps.Copy(m, after)
		}, func() error { return w.s.Replace(context.Background(), e, mail.Bytes(content), deposits) })
		if w.ended == nil {
			w.ended = w.s.Extend(context.Background(), id, e.Lease.Token, time.Time{})
		}
	})
}

func (w *world) others(n int) (deposits []queue.Deposit, after map[mail.QueueID]version) {
	after = map[mail.QueueID]version{}
	for range n {
		v := version{content: text(w.number+1, 100)}
		e := w.entry(v)
		after[e.ID] = v
		deposits = append(deposits, queue.Deposit{Entry: e, Content: mail.Bytes(v.content)})
	}
	return deposits, after
}

// conclude ends an entry and puts others.
func (w *world) conclude(id mail.QueueID, more int) {
	w.with(id, func(e *queue.Entry) {
		e.Envelope.Recipients = nil
		deposits, after := w.others(more)
		w.change(func(m map[mail.QueueID]version) {
			delete(m, id)
			maps.Copy(m, after)
		}, func() error { return w.s.Conclude(context.Background(), e, deposits) })
	})
}

func (w *world) remove(id mail.QueueID) {
	w.with(id, func(e *queue.Entry) {
		if err := w.s.Remove(context.Background(), e); err != nil {
			w.ended = err
			return
		}
		w.maybe[id] = w.is[id]
		delete(w.is, id)
	})
}

func (w *world) upkeep() {
	if w.ended == nil {
		w.ended = w.s.Upkeep()
	}
}

// script is what a queue does with a store, in little.
func (w *world) script() {
	const large = maxInline + 4096
	a := w.put(3, 500, "")
	w.update(a[0], "")
	w.remove(a[1])
	b := w.put(1, large, "")
	c := w.put(2, 3000, "wait")
	w.replace(b[0], large+100, 1) // a file takes the place of another
	w.conclude(a[0], 2)
	w.upkeep()
	w.update(c[0], "")
	w.replace(b[0], 200, 0) // and the log that of a file
	for range 6 {
		d := w.put(2, 2500, "")
		w.conclude(d[0], 0)
		w.remove(d[1])
	}
	w.upkeep() // segments are compacted, removed and used again
	e := w.put(1, 700, "")
	w.replace(e[0], large, 0)
	w.update(a[2], "wait")
	for range 4 {
		d := w.put(1, 3000, "")
		w.conclude(d[0], 1)
	}
	w.upkeep()
	w.put(1, large, "")
	if w.ended == nil {
		w.ended = w.s.Close()
		if n := w.disk.Handles(); n != 0 {
			w.t.Errorf("%d files are open after Close: %v", n, w.ended)
		}
	}
}

// differs tells how what s has differs from what it should have; empty: it does
// not.
func (w *world) differs(s *Store, want map[mail.QueueID]version) string {
	got := map[mail.QueueID]version{}
	after := mail.QueueID("")
	for {
		page, err := s.List(context.Background(), w.now, queue.Filter{}, after, 100)
		if err != nil {
			return fmt.Sprintf("list: %v", err)
		}
		for _, e := range page {
			after = e.ID
			content, err := s.Content(context.Background(), e.ID)
			if err != nil {
				return fmt.Sprintf("content of %s: %v", e.ID, err)
			}
			octets, err := mail.ReadAll(content)
			if err != nil {
				return fmt.Sprintf("read content of %s: %v", e.ID, err)
			}
			if e.Damaged {
				return fmt.Sprintf("%s is damaged: %s", e.ID, e.Held)
			}
			got[e.ID] = version{e.Attempts, e.Held, string(octets)}
		}
		if len(page) < 100 {
			break
		}
	}
	for id, v := range got {
		if _, there := want[id]; !there && w.maybe[id] == v {
			delete(got, id)
		}
	}
	for _, id := range slices.Sorted(maps.Keys(want)) {
		if g, there := got[id]; !there {
			return fmt.Sprintf("%s is not there", id)
		} else if g != want[id] {
			return fmt.Sprintf("%s is another: %d attempts, held %q, %d octets", id, g.attempts, g.held, len(g.content))
		}
	}
	for id := range got {
		if _, there := want[id]; !there {
			return fmt.Sprintf("%s is there", id)
		}
	}
	return ""
}

// settle finds out which of the two possible worlds it is.
func (w *world) settle(s *Store) string {
	w.s = s
	before := w.differs(s, w.is)
	if before == "" {
		w.next = nil
	} else if w.next != nil {
		after := w.differs(s, w.next)
		if after != "" {
			return fmt.Sprintf("if the last change was not made: %s; if it was: %s", before, after)
		}
		w.is, w.next = w.next, nil
	} else {
		return before
	}
	w.ended = nil
	for id, v := range w.maybe { // what came back is there again
		if _, err := s.Get(context.Background(), id); err == nil {
			w.is[id] = v
		}
	}
	clear(w.maybe)
	return ""
}

// claimable is how many of the entries can be claimed.
func (w *world) claimable() (n int) {
	for _, v := range w.is {
		if v.held == "" {
			n++
		}
	}
	return n
}

// reopened opens what a crash left, holds it against what was acknowledged, and
// tells whether all is well.
func (w *world) reopened(d *faultdisk.Disk, what string) bool {
	w.t.Helper()
	w.disk = d
	s, err := OpenWith(crashDir, Options{FS: d, SegmentSize: 8 << 10, ManualUpkeep: true})
	if err != nil {
		w.t.Errorf("%s: open: %v", what, err)
		return false
	}
	if wrong := w.settle(s); wrong != "" {
		w.t.Errorf("%s: %s", what, wrong)
		return false
	}
	claimed, err := s.Claim(context.Background(), w.now, w.now.Add(time.Minute), 1000, nil)
	if err != nil || len(claimed) != w.claimable() {
		w.t.Errorf("%s: %d can be claimed, want %d, %v", what, len(claimed), w.claimable(), err)
		return false
	}
	for _, e := range claimed {
		if err := s.Extend(context.Background(), e.ID, e.Lease.Token, time.Time{}); err != nil {
			w.t.Errorf("%s: %v", what, err)
		}
	}
	return true
}
