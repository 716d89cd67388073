package relay

import (
	"context"
	"net"
	"net/netip"
	"testing"

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
