package spool

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// whole has the world hold the store that goes on against what it should have,
// the last change having failed.
func (w *world) whole(what string) {
	w.t.Helper()
	w.next = nil // on error nothing of it remains, while the process lives
	if wrong := w.differs(w.s, w.is); wrong != "" {
		w.t.Fatalf("%s: %s", what, wrong)
	}
	w.ended = nil
}

// After a sync that failed nothing that it was of is acknowledged or there, also
// not by a later sync that says nothing; what comes after is durable.
func TestFailedSync(t *testing.T) {
	broken := errors.New("input/output error")
	for n := 1; ; n++ {
		w, d := newWorld(t), newDisk(t)
		if !w.open(d) {
			t.Fatal(w.ended)
		}
		first := w.put(3, 500, "")
		syncs := 0
		d.Fail(func(c faultdisk.Call) error {
			if c.Op != faultdisk.Sync && c.Op != faultdisk.SyncDir {
				return nil
			}
			if syncs++; syncs == n {
				return broken
			}
			return nil
		})
		failed := false
		for i := range 12 { // each has one sync at least, and all go through several segments
			switch i % 4 {
			case 0:
				w.put(1, 3000, "")
			case 1:
				w.update(first[0], fmt.Sprint("held ", i))
			case 2:
				w.put(1, maxInline+100, "")
			case 3:
				w.upkeep()
			}
			if w.ended != nil {
				if !errors.Is(w.ended, broken) {
					t.Fatalf("sync %d: %v", n, w.ended)
				}
				failed = true
				w.whole(fmt.Sprintf("sync %d failed", n))
				if e, err := w.s.Get(t.Context(), first[0]); err == nil && e.Lease.Token != 0 {
					w.s.Extend(t.Context(), e.ID, e.Lease.Token, time.Time{}) // what failed leaves the lease
				}
			}
		}
		after := d.Reopen(faultdisk.Power, rand.New(rand.NewPCG(1, 1)))
		if !w.reopened(after, fmt.Sprintf("power loss after sync %d failed", n)) {
			return
		}
		if !failed {
			if n < 8 {
				t.Errorf("only %d syncs", n)
			}
			return
		}
	}
}

// A disk that is full, or cannot be written, refuses what is new. What is there
// can be read and ended all the same, and that makes room.
func TestFullDisk(t *testing.T) {
	for name, begin := range map[string]func(*faultdisk.Disk){
		"full":      func(d *faultdisk.Disk) { d.Fill(0) },
		"read-only": func(d *faultdisk.Disk) { d.Fail(faultdisk.ReadOnly) },
	} {
		t.Run(name, func(t *testing.T) {
			w, d := newWorld(t), newDisk(t)
			if !w.open(d) {
				t.Fatal(w.ended)
			}
			ids := w.put(5, 500, "")
			begin(d)
			refused := 0
			for range 20 {
				if w.put(1, 3000, ""); w.ended != nil {
					if !errors.Is(w.ended, syscall.ENOSPC) && !errors.Is(w.ended, syscall.EROFS) {
						t.Fatal(w.ended)
					}
					refused++
					w.whole("refused")
				}
			}
			if refused < 10 {
				t.Errorf("%d were refused", refused)
			}
			for _, id := range ids {
				if w.remove(id); w.ended != nil {
					t.Fatalf("remove: %v", w.ended)
				}
			}
			w.whole("removed")
			d.Fail(nil)
			d.Fill(-1)
			w.put(1, 3000, "")
			w.upkeep()
			if w.ended != nil {
				t.Fatalf("then there is room: %v", w.ended)
			}
			w.reopened(d.Reopen(faultdisk.Power, rand.New(rand.NewPCG(1, 1))), "power loss after that")
		})
	}
}

// A disk that is slow holds up who waits for it, and nobody else: reading goes on.
func TestSlowDisk(t *testing.T) {
	w, d := newWorld(t), newDisk(t)
	if !w.open(d) {
		t.Fatal(w.ended)
	}
	ids := w.put(1, 500, "")
	slow, goOn := make(chan bool), make(chan bool)
	d.Slow(func(c faultdisk.Call) time.Duration {
		if c.Op == faultdisk.Sync {
			slow <- true
			<-goOn
		}
		return 0
	})
	done := make(chan error)
	e := w.entry(version{})
	go func() { done <- w.s.Put(context.Background(), e, mail.Bytes("x"), time.Time{}) }()
	<-slow
	if _, err := w.s.Get(t.Context(), ids[0]); err != nil {
		t.Error(err)
	}
	if claimed, err := w.s.Claim(t.Context(), w.now, w.now.Add(time.Minute), 10, nil); err != nil || len(claimed) != 1 {
		t.Errorf("claimed %d, %v", len(claimed), err)
	}
	if _, err := w.s.Get(t.Context(), e.ID); !errors.Is(err, queue.ErrNotFound) {
		t.Errorf("it is seen before it is durable: %v", err)
	}
	d.Slow(nil)
	goOn <- true
	if err := <-done; err != nil {
		t.Error(err)
	}
	if err := w.s.Close(); err != nil {
		t.Error(err)
	}
}

// filled makes a store on a real disk with some of everything, closed in good
// order.
func filled(t *testing.T, dir string) *world {
	t.Helper()
	w := newWorld(t)
	s, err := OpenWith(dir, Options{SegmentSize: 8 << 10, ManualUpkeep: true})
	if err != nil {
		t.Fatal(err)
	}
	w.s, w.disk = s, newDisk(t)
	a := w.put(4, 900, "")
	w.update(a[0], "wait")
	w.conclude(a[1], 2)
	w.put(3, 3000, "")
	w.replace(a[2], 1500, 1)
	w.put(1, maxInline+100, "")
	if w.ended == nil {
		w.ended = s.Close()
	}
	if w.ended != nil {
		t.Fatal(w.ended)
	}
	return w
}

// Whichever octet of a queue is another than it was: it is opened, and every entry
// is as it was or held and said to be damaged; or it is not opened, and the error
// names the file. Nothing panics, and nothing is missing in silence.
func TestDamage(t *testing.T) {
	clean := filepath.Join(t.TempDir(), "queue")
	w := filled(t, clean)
	var files []string
	filepath.WalkDir(clean, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() && d.Name() != lockFile {
			rel, _ := filepath.Rel(clean, path)
			files = append(files, rel)
		}
		return nil
	})
	r := rand.New(rand.NewPCG(1, 3))
	refused, held, intact := 0, 0, 0
	for n := range 400 {
		dir := filepath.Join(t.TempDir(), "queue")
		if err := os.CopyFS(dir, os.DirFS(clean)); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, files[n%len(files)])
		octets, err := os.ReadFile(path)
		if err != nil || len(octets) == 0 {
			continue
		}
		at := r.IntN(len(octets))
		what := fmt.Sprintf("%s at %d", files[n%len(files)], at)
		if n%4 == 3 {
			octets, what = octets[:at], what+", cut off"
		} else {
			octets[at] ^= byte(1 + r.IntN(255))
		}
		if err := os.WriteFile(path, octets, 0o600); err != nil {
			t.Fatal(err)
		}
		s, err := OpenWith(dir, Options{SegmentSize: 8 << 10, ManualUpkeep: true})
		if err != nil {
			if refused++; !strings.Contains(err.Error(), filepath.Dir(path)) {
				t.Errorf("%s: the error does not say where: %v", what, err)
			}
			continue
		}
		damaged := w.damage(s, what)
		if held += damaged; damaged == 0 {
			intact++
		}
		if err := s.Close(); err != nil {
			t.Errorf("%s: close: %v", what, err)
		}
	}
	t.Logf("%d were not opened, %d entries were damaged, %d times none", refused, held, intact)
	if refused == 0 || held == 0 {
		t.Error("nothing was damaged that matters")
	}
}

// damage holds each entry against what it was, and counts those that are said to
// be damaged.
func (w *world) damage(s *Store, what string) (damaged int) {
	w.t.Helper()
	for id, want := range w.is {
		e, err := s.Get(context.Background(), id)
		if err != nil {
			w.t.Errorf("%s: %s: %v", what, id, err)
			continue
		}
		if e.Damaged {
			damaged++
			continue
		}
		octets, err := readContent(s, id)
		switch {
		case err != nil:
			damaged++ // whoever attempts it sees that, and in the end it is held
		case want != version{e.Attempts, e.Held, octets}:
			w.t.Errorf("%s: %s is another, and nothing is said: %d attempts, held %q, %d octets", what, id, e.Attempts, e.Held, len(octets))
		}
	}
	return damaged
}

func readContent(s *Store, id mail.QueueID) (string, error) {
	c, err := s.Content(context.Background(), id)
	if err != nil {
		return "", err
	}
	octets, err := mail.ReadAll(c)
	return string(octets), err
}
