package fault

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
)

// callFaults are scenarios of a queue in this process, of whose file layer each
// call is once the one at which something breaks.
func callFaults() []*Scenario {
	return []*Scenario{
		atEachCall("call-kill", "killed at each create, write, sync, rename and remove in turn (a disk in memory)", stopAt(faultdisk.Killed)),
		atEachCall("call-power", "power cut at each of these: what was not synced is gone", stopAt(faultdisk.Power)),
		atEachCall("call-torn", "power cut at each of these: of what was not synced some is there, in any order, and torn", stopAt(faultdisk.Torn)),
		atEachCall("call-error", "each of these fails once (EIO; what a sync was for is never on the disk), later the power is cut", failAt(1, syscall.EIO, faultdisk.Power)),
		atEachCall("call-full", "the disk is full (ENOSPC) for eight calls from each of these on, later killed", failAt(8, syscall.ENOSPC, faultdisk.Killed)),
		atEachCall("call-readonly", "the disk is read-only (EROFS) for eight calls from each of these on, later killed", failAt(8, syscall.EROFS, faultdisk.Killed)),
	}
}

// A breakage arms a disk for the nth call, and says what is left of the disk
// after.
type breakage struct {
	arm  func(d *faultdisk.Disk, n int)
	loss faultdisk.Loss
	goes bool // the disk fails and goes on: what it refused may be there in the end
}

func stopAt(loss faultdisk.Loss) breakage { return breakage{(*faultdisk.Disk).StopAt, loss, false} }

func failAt(calls int, err error, loss faultdisk.Loss) breakage {
	return breakage{func(d *faultdisk.Disk, n int) {
		from := d.Calls() + 1 + n
		d.Fail(func(c faultdisk.Call) error {
			if c.N >= from && c.N < from+calls {
				return err
			}
			return nil
		})
	}, loss, true}
}

func atEachCall(name, what string, b breakage) *Scenario {
	return &Scenario{
		Name: name, What: what, Stores: []string{Spool},
		Inside: func(ctx context.Context, r *Run, result *Result) error { return r.eachCall(ctx, result, b) },
	}
}

// abreast is how many such runs are under way at the same time: they wait more
// than they work.
const abreast = 8

// eachCall plays the same mail again and again, and has it break one call later
// each time, until no life has so many. Times of the run, if any, is how many
// of these calls are tried, spread over all.
func (r *Run) eachCall(ctx context.Context, result *Result, b breakage) error {
	step := 1
	if r.Times > 0 {
		calls, err := r.callsOfALife(ctx)
		if err != nil {
			return err
		}
		step = max(calls/r.Times, 1)
	}
	for n := int(r.Seed % uint64(step)); ; n += abreast * step {
		var cases [abreast]*Result // nil: there was no such call any more
		var errs [abreast]error
		var wg sync.WaitGroup
		for i := range cases {
			wg.Go(func() { cases[i], errs[i] = r.atCall(ctx, b, n+i*step) })
		}
		wg.Wait()
		if err := errors.Join(errs[:]...); err != nil {
			return err
		}
		over := true // lives differ: one of them may have had so many calls
		for i, one := range cases {
			if one != nil {
				over = false
				result.add(one, fmt.Sprintf("call %d: ", n+i*step+1))
				result.Times++
			}
		}
		if over {
			return nil
		}
	}
}

func (r *Run) callsOfALife(ctx context.Context) (int, error) {
	in := &inside{ledger: newLedger(), seed: r.Seed, disk: faultdisk.New()}
	err := in.first(ctx)
	return in.disk.Calls(), err
}

// atCall plays two lives, with the breakage at one call of the first. It returns
// nil if there was no such call.
func (r *Run) atCall(ctx context.Context, b breakage, n int) (*Result, error) {
	in := &inside{ledger: newLedger(), seed: r.Seed, disk: faultdisk.New(), files: r.files, store: r.store}
	b.arm(in.disk, n)
	calls := Calls{}
	in.disk.Watch(func(c faultdisk.Call) {
		if c.N == n+1 {
			for _, phase := range in.about.now() {
				calls.count(phase, c.Op, 1)
			}
		}
	})
	if b.goes {
		in.ledger.diskless = []interval{{time.Now(), time.Now().Add(time.Hour)}}
	}
	// An error of a disk that goes on is what was asked for, wherever it comes up.
	if err := in.first(ctx); err != nil && ctx.Err() != nil {
		return nil, err
	}
	if in.disk.Calls() <= n {
		return nil, nil
	}
	in.files, in.store = nil, nil
	in.disk = in.disk.Reopen(b.loss, rand.New(rand.NewPCG(r.Seed, uint64(n))))
	q, err := in.second(ctx)
	if ctx.Err() != nil {
		return nil, err
	}
	result := &Result{Calls: calls}
	if err != nil {
		result.violation("not opened: %v", err)
	}
	if left := q.waiting(); left > 0 {
		result.violation("stuck: %d recipients are still in the queue", left)
	}
	in.ledger.settle(result, q)
	return result, nil
}
