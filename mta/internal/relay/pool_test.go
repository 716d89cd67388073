package relay

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// However many next hops there are, only so many connections wait, and those
// that have waited longest make room.
func TestIdleBounded(t *testing.T) {
	s := newSink(t, nil)
	addr := netip.MustParseAddrPort(s.addr)
	r := to(t, "mx")
	r.MaxIdle, r.MaxConnections = 2, 3
	r.Dial = func(ctx context.Context, network, _ string) (net.Conn, error) {
		var d net.Dialer
		return d.DialContext(ctx, network, s.addr)
	}
	deliver := func(host string) {
		t.Helper()
		m := message(t, "bob@hamburger.edu")
		m.Envelope.Recipients[0].Route = &mail.NextHop{Host: host, Port: int(addr.Port()), NoMX: true}
		if res := r.Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Relayed {
			t.Fatal(short(res), res.Err)
		}
	}
	for range 3 {
		for _, host := range []string{"127.0.0.1", "localhost", "127.0.0.2", "127.0.0.3", "127.0.0.4"} {
			deliver(host)
			if n := r.pool.waiting(); n > 2 {
				t.Fatalf("%d connections wait", n)
			}
		}
	}
	r.Close()
	if r.pool.open != 0 || len(r.pool.idle) != 0 {
		t.Errorf("%d connections open, %v", r.pool.open, r.pool.idle)
	}
}

// With all places in use a message waits for its next attempt; it is nobody's
// fault.
func TestConnectionsBounded(t *testing.T) {
	s := newSink(t, nil)
	r := to(t, "smtp://"+s.addr)
	r.MaxConnections = 1
	release, err := r.pool.place(1)
	if err != nil {
		t.Fatal(err)
	}
	res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]
	if res.Outcome != mail.Deferred || res.Enh != "4.4.5" || res.Unreached {
		t.Errorf("got %s, unreached %v", short(res), res.Unreached)
	}
	release()
	release() // once counts
	if res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]; res.Outcome != mail.Relayed {
		t.Error(short(res))
	}
}

// counting counts the connections that are open.
type counting struct {
	net.Conn
	open *atomic.Int32
}

func (c counting) Close() error {
	c.open.Add(-1)
	return c.Conn.Close()
}

// Hosts that take a message and never answer QUIT do not have more connections
// open than there may be.
func TestConnectionsBoundedWhileClosing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const most = 3
		hosts := map[string][]string{}
		r, w := wired(t, hosts, nil)
		r.MaxConnections, r.MaxIdle = most, 2
		var open atomic.Int32
		r.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
			if n := open.Add(1); n > most {
				t.Errorf("%d connections open", n)
			}
			conn, err := w.dial(ctx, network, addr)
			return counting{conn, &open}, err
		}
		busy := 0
		for i := range 20 {
			host := fmt.Sprintf("192.0.2.%d", i+1)
			hosts[host+":25"] = []string{takes}
			m := message(t, "bob@hamburger.edu")
			m.Envelope.Recipients[0].Route = &mail.NextHop{Host: host, NoMX: true}
			for res := r.Deliver(t.Context(), m, nil)[0]; res.Outcome != mail.Relayed; res = r.Deliver(t.Context(), m, nil)[0] {
				if res.Err != ErrBusy {
					t.Fatal(short(res))
				}
				busy++
				time.Sleep(time.Second)
			}
		}
		t.Logf("no place was left %d times", busy)
		w.done(r)
		if n := open.Load(); n != 0 || r.pool.open != 0 {
			t.Errorf("%d connections and %d places are left", n, r.pool.open)
		}
	})
}

// A next hop that goes silent keeps its place for as long as its time-out, and no
// longer; meanwhile there is none for others.
func TestSilentNextHopKeepsItsPlace(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r, w := wired(t, map[string][]string{
			"192.0.2.1:25": {hello + mailing + rcptBob + "S: 250 ok\n" + content}, // and nothing more
			"192.0.2.2:25": {takes},
		}, nil)
		r.MaxConnections = 1
		r.Timeouts.DataEnd = 3 * time.Minute
		deliver := func(host string) mail.Result {
			m := message(t, "bob@hamburger.edu")
			m.Envelope.Recipients[0].Route = &mail.NextHop{Host: host, NoMX: true}
			return r.Deliver(t.Context(), m, nil)[0]
		}
		began, silent := time.Now(), make(chan mail.Result)
		go func() { silent <- deliver("192.0.2.1") }()
		time.Sleep(time.Minute)
		if res := deliver("192.0.2.2"); res.Err != ErrBusy || res.Unreached {
			t.Errorf("beside it: %s, unreached %v", short(res), res.Unreached)
		}
		if res := <-silent; res.Outcome != mail.Deferred || !res.Unanswered {
			t.Errorf("the silent one: %s", short(res))
		}
		if took := time.Since(began); took != r.Timeouts.DataEnd {
			t.Errorf("it kept its place for %v", took)
		}
		if res := deliver("192.0.2.2"); res.Outcome != mail.Relayed {
			t.Errorf("after it: %s", short(res))
		}
		w.done(r)
	})
}
