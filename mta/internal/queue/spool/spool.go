// Package spool is the embedded store of the queue: an index in one bbolt file,
// with small contents in it, and large contents as files beside it. It belongs
// to one process at a time.
//
//	index.bolt       entries, when they are due, contents of up to 128 KiB
//	content/ID       one larger content
//	content/ID.2     one that took the place of another
//	content/*.tmp    one that is being written
//
// What is durable: an entry is there from the commit that brings its record
// until the one that takes it away. A large content is written, synced, renamed
// and its folder synced before that first commit, and unlinked after the last;
// a file without a record is what a crash left behind, and goes when the store
// is opened. Leases are in memory only: a process that dies has none.
package spool

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/bolt"
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

	// initialMap is how much address space the index has before it must be
	// mapped anew, for which every reader is waited for.
	initialMap = 1 << 30
)

// A Store implements [queue.Store]. Safe for concurrent use.
type Store struct {
	dir   string
	log   *slog.Logger
	files files
	db    *bolt.File

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

// openIndex opens the database.
func (s *Store) openIndex() (err error) {
	path := filepath.Join(s.dir, indexFile)
	s.db, err = bolt.Open(path, options)
	switch {
	case errors.Is(err, bolt.ErrInUse):
		return fmt.Errorf("open queue: another process uses %s; stop it, or give this one a state folder of its own", s.dir)
	case err != nil:
		return fmt.Errorf("open queue: %s: %w; if it is damaged, restore it, or move %s away to begin with an empty queue", path, err, s.dir)
	}
	err = s.db.View(check)
	if errors.Is(err, errNew) {
		err = s.db.Update(prepare)
	}
	if err == nil {
		err = s.db.View(s.loadCounts)
	}
	if err != nil {
		return errors.Join(fmt.Errorf("open queue: %s: %w", path, err), s.db.Close())
	}
	return nil
}

// options are those of the index. The freelist is a map and is not written with
// every commit: once a queue of 60,000 messages of 4 KB had been worked off, that
// made 40,000 puts and removals a second from 64 writers, and 3,500 from one; with
// the freelist written, 10,000 and 670; as an array, 25,000 and 2,000. Close
// writes it, and after a kill it is found anew. Pages of 16 KiB gained nothing.
var options = bbolt.Options{
	NoFreelistSync:  true,
	FreelistType:    bbolt.FreelistMapType,
	InitialMmapSize: initialMap,
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
	return errors.Join(err, s.db.Close())
}

// saveFreelist spares the next Open the search for free pages.
func (s *Store) saveFreelist() error {
	s.db.SyncFreelist(true)
	return s.db.Update(func(*bbolt.Tx) error { return nil })
}
