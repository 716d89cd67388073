// Package bolt opens files of the bbolt library so that damage in them is an
// error and not the end of the process: the library panics, or faults, where it
// finds what it does not expect. What is in the files is their owners' matter.
package bolt

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"runtime/debug"
	"sync/atomic"
	"syscall"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"
)

// lockWait is how long to wait for another process to let go of a file. One
// that was killed has let go at once.
const lockWait = 500 * time.Millisecond

// Errors of Open, and of the transactions.
var (
	ErrInUse   = errors.New("another process uses it")
	ErrDamaged = errors.New("it is damaged")
)

// A File is an open file. Safe for concurrent use.
type File struct {
	db     *bbolt.DB
	broken atomic.Pointer[error] // why nothing can be written any more; nil: it can
}

// Open opens a file, which it creates if there is none. The error is [ErrInUse]
// or [ErrDamaged] if that is why; nothing is changed in a damaged file. The
// caller must Close what it gets.
func Open(path string, options bbolt.Options) (f *File, err error) {
	defer faults()()
	defer recovered(&err)
	options.Timeout = lockWait
	if err := check(path); err != nil {
		return nil, classify(err)
	}
	db, err := bbolt.Open(path, 0o600, &options)
	if err != nil {
		return nil, classify(err)
	}
	return &File{db: db}, nil
}

// classify tells damage from what the operating system refuses.
func classify(err error) error {
	var system syscall.Errno
	var path *fs.PathError
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return ErrInUse
	case errors.As(err, &system), errors.As(err, &path), errors.Is(err, ErrDamaged):
		return err
	}
	return fmt.Errorf("%w: %w", ErrDamaged, err)
}

// check refuses a file that is cut short or has pages that are not what they
// should be. The library looks at them too, but in a goroutine of its own, and
// what panics there ends the process; so it still does for a damaged key within
// a branch page, if the freelist is not written with each commit. Walking over
// the keys takes a third of a second for a million of them.
func check(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // a new one
	}
	if err != nil {
		return err
	}
	if !info.Mode().IsRegular() {
		return &fs.PathError{Op: "open", Path: path, Err: errors.New("it is no file")}
	}
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: lockWait, ReadOnly: true})
	if err != nil {
		return err
	}
	err = db.View(func(tx *bbolt.Tx) error {
		if info.Size() < tx.Size() {
			return fmt.Errorf("it has %d octets of %d", info.Size(), tx.Size())
		}
		return tx.ForEach(walk)
	})
	return errors.Join(err, db.Close())
}

// walk touches every page of a bucket. Buckets in it are not followed: damage
// can make a bucket of anything, and of a page one that holds itself.
func walk(name []byte, b *bbolt.Bucket) error {
	var last []byte
	c := b.Cursor()
	for k, _ := c.First(); k != nil; k, _ = c.Next() {
		if last != nil && bytes.Compare(last, k) >= 0 {
			return fmt.Errorf("bucket %q is out of order", name)
		}
		last = k
	}
	return nil
}

// View makes a transaction that reads. One that comes on damage is undone, and
// its error is [ErrDamaged].
func (f *File) View(do func(*bbolt.Tx) error) (err error) {
	defer faults()()
	defer recovered(&err)
	return f.db.View(do)
}

// Update makes a transaction that writes; it is on stable storage when Update
// returns nil. A write that comes on damage leaves the library's locks in an
// unknown state: after it every Update has the same error.
func (f *File) Update(do func(*bbolt.Tx) error) (err error) {
	if err := f.broken.Load(); err != nil {
		return *err
	}
	defer func() {
		if err != nil && errors.Is(err, ErrDamaged) {
			f.broken.Store(&err)
		}
	}()
	defer faults()()
	defer recovered(&err)
	return f.db.Update(do)
}

// SyncFreelist says from now on whether commits write the list of free pages.
// No transaction may be under way.
func (f *File) SyncFreelist(on bool) { f.db.NoFreelistSync = !on }

// Close closes the file. One that came on damage while it was written to is
// left open, as closing might wait for a lock that nobody has.
func (f *File) Close() error {
	if broken := f.broken.Load(); broken != nil {
		return *broken
	}
	return f.db.Close()
}

// faults has this goroutine panic at a bad address, as a mapped file that is
// cut short has them, instead of ending the process. The function it returns
// undoes that.
func faults() func() {
	before := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(before) }
}

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", ErrDamaged, p)
	}
}
