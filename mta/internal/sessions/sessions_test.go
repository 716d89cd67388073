package sessions

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"syscall"
	"testing"
	"testing/synctest"
	"time"
)

var (
	here  = netip.MustParseAddr("192.0.2.1")
	there = netip.MustParseAddr("192.0.2.2")
)

func TestLimitsOfAPool(t *testing.T) {
	p := &Pool[int]{Connections: 3, PerAddress: 2, Exempt: func(a netip.Addr) bool { return a == there }}
	for i, tt := range []struct {
		name   string
		client netip.Addr
		want   Refusal
	}{
		{"the first", here, Admitted},
		{"the second of an address", here, Admitted},
		{"one too many of an address", here, PerClient},
		{"of another address", there, Admitted},
		{"one too many in all", there, Full},
	} {
		if got := p.Enter(i, tt.client); got != tt.want {
			t.Errorf("%s: got %v, want %v", tt.name, got, tt.want)
		}
	}
	p.Leave(0)
	p.Leave(0) // twice counts once
	p.Leave(3)
	if got := p.Enter(10, here); got != Admitted {
		t.Errorf("after one left: got %v", got)
	}
	if got := p.Enter(11, here); got != PerClient {
		t.Errorf("after one left and one came: got %v", got)
	}
	if got := p.Enter(12, netip.Addr{}); got != Admitted {
		t.Errorf("a client without an address: got %v", got)
	}
}

func TestClientsOfIPv6AreCountedByNetwork(t *testing.T) {
	for _, tt := range []struct {
		name, a, b string
		same       bool
	}{
		{"one address", "192.0.2.1", "192.0.2.1", true},
		{"two addresses", "192.0.2.1", "192.0.2.2", false},
		{"one address in two forms", "192.0.2.1", "::ffff:192.0.2.1", true},
		{"one /64", "2001:db8::1", "2001:db8::ffff", true},
		{"two /64", "2001:db8::1", "2001:db8:0:1::1", false},
		{"zones", "fe80::1%eth0", "fe80::2", true},
	} {
		if same := addressKey(netip.MustParseAddr(tt.a)) == addressKey(netip.MustParseAddr(tt.b)); same != tt.same {
			t.Errorf("%s: same is %t", tt.name, same)
		}
	}
}

func TestDrainAndWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pool[string]{}
		p.Enter("ends when asked", here)
		p.Enter("ends when cut off", here)
		p.Drain(func(s string) {
			if s == "ends when asked" {
				go p.Leave(s)
			}
		})
		if got := p.Enter("late", here); got != Draining {
			t.Errorf("after Drain: got %v, want %v", got, Draining)
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		start := time.Now()
		err := p.Wait(ctx, func(s string) { go p.Leave(s) })
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) != time.Minute {
			t.Errorf("Wait returns %v after %v", err, time.Since(start))
		}
		if err := p.Wait(t.Context(), nil); err != nil {
			t.Errorf("with nobody left Wait returns %v", err)
		}
	})
}

func TestASessionThatDoesNotEndHoldsWaitForALittle(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &Pool[int]{}
		p.Enter(1, here)
		defer p.Leave(1)
		p.Drain(func(int) {})
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		start := time.Now()
		if err := p.Wait(ctx, func(int) {}); !errors.Is(err, context.Canceled) || time.Since(start) != graceTime {
			t.Errorf("Wait returns %v after %v", err, time.Since(start))
		}
	})
}

// A sickListener fails as it is told, then gives one connection, then blocks.
type sickListener struct {
	errs   []error
	conn   net.Conn
	closed chan struct{}
}

func (l *sickListener) Accept() (net.Conn, error) {
	if len(l.errs) > 0 {
		err := l.errs[0]
		l.errs = l.errs[1:]
		return nil, err
	}
	if conn := l.conn; conn != nil {
		l.conn = nil
		return conn, nil
	}
	<-l.closed
	return nil, net.ErrClosed
}

func (l *sickListener) Close() error {
	select {
	case <-l.closed:
	default:
		close(l.closed)
	}
	return nil
}

func (l *sickListener) Addr() net.Addr { return &net.TCPAddr{} }

func TestServeOutlivesAcceptsThatFail(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ours, theirs := net.Pipe()
		defer theirs.Close()
		l := &sickListener{errs: []error{syscall.EMFILE, syscall.ECONNABORTED}, conn: ours, closed: make(chan struct{})}
		p := &Pool[net.Conn]{}
		begun := make(chan net.Conn, 1)
		done := make(chan error, 1)
		go func() { done <- p.Serve(l, func(c net.Conn) { begun <- c }) }()
		(<-begun).Close()
		p.Drain(nil)
		if err := <-done; err != nil {
			t.Errorf("Serve returns %v after Drain", err)
		}
		if err := p.Serve(l, nil); err != nil {
			t.Errorf("Serve of a drained pool returns %v", err)
		}
	})
}

func TestServeReturnsWhatWillNotGoAway(t *testing.T) {
	broken := errors.New("broken")
	l := &sickListener{errs: []error{broken}, closed: make(chan struct{})}
	if err := (&Pool[int]{}).Serve(l, nil); !errors.Is(err, broken) {
		t.Errorf("got %v, want %v", err, broken)
	}
}
