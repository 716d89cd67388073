// Package spool is the embedded store of the queue: a log that changes are
// appended to, and an index of it in memory. It belongs to one process at a
// time.
//
//	lock             which process that is
//	checkpoint       the index, as of some place in the log
//	log/N.log        segments of the log: records, and contents of up to 128 KiB
//	log/N.spare      a file of one, to be used again
//	content/ID       one larger content, and its checksum
//	content/ID.2     one that took the place of another
//	*.tmp            one that is being written
//	damaged/         octets of the log that could not be read, for whoever can
//
// What is durable: a change is there, whole, once the batch that brings it has
// been synced; a batch that is not whole was never answered for, and ends the
// log. A large content is written, synced, renamed and its folder synced before
// that, and unlinked after its end is durable; a file without a record is what a
// crash left behind, and goes when the store is opened. Opening reads the
// checkpoint and what the log has since. A segment is removed once no entry is in
// it, and a checkpoint after that is durable; from one that is mostly dead the
// rest is copied to the end of the log. Leases are in memory only: a process that
// dies has none.
package spool

import (
	"errors"
	"fmt"
	"io"
	"log/slog"
	"path/filepath"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	lockFile       = "lock"
	checkpointFile = "checkpoint"
	logFolder      = "log"
	contentFolder  = "content"
	damagedFolder  = "damaged"
	oldIndex       = "index.bolt" // of the format before this one

	// maxInline is the largest content, in octets, that is kept in the log. A
	// file of its own costs two more syncs: relaying messages of 100 KB, 50
	// sessions, two cores, was 1070/s with files and 1780/s without.
	maxInline = 128 << 10
)

// Options are how a store is opened. The zero Options are good for mail.
type Options struct {
	Log *slog.Logger // nil: nothing is said
	FS  disk.FS      // nil: the operating system's

	// NoSync leaves it to the operating system when what is written reaches the
	// disk. A killed process loses nothing; after a power loss the folder may
	// have anything in it, and is to be thrown away if it cannot be opened.
	NoSync bool

	// SegmentSize is how large, in octets, a file of the log becomes; zero: as is
	// good for mail. ManualUpkeep leaves it to the caller to call Upkeep. Both are
	// for tests.
	SegmentSize  int64
	ManualUpkeep bool
}

// A Store implements [queue.Store]. Safe for concurrent use.
//
// Locks are taken in this order: upkeep, claiming, the queue's applying, mu. The
// queue's own mu and the journal's are never held together with another.
type Store struct {
	dir     string
	log     *slog.Logger
	fs      disk.FS
	options Options
	lock    io.Closer

	queue   committer
	journal appendLog

	claiming sync.Mutex // one claim at a time: it asks about lanes without mu

	mu       sync.Mutex // guards what follows; not held during I/O
	index    index
	segments map[uint32]*segment
	dead     int               // segments that nothing needs any more
	coming   map[key]struct{}  // IDs of entries that are being put
	leases   map[uint32]*lease // of active entries, by slot, and lapsed ones that nobody claimed since
	running  leaseHeap         // those that have not lapsed, and do not outlast their time
	token    uint64            // of the last lease
	applied  position          // the end of the last batch that memory has
	logged   int64             // octets that the log has got since the store was opened
	saved    saved
	now      time.Time     // when last looked at
	skew     time.Duration // of the clock, when last looked at

	care upkeep
}

// A position is a place in the log, and the number of the batch there.
type position struct {
	place
	seq uint64
}

var _ queue.Store = (*Store)(nil)

// Open opens the store in a folder, as [OpenWith] does without options.
func Open(dir string, log *slog.Logger) (*Store, error) {
	return OpenWith(dir, Options{Log: log})
}

// OpenWith opens the store in a folder, which it creates if there is none. It is
// an error, with the cure in it, if another process has the store or if a part of
// it is damaged or missing that other parts need; nothing is ever created anew in
// place of what was there. Single entries that are damaged are held, and the log
// says so. The caller must Close it.
func OpenWith(dir string, o Options) (*Store, error) {
	s := newStore(dir, o)
	if err := s.fs.Mkdir(dir); err != nil {
		return nil, fmt.Errorf("create queue: %w", err)
	}
	var err error
	s.lock, err = s.fs.Lock(filepath.Join(dir, lockFile))
	if errors.Is(err, disk.ErrInUse) {
		return nil, fmt.Errorf("open queue: another process uses %s; stop it, or give this one a state folder of its own", dir)
	}
	if err != nil {
		return nil, fmt.Errorf("open queue: %w", err)
	}
	if err := s.load(); err != nil {
		return nil, errors.Join(fmt.Errorf("open queue: %w", err), s.letGoOfAll())
	}
	return s, nil
}

func newStore(dir string, o Options) *Store {
	if o.Log == nil {
		o.Log = slog.New(slog.DiscardHandler)
	}
	if o.FS == nil {
		o.FS = disk.OS{}
	}
	if o.SegmentSize == 0 {
		o.SegmentSize = segmentSize
	}
	s := &Store{
		dir:      dir,
		log:      o.Log,
		fs:       o.FS,
		options:  o,
		segments: map[uint32]*segment{},
		coming:   map[key]struct{}{},
		leases:   map[uint32]*lease{},
		token:    uint64(time.Now().UnixNano()), // more than in any process before this one
	}
	s.index.lanes.init()
	s.journal = appendLog{
		fs: o.FS, dir: filepath.Join(dir, logFolder), noSync: o.NoSync, segmentSize: o.SegmentSize,
		begun: s.segmentBegun, sealed: s.segmentSealed, seq: 1,
	}
	s.applied.seq = 1
	return s
}

func (s *Store) segmentBegun(g *segment) {
	s.mu.Lock()
	s.segments[g.number] = g
	s.mu.Unlock()
}

func (s *Store) segmentSealed(g *segment, end int64) {
	s.mu.Lock()
	g.end, g.sealed = end, true
	if g.live == 0 {
		s.dead++
	}
	s.mu.Unlock()
}

// Close writes down what is pending and lets go of the folder. No method may be
// called after it.
func (s *Store) Close() error {
	q := &s.queue
	q.mu.Lock()
	closed, pending := q.closed, len(q.pending) > 0 || q.leading
	q.mu.Unlock()
	if closed {
		return nil
	}
	s.care.stop()
	var err error
	if pending {
		err = s.commit(&change{})
	}
	q.mu.Lock()
	q.closed = true
	if q.flush != nil {
		q.flush.Stop()
	}
	q.mu.Unlock()
	if err == nil {
		err = s.finish()
	}
	return errors.Join(err, s.letGoOfAll())
}

// finish leaves the folder so that the next Open is quick.
func (s *Store) finish() error {
	g := s.journal.current
	s.journal.seal()
	if err := s.checkpoint(); err != nil {
		s.log.Warn("queue store", "err", err) // the log has it all: it costs time only
	}
	if g == nil {
		return nil
	}
	return g.file.Truncate(g.end)
}

// letGoOfAll closes all files.
func (s *Store) letGoOfAll() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	for _, g := range s.segments {
		if g.file != nil {
			err = errors.Join(err, g.file.Close())
		}
	}
	for _, spare := range s.journal.spares {
		err = errors.Join(err, spare.file.Close())
	}
	return errors.Join(err, s.lock.Close())
}

// syncDir makes the names in a folder durable.
func (s *Store) syncDir(path string) error {
	if s.options.NoSync {
		return nil
	}
	return s.fs.SyncDir(path)
}

// entry is an entry with what memory knows of its lease. Called with mu held.
func (s *Store) fillLease(e *queue.Entry, slot uint32) {
	if l := s.leases[slot]; l != nil {
		e.Lease = queue.Lease{Token: l.token, Until: l.until}
	}
}

// slotOf returns the slot of an entry; none if it is not there. Called with mu
// held.
func (s *Store) slotOf(id mail.QueueID) uint32 {
	if !validID(id) {
		return none
	}
	k := toKey(id)
	return s.index.find(&k)
}
