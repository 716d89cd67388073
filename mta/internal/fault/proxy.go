package fault

import (
	"net"
	"sync"
	"sync/atomic"
)

// A proxy stands between the nodes and Redis. It can deliver half of a reply, or
// of a command, and then close all connections.
type proxy struct {
	to       string
	listener net.Listener
	wg       sync.WaitGroup

	cutReply   atomic.Bool // the next reply is cut
	cutCommand atomic.Bool
	cuts       atomic.Int64 // how often it did so

	mu     sync.Mutex
	conns  map[net.Conn]bool
	closed bool
	left   int    // pieces until the trap is sprung; zero: there is none
	pass   bool   // the last of them is passed on
	spring func() // then
}

// trap has f called at the nth piece from now, in either direction, after it was
// passed on or instead. Nothing else goes through meanwhile, and all connections
// are closed after.
func (p *proxy) trap(n int, pass bool, f func()) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.left, p.pass, p.spring = n, pass, f
}

// step counts a piece, and writes it. It is false if that was the last.
func (p *proxy) step(to net.Conn, piece []byte) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.left == 0 {
		p.mu.Unlock()
		_, err := to.Write(piece)
		p.mu.Lock()
		return err == nil
	}
	p.left--
	if p.left > 0 || p.pass {
		to.Write(piece)
	}
	if p.left > 0 {
		return true
	}
	p.spring()
	for c := range p.conns {
		c.Close()
	}
	return false
}

func newProxy(to string) (*proxy, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return nil, err
	}
	p := &proxy{to: to, listener: l, conns: map[net.Conn]bool{}}
	p.wg.Go(p.accept)
	return p, nil
}

func (p *proxy) addr() string { return p.listener.Addr().String() }

func (p *proxy) accept() {
	for {
		near, err := p.listener.Accept()
		if err != nil {
			return // it is closed
		}
		far, err := net.Dial("tcp", p.to)
		if err != nil {
			near.Close()
			continue
		}
		if !p.enter(near) || !p.enter(far) {
			near.Close()
			far.Close()
			return
		}
		p.wg.Go(func() { p.copy(far, near, &p.cutCommand) })
		p.wg.Go(func() { p.copy(near, far, &p.cutReply) })
	}
}

func (p *proxy) enter(c net.Conn) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.conns[c] = true
	return !p.closed
}

// copy passes on what comes until one end closes. Once cut is set, half of the
// next piece is the last that anybody gets.
func (p *proxy) copy(to, from net.Conn, cut *atomic.Bool) {
	defer p.leave(to, from)
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		if n > 1 && cut.CompareAndSwap(true, false) {
			to.Write(buf[:n/2])
			p.cuts.Add(1)
			p.cutAll()
			return
		}
		if n > 0 && !p.step(to, buf[:n]) {
			return
		}
		if err != nil {
			return
		}
	}
}

func (p *proxy) leave(conns ...net.Conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range conns {
		c.Close()
		delete(p.conns, c)
	}
}

func (p *proxy) cutAll() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for c := range p.conns {
		c.Close()
	}
}

// close ends it with all connections, and waits for them.
func (p *proxy) close() {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	p.listener.Close()
	p.cutAll()
	p.wg.Wait()
}
