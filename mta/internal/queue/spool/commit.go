package spool

import (
	"errors"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

const (
	// maxBatch is how many changes one commit takes, and maxBatchSize how many
	// octets: so that nobody waits for a very long one.
	maxBatch     = 1000
	maxBatchSize = 8 << 20

	// flushDelay is how long a change that nobody waits for may stay in
	// memory. Nearly always the next message's commit takes it along.
	flushDelay = 100 * time.Millisecond

	// flushRetry is the wait after a commit that failed.
	flushRetry = 5 * time.Second

	// maxLazy is how many such changes there may be.
	maxLazy = 1000
)

var errClosed = errors.New("the queue is closed")

// A kind is what a change does.
type kind int

const (
	nothing kind = iota
	putEntry
	replaceEntry // another record and another content
	together     // several changes, all or none
	updateEntry
	removeEntry
	setAside // an entry that cannot be read: held from now on
)

// A change is one write to the index.
type change struct {
	kind    kind
	id      mail.QueueID
	record  record    // of put, update and replace
	content []byte    // of put and replace, if it is kept in the index
	group   []*change // of together

	due []byte // of setAside: the key it was found by

	lazy bool      // nobody waits
	turn chan bool // of those who wait: false: done; true: lead the next commit
	done bool      // written by the leader; read once it is one's turn
	err  error     // likewise
	file string    // of remove and replace: the old content's file, to be unlinked
}

func (c *change) size() int {
	n := len(c.content) + len(c.record)
	for _, part := range c.group {
		n += part.size()
	}
	return n
}

// commit has c written, together with all that is waiting at the same time, and
// returns once it is on stable storage. There is no goroutine and no delay:
// the first to come commits for itself; those who come meanwhile wait, and one
// of them then commits for all of them.
func (s *Store) commit(c *change) error {
	c.turn = make(chan bool, 1)
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return errClosed
	}
	s.pending = append(s.pending, c)
	if s.leading {
		s.mu.Unlock()
		if lead := <-c.turn; !lead {
			return c.err
		}
		s.mu.Lock()
	}
	s.leading = true
	s.mu.Unlock()
	for !c.done {
		s.write(s.batch())
	}
	s.passOn()
	return c.err
}

// commitLater has c written with the next commit, or soon.
func (s *Store) commitLater(c *change) {
	c.lazy = true
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pending = append(s.pending, c)
	s.flushSoon()
}

// flushSoon sees to it that what is pending is committed. Called with mu held.
func (s *Store) flushSoon() {
	if s.closed || s.flush != nil {
		return
	}
	s.flush = time.AfterFunc(s.flushIn, func() {
		s.mu.Lock()
		s.flush = nil
		idle := len(s.pending) == 0 || s.leading
		if s.leading && len(s.pending) > 0 {
			s.flushSoon()
		}
		s.mu.Unlock()
		if !idle {
			s.commit(&change{kind: nothing}) // its error has no one to go to; the changes stay pending
		}
	})
}

// batch takes the next changes to be written.
func (s *Store) batch() []*change {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for n < len(s.pending) && n < maxBatch && size < maxBatchSize {
		size += s.pending[n].size()
		n++
	}
	batch := s.pending[:n:n]
	s.pending = s.pending[n:]
	return batch
}

// passOn makes one of those who wait the next leader. Those in front of it that
// nobody waits for go with its commit.
func (s *Store) passOn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.leading = false
	for _, c := range s.pending {
		if !c.lazy {
			s.leading = true
			c.turn <- true
			return
		}
	}
	if len(s.pending) > 0 {
		s.flushSoon()
	}
}

// write commits a batch and tells those who wait.
func (s *Store) write(batch []*change) {
	var b *buckets
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b = openBuckets(tx)
		for _, c := range batch {
			c.err = nil
			if err := b.apply(c); err != nil {
				return err
			}
		}
		return b.writeCounts()
	})
	if err != nil {
		s.fail(batch, err)
		return
	}
	s.settle(batch, b)
	for _, c := range batch {
		for _, part := range append(c.group[:len(c.group):len(c.group)], c) {
			if part.file != "" {
				s.unlink(part.file)
			}
		}
		c.tell()
	}
}

// tell ends the wait for c.
func (c *change) tell() {
	c.done = true
	if !c.lazy {
		c.turn <- false
	}
}

// fail tells those who wait that nothing was written. What nobody waits for is
// tried again.
func (s *Store) fail(batch []*change, err error) {
	var lazy []*change
	for _, c := range batch {
		if c.lazy {
			lazy = append(lazy, c)
			continue
		}
		c.err = err
		c.tell()
	}
	if len(lazy) == 0 {
		return
	}
	s.log.Error("queue store", "err", err, "pending", len(lazy))
	s.mu.Lock()
	s.pending = append(lazy, s.pending...)
	s.flushIn = flushRetry
	s.mu.Unlock()
}

// settle forgets the leases that ended with this commit, and what it removed.
func (s *Store) settle(batch []*change, b *buckets) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.flushIn = flushDelay
	s.count, s.held = b.count, b.held
	for _, c := range batch {
		s.forget(c)
		if c.err == nil {
			for _, part := range c.group {
				s.forget(part)
			}
		}
	}
}

// forget is settle for one change. Called with mu held.
func (s *Store) forget(c *change) {
	switch c.kind {
	case removeEntry:
		delete(s.removed, c.id)
		delete(s.leases, c.id)
	case updateEntry, setAside:
		delete(s.leases, c.id)
	}
}
