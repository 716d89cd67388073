package relay

import (
	"context"
	"net"
	"net/netip"
	"os"
	"strings"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

func TestFamilyOrder(t *testing.T) {
	for _, tt := range []struct {
		prefer     Family
		have, want string
	}{
		{AnyFamily, "2001:db8::1 2001:db8::2 192.0.2.1 192.0.2.2 192.0.2.3", "2001:db8::1 192.0.2.1 2001:db8::2 192.0.2.2 192.0.2.3"},
		{AnyFamily, "192.0.2.1 2001:db8::1 2001:db8::2", "192.0.2.1 2001:db8::1 2001:db8::2"},
		{IPv4First, "2001:db8::1 192.0.2.1", "192.0.2.1 2001:db8::1"},
		{IPv6First, "192.0.2.1 2001:db8::1", "2001:db8::1 192.0.2.1"},
		{IPv6First, "192.0.2.1", "192.0.2.1"},
		{IPv4Only, "2001:db8::1 192.0.2.1", "192.0.2.1"},
		{IPv6Only, "2001:db8::1 192.0.2.1", "2001:db8::1"},
		{IPv6Only, "192.0.2.1", ""},
		{AnyFamily, "", ""},
	} {
		var have, got []string
		var addrs []netip.AddrPort
		for _, a := range strings.Fields(tt.have) {
			addrs = append(addrs, netip.AddrPortFrom(netip.MustParseAddr(a), 25))
			have = append(have, a)
		}
		for _, a := range tt.prefer.order(addrs) {
			got = append(got, a.Addr().String())
		}
		if strings.Join(got, " ") != tt.want {
			t.Errorf("%q of %v: got %v, want %s", tt.prefer, have, got, tt.want)
		}
	}
}

// A family that leads nowhere costs a message a second, not a time-out, and no
// connection is left behind.
func TestBrokenIPv6(t *testing.T) {
	zones := map[string]mockdns.Zone{
		"hamburger.edu.":    {MX: []net.MX{{Host: "mx.hamburger.edu.", Pref: 1}}},
		"mx.hamburger.edu.": {A: []string{"192.0.2.1"}, AAAA: []string{"2001:db8::1"}},
	}
	const four, six = "192.0.2.1:25", "[2001:db8::1]:25"
	refused := &net.OpError{Op: "dial", Net: "tcp", Err: os.NewSyscallError("connect", syscall.ECONNREFUSED)}
	tests := []struct {
		name   string
		takes  map[string]time.Duration // to connect; over a minute: never
		refuse map[string]bool
		dialed string
		want   mail.Outcome
		took   time.Duration
	}{
		{"IPv6 works", map[string]time.Duration{six: 100 * time.Millisecond}, nil, six, mail.Relayed, 100 * time.Millisecond},
		{"IPv6 swallows", map[string]time.Duration{six: time.Hour}, nil, six + " " + four, mail.Relayed, headStart},
		{"IPv6 is refused", nil, map[string]bool{six: true}, six + " " + four, mail.Relayed, 0},
		{"IPv6 is refused late", map[string]time.Duration{six: 2 * time.Second, four: 3 * time.Second}, map[string]bool{six: true}, six + " " + four, mail.Relayed, 4 * time.Second},
		{"IPv6 is slow, IPv4 is refused", map[string]time.Duration{six: 5 * time.Second}, map[string]bool{four: true}, six + " " + four, mail.Relayed, 5 * time.Second},
		{"both swallow", map[string]time.Duration{six: time.Hour, four: time.Hour}, nil, six + " " + four, mail.Deferred, DefaultConnect + headStart},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := &wire{t: t, hosts: map[string][]string{four: {takes}, six: {takes}}}
				var mu sync.Mutex
				var dialed []string
				r := &Relay{Hostname: "crepes.fr", Prefer: IPv6First, Resolver: &mockdns.Resolver{Zones: zones}}
				r.Dial = func(ctx context.Context, network, addr string) (net.Conn, error) {
					mu.Lock()
					dialed = append(dialed, addr)
					mu.Unlock()
					select {
					case <-ctx.Done():
						return nil, ctx.Err()
					case <-time.After(tt.takes[addr]):
					}
					if tt.refuse[addr] {
						return nil, refused
					}
					return w.dial(ctx, network, addr)
				}
				start := time.Now()
				res := r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)[0]
				if took := time.Since(start); res.Outcome != tt.want || took != tt.took || res.Unreached != (tt.want == mail.Deferred) {
					t.Errorf("after %v: %s, want %s after %v", took, short(res), tt.want, tt.took)
				}
				if got := strings.Join(dialed, " "); got != tt.dialed {
					t.Errorf("dialed %s, want %s", got, tt.dialed)
				}
				w.done(r)
			})
		})
	}
}
