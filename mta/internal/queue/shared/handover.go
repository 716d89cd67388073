package shared

import (
	"context"
	"crypto/rand"
	"errors"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// together is how many entries are handed over at the same time: each waits for
// the disk twice and for Redis once.
const together = 8

var errStop = errors.New("redis takes nothing more")

// handOver brings to Redis what the spool has, the oldest first. It returns when
// that is done or Redis takes no more.
func (s *Store) handOver(ctx context.Context) {
	stats, err := s.spool.Stats(ctx, time.Now())
	if err != nil || stats.Waiting+stats.Held == 0 {
		return
	}
	began := time.Now()
	n, err := s.handOverAll(ctx)
	if err != nil && !errors.Is(err, errStop) {
		s.log.Error("queue store", "err", err)
	}
	if n > 0 {
		s.counts.HandedOver.Add(int64(n))
		s.log.Info("handed over", "messages", n, "took", time.Since(began).Round(time.Millisecond))
	}
}

func (s *Store) handOverAll(ctx context.Context) (int, error) {
	var wg sync.WaitGroup
	var mu sync.Mutex
	handed := 0
	places := make(chan struct{}, together)
	pace := time.NewTicker(time.Second / time.Duration(s.o.Rate))
	defer pace.Stop()
	err := eachEntry(ctx, s.spool, queue.Filter{}, func(e *queue.Entry) error {
		if !s.forHandOver(e) {
			return nil
		}
		select {
		case <-ctx.Done():
			return errStop
		case <-pace.C:
		}
		places <- struct{}{}
		if !s.link.takes() {
			return errStop
		}
		wg.Go(func() {
			defer func() { <-places }()
			if s.handOne(ctx, e.ID) {
				mu.Lock()
				handed++
				mu.Unlock()
			}
		})
		return nil
	})
	wg.Wait()
	return handed, err
}

// forHandOver tells whether an entry of the spool is one that Redis was never
// asked to take, and that nobody attempts.
func (s *Store) forHandOver(e *queue.Entry) bool {
	if e.Twin != nil {
		s.remember(e) // mend has it
		return false
	}
	return !e.Damaged && e.State(time.Now()) != queue.Active
}

// handOne hands an entry over. It is in doubt before Redis hears of it, so that
// after a crash nobody attempts it from here. What is in doubt has a name, for who
// comes after the crash: the entry may have been in Redis before, and moved here.
func (s *Store) handOne(ctx context.Context, id mail.QueueID) bool {
	e, err := s.takeHere(ctx, id)
	if err != nil {
		return false // it is being attempted, or gone
	}
	content, err := s.spool.Content(ctx, id)
	if err != nil || e.Twin != nil {
		s.giveBackHere(ctx, e) // what cannot be read is held by the attempt at it
		return false
	}
	op := rand.Text()
	e.Twin = &queue.Twin{Put: op}
	if s.rewrite(ctx, e, doubt); s.kind(id) != doubt {
		return false
	}
	own := bare(e)
	own.Lease = queue.Lease{}
	err = s.offer(ctx, func(ctx context.Context) error { return s.redis.PutAs(ctx, op, own, content) })
	if unknown(err) {
		s.counts.Doubts.Add(1)
		return false
	}
	handed := false
	s.withTwin(ctx, id, func(ctx context.Context, e *queue.Entry) error {
		handed = s.answered(ctx, e, own, content, err)
		return nil
	})
	return handed
}

// answered draws the conclusion from what Redis said to an entry, which is
// leased here.
func (s *Store) answered(ctx context.Context, here, own *queue.Entry, content mail.Content, err error) bool {
	switch {
	case err == nil:
		s.keepCopy(ctx, own, content)
		return s.dropHere(ctx, here) == nil
	case errors.Is(err, redis.ErrRefused):
		s.rewrite(ctx, here, stay)
	case errors.Is(err, queue.ErrExists):
		s.giveBackHere(ctx, here) // Settle has to say what that means
	default:
		if !elsewhere(err) {
			s.failed(own.ID, err)
		}
		s.rewrite(ctx, here, "")
	}
	return false
}
