package fault

import (
	"errors"
	"net"
	"sync"
	"sync/atomic"
	"time"
)

// A Quirk is how a next hop misbehaves, at a share of its transactions.
type Quirk struct {
	At    string  // connect, ehlo, mail, rcpt, data, content or end
	Do    string  // hang, drop, late, 4xx or 5xx; at connect also never (it does not accept)
	Share float64 // of transactions, or of sessions for connect and ehlo
}

// Name is the quirk in a domain.
func (q Quirk) Name() string { return q.At + "-" + q.Do }

// A Sink is a next hop: it takes mail over SMTP and enters it in the ledger,
// and misbehaves as its quirk says until it is healed.
type Sink struct {
	Domain string // whose mail it takes
	quirk  Quirk
	late   time.Duration // how long an answer takes that comes late
	ledger *Ledger
	seed   atomic.Uint64 // of the next session

	misbehaved atomic.Int64 // how often

	listener net.Listener
	healed   chan struct{} // closed: it is a good next hop from now on
	closing  chan struct{} // closed: all sessions are to end
	wg       sync.WaitGroup

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
}

// newSink starts a next hop.
func newSink(domain string, q Quirk, late time.Duration, ledger *Ledger, seed uint64) (*Sink, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	s := &Sink{Domain: domain, quirk: q, late: late, ledger: ledger, listener: l, healed: make(chan struct{}), closing: make(chan struct{}), conns: map[net.Conn]bool{}}
	s.seed.Store(seed)
	s.wg.Go(s.accept)
	return s, nil
}

// Addr is where it listens.
func (s *Sink) Addr() string { return s.listener.Addr().String() }

// heal ends its quirk. What hangs is cut off.
func (s *Sink) heal() {
	select {
	case <-s.healed:
	default:
		close(s.healed)
	}
}

func (s *Sink) isHealed() bool {
	select {
	case <-s.healed:
		return true
	default:
		return false
	}
}

// close ends it with all of its sessions, and waits for them.
func (s *Sink) close() {
	s.heal()
	s.mu.Lock()
	if !s.closed {
		close(s.closing)
	}
	s.closed = true
	s.listener.Close()
	for c := range s.conns {
		c.Close()
	}
	s.mu.Unlock()
	s.wg.Wait()
}

func (s *Sink) accept() {
	if s.quirk.Do == "never" {
		s.misbehaved.Add(1)
		<-s.healed // until then the kernel completes connections, and nobody speaks
	}
	for {
		conn, err := s.listener.Accept()
		switch {
		case errors.Is(err, net.ErrClosed):
			return
		case err != nil:
			time.Sleep(10 * time.Millisecond) // no file handles left for now
			continue
		}
		s.mu.Lock()
		if s.closed {
			s.mu.Unlock()
			conn.Close()
			return
		}
		s.conns[conn] = true
		s.mu.Unlock()
		s.wg.Go(func() {
			newPeer(s, conn).serve()
			conn.Close()
			s.mu.Lock()
			delete(s.conns, conn)
			s.mu.Unlock()
		})
	}
}

// take enters what arrived in the ledger.
func (s *Sink) take(a arrival, rcpts []string, content []byte) {
	if s.Domain == senderDomain {
		s.ledger.notified(a, content)
		return
	}
	s.ledger.arrived(a, rcpts, content)
}
