package spool

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
)

// These tests stop the disk at each call of a script of changes, lose or tear what
// was not synced, open what is left, and hold it against what was acknowledged.

// Wherever the disk stops, and whatever becomes of what was not synced, each
// change that was acknowledged is there, and each other is there as a whole or not
// at all; and the store goes on.
func TestStopAtEachCall(t *testing.T) {
	for _, loss := range faultdisk.Losses {
		t.Run(string(loss), func(t *testing.T) {
			t.Parallel()
			calls := 0
			for n := 0; ; n++ {
				w, d := newWorld(t), newDisk(t)
				d.StopAt(n)
				if w.open(d) {
					w.script()
				}
				if w.ended == nil {
					break
				}
				if !errors.Is(w.ended, errStopped) {
					t.Fatalf("call %d: %v", n, w.ended)
				}
				calls = n + 1
				r := rand.New(rand.NewPCG(uint64(n), 1))
				d = d.Reopen(loss, r)
				if !w.reopened(d, fmt.Sprintf("%s at call %d", loss, n)) {
					return
				}
				if n%5 != 0 { // a second life of some
					continue
				}
				d.StopAt(r.IntN(60))
				w.script()
				if w.ended != nil && !errors.Is(w.ended, errStopped) {
					t.Fatalf("call %d, second life: %v", n, w.ended)
				}
				if d = d.Reopen(loss, r); !w.reopened(d, fmt.Sprintf("%s at call %d, and again", loss, n)) {
					return
				}
			}
			t.Logf("%d calls", calls)
			if calls < 100 {
				t.Errorf("the script makes only %d calls", calls)
			}
		})
	}
}

// What was removed and replaced in many lives of a store never comes back as
// something else: files of segments are used again, and old frames lie in them.
func TestManyLives(t *testing.T) {
	for seed := range uint64(20) {
		r := rand.New(rand.NewPCG(seed, 2))
		w, d := newWorld(t), newDisk(t)
		for life := range 15 {
			loss := faultdisk.Losses[r.IntN(len(faultdisk.Losses))]
			if life == 0 && !w.open(d) {
				t.Fatal(w.ended)
			}
			d.StopAt(r.IntN(250))
			w.script()
			if w.ended != nil && !errors.Is(w.ended, errStopped) {
				t.Fatalf("seed %d, life %d: %v", seed, life, w.ended)
			}
			if d = d.Reopen(loss, r); !w.reopened(d, fmt.Sprintf("seed %d, life %d, %s", seed, life, loss)) {
				break
			}
		}
	}
}
