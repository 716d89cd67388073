// Package faultdisk is a disk in memory for tests. It knows what is durable and
// what is not, and can stop at any call, lose or tear what was not synced, be
// full, slow or read-only, and fail.
package faultdisk

import (
	"errors"
	"math/rand/v2"
	"sync"
	"syscall"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// ErrStopped is what every call returns once the disk has stopped: for who calls
// it, the process is dead.
var ErrStopped = errors.New("the disk has stopped")

// An Op is what a call does.
type Op string

// All of them. What only reads is not counted and does not fail, but on a disk
// that has stopped.
const (
	Create   Op = "create"
	Mkdir    Op = "mkdir"
	Write    Op = "write"
	Truncate Op = "truncate"
	Reserve  Op = "reserve"
	Sync     Op = "sync"
	SyncDir  Op = "sync the folder"
	Rename   Op = "rename"
	Remove   Op = "remove"
	Read     Op = "read"
)

// A Call is one use of the disk.
type Call struct {
	N    int // the how manieth it is, from 1; zero: a Read, which does not count
	Op   Op
	Path string
	Size int // of a Write, in octets
}

// A Disk implements [disk.FS]. Safe for concurrent use.
type Disk struct {
	mu      sync.Mutex // guards all that follows, and the nodes
	root    *node
	calls   int
	stopAt  int // the call at which it stops; zero: never
	stopped bool
	watch   func(Call)
	fault   func(Call) error
	delay   func(Call) time.Duration
	room    int64 // octets that all files may have together; negative: no limit
	used    int64
	open    int // files
	locked  map[string]bool
}

var _ disk.FS = (*Disk)(nil)

// New returns an empty disk without faults.
func New() *Disk {
	return &Disk{root: newFolder(), room: -1, locked: map[string]bool{}}
}

// Calls is how many calls there were that change something.
func (d *Disk) Calls() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

// StopAt has the disk stop at the nth call from now that would change something;
// zero is the next. Of a write half is done, as when a process is killed
// meanwhile; anything else is not done.
func (d *Disk) StopAt(n int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopAt = d.calls + 1 + n
}

// Stop stops the disk now.
func (d *Disk) Stop() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
}

// Stopped tells whether the disk has stopped.
func (d *Disk) Stopped() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.stopped
}

// Fail has f asked before each call, which fails with what f returns. A call that
// fails changes nothing, but a Sync: what that was to make durable never is,
// though later calls do not say so. A nil f ends it. f must not use the disk.
func (d *Disk) Fail(f func(Call) error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = f
}

// Watch has f told of each call that changes something before it is made, in their
// order, also of the one at which the disk stops. f must not use the disk.
func (d *Disk) Watch(f func(Call)) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.watch = f
}

// Slow has each call take as long as f says. A nil f ends it.
func (d *Disk) Slow(f func(Call) time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.delay = f
}

// Fill leaves room for n more octets; then the disk is full. A negative n lifts
// the limit.
func (d *Disk) Fill(n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.room = n
	if n >= 0 {
		d.room += d.used
	}
}

// Used is how many octets the files have.
func (d *Disk) Used() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// Handles is how many files are open.
func (d *Disk) Handles() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.open
}

// ReadOnly is a fault for [Disk.Fail]: nothing can be changed.
func ReadOnly(c Call) error {
	if c.Op == Read {
		return nil
	}
	return syscall.EROFS
}

// call begins a call that changes something; it returns with mu held, if and only
// if the error is nil or half is set: then the disk has stopped in the middle.
func (d *Disk) call(op Op, path string, size int) (half bool, err error) {
	d.mu.Lock()
	if d.stopped {
		d.mu.Unlock()
		return false, ErrStopped
	}
	c := Call{Op: op, Path: path, Size: size}
	if op != Read {
		d.calls++
		c.N = d.calls
		if d.watch != nil {
			d.watch(c)
		}
		d.stopped = d.calls == d.stopAt
	}
	fault, delay := d.fault, d.delay
	if d.stopped {
		if op == Write {
			return true, ErrStopped
		}
		d.mu.Unlock()
		return false, ErrStopped
	}
	if fault == nil && delay == nil {
		return false, nil
	}
	d.mu.Unlock()
	if delay != nil {
		time.Sleep(delay(c))
	}
	if fault != nil {
		if err := fault(c); err != nil {
			return false, err
		}
	}
	d.mu.Lock()
	if d.stopped {
		d.mu.Unlock()
		return false, ErrStopped
	}
	return false, nil
}

// A Loss is what becomes of what was not synced.
type Loss string

const (
	Killed Loss = "killed"     // nothing is lost: the process died, the machine did not
	Power  Loss = "power loss" // all of it is lost
	Torn   Loss = "torn"       // some is, in any order, and of a write some sectors
)

// Losses are all of them.
var Losses = []Loss{Killed, Power, Torn}

// Reopen stops the disk and returns what is there after a loss: another disk,
// without faults, and not locked. r decides what is torn.
func (d *Disk) Reopen(loss Loss, r *rand.Rand) *Disk {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.stopped = true
	after := New()
	after.root = d.root.after(loss, r, map[*node]*node{})
	after.used = after.root.size()
	return after
}
