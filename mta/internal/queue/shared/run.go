package shared

import (
	"context"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

const (
	// maxProbe is the longest wait between two questions whether Redis is back.
	maxProbe = 10 * time.Second

	// calm is how long Redis has to be there until its absences are no longer
	// counted as one: whoever goes and comes is asked less and less often.
	calm = time.Minute

	// checkEvery is how often the settings of a Redis in use are looked at again:
	// they can be changed while it runs.
	checkEvery = 5 * time.Minute
)

// Run does the work between Redis and the spool until ctx is cancelled: it finds
// out when Redis is back, settles what is in doubt, hands over what the spool
// has, and puts back what Redis lost. When it returns none of its goroutines is
// left.
func (s *Store) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if s.o.Copies != nil {
		wg.Go(func() { s.every(ctx, compareEvery, func() { s.compare(ctx) }) })
	}
	wg.Go(func() { s.redis.Run(ctx) })
	p := &prober{s: s, wait: s.o.Probe}
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-ctx.Done():
			s.saveMarks()
			return
		case <-s.link.trouble:
		case <-timer.C:
		}
		p.step(ctx)
		s.saveMarks()
		timer.Reset(s.o.Probe)
	}
}

// Emptied tells the store that a shard of Redis is not what it was.
func (s *Store) Emptied(shard int) { s.link.note(&redis.EmptiedError{Shard: shard}, false) }

func (s *Store) every(ctx context.Context, d time.Duration, f func()) {
	ticker := time.NewTicker(d)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			f()
		}
	}
}

// A prober is the one who asks Redis whether it is back, so that no client
// waits to find out.
type prober struct {
	s       *Store
	wait    time.Duration // between two questions
	asked   time.Time     // the last one; zero: none
	back    time.Time     // since when Redis is there
	checked time.Time     // when its settings were
}

// step does what is to be done now.
func (p *prober) step(ctx context.Context) {
	s := p.s
	now := time.Now()
	switch state, _ := s.link.now(); {
	case state != OK && (p.asked.IsZero() || now.Sub(p.asked) >= p.wait):
		p.probe(ctx)
	case state == OK && now.Sub(p.checked) >= checkEvery:
		p.check(ctx)
	}
	s.expireDoubts(ctx)
	if s.link.up() && s.pairs() > 0 {
		s.mend(ctx)
	}
	if s.link.takes() {
		s.handOver(ctx)
	}
}

// probe asks Redis whether it can be used, and puts things right first.
func (p *prober) probe(ctx context.Context) {
	s := p.s
	if !p.back.IsZero() && time.Since(p.back) >= calm {
		p.wait = s.o.Probe
	} else if !p.asked.IsZero() {
		p.wait = min(2*p.wait, maxProbe)
	}
	p.back = time.Time{}
	err := s.usable(ctx)
	if stateOf(err) == Emptied {
		s.link.set(Emptied, err)
		if err = s.restore(ctx); err == nil {
			err = s.usable(ctx)
		}
	}
	p.asked = time.Now()
	if ctx.Err() != nil {
		return
	}
	if err == nil {
		p.checked = p.asked
		err = s.mend(ctx)
	}
	if err != nil {
		state := stateOf(err)
		if state == OK {
			state = Away // an error that says nothing of the cause
		}
		s.link.set(state, err)
		return
	}
	p.back = time.Now()
	s.link.set(OK, nil)
}

// check looks at the settings of a Redis in use.
func (p *prober) check(ctx context.Context) {
	p.checked = time.Now()
	if err := p.s.checkSettings(ctx); stateOf(err) != OK {
		p.s.link.set(stateOf(err), err)
	}
}

func (s *Store) checkSettings(ctx context.Context) error {
	return s.ask(ctx, s.redis.Ready)
}

// usable tells whether Redis has the right settings, and takes a write in every
// shard.
func (s *Store) usable(ctx context.Context) error {
	if err := s.checkSettings(ctx); err != nil {
		return err
	}
	for shard := range mail.Shards {
		id := probeID(shard)
		err := s.add(ctx, func(ctx context.Context) error {
			_, err := s.redis.Settle(ctx, id, "")
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}
