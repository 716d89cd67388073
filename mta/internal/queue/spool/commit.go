package spool

import (
	"errors"
	"sync"
	"time"
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

	// maxLazy is how many such changes there may be before they are waited for.
	maxLazy = 1000
)

var errClosed = errors.New("the queue is closed")

// A change is what is written in one step: all of it or nothing.
type change struct {
	ops    []op
	frames []byte // of the ops, one behind the other

	lazy bool      // nobody waits
	turn chan bool // of those who wait: false: done; true: lead the next commit
	done bool      // written by the leader; read once it is one's turn
	err  error     // likewise
}

// add appends an op with its frame.
func (c *change) add(o op, record, content []byte) {
	c.frames = appendFrame(c.frames, &o, record, content)
	c.ops = append(c.ops, o)
}

// A committer is who waits for the log.
type committer struct {
	mu      sync.Mutex  // guards what follows; not held during I/O, nor together with the Store's
	pending []*change   // waiting for the next commit
	lazy    int         // of these, those that nobody waits for
	leading bool        // somebody commits
	failing bool        // the last commit failed
	flush   *time.Timer // commits what nobody waits for
	closed  bool

	applying sync.Mutex // held from the end of a commit's sync until memory has what it wrote: commits take effect in their order
}

// commit has c written, together with all that is waiting at the same time, and
// returns once it is on stable storage and in memory. There is no goroutine and
// no delay: the first to come commits for itself; those who come meanwhile wait,
// and one of them then commits for all of them.
func (s *Store) commit(c *change) error {
	c.turn = make(chan bool, 1)
	q := &s.queue
	q.mu.Lock()
	if q.closed {
		q.mu.Unlock()
		return errClosed
	}
	q.pending = append(q.pending, c)
	if q.leading {
		q.mu.Unlock()
		if lead := <-c.turn; !lead {
			return c.err
		}
		q.mu.Lock()
	}
	q.leading = true
	q.mu.Unlock()
	s.lead(c)
	return c.err
}

// lead commits until c is written. Who leads next may write while memory gets
// what this one wrote.
func (s *Store) lead(c *change) {
	for !c.done {
		batch := s.batch()
		w, err := s.journal.write(batch)
		s.queue.applying.Lock()
		last := false
		for _, b := range batch {
			b.done = true
			last = last || b == c
		}
		if err != nil {
			s.keepLazy(batch, err)
			s.tend(false)
		}
		if last {
			s.passOn(err != nil)
		}
		if err == nil {
			s.applyAll(batch, w)
		}
		s.queue.applying.Unlock()
		for _, b := range batch {
			if b != c && !b.lazy {
				b.err = err
				b.turn <- false
			}
		}
		if last {
			c.err = err
		}
	}
}

// batch takes the next changes to be written.
func (s *Store) batch() []*change {
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	n, size := 0, 0
	for n < len(q.pending) && n < maxBatch && size < maxBatchSize {
		size += len(q.pending[n].frames)
		if q.pending[n].lazy {
			q.lazy--
		}
		n++
	}
	batch := q.pending[:n:n]
	if q.pending = q.pending[n:]; len(q.pending) == 0 {
		q.pending = nil
	}
	return batch
}

// keepLazy has what nobody waits for tried again, the commit having failed.
func (s *Store) keepLazy(batch []*change, err error) {
	var lazy []*change
	for _, c := range batch {
		if c.lazy {
			c.done = false
			lazy = append(lazy, c)
		}
	}
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(lazy, q.pending...)
	q.lazy += len(lazy)
	if len(lazy) > 0 && !q.failing {
		s.log.Error("queue store", "err", err, "pending", q.lazy)
	}
}

// passOn makes one of those who wait the next leader. Those in front of it that
// nobody waits for go with its commit.
func (s *Store) passOn(failed bool) {
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	q.leading, q.failing = false, failed
	for _, c := range q.pending {
		if !c.lazy {
			q.leading = true
			c.turn <- true
			return
		}
	}
	if len(q.pending) > 0 {
		s.flushSoon()
	}
}

// commitLater has c written with the next commit, or soon. It returns how many
// changes are pending for that.
func (s *Store) commitLater(c *change) int {
	c.lazy = true
	q := &s.queue
	q.mu.Lock()
	defer q.mu.Unlock()
	q.pending = append(q.pending, c)
	q.lazy++
	s.flushSoon()
	if q.failing {
		return 0 // waiting for it would help nobody
	}
	return q.lazy
}

// flushSoon sees to it that what is pending is committed. Called with the
// queue's mu held.
func (s *Store) flushSoon() {
	q := &s.queue
	if q.closed || q.flush != nil {
		return
	}
	delay := flushDelay
	if q.failing {
		delay = flushRetry
	}
	q.flush = time.AfterFunc(delay, func() {
		q.mu.Lock()
		q.flush = nil
		idle := len(q.pending) == 0 || q.leading
		if q.leading && len(q.pending) > 0 {
			s.flushSoon()
		}
		q.mu.Unlock()
		if !idle {
			s.commit(&change{}) // its error has no one to go to; the changes stay pending
		}
	})
}
