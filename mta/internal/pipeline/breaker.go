package pipeline

import (
	"context"
	"errors"
	"hash/maphash"
	"strconv"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A Breaker says when a stage that keeps failing is not asked for a while: its
// OnError decides at once then. It trips when within Window at least Failures
// different messages failed, and at least as many as went well. After Pause one
// message is let through to probe. The zero Breaker never trips.
//
// One message that is sent again and again counts once, so it alone cannot
// take a stage away from all others; nor can many bad ones among more good ones.
type Breaker struct {
	Failures int
	Window   time.Duration
	Pause    time.Duration
}

// A breaker is closed (open is zero), then open until a time, then probing (one
// message is on its way), then closed or open again.
type breaker struct {
	Breaker
	seed maphash.Seed

	mu        sync.Mutex          // guards what follows
	began     time.Time           // of the window
	failed    map[uint64]struct{} // messages that failed in it, up to maxKept; while open, those that it opened for
	failures  int                 // how many failed in it
	succeeded int                 // messages that went well in it
	open      time.Time           // until when it is open; zero: it is closed
	probing   bool                // one message is on its way through an open breaker
}

// newBreaker returns nil for the zero Breaker. A nil *breaker admits all.
func newBreaker(b Breaker) *breaker {
	if b.Failures <= 0 {
		return nil
	}
	return &breaker{Breaker: b, seed: maphash.MakeSeed(), failed: map[uint64]struct{}{}}
}

// admit tells whether the stage is to be asked, and whether that is a probe.
// Whoever may ask calls learn or forget afterwards.
func (b *breaker) admit(now time.Time) (ok, probe bool) {
	if b == nil {
		return true, false
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case b.open.IsZero():
		return true, false
	case now.Before(b.open) || b.probing:
		return false, false
	}
	b.probing = true
	return true, true
}

// An event is what a breaker did.
type event int

const (
	nothing event = iota
	trips
	recovers
)

// forget ends an asking that says nothing about the stage.
func (b *breaker) forget(probe bool) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if probe {
		b.probing = false
	}
}

// learn takes what came of asking the stage about a message.
func (b *breaker) learn(now time.Time, message uint64, ok, probe bool) event {
	b.mu.Lock()
	defer b.mu.Unlock()
	switch {
	case probe:
		return b.probed(now, message, ok)
	case !b.open.IsZero():
		return nothing // it was under way when the breaker opened
	}
	if now.Sub(b.began) >= b.Window {
		b.restart(now)
	}
	if ok {
		b.succeeded++
		return nothing
	}
	b.note(message)
	if b.failures < b.Failures || b.failures < b.succeeded {
		return nothing
	}
	b.open = now.Add(b.Pause)
	return trips
}

// maxKept bounds what a breaker remembers; failures beyond it all count.
const maxKept = 1000

func (b *breaker) note(message uint64) {
	if _, known := b.failed[message]; known {
		return
	}
	b.failures++
	if len(b.failed) < maxKept {
		b.failed[message] = struct{}{}
	}
}

func (b *breaker) probed(now time.Time, message uint64, ok bool) event {
	b.probing = false
	if ok {
		b.open = time.Time{}
		b.restart(now)
		return recovers
	}
	if _, known := b.failed[message]; !known {
		b.note(message)
		b.open = now.Add(b.Pause)
	} // else this message is known to be bad: the next one may probe
	return nothing
}

func (b *breaker) restart(now time.Time) {
	b.began, b.succeeded, b.failures = now, 0, 0
	clear(b.failed)
}

// key tells messages apart by who sends them, and by their size: what a sender
// tries again is the same in all of that, and reading content here would cost
// more than the stage.
func (b *breaker) key(tx *mail.Transaction) uint64 {
	id := tx.Client.Addr.Addr().String() + " " + tx.Client.Account + " " + tx.Envelope.ReversePath.String()
	if tx.Content != nil {
		id += " " + strconv.FormatInt(tx.Content.Size(), 10)
	}
	return maphash.String(b.seed, id)
}

// learn tells the stage's breaker what came of asking the guest.
func (p *Pipeline) learn(ctx context.Context, m *member, tx *mail.Transaction, probe bool, err error) {
	b := m.breaker
	if b == nil {
		return
	}
	if err != nil && (ctx.Err() != nil || !blames(err)) {
		b.forget(probe)
		return
	}
	switch b.learn(time.Now(), b.key(tx), err == nil, probe) {
	case trips:
		p.logger().Error("stage tripped", "stage", m.Name, "failures", b.Failures, "window", b.Window,
			"pause", b.Pause, "on_error", string(m.onError()), "queue_id", tx.ID, "err", err.Error())
		p.tripped(m.Name, true)
	case recovers:
		p.logger().Warn("stage recovered", "stage", m.Name, "queue_id", tx.ID)
		p.tripped(m.Name, false)
	}
}

// blames tells whether err is the plugin's fault.
func blames(err error) bool {
	var e interface{ PluginFault() bool }
	return !errors.As(err, &e) || e.PluginFault()
}

func (p *Pipeline) tripped(stage string, is bool) {
	if p.Observer != nil {
		p.Observer.Tripped(stage, is)
	}
}

func (s *Stage) onError() OnError {
	if s.OnError == "" {
		return Defer
	}
	return s.OnError
}
