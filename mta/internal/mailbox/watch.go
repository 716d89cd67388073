package mailbox

import (
	"sync"
	"time"
)

// A Watch tells that a mailbox may have changed. C has something to receive
// after each change, whoever made it: one session or another, delivery or
// another program; several changes may come as one. What changed is found by
// [Mailbox.View] and [View.Since].
type Watch struct {
	C    <-chan struct{}
	c    chan struct{}
	box  *box
	once sync.Once
}

// Watch begins to watch m. While there is a watch, the folders are looked at
// now and then (Options.Poll). Polling is enough: a look costs two system
// calls, and needs none of inotify's limited watches nor a file system that
// has them.
func (m *Mailbox) Watch() *Watch {
	c := make(chan struct{}, 1)
	w := &Watch{C: c, c: c, box: m.box}
	m.box.watch(w)
	return w
}

// Close ends the watch. C is not closed.
func (w *Watch) Close() { w.once.Do(func() { w.box.unwatch(w) }) }

func (b *box) watch(w *Watch) {
	b.watchMu.Lock()
	defer b.watchMu.Unlock()
	if b.watches == nil {
		b.watches = map[*Watch]struct{}{}
	}
	b.watches[w] = struct{}{}
	if b.stopPoll != nil {
		return
	}
	stop := make(chan struct{})
	if b.store.startPoller(func() { b.poll(stop) }) {
		b.stopPoll = stop
	}
}

func (b *box) unwatch(w *Watch) {
	b.watchMu.Lock()
	defer b.watchMu.Unlock()
	delete(b.watches, w)
	if len(b.watches) == 0 {
		b.endPoll()
	}
}

// endPoll stops the poller, if there is one. b.watchMu is held.
func (b *box) endPoll() {
	if b.stopPoll != nil {
		close(b.stopPoll)
		b.stopPoll = nil
	}
}

// stopWatching stops the poller for good.
func (b *box) stopWatching() {
	b.watchMu.Lock()
	defer b.watchMu.Unlock()
	b.endPoll()
}

// startPoller runs poll in a goroutine that Close waits for; false: the store
// is closed.
func (s *Store) startPoller(poll func()) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return false
	}
	s.pollers.Go(poll)
	return true
}

// poll looks for changes that other programs made. A look that finds some
// notifies the watches by itself (box.changed).
func (b *box) poll(stop <-chan struct{}) {
	ticker := time.NewTicker(b.store.opt.Poll)
	defer ticker.Stop()
	for {
		select {
		case <-stop:
			return
		case <-ticker.C:
		}
		if _, err := b.view(glance); err != nil {
			b.notify() // the sessions find the error themselves
		}
	}
}

// notify wakes whoever watches.
func (b *box) notify() {
	b.watchMu.Lock()
	defer b.watchMu.Unlock()
	for w := range b.watches {
		select {
		case w.c <- struct{}{}:
		default: // it was told already
		}
	}
}
