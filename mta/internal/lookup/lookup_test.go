package lookup

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"

	"github.com/wasmta/wasmta/sdk/host"
)

// numbers are the record types by their names.
var numbers = map[string]uint16{"A": 1, "NS": 2, "CNAME": 5, "PTR": 12, "MX": 15, "TXT": 16, "AAAA": 28, "SRV": 33}

func serve(t *testing.T, zones map[string]mockdns.Zone) *Resolver {
	t.Helper()
	srv, err := mockdns.NewServerWithLogger(zones, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { srv.Close() })
	return New(NewServer(srv.LocalAddr().String()))
}

func TestLookup(t *testing.T) {
	r := serve(t, map[string]mockdns.Zone{
		"example.org.": {
			A:    []string{"192.0.2.1", "192.0.2.2"},
			AAAA: []string{"2001:db8::1"},
			MX:   []net.MX{{Host: "mx.example.org.", Pref: 10}},
			TXT:  []string{"v=spf1 -all", "tab\there, é"},
			NS:   []net.NS{{Host: "ns.example.org."}},
		},
		"null.example.org.":       {MX: []net.MX{{Host: ".", Pref: 0}}},
		"only4.example.org.":      {A: []string{"192.0.2.1"}},
		"alias.example.org.":      {CNAME: "only4.example.org."},
		"_imap._tcp.example.org.": {SRV: []net.SRV{{Target: "imap.example.org.", Port: 143, Priority: 1, Weight: 2}}},
		"1.2.0.192.in-addr.arpa.": {PTR: []string{"example.org."}},
		"broken.example.org.":     {Err: errors.New("no")},
		"1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa.": {PTR: []string{"six.example.org."}},
	})
	for _, tt := range []struct {
		qtype, name string
		want        string
		err         error
	}{
		{qtype: "A", name: "example.org", want: "192.0.2.1 | 192.0.2.2"},
		{qtype: "A", name: "EXAMPLE.org.", want: "192.0.2.1 | 192.0.2.2"},
		{qtype: "AAAA", name: "example.org", want: "2001:db8::1"},
		{qtype: "AAAA", name: "only4.example.org", err: host.ErrNotFound},
		{qtype: "MX", name: "example.org", want: "10 mx.example.org."},
		{qtype: "MX", name: "null.example.org", want: "0 ."},
		{qtype: "MX", name: "only4.example.org", err: host.ErrNotFound},
		{qtype: "TXT", name: "example.org", want: `v=spf1 -all | tab\009here, \195\169`},
		{qtype: "NS", name: "example.org", want: "ns.example.org."},
		{qtype: "CNAME", name: "alias.example.org", want: "only4.example.org."},
		{qtype: "CNAME", name: "only4.example.org", err: host.ErrNotFound},
		{qtype: "SRV", name: "_imap._tcp.example.org", want: "1 2 143 imap.example.org."},
		{qtype: "PTR", name: "1.2.0.192.in-addr.arpa", want: "example.org."},
		{qtype: "PTR", name: "1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", want: "six.example.org."},
		{qtype: "PTR", name: "example.org", err: host.ErrUnsupported},
		{qtype: "A", name: "nowhere.example.org", err: host.ErrNotFound},
	} {
		t.Run(tt.qtype+" "+tt.name, func(t *testing.T) {
			got, err := r.Lookup(t.Context(), numbers[tt.qtype], tt.name)
			slices.Sort(got) // the order of addresses is the library's
			wanted := strings.Split(tt.want, " | ")
			slices.Sort(wanted)
			if strings.Join(got, " | ") != strings.Join(wanted, " | ") || !errors.Is(err, tt.err) {
				t.Errorf("got %q, %v; want %q, %v", got, err, tt.want, tt.err)
			}
		})
	}
	if _, err := r.Lookup(t.Context(), 257, "example.org"); !errors.Is(err, host.ErrUnsupported) {
		t.Errorf("CAA: got %v", err)
	}
	_, err := r.Lookup(t.Context(), numbers["A"], "broken.example.org")
	for _, is := range []error{host.ErrNotFound, host.ErrTimeout, host.ErrUnsupported} {
		if err == nil || errors.Is(err, is) {
			t.Errorf("a server that fails: got %v", err)
		}
	}
}

// readSystem has package net read the system's configuration, which it does
// once for the process: in a bubble of synctest it must be done already.
func readSystem(t *testing.T) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, _ = (&net.Resolver{PreferGo: true}).LookupMX(ctx, "example.org") // nobody is asked: ctx is over
}

// counting is a resolver whose server is never reached; it counts the tries.
func counting(dials *atomic.Int32, dial func(ctx context.Context) error) *Resolver {
	return New(&net.Resolver{PreferGo: true, Dial: func(ctx context.Context, _, _ string) (net.Conn, error) {
		dials.Add(1)
		return nil, dial(ctx)
	}})
}

func TestAServerThatDoesNotAnswer(t *testing.T) {
	readSystem(t)
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		r := counting(&dials, func(ctx context.Context) error {
			<-ctx.Done()
			return ctx.Err()
		})
		began := time.Now()
		_, err := r.Lookup(t.Context(), numbers["MX"], "example.org")
		if took := time.Since(began); !errors.Is(err, host.ErrTimeout) || took > DefaultTimeout {
			t.Errorf("got %v after %s", err, took)
		}
		first := dials.Load()
		if r.Lookup(t.Context(), numbers["MX"], "example.org"); dials.Load() == first {
			t.Error("a failure was kept")
		}
	})
}

func TestAnswersAreKeptForAWhile(t *testing.T) {
	readSystem(t)
	synctest.Test(t, func(t *testing.T) {
		var dials atomic.Int32
		r := counting(&dials, func(context.Context) error { return errors.New("down") })
		q := question{numbers["MX"], "example.org."}
		r.keep(q, answer{records: []string{"10 mx."}, until: time.Now().Add(keepFor)})
		time.Sleep(keepFor - 1)
		got, err := r.Lookup(t.Context(), numbers["MX"], "Example.org")
		if len(got) != 1 || err != nil || dials.Load() != 0 {
			t.Fatalf("got %q, %v", got, err)
		}
		got[0] = "changed"
		if got, _ := r.Lookup(t.Context(), numbers["MX"], "example.org"); got[0] != "10 mx." {
			t.Errorf("the caller changed what is kept: %q", got)
		}
		time.Sleep(1)
		if got, err := r.Lookup(t.Context(), numbers["MX"], "example.org"); err == nil || dials.Load() == 0 {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

func TestKeptAnswersAreBounded(t *testing.T) {
	r := New(nil)
	now := time.Now()
	for i := range 2 * maxKept {
		r.keep(question{1, fmt.Sprint(i)}, answer{until: now.Add(time.Hour)})
		if len(r.kept) > maxKept {
			t.Fatalf("%d are kept, want %d at most", len(r.kept), maxKept)
		}
	}
	if len(r.kept) < maxKept*3/4 {
		t.Errorf("only %d are kept", len(r.kept))
	}
	if _, ok := r.recall(question{1, fmt.Sprint(2*maxKept - 1)}); !ok {
		t.Error("the last one is not kept")
	}
}
