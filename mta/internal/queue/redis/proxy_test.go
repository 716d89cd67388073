package redis

import (
	"io"
	"net"
	"sync"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// A proxy stands between a store and its server, and loses replies.
type proxy struct {
	addr string
	l    net.Listener

	mu    sync.Mutex
	conns []net.Conn
	cut   func(reply []byte) (pass int, cut bool) // nil: all pass
	calls int                                     // replies that cut was asked about
}

func newProxy(t testing.TB, s *redistest.Server) *proxy {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	p := &proxy{l: l, addr: l.Addr().String()}
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			here, err := l.Accept()
			if err != nil {
				return
			}
			there, err := net.Dial("tcp", s.Addr())
			if err != nil {
				here.Close()
				continue
			}
			p.mu.Lock()
			p.conns = append(p.conns, here, there)
			p.mu.Unlock()
			wg.Go(func() {
				defer there.Close()
				io.Copy(there, here)
			})
			wg.Go(func() { p.replies(here, there) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		p.mu.Lock()
		for _, c := range p.conns {
			c.Close()
		}
		p.mu.Unlock()
		wg.Wait()
	})
	return p
}

// replies passes what the server says, up to where it is cut.
func (p *proxy) replies(here, there net.Conn) {
	defer here.Close()
	buf := make([]byte, 1<<16)
	for {
		n, err := there.Read(buf)
		if err != nil {
			return
		}
		pass, cut := n, false
		p.mu.Lock()
		if p.cut != nil {
			p.calls++
			pass, cut = p.cut(buf[:n])
		}
		p.mu.Unlock()
		if _, err := here.Write(buf[:pass]); err != nil || cut {
			return
		}
	}
}

// lose has the next n replies be lost after some octets of each: the server did
// what it was asked.
func (p *proxy) lose(n, octets int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.calls = 0
	p.cut = func(reply []byte) (int, bool) {
		if p.calls > n {
			return len(reply), false
		}
		return min(octets, len(reply)), true
	}
}

// pass ends that.
func (p *proxy) pass() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.cut = nil
}

func (p *proxy) url() string { return "redis://" + p.addr }
