package spool

import (
	"errors"
	"path/filepath"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
	"github.com/wasmta/wasmta/mta/internal/mail"
)

// tended is a store with small segments whose upkeep runs by itself.
func tended(t *testing.T, d *faultdisk.Disk) *Store {
	t.Helper()
	s, err := OpenWith(crashDir, Options{FS: d, SegmentSize: smallSegment})
	if err != nil {
		t.Fatal(err)
	}
	return s
}

const smallSegment = 32 << 10

// liveOctets is what entries need of the log.
func (s *Store) liveOctets() (live int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, g := range s.segments {
		live += g.live
	}
	return live
}

// mostOctets is what files may have when the upkeep has nothing to do: twice what
// is live, and some segments; and the checkpoint.
func (s *Store) mostOctets() int64 {
	const some = slack + maxDead + maxSpares + 1 // the last is the one that is being written
	s.mu.Lock()
	saved := s.saved.size
	s.mu.Unlock()
	return 2*s.liveOctets() + some*s.options.SegmentSize + saved
}

// Among a great many messages that come and go some stay for long, so that hardly
// a segment dies whole. The files are at most what upkeep promises all the same,
// and no more of them are open than that takes; what stays can be read, and when
// it goes too, nearly nothing is left.
func TestSpaceIsGivenBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), newDisk(t)
		w.s, w.disk = tended(t, d), d
		var stay []mail.QueueID
		written := int64(0)
		for round := range 300 {
			for _, id := range w.put(8, 2000, "") {
				if len(stay) <= round { // one of each round
					stay = append(stay, id)
					continue
				}
				w.remove(id)
			}
			w.update(stay[round/2], "") // its record goes elsewhere, its content does not
			written += 8 * 2000
			synctest.Wait()
			if used, most := d.Used(), w.s.mostOctets(); used > most {
				t.Fatalf("round %d: %d octets in files, at most %d for %d that are live", round, used, most, w.s.liveOctets())
			}
			if most := w.s.mostOctets()/smallSegment + 1; int64(d.Handles()) > most {
				t.Fatalf("round %d: %d files are open, want at most %d", round, d.Handles(), most)
			}
		}
		if w.ended != nil {
			t.Fatal(w.ended)
		}
		if used := d.Used(); used > written/2 {
			t.Errorf("%d octets in files of %d that were written: nothing is put to the test", used, written)
		}
		if wrong := w.differs(w.s, w.is); wrong != "" {
			t.Error(wrong)
		}
		for _, id := range stay {
			w.remove(id)
		}
		time.Sleep(2 * flushDelay) // nobody waits for removals
		w.upkeep()
		if used := d.Used(); w.ended != nil || used > w.s.mostOctets() || w.s.liveOctets() != 0 {
			t.Errorf("of nothing %d octets are left, %d of them live, %v", used, w.s.liveOctets(), w.ended)
		}
		w.closed()
	})
}

// What is removed for everybody, though not in the log yet, is not copied. The
// upkeep does not wait for it either: it would write one checkpoint after the
// other.
func TestUpkeepLeavesWhatIsGone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t)
		w.open(newDisk(t))
		var last []mail.QueueID
		for range 3 * slack { // in each segment one stays
			for i, id := range w.put(6, 1000, "") {
				if i == 0 {
					last = append(last, id)
					continue
				}
				w.remove(id)
			}
		}
		w.put(1, 500, "") // its commit takes the removals along
		for _, id := range last {
			w.remove(id) // there is no other commit before the clock moves
		}
		checkpoints := 0
		w.disk.Fail(func(c faultdisk.Call) error {
			if c.Op == faultdisk.Rename && filepath.Base(c.Path) == checkpointFile+temporary {
				checkpoints++
			}
			if checkpoints > 2 {
				return errors.New("another checkpoint, though nothing has changed")
			}
			return nil
		})
		w.upkeep()
		if w.ended != nil || w.s.mostlyDead() == nil {
			t.Errorf("%v; a segment to be copied: %v", w.ended, w.s.mostlyDead())
		}
		w.disk.Fail(nil)
		time.Sleep(2 * flushDelay)
		w.upkeep()
		if w.ended != nil || w.s.mostlyDead() != nil {
			t.Errorf("%v; a segment to be copied: %v", w.ended, w.s.mostlyDead())
		}
		w.closed()
	})
}

// A checkpoint that there is no room for is not tried with every commit, and in
// the end, when there is room, it is.
func TestUpkeepThatFailsRests(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w, d := newWorld(t), newDisk(t)
		w.s, w.disk = tended(t, d), d
		tries := 0
		d.Fail(func(c faultdisk.Call) error {
			if c.Op != faultdisk.Create || filepath.Base(c.Path) != checkpointFile+temporary {
				return nil
			}
			tries++
			return syscall.ENOSPC
		})
		for range 300 {
			for _, id := range w.put(5, 1000, "") {
				w.remove(id)
			}
			synctest.Wait()
		}
		if w.ended != nil || tries != 2 { // the second once spares are given up
			t.Errorf("%v; a checkpoint was tried %d times", w.ended, tries)
		}
		d.Fail(nil)
		time.Sleep(upkeepRetry)
		w.put(1, 1000, "")
		synctest.Wait()
		if used, most := d.Used(), w.s.mostOctets(); w.ended != nil || used > most {
			t.Errorf("%d octets in files, at most %d, %v", used, most, w.ended)
		}
		w.closed()
	})
}

// closed closes the store, and sees that it let go of all files.
func (w *world) closed() {
	w.t.Helper()
	if err := w.s.Close(); err != nil {
		w.t.Error(err)
	}
	if n := w.disk.Handles(); n != 0 {
		w.t.Errorf("%d files are open after Close", n)
	}
}

// Large contents are files, of which one is open only while it is read. A
// thousand messages have as many files open as ten.
func TestHandles(t *testing.T) {
	w, d := newWorld(t), newDisk(t)
	s, err := OpenWith(crashDir, Options{FS: d, ManualUpkeep: true})
	if err != nil {
		t.Fatal(err)
	}
	w.s, w.disk = s, d
	w.put(10, 500, "")
	few := d.Handles()
	large := w.put(20, maxInline+1, "")
	w.put(1000, 500, "")
	if w.ended != nil || d.Handles() != few {
		t.Errorf("%d files are open with ten messages, %d with a thousand, %v", few, d.Handles(), w.ended)
	}
	content, err := s.Content(t.Context(), large[0])
	if err != nil {
		t.Fatal(err)
	}
	r, err := content.Open()
	if err != nil || d.Handles() != few+1 {
		t.Fatalf("%d files are open while one is read, %v", d.Handles(), err)
	}
	if err := r.Close(); err != nil || d.Handles() != few {
		t.Errorf("%d files are open after that, %v", d.Handles(), err)
	}
	w.closed()
}
