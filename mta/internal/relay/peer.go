package relay

import (
	"context"
	"errors"
	"slices"
	"time"
)

// ErrBusy is the Err of results of a next hop whose places were all taken for
// too long: nothing is wrong with the message, and it may be tried soon.
var ErrBusy = errors.New("next hop is busy")

// sweepAfter is how often peers that were down are forgotten: memory for one
// is small, going through all of them is not.
const sweepAfter = time.Minute

// trialWait is how long, from the first attempt on, others wait for a place at
// a peer that has not answered yet: enough for a host that is up, too short for
// one that swallows packets to hold up other mail. Whoever comes later is
// turned away at once, so that a backlog does not wait again for each message.
const trialWait = time.Second

// newPlaces is how many attempts are made at once at a next hop that has not
// answered yet. Some dozen dead hosts at a time are usual, and each attempt
// keeps its caller until it times out.
const newPlaces = 3

var errClosed = errors.New("relay is closed")

// A peer is a next hop with its limits. It is up; or down
// until a time, when attempts fail at once; or on trial from then on, when one
// attempt at a time may find out. An attempt that opens a connection makes it
// up, one that reaches no host makes it down. A peer that was up has answered;
// a new one has not. All fields are guarded by Relay.mu.
type peer struct {
	hop     Hop
	active  int          // attempts under way
	since   time.Time    // when the first of them began
	answers bool         // a connection was opened, and since then no host was missed
	waiting []chan error // attempts to come, the first first; nil starts one
	down    error        // why it is down or on trial; nil: up
	until   time.Time    // when down ends
}

// A downError is what attempts at a peer that is down fail with.
type downError struct{ cause error }

func (e *downError) Error() string { return "not tried again yet: " + e.cause.Error() }
func (e *downError) Unwrap() error { return e.cause }

// enter takes one of the places of hop, waiting for it if need be.
func (r *Relay) enter(ctx context.Context, hop Hop) (*peer, error) {
	r.mu.Lock()
	if r.closed {
		r.mu.Unlock()
		return nil, errClosed
	}
	p := r.peerOf(hop)
	if p.down != nil && time.Now().Before(p.until) {
		r.mu.Unlock()
		return nil, &downError{p.down}
	}
	if p.active < r.places(p) && len(p.waiting) == 0 {
		p.begin()
		r.mu.Unlock()
		return p, nil
	}
	most := or(r.SlotWait, DefaultSlotWait)
	first, late := most, ErrBusy
	if !p.answers {
		first = min(most, time.Until(p.since.Add(trialWait)))
	}
	if p.down != nil {
		late = &downError{p.down}
	}
	if first <= 0 {
		r.mu.Unlock()
		return nil, late
	}
	turn := make(chan error, 1)
	p.waiting = append(p.waiting, turn)
	r.mu.Unlock()
	if err := r.await(ctx, p, turn, first, most-first, late); err != nil {
		return nil, err
	}
	return p, nil
}

// await waits for turn: for the time first, and for more if p answers by then.
func (r *Relay) await(ctx context.Context, p *peer, turn chan error, first, more time.Duration, late error) error {
	timer := time.NewTimer(first)
	defer timer.Stop()
	for {
		select {
		case err := <-turn:
			return err
		case <-ctx.Done():
			late = context.Cause(ctx)
		case <-timer.C:
			if more > 0 && r.hasAnswered(p) {
				timer.Reset(more)
				more = 0
				continue
			}
		}
		r.giveUp(p, turn, late)
		return <-turn
	}
}

func (r *Relay) hasAnswered(p *peer) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return p.answers
}

// peerOf returns the peer of hop. Making one is the time to forget those that
// were down for a while and that nobody asked for since.
func (r *Relay) peerOf(hop Hop) *peer {
	if p := r.peers[hop]; p != nil {
		return p
	}
	if r.peers == nil {
		r.peers = make(map[Hop]*peer)
	}
	if now := time.Now(); now.Sub(r.swept) > sweepAfter {
		r.swept = now
		for _, p := range r.peers {
			if p.active == 0 && len(p.waiting) == 0 && p.until.Before(now) {
				delete(r.peers, p.hop)
			}
		}
	}
	p := &peer{hop: hop}
	r.peers[hop] = p
	return p
}

// places is how many attempts may be under way.
func (r *Relay) places(p *peer) int {
	most := or(r.Concurrency, DefaultConcurrency)
	switch {
	case p.down != nil:
		return 1
	case !p.answers:
		return min(most, newPlaces)
	}
	return most
}

// begin counts an attempt.
func (p *peer) begin() {
	if p.active == 0 {
		p.since = time.Now()
	}
	p.active++
}

// giveUp ends a wait, unless it has ended.
func (r *Relay) giveUp(p *peer, turn chan error, why error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if i := slices.Index(p.waiting, turn); i >= 0 {
		p.waiting = slices.Delete(p.waiting, i, i+1)
		turn <- why
		r.tidy(p)
	}
}

// leave gives a place back.
func (r *Relay) leave(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.active--
	r.admit(p)
	r.tidy(p)
}

// admit lets in who waits, as far as there are places.
func (r *Relay) admit(p *peer) {
	for len(p.waiting) > 0 && p.active < r.places(p) {
		p.begin()
		p.waiting[0] <- nil
		p.waiting = p.waiting[1:]
	}
}

// tidy forgets a peer that nothing is known of.
func (r *Relay) tidy(p *peer) {
	if p.active == 0 && len(p.waiting) == 0 && p.down == nil && r.peers[p.hop] == p {
		delete(r.peers, p.hop)
	}
}

// up notes that a host of p was reached.
func (r *Relay) up(p *peer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p.answers && p.down == nil {
		return
	}
	p.answers, p.down = true, nil
	r.admit(p)
}

// fell notes that no host of p could be reached. Who waits fails at once.
func (r *Relay) fell(p *peer, cause error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	p.answers = false
	p.down, p.until = cause, time.Now().Add(or(r.BackOff, DefaultBackOff))
	for _, turn := range p.waiting {
		turn <- &downError{cause}
	}
	p.waiting = nil
}
