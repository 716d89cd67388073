package relay

import (
	"container/list"
	"errors"
	"net/netip"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// Defaults of the bounds of connections, see the fields of [Relay] with the
// same names.
const (
	DefaultMaxIdle        = 100 // each costs a file handle here and a process at some receivers
	DefaultMaxConnections = 900 // a process has 1,024 file handles where nobody says otherwise
)

// ErrBusy is the Err of results of a next hop for which no connection was left:
// nothing is wrong with the message, and it may be tried soon.
var ErrBusy = errors.New("too many connections")

var errClosed = errors.New("relay is closed")

// A connection knows where it leads and what it had to show.
type connection struct {
	*smtpc.Conn
	key      key
	name     string         // host and port, for results
	addr     netip.AddrPort // so that no attempt uses one twice
	good     time.Time      // until when it may be used again
	released func()
}

// Close is [smtpc.Conn.Close], and gives the connection's place back.
func (c *connection) Close() error {
	defer c.released()
	return c.Conn.Close()
}

// Abort is [smtpc.Conn.Abort], and gives the connection's place back.
func (c *connection) Abort() error {
	defer c.released()
	return c.Conn.Abort()
}

func (c *connection) isLMTP() bool { return c.key.hop.Scheme == LMTP }

// A key is what two messages must have in common to go over one connection:
// the next hop, and all that TLS had to show there. So what was opened under
// one policy is never used under another.
type key struct {
	hop  Hop
	need need
}

// A pool counts connections, and keeps those that wait for their next message.
// Its zero value is ready; closing is final. Safe for concurrent use.
type pool struct {
	mu     sync.Mutex              // guards what follows; never held while talking
	idle   map[key][]*list.Element // of ages; the last was used last
	ages   list.List               // of *idleConn, the one that waits longest first
	open   int                     // in use and idle
	closed bool
	wg     sync.WaitGroup // connections being closed
}

type idleConn struct {
	*connection
	timer *time.Timer
}

// place takes one of most places for a connection, if need be that of the one
// that has waited longest, which ends without QUIT: a peer that is slow to answer
// that would have both open. It is given back by calling release, once or more.
func (p *pool) place(most int) (release func(), err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for !p.closed && p.open >= most && p.ages.Len() > 0 {
		c := p.take(p.ages.Front())
		c.timer.Stop()
		p.mu.Unlock() // which giving its place back needs
		c.Abort()
		p.mu.Lock()
	}
	switch {
	case p.closed:
		return nil, errClosed
	case p.open >= most:
		return nil, ErrBusy
	}
	p.open++
	return sync.OnceFunc(func() {
		p.mu.Lock()
		defer p.mu.Unlock()
		p.open--
	}), nil
}

// evict closes the connection that has waited longest, in the background; it has
// its place until then. p.mu is held.
func (p *pool) evict() {
	c := p.take(p.ages.Front())
	c.timer.Stop()
	p.wg.Go(func() { c.Close() })
}

// take removes an element of ages and returns what it held. p.mu is held.
func (p *pool) take(e *list.Element) *idleConn {
	c := p.ages.Remove(e).(*idleConn)
	same := p.idle[c.key]
	for i := range same {
		if same[i] == e {
			same = append(same[:i], same[i+1:]...)
			break
		}
	}
	if p.idle[c.key] = same; len(same) == 0 {
		delete(p.idle, c.key)
	}
	return c
}

// reuse takes a connection with key k that waits, or nil. Those that died while
// they waited are closed.
func (p *pool) reuse(k key) *connection {
	for {
		p.mu.Lock()
		same := p.idle[k]
		if len(same) == 0 {
			p.mu.Unlock()
			return nil
		}
		c := p.take(same[len(same)-1])
		p.mu.Unlock()
		c.timer.Stop()
		if c.Usable() && time.Now().Before(c.good) {
			return c.connection
		}
		c.Abort()
	}
}

// keep lets c wait for its next message for as long as idle, beside up to most
// others.
func (p *pool) keep(c *connection, idle time.Duration, most int) {
	p.mu.Lock()
	if p.closed {
		p.mu.Unlock()
		c.Close()
		return
	}
	if p.ages.Len() >= most {
		p.evict()
	}
	ic := &idleConn{connection: c}
	e := p.ages.PushBack(ic)
	ic.timer = time.AfterFunc(idle, func() { p.expire(e) })
	if p.idle == nil {
		p.idle = make(map[key][]*list.Element)
	}
	p.idle[c.key] = append(p.idle[c.key], e)
	p.mu.Unlock()
}

// expire closes the connection of e, if it still waits.
func (p *pool) expire(e *list.Element) {
	p.mu.Lock()
	waits := false
	for _, same := range p.idle[e.Value.(*idleConn).key] {
		waits = waits || same == e
	}
	if !waits {
		p.mu.Unlock()
		return
	}
	c := p.take(e)
	p.wg.Add(1)
	p.mu.Unlock()
	defer p.wg.Done()
	c.Close()
}

// close closes the connections that wait, and those in use once they are kept.
// It waits for the former.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	for p.ages.Len() > 0 {
		p.evict()
	}
	p.mu.Unlock()
	p.wg.Wait()
}

// waiting is how many connections wait.
func (p *pool) waiting() int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.ages.Len()
}

// reuse takes a connection for k that waits, or nil.
func (r *Relay) reuse(k key) *connection { return r.pool.reuse(k) }

// keep lets c wait for the next message, or closes it.
func (r *Relay) keep(c *connection) {
	limit := or(r.MaxMessages, DefaultMaxMessages)
	if r.Messages != nil {
		limit = or(r.Messages(laneOf(c.key.hop)), limit)
	}
	if n := c.Offer().MailMax; n > 0 {
		limit = min(limit, n)
	}
	if c.Sent() >= limit || !c.Usable() {
		c.Close()
		return
	}
	r.pool.keep(c, or(r.Idle, DefaultIdle), or(r.MaxIdle, DefaultMaxIdle))
}
