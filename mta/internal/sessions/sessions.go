// Package sessions lets connections in within limits, knows those that are
// open, and ends them together. What a session says is its server's matter.
package sessions

import (
	"context"
	"errors"
	"log/slog"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"
	"time"
)

const (
	acceptPause = 50 * time.Millisecond // after an accept that failed for want of file handles or memory
	graceTime   = 5 * time.Second       // for sessions that were cut off to end
)

// A Refusal says why a session is not let in.
type Refusal int

const (
	Admitted  Refusal = iota
	Draining          // the server ends
	Full              // as many sessions as there may be
	PerClient         // as many from one address as there may be
)

// A Pool is the open sessions of one server. Its exported fields do not change
// once it is in use; the zero Pool has no limits. Safe for concurrent use.
type Pool[S comparable] struct {
	Connections int                   // at a time; zero or negative: no limit
	PerAddress  int                   // at a time and address (IPv6: /64); zero or negative: no limit
	Exempt      func(netip.Addr) bool // from PerAddress; nil: nobody
	Log         *slog.Logger          // of accepts that fail; nil: no log

	mu        sync.Mutex // guards what follows
	draining  bool
	listeners map[net.Listener]struct{}
	open      map[S]netip.Prefix
	perAddr   map[netip.Prefix]int
	running   sync.WaitGroup // sessions; Add only under mu while not draining
}

// Serve hands connections from l to begin until Drain, then returns nil. It
// closes l in any case. An error is one of l that will not go away.
func (p *Pool[S]) Serve(l net.Listener, begin func(net.Conn)) error {
	defer l.Close()
	if !p.track(l) {
		return nil
	}
	defer p.untrack(l)
	for {
		conn, err := l.Accept()
		switch {
		case err == nil:
			begin(conn)
		case p.isDraining():
			return nil
		case !isPassing(err):
			return err
		default:
			if p.Log != nil {
				p.Log.Warn("accept", "addr", l.Addr(), "err", err)
			}
			time.Sleep(acceptPause)
		}
	}
}

// passing are the errors after which Accept may work again: too many open
// files, no memory, a client that was gone again.
var passing = []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.ECONNABORTED, syscall.EINTR}

func isPassing(err error) bool {
	return slices.ContainsFunc(passing, func(e error) bool { return errors.Is(err, e) })
}

func (p *Pool[S]) track(l net.Listener) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.draining {
		return false
	}
	if p.listeners == nil {
		p.listeners = map[net.Listener]struct{}{}
	}
	p.listeners[l] = struct{}{}
	return true
}

func (p *Pool[S]) untrack(l net.Listener) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.listeners, l)
}

func (p *Pool[S]) isDraining() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.draining
}

// Enter counts a session in, or says why not. One that is let in is to Leave.
func (p *Pool[S]) Enter(s S, client netip.Addr) Refusal {
	key := addressKey(client)
	counted := p.PerAddress > 0 && key.IsValid() && (p.Exempt == nil || !p.Exempt(client))
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case p.draining:
		return Draining
	case p.Connections > 0 && len(p.open) >= p.Connections:
		return Full
	case counted && p.perAddr[key] >= p.PerAddress:
		return PerClient
	}
	if p.open == nil {
		p.open, p.perAddr = map[S]netip.Prefix{}, map[netip.Prefix]int{}
	}
	p.open[s] = key
	p.perAddr[key]++
	p.running.Add(1)
	return Admitted
}

// Leave ends what Enter began.
func (p *Pool[S]) Leave(s S) {
	p.mu.Lock()
	defer p.mu.Unlock()
	key, ok := p.open[s]
	if !ok {
		return
	}
	delete(p.open, s)
	if p.perAddr[key]--; p.perAddr[key] <= 0 {
		delete(p.perAddr, key)
	}
	p.running.Done()
}

// addressKey is what connections are counted by: an IPv4 address, or the /64
// that a client of IPv6 has to itself. It is not valid for other networks.
func addressKey(addr netip.Addr) netip.Prefix {
	addr = addr.Unmap()
	bits := 32
	if addr.Is6() {
		bits = 64
	}
	key, err := addr.WithZone("").Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	return key
}

// Drain closes the listeners, lets nobody in any more and calls f for each
// session, to end it when that does no harm. f must not block, nor call p.
func (p *Pool[S]) Drain(f func(S)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.draining = true
	for l := range p.listeners {
		l.Close()
	}
	for s := range p.open {
		f(s)
	}
}

// Wait returns nil once no session is open after Drain. When ctx ends first,
// it calls cut for each that is, waits a little for them to end, and returns
// ctx's error. cut must not block, nor call p.
func (p *Pool[S]) Wait(ctx context.Context, cut func(S)) error {
	done := make(chan struct{})
	go func() {
		p.running.Wait()
		close(done)
	}()
	select {
	case <-done:
		return nil
	case <-ctx.Done():
	}
	p.each(cut)
	timer := time.NewTimer(graceTime)
	defer timer.Stop()
	select {
	case <-done:
	case <-timer.C:
	}
	return context.Cause(ctx)
}

func (p *Pool[S]) each(f func(S)) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for s := range p.open {
		f(s)
	}
}
