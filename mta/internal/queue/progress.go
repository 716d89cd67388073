package queue

import (
	"context"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// progressDelay is how long an attempt goes on after it is done with some of its
// recipients, until that is written down: nearly all have ended by then, and are
// written down once. Who dies later than this attempts only those that were left.
const progressDelay = time.Second

// A progress writes down, while an attempt lasts, which recipients it is done with.
// They are still among those of the entry in memory: how the attempt ends says what
// becomes of all.
type progress struct {
	q       *Queue
	ctx     context.Context
	e       *Entry
	content mail.Content
	places  []int // of the recipients of the attempt, in the entry

	mu    sync.Mutex // guards what follows; held while it is written down
	done  map[int]bool
	timer *time.Timer // nil: nothing new is done
	ended bool
}

func (q *Queue) progress(ctx context.Context, e *Entry, content mail.Content, places []int) *progress {
	return &progress{q: q, ctx: context.WithoutCancel(ctx), e: e, content: content, places: places, done: map[int]bool{}}
}

// told is what the deliverer tells of; nil if that can only be all at once.
func (p *progress) told() mail.Progress {
	if len(p.places) < 2 {
		return nil
	}
	return func(rcpts []int, results []mail.Result) {
		p.mu.Lock()
		defer p.mu.Unlock()
		if p.ended {
			return
		}
		for _, k := range rcpts {
			if i := p.places[k]; p.closes(i, results[k].Outcome) {
				p.done[i] = true
				if p.timer == nil {
					p.timer = time.AfterFunc(progressDelay, p.write)
				}
			}
		}
	}
}

// closes tells whether nothing is left to do for a recipient. Where somebody is to
// be told, that is one step with its end.
func (p *progress) closes(i int, o mail.Outcome) bool {
	return (o == mail.Delivered || o == mail.Relayed) && p.e.Envelope.Recipients[i].Notify&mail.NotifySuccess == 0
}

// write writes down what is done. What the store does not take is of no
// consequence: the end of the attempt says it again.
func (p *progress) write() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.timer = nil
	least := p.left()
	if p.ended || len(least.Envelope.Recipients) == 0 {
		return
	}
	if err := p.q.Store.Replace(p.ctx, least, p.content, nil); err != nil {
		p.q.Log.Debug("queue store", "queue_id", p.e.ID, "err", err)
	}
}

// left is the entry with those recipients that are not done.
func (p *progress) left() *Entry {
	least := *p.e
	least.Envelope.Recipients, least.Last = nil, nil
	for i, rcpt := range p.e.Envelope.Recipients {
		if p.done[i] {
			least.Done++
			continue
		}
		least.Envelope.Recipients = append(least.Envelope.Recipients, rcpt)
		last := Attempt{}
		if i < len(p.e.Last) {
			last = p.e.Last[i]
		}
		least.Last = append(least.Last, last)
	}
	return &least
}

// stop waits for what is being written down; nothing is after it.
func (p *progress) stop() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ended = true
	if p.timer != nil {
		p.timer.Stop()
	}
}
