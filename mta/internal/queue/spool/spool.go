// Package spool is the embedded store of the queue: an index in one bbolt file,
// with small contents in it, and large contents as files beside it. It belongs
// to one process at a time.
//
//	index.bolt       entries, when they are due, contents of up to 128 KiB
//	content/ID       one larger content
//	content/ID.tmp   one that is being written
//
// What is durable: an entry is there from the commit that brings its record
// until the one that takes it away. A large content is written, synced, renamed
// and its folder synced before that first commit, and unlinked after the last;
// a file without a record is what a crash left behind, and goes when the store
// is opened. Leases are in memory only: a process that dies has none.
package spool

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"go.etcd.io/bbolt"
	berrors "go.etcd.io/bbolt/errors"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	indexFile     = "index.bolt"
	contentFolder = "content"

	// maxInline is the largest content, in octets, that is kept in the index.
	// A file of its own costs two more syncs: relaying messages of 100 KB, 50
	// sessions, two cores, was 1070/s with files and 1780/s without.
	maxInline = 128 << 10

	// lockWait is how long to wait for another process to let go of the
	// index. One that was killed has let go at once.
	lockWait = 500 * time.Millisecond

	// initialMap is how much address space the index has before it must be
	// mapped anew, for which every reader is waited for.
	initialMap = 1 << 30
)

// A Store implements [queue.Store]. Safe for concurrent use.
type Store struct {
	dir   string
	log   *slog.Logger
	files files
	db    *bbolt.DB

	broken atomic.Pointer[error] // why nothing can be written any more; nil: it can

	mu          sync.Mutex             // guards what follows; not held during I/O; taken inside transactions, never around them
	leases      map[mail.QueueID]lease // of active entries, and lapsed ones that nobody claimed since
	token       uint64                 // of the last lease
	removed     map[mail.QueueID]bool  // gone for everybody, though not from the disk yet; true: it was held
	count, held int64                  // entries in the index, and those of them that are held
	pending     []*change              // waiting for the next commit
	leading     bool                   // somebody commits
	flush       *time.Timer            // commits what nobody waits for
	flushIn     time.Duration          // how long that takes
	closed      bool
}

// A lease is who has an entry.
type lease struct {
	token uint64
	until time.Time
	busy  bool // a change is being written: it does not lapse meanwhile
}

var _ queue.Store = (*Store)(nil)

// Open opens the store in a folder, which it creates if there is none. It is an
// error, with the cure in it, if another process has the store or if its index
// is damaged or missing; nothing is ever created anew in place of what was there.
// The caller must Close it.
func Open(dir string, log *slog.Logger) (*Store, error) {
	return open(dir, log, osFiles{})
}

func open(dir string, log *slog.Logger, files files) (*Store, error) {
	s := &Store{
		dir:     dir,
		log:     log,
		files:   files,
		leases:  map[mail.QueueID]lease{},
		removed: map[mail.QueueID]bool{},
		flushIn: flushDelay,
		token:   uint64(time.Now().UnixNano()), // more than in any process before this one
	}
	if err := s.files.mkdir(dir); err != nil {
		return nil, fmt.Errorf("create queue: %w", err)
	}
	if err := s.checkPresent(); err != nil {
		return nil, err
	}
	if err := s.openIndex(); err != nil {
		return nil, err
	}
	if err := s.openContent(); err != nil {
		return nil, errors.Join(err, s.db.Close())
	}
	return s, nil
}

// checkPresent refuses a folder whose index is gone while contents are left:
// a new index would take them for rubbish.
func (s *Store) checkPresent() error {
	_, err := os.Stat(filepath.Join(s.dir, contentFolder))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("open queue: %w", err)
	}
	path := filepath.Join(s.dir, indexFile)
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return fmt.Errorf("open queue: %s is missing or empty, but the queue was in use; restore the file, or move %s away to begin with an empty queue", path, s.dir)
	}
	return err
}

// openIndex opens the database. The library panics, or faults, on some damaged
// files; that is an error here.
func (s *Store) openIndex() (err error) {
	path := filepath.Join(s.dir, indexFile)
	defer faults()()
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("open queue: %s is damaged: %v; restore it, or move %s away to begin with an empty queue", path, p, s.dir)
		}
	}()
	if err = checkFile(path); err == nil {
		s.db, err = bbolt.Open(path, 0o600, options())
	}
	switch {
	case errors.Is(err, berrors.ErrTimeout):
		return fmt.Errorf("open queue: another process uses %s; stop it, or give this one a state folder of its own", s.dir)
	case err != nil:
		return fmt.Errorf("open queue: %s: %w; if it is damaged, restore it, or move %s away to begin with an empty queue", path, err, s.dir)
	}
	err = s.view(check)
	if errors.Is(err, errNew) {
		err = s.update(prepare)
	}
	if err == nil {
		err = s.view(s.loadCounts)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open queue: %s: %w", path, err), s.db.Close())
	}
	return nil
}

// checkFile refuses an index that is cut short or has pages that are not what
// they should be. The library looks at them too, but in a goroutine of its own,
// and what panics there ends the process; so it still does for a damaged key
// within a branch page. Walking over the keys takes a third of a second for a
// million entries.
func checkFile(path string) error {
	info, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) || err == nil && info.Size() == 0 {
		return nil // a new one
	}
	if err != nil {
		return err
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

// walk touches every page of a bucket.
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

// options are those of the index. The freelist is a map and is not written with
// every commit: once a queue of 60,000 messages of 4 KB had been worked off, that
// made 40,000 puts and removals a second from 64 writers, and 3,500 from one; with
// the freelist written, 10,000 and 670; as an array, 25,000 and 2,000. Close
// writes it, and after a kill it is found anew. Pages of 16 KiB gained nothing.
func options() *bbolt.Options {
	return &bbolt.Options{
		Timeout:         lockWait,
		NoFreelistSync:  true,
		FreelistType:    bbolt.FreelistMapType,
		InitialMmapSize: initialMap,
	}
}

// Close writes down what is pending and lets go of the folder. No method may be
// called after it.
func (s *Store) Close() error {
	s.mu.Lock()
	closed, pending := s.closed, len(s.pending) > 0 || s.leading
	s.mu.Unlock()
	if closed {
		return nil
	}
	var err error
	if pending {
		err = s.commit(&change{kind: nothing})
	}
	s.mu.Lock()
	s.closed = true
	if s.flush != nil {
		s.flush.Stop()
	}
	s.mu.Unlock()
	if err := s.saveFreelist(); err != nil {
		s.log.Warn("queue store", "err", err) // it costs time only
	}
	if broken := s.broken.Load(); broken != nil {
		return *broken // closing might wait for a lock that nobody has
	}
	return errors.Join(err, s.db.Close())
}

// saveFreelist spares the next Open the search for free pages.
func (s *Store) saveFreelist() error {
	s.db.NoFreelistSync = false
	return s.update(func(*bbolt.Tx) error { return nil })
}

// view and update are transactions. The library panics where it finds its file
// damaged, and reading what the disk does not give faults; here both are errors,
// and the transaction is undone.
func (s *Store) view(f func(*bbolt.Tx) error) (err error) {
	defer faults()()
	defer recovered(&err)
	return s.db.View(f)
}

// A write that panics leaves the library's locks in an unknown state; after it
// nothing more is written, and nothing is accepted.
func (s *Store) update(f func(*bbolt.Tx) error) (err error) {
	if err := s.broken.Load(); err != nil {
		return *err
	}
	defer func() {
		if err != nil && errors.Is(err, errDamaged) {
			s.broken.Store(&err)
		}
	}()
	defer faults()()
	defer recovered(&err)
	return s.db.Update(f)
}

// faults has this goroutine panic at a bad address, as a mapped file that is
// cut short has them, instead of ending the process. The function it returns
// undoes that.
func faults() func() {
	before := debug.SetPanicOnFault(true)
	return func() { debug.SetPanicOnFault(before) }
}

var errDamaged = errors.New("the index is damaged")

func recovered(err *error) {
	if p := recover(); p != nil {
		*err = fmt.Errorf("%w: %v", errDamaged, p)
	}
}
