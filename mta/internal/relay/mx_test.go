package relay

import (
	"context"
	"errors"
	"io"
	"log"
	"net"
	"net/netip"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/foxcpp/go-mockdns"

	"github.com/wasmta/wasmta/mta/internal/lookup"
)

const (
	hello   = "S: 220 mx\nC: EHLO crepes.fr\nS: 250-mx.hamburger.edu\nS: 250 HELP\n"
	mailing = "C: MAIL FROM:<alice@crepes.fr>\nS: 250 ok\n"
	rcptBob = "C: RCPT TO:<bob@hamburger.edu>\n"
	content = "C: DATA\nS: 354 go\nC: Subject: hi\nC: \nC: hi\nC: .\n"
	takes   = hello + mailing + rcptBob + "S: 250 ok\n" + content + "S: 250 2.0.0 taken\n"
	bye     = "C: QUIT\nS: 221 bye\n"
)

func TestMX(t *testing.T) {
	type zones = map[string]mockdns.Zone
	mx := func(list ...net.MX) mockdns.Zone { return mockdns.Zone{MX: list} }
	three := zones{
		"hamburger.edu.":        mx(net.MX{Host: "second.hamburger.edu.", Pref: 20}, net.MX{Host: "First.hamburger.edu.", Pref: 10}, net.MX{Host: "third.hamburger.edu.", Pref: 30}),
		"first.hamburger.edu.":  {A: []string{"192.0.2.1"}},
		"second.hamburger.edu.": {A: []string{"192.0.2.2"}, AAAA: []string{"2001:db8::2"}},
		"third.hamburger.edu.":  {A: []string{"192.0.2.3"}},
	}
	servfail := &net.DNSError{Err: "server misbehaving", IsTemporary: true}
	tests := []struct {
		name   string
		zones  zones
		hosts  map[string][]string
		rcpt   string
		dialed string
		want   string
	}{
		{
			name:   "the best host first",
			zones:  three,
			hosts:  map[string][]string{"192.0.2.1:25": {takes}},
			dialed: "192.0.2.1:25",
			want:   "relayed first.hamburger.edu:25: 250 2.0.0 taken",
		},
		{
			name:   "the next when one is down, and all its addresses",
			zones:  three,
			hosts:  map[string][]string{"192.0.2.3:25": {takes}},
			dialed: "192.0.2.1:25 192.0.2.2:25 [2001:db8::2]:25 192.0.2.3:25",
			want:   "relayed third.hamburger.edu:25: 250 2.0.0 taken",
		},
		{
			name:   "the next when one refuses all mail",
			zones:  three,
			hosts:  map[string][]string{"192.0.2.1:25": {"S: 554 5.3.2 go away"}, "192.0.2.2:25": {takes}},
			dialed: "192.0.2.1:25 192.0.2.2:25",
			want:   "relayed second.hamburger.edu:25: 250 2.0.0 taken",
		},
		{
			name:   "the next after 4xx",
			zones:  three,
			hosts:  map[string][]string{"192.0.2.1:25": {hello + mailing + rcptBob + "S: 450 4.2.0 greylisted\n" + bye}, "192.0.2.2:25": {takes}},
			dialed: "192.0.2.1:25 192.0.2.2:25",
			want:   "relayed second.hamburger.edu:25: 250 2.0.0 taken",
		},
		{
			name:   "5xx is final",
			zones:  three,
			hosts:  map[string][]string{"192.0.2.1:25": {hello + mailing + rcptBob + "S: 550 5.1.1 who?\n" + bye}, "192.0.2.2:25": {takes}},
			dialed: "192.0.2.1:25",
			want:   "bounced first.hamburger.edu:25: 550 5.1.1 who?",
		},
		{
			name:   "what may have arrived goes nowhere else",
			zones:  three,
			hosts:  map[string][]string{"192.0.2.1:25": {hello + mailing + rcptBob + "S: 250 ok\n" + content + "--"}, "192.0.2.2:25": {takes}},
			dialed: "192.0.2.1:25",
			want:   "deferred first.hamburger.edu:25: 451 4.4.2 no reply from first.hamburger.edu:25 after the message was sent (connection closed); it may arrive twice (ours)",
		},
		{
			name:   "what was cut off before the final dot does",
			zones:  three,
			hosts:  map[string][]string{"192.0.2.1:25": {hello + mailing + rcptBob + "--"}, "192.0.2.2:25": {takes}},
			dialed: "192.0.2.1:25 192.0.2.2:25",
			want:   "relayed second.hamburger.edu:25: 250 2.0.0 taken",
		},
		{
			name:   "all refuse all mail",
			zones:  zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 1}, net.MX{Host: "b.", Pref: 2}), "a.": {A: []string{"192.0.2.1"}}, "b.": {A: []string{"192.0.2.2"}}},
			hosts:  map[string][]string{"192.0.2.1:25": {"S: 554 no"}, "192.0.2.2:25": {"S: 521 5.3.2 never"}},
			dialed: "192.0.2.1:25 192.0.2.2:25",
			want:   "bounced b:25: 521 5.3.2 never",
		},
		{
			name:   "one refuses all mail and one is down",
			zones:  zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 1}, net.MX{Host: "b.", Pref: 2}), "a.": {A: []string{"192.0.2.1"}}, "b.": {A: []string{"192.0.2.2"}}},
			hosts:  map[string][]string{"192.0.2.2:25": {"S: 554 no"}},
			dialed: "192.0.2.1:25 192.0.2.2:25",
			want:   "deferred a:25: 451 4.4.1 connect to a:25: connection refused (ours)",
		},
		{
			name:   "all are down",
			zones:  zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 1}), "a.": {A: []string{"192.0.2.1"}}},
			dialed: "192.0.2.1:25",
			want:   "deferred a:25: 451 4.4.1 connect to a:25: connection refused (ours)",
		},
		{
			name:   "no MX: the domain itself",
			zones:  zones{"hamburger.edu.": {A: []string{"192.0.2.9"}}},
			hosts:  map[string][]string{"192.0.2.9:25": {takes}},
			dialed: "192.0.2.9:25",
			want:   "relayed hamburger.edu:25: 250 2.0.0 taken",
		},
		{
			name:   "an alias of a domain with MX",
			zones:  zones{"hamburger.edu.": {CNAME: "real.edu."}, "real.edu.": mx(net.MX{Host: "a.", Pref: 1}), "a.": {CNAME: "b."}, "b.": {A: []string{"192.0.2.9"}}},
			hosts:  map[string][]string{"192.0.2.9:25": {takes}},
			dialed: "192.0.2.9:25",
			want:   "relayed a:25: 250 2.0.0 taken",
		},
		{
			name:  "null MX",
			zones: zones{"hamburger.edu.": mx(net.MX{Host: ".", Pref: 0}), "a.": {}},
			want:  "bounced hamburger.edu: 556 5.1.10 hamburger.edu accepts no mail (ours)",
		},
		{
			name:  "no such domain",
			zones: zones{},
			want:  "bounced hamburger.edu: 550 5.1.2 domain hamburger.edu is not known (ours)",
		},
		{
			name:  "a domain without any host",
			zones: zones{"hamburger.edu.": {TXT: []string{"x"}}},
			want:  "bounced hamburger.edu: 550 5.1.2 domain hamburger.edu is not known (ours)",
		},
		{
			name:  "DNS fails",
			zones: zones{"hamburger.edu.": {Err: servfail}},
			want:  "deferred hamburger.edu: 451 4.4.3 look up MX of hamburger.edu: server misbehaving (ours)",
		},
		{
			name:  "DNS fails for the host",
			zones: zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 1}), "a.": {Err: servfail}},
			want:  "deferred hamburger.edu: 451 4.4.3 look up a: server misbehaving (ours)",
		},
		{
			name:  "hosts that do not exist",
			zones: zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 1}, net.MX{Host: "b.", Pref: 1})},
			want:  "bounced hamburger.edu: 550 5.4.4 mail host * of hamburger.edu is not known (ours)",
		},
		{
			name:   "only hosts before ours in the list",
			zones:  zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 1}, net.MX{Host: "Crepes.FR.", Pref: 2}, net.MX{Host: "b.", Pref: 2}, net.MX{Host: "c.", Pref: 3}), "a.": {A: []string{"192.0.2.1"}}, "b.": {A: []string{"192.0.2.2"}}},
			dialed: "192.0.2.1:25",
			want:   "deferred a:25: 451 4.4.1 connect to a:25: connection refused (ours)",
		},
		{
			name:  "we are the best host",
			zones: zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 3}, net.MX{Host: "crepes.fr.", Pref: 2})},
			want:  "bounced hamburger.edu: 554 5.4.6 mail for hamburger.edu loops back to crepes.fr (ours)",
		},
		{
			name:   "a host with our name in its greeting",
			zones:  zones{"hamburger.edu.": mx(net.MX{Host: "a.", Pref: 3}), "a.": {A: []string{"192.0.2.1"}}},
			hosts:  map[string][]string{"192.0.2.1:25": {"S: 220 x\nC: EHLO crepes.fr\nS: 250 CREPES.fr\n" + bye}},
			dialed: "192.0.2.1:25",
			want:   "bounced a:25: 554 5.4.6 mail for hamburger.edu loops back to crepes.fr (ours)",
		},
		{
			name:   "an address literal",
			rcpt:   "bob@[192.0.2.7]",
			hosts:  map[string][]string{"192.0.2.7:25": {strings.ReplaceAll(takes, "hamburger.edu>", "[192.0.2.7]>")}},
			dialed: "192.0.2.7:25",
			want:   "relayed 192.0.2.7:25: 250 2.0.0 taken",
		},
		{
			name:   "an address literal of IPv6",
			rcpt:   "bob@[IPv6:2001:db8::7]",
			hosts:  map[string][]string{"[2001:db8::7]:25": {strings.ReplaceAll(takes, "hamburger.edu>", "[IPv6:2001:db8::7]>")}},
			dialed: "[2001:db8::7]:25",
			want:   "relayed [2001:db8::7]:25: 250 2.0.0 taken",
		},
		{
			name: "an address literal that is none",
			rcpt: "bob@[somewhere]",
			want: "bounced [somewhere]: 501 5.1.3 bad address literal [somewhere] (ours)",
		},
		{
			name:   "an internationalized domain, of a host that takes none",
			rcpt:   "bob@bücher.example",
			zones:  zones{"xn--bcher-kva.example.": {A: []string{"192.0.2.9"}}},
			hosts:  map[string][]string{"192.0.2.9:25": {hello + bye}},
			dialed: "192.0.2.9:25",
			want:   "bounced xn--bcher-kva.example:25: 553 5.6.7 the next hop does not take internationalized addresses (ours)",
		},
		{
			name: "the unspecified address as a literal",
			rcpt: "bob@[0.0.0.0]",
			want: "bounced [0.0.0.0]: 501 5.1.3 bad address literal [0.0.0.0] (ours)",
		},
		{
			name: "no domain",
			rcpt: "postmaster",
			want: "bounced : 550 5.1.3 recipient without a domain (ours)",
		},
		{
			name:  "an unspecified address",
			zones: zones{"hamburger.edu.": {A: []string{"0.0.0.0"}}},
			want:  "bounced hamburger.edu: 550 5.1.2 domain hamburger.edu is not known (ours)",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, w := wired(t, tt.hosts, tt.zones)
				rcpt := tt.rcpt
				if rcpt == "" {
					rcpt = "bob@hamburger.edu"
				}
				got := short(r.Deliver(t.Context(), message(t, rcpt), nil)[0])
				before, after, _ := strings.Cut(tt.want, "*")
				if !strings.HasPrefix(got, before) || !strings.HasSuffix(got, after) {
					t.Errorf("got %q, want %q", got, tt.want)
				}
				if w.dials() != tt.dialed {
					t.Errorf("dialed %q, want %q", w.dials(), tt.dialed)
				}
				w.done(r)
			})
		})
	}
}

// Only those go to the next host that the first one wants later.
func TestMXPerRecipient(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		rcpt := func(name, reply string) string {
			return "C: RCPT TO:<" + name + "@hamburger.edu>\nS: " + reply + "\n"
		}
		r, w := wired(t, map[string][]string{
			"192.0.2.1:25": {hello + mailing + rcpt("a", "250 ok") + rcpt("b", "451 later") + rcpt("c", "550 no") + rcpt("d", "452 4.2.2 full") + content + "S: 250 2.0.0 taken"},
			"192.0.2.2:25": {hello + mailing + rcpt("b", "250 ok") + rcpt("d", "452 4.2.2 full") + content + "S: 250 2.0.0 taken"},
		}, map[string]mockdns.Zone{
			"hamburger.edu.": {MX: []net.MX{{Host: "x.", Pref: 1}, {Host: "y.", Pref: 2}}},
			"x.":             {A: []string{"192.0.2.1"}},
			"y.":             {A: []string{"192.0.2.2"}},
		})
		check(t, r.Deliver(t.Context(), message(t, "a@hamburger.edu", "b@hamburger.edu", "c@hamburger.edu", "d@hamburger.edu"), nil),
			"relayed x:25: 250 2.0.0 taken",
			"relayed y:25: 250 2.0.0 taken",
			"bounced x:25: 550  no",
			"deferred y:25: 452 4.2.2 full")
		w.done(r)
	})
}

func TestEqualsAtRandom(t *testing.T) {
	first := map[string]int{}
	for range 200 {
		names := inOrder([]*net.MX{{Host: "b.", Pref: 5}, {Host: "a.", Pref: 5}, {Host: "z.", Pref: 9}, {Host: "y.", Pref: 1}}, 3)
		if names[0] != "y" || len(names) != 3 || names[2] == "z" {
			t.Fatalf("got %v", names)
		}
		first[names[1]]++
	}
	if first["a"] < 50 || first["b"] < 50 {
		t.Errorf("first of equals: %v", first)
	}
}

func TestNeverTalksToItself(t *testing.T) {
	r, w := wired(t, nil, map[string]mockdns.Zone{"hamburger.edu.": {A: []string{"192.0.2.1"}}})
	r.Self = func(a netip.AddrPort) bool { return a == netip.MustParseAddrPort("192.0.2.1:25") }
	r.Routes = []Route{{"static.example", NewHop(SMTP, "192.0.2.1", 25, "", "")}}
	check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu", "bob@static.example"), nil),
		"bounced hamburger.edu:25: 554 5.4.6 mail for hamburger.edu loops back to crepes.fr (ours)",
		"deferred 192.0.2.1:25: 451 4.4.6 192.0.2.1:25 is this server (ours)")
	if w.dials() != "" {
		t.Errorf("dialed %s", w.dials())
	}
	w.done(r)
}

func TestAddressesTried(t *testing.T) {
	zone := mockdns.Zone{}
	for range 20 {
		zone.A = append(zone.A, netip.AddrFrom4([4]byte{192, 0, 2, byte(len(zone.A) + 1)}).String())
	}
	r, w := wired(t, nil, map[string]mockdns.Zone{"hamburger.edu.": zone})
	r.Deliver(t.Context(), message(t, "bob@hamburger.edu"), nil)
	if got := len(strings.Fields(w.dials())); got != DefaultMaxAddresses {
		t.Errorf("tried %d addresses, want %d", got, DefaultMaxAddresses)
	}
	w.done(r)
}

func TestResolverAddress(t *testing.T) {
	srv, err := mockdns.NewServerWithLogger(map[string]mockdns.Zone{
		"hamburger.edu.": {MX: []net.MX{{Host: "mx.hamburger.edu.", Pref: 1}}},
		"null.edu.":      {MX: []net.MX{{Host: ".", Pref: 0}}},
		"broken.edu.":    {Err: errors.New("no")},
	}, log.New(io.Discard, "", 0), false)
	if err != nil {
		t.Fatal(err)
	}
	defer srv.Close()
	r := &Relay{Hostname: "crepes.fr", Resolver: lookup.NewServer(srv.LocalAddr().String())}
	hosts, _, _ := r.hosts(context.Background(), NewHop(MX, "hamburger.edu", 0, "", ""))
	if len(hosts) != 1 || hosts[0] != "mx.hamburger.edu" {
		t.Errorf("got %v", hosts)
	}
	for domain, code := range map[string]int{"null.edu": 556, "broken.edu": 451} {
		if _, _, res := r.hosts(context.Background(), NewHop(MX, domain, 0, "", "")); res == nil || res.Code != code {
			t.Errorf("%s: got %+v", domain, res)
		}
	}
	hosts, _, _ = r.hosts(context.Background(), NewHop(MX, "nowhere.edu", 0, "", ""))
	if len(hosts) != 1 {
		t.Errorf("got %v", hosts)
	}
	_, _, err = r.addresses(context.Background(), NewHop(MX, "nowhere.edu", 0, "", ""), "nowhere.edu")
	if !isNotFound(err) {
		t.Errorf("got %v", err)
	}
}

// mute is a resolver that never answers.
type mute struct{}

func (mute) LookupMX(ctx context.Context, _ string) ([]*net.MX, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func (mute) LookupIPAddr(ctx context.Context, _ string) ([]net.IPAddr, error) {
	<-ctx.Done()
	return nil, ctx.Err()
}

func TestMuteResolver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := &Relay{Hostname: "crepes.fr", Resolver: mute{}, Routes: []Route{{"static.example", NewHop(SMTP, "backend", 25, "", "")}}}
		start := time.Now()
		check(t, r.Deliver(t.Context(), message(t, "bob@hamburger.edu", "bob@static.example"), nil),
			"deferred hamburger.edu: 451 4.4.3 look up MX of hamburger.edu: timed out (ours)",
			"deferred backend:25: 451 4.4.3 look up backend: timed out (ours)")
		if got := time.Since(start); got != dnsTimeout {
			t.Errorf("took %v", got)
		}
		r.Close()
	})
}
