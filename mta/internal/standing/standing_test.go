package standing

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/kv"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var ctx = context.Background()

var _ queue.Standing = (*Orders)(nil)

var noon = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)

func memory() KV { return kv.NewMemory(kv.Options{}).Space(Space) }

// node returns the orders of one node on a store.
func node(t *testing.T, shared, own KV) *Orders {
	t.Helper()
	o := &Orders{KV: shared, Copy: own, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return noon }}
	if err := o.Load(ctx); err != nil {
		t.Fatal(err)
	}
	return o
}

func path(t *testing.T, s string) mail.Path {
	t.Helper()
	p, err := mail.ParsePath(s)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

func addRule(t *testing.T, o *Orders, r Rule) {
	t.Helper()
	if _, err := o.AddRule(ctx, r); err != nil {
		t.Fatal(err)
	}
}

func suppress(t *testing.T, o *Orders, s Suppression) {
	t.Helper()
	if _, err := o.Suppress(ctx, s); err != nil {
		t.Fatal(err)
	}
}

func TestRulesHoldWhatTheyFit(t *testing.T) {
	o := node(t, memory(), nil)
	addRule(t, o, Rule{Name: "lawyer", Domain: "example.org", Reason: "wait for the lawyer"})
	addRule(t, o, Rule{Name: "alice", From: "alice@*", To: "*@pizza.it"})
	addRule(t, o, Rule{Name: "bounces", From: "<>", Domain: "*.fr"})
	for _, tt := range []struct{ from, to, want string }{
		{"erin@crepes.fr", "bob@example.org", "hold rule lawyer: wait for the lawyer"},
		{"erin@crepes.fr", "bob@EXAMPLE.org", "hold rule lawyer: wait for the lawyer"},
		{"erin@crepes.fr", "bob@mx.example.org", ""},
		{"alice@crepes.fr", "bob@pizza.it", "hold rule alice:"},
		{"alice@crepes.fr", "bob@hamburger.edu", ""},
		{"alice@crepes.fr", "bob@example.org", "hold rule lawyer: wait for the lawyer"},
		{"", "bob@crepes.fr", "hold rule bounces:"},
		{"", "bob@hamburger.edu", ""},
	} {
		if got := o.Hold(path(t, tt.from), path(t, tt.to)); got != tt.want {
			t.Errorf("from %q to %q: %q, want %q", tt.from, tt.to, got, tt.want)
		}
	}
	if r, err := o.RemoveRule(ctx, "lawyer"); err != nil || r.Domain != "example.org" {
		t.Errorf("remove: %+v, %v", r, err)
	}
	if got := o.Hold(path(t, ""), path(t, "bob@example.org")); got != "" {
		t.Errorf("a rule that is gone: %q", got)
	}
	if _, err := o.RemoveRule(ctx, "lawyer"); !errors.Is(err, ErrNotFound) {
		t.Errorf("remove again: %v", err)
	}
}

func TestSuppressions(t *testing.T) {
	o := node(t, memory(), nil)
	suppress(t, o, Suppression{Address: "Bob@example.org", Reason: "asked to"})
	suppress(t, o, Suppression{Address: "pizza.it", Reason: "closed"})
	suppress(t, o, Suppression{Address: "soon@hamburger.edu", Reason: "for an hour", Until: noon.Add(time.Hour)})
	want := map[string]string{
		"bob@example.org": "asked to", "BOB@Example.Org": "asked to", "carol@example.org": "",
		"anyone@pizza.it": "closed", "anyone@mx.pizza.it": "", "soon@hamburger.edu": "for an hour", "pizza.it@crepes.fr": "",
	}
	for address, why := range want {
		if got := o.Suppressed(path(t, address)); got != why {
			t.Errorf("%s: %q, want %q", address, got, why)
		}
	}
	o.Now = func() time.Time { return noon.Add(time.Hour) }
	if got := o.Suppressed(path(t, "soon@hamburger.edu")); got != "" {
		t.Errorf("one that is over: %q", got)
	}
	if list := o.Suppressions(); len(list) != 2 || list[0].Address != "Bob@example.org" || list[1].Address != "pizza.it" {
		t.Errorf("list: %+v", list)
	}
	suppress(t, o, Suppression{Address: "bob@EXAMPLE.ORG", Reason: "again"})
	if got := o.Suppressed(path(t, "bob@example.org")); got != "again" || len(o.Suppressions()) != 2 {
		t.Errorf("one that was replaced: %q", got)
	}
	if _, err := o.Allow(ctx, "BOB@example.org"); err != nil || o.Suppressed(path(t, "bob@example.org")) != "" {
		t.Errorf("allow: %v", err)
	}
	if _, err := o.Allow(ctx, "bob@example.org"); !errors.Is(err, ErrNotFound) {
		t.Errorf("allow again: %v", err)
	}
	if c := o.Counts(); c.Refused != 5 {
		t.Errorf("counted %+v", c)
	}
}

func TestBadOrdersAreRefused(t *testing.T) {
	o := node(t, memory(), nil)
	for _, r := range []Rule{
		{Name: "", Domain: "example.org"}, {Name: "A", Domain: "example.org"}, {Name: "a b", Domain: "example.org"}, {Name: "a"},
		{Name: "a", Domain: "example.org", Reason: "a\nb"}, {Name: "a", To: strings.Repeat("x", 400)}, {Name: "a", To: "x", Reason: strings.Repeat("x", 201)},
	} {
		if _, err := o.AddRule(ctx, r); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", r, err)
		}
	}
	for _, s := range []Suppression{
		{}, {Address: "@example.org"}, {Address: "bob@"}, {Address: "a b"}, {Address: "exa mple.org"}, {Address: "bob@example.org\r\n"},
		{Address: "bob@example.org", Until: noon}, {Address: "bob@example.org", Reason: "\x1b[31m"},
	} {
		if _, err := o.Suppress(ctx, s); !errors.Is(err, ErrInvalid) {
			t.Errorf("%+v: %v", s, err)
		}
	}
	for i := range maxRules {
		addRule(t, o, Rule{Name: fmt.Sprint("r", i), Domain: "example.org"})
	}
	if _, err := o.AddRule(ctx, Rule{Name: "more", Domain: "example.org"}); !errors.Is(err, ErrFull) {
		t.Errorf("one more: %v", err)
	}
	if _, err := o.AddRule(ctx, Rule{Name: "r1", Domain: "example.org"}); !errors.Is(err, ErrExists) {
		t.Errorf("the same again: %v", err)
	}
}

// TestOrdersOutliveACrash holds that an order is in the file once the call
// returned; a copy of the file at that moment stands for a crash.
func TestOrdersOutliveACrash(t *testing.T) {
	dir := t.TempDir()
	open := func(name string) (*kv.Store, *Orders) {
		s, err := kv.Open(filepath.Join(dir, name), kv.Options{})
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { s.Close() })
		o := node(t, s.Space(Space), nil)
		o.Sync = s.Flush
		return s, o
	}
	_, o := open("kv.bolt")
	addRule(t, o, Rule{Name: "lawyer", Domain: "example.org"})
	suppress(t, o, Suppression{Address: "pizza.it", Reason: "closed"})
	octets, err := os.ReadFile(filepath.Join(dir, "kv.bolt"))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "copy.bolt"), octets, 0o600); err != nil {
		t.Fatal(err)
	}
	_, o = open("copy.bolt")
	if o.Hold(mail.Path{}, path(t, "bob@example.org")) == "" || o.Suppressed(path(t, "bob@pizza.it")) == "" {
		t.Errorf("rules %v, suppressions %v", o.Rules(), o.Suppressions())
	}
}

func TestOtherNodesFollowWithinSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		shared := memory()
		a, b := node(t, shared, nil), node(t, shared, nil)
		b.Now = nil
		running, stop := context.WithCancel(ctx)
		var wg sync.WaitGroup
		wg.Go(func() { b.Run(running) })
		addRule(t, a, Rule{Name: "lawyer", Domain: "example.org"})
		suppress(t, a, Suppression{Address: "pizza.it", Reason: "closed"})
		time.Sleep(refreshEvery)
		synctest.Wait()
		if b.Hold(mail.Path{}, path(t, "bob@example.org")) == "" || b.Suppressed(path(t, "bob@pizza.it")) == "" {
			t.Error("it does not know")
		}
		stop()
		wg.Wait()
	})
}

func TestNodesDoNotLoseEachOthersOrders(t *testing.T) {
	shared := memory()
	var wg sync.WaitGroup
	for n := range 8 {
		o := node(t, shared, nil)
		wg.Go(func() {
			for i := range 10 {
				if _, err := o.AddRule(ctx, Rule{Name: fmt.Sprintf("r%d-%d", n, i), Domain: "example.org"}); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := len(node(t, shared, nil).Rules()); got != 80 {
		t.Errorf("%d rules, want 80", got)
	}
}

// failing is a store that can be away, and emptied.
type failing struct {
	KV
	away atomic.Bool
}

var errAway = errors.New("connection refused")

func (f *failing) Get(ctx context.Context, key string) ([]byte, error) {
	if f.away.Load() {
		return nil, errAway
	}
	return f.KV.Get(ctx, key)
}

func TestAStartWithoutTheStoreGoesByTheCopy(t *testing.T) {
	shared, own := &failing{KV: memory()}, memory()
	addRule(t, node(t, shared, own), Rule{Name: "lawyer", Domain: "example.org"})
	shared.away.Store(true)
	o := node(t, shared, own)
	if o.Hold(mail.Path{}, path(t, "bob@example.org")) == "" {
		t.Error("the rule is not in force")
	}
	if _, err := o.AddRule(ctx, Rule{Name: "more", Domain: "pizza.it"}); !errors.Is(err, errAway) {
		t.Errorf("a rule that cannot be kept: %v", err)
	}
	shared.away.Store(false)
	other := node(t, shared, memory())
	addRule(t, other, Rule{Name: "more", Domain: "pizza.it"})
	if err := o.refresh(ctx); err != nil || o.Hold(mail.Path{}, path(t, "bob@pizza.it")) == "" {
		t.Errorf("once it is back: %v", err)
	}
}

func TestOrdersThatTheStoreLostArePutBack(t *testing.T) {
	for _, restarted := range []bool{false, true} {
		t.Run(fmt.Sprintf("restarted=%v", restarted), func(t *testing.T) {
			shared, own := &failing{KV: memory()}, memory()
			o := node(t, shared, own)
			addRule(t, o, Rule{Name: "lawyer", Domain: "example.org"})
			suppress(t, o, Suppression{Address: "pizza.it", Reason: "closed"})
			shared.KV = memory() // FLUSHALL
			fresh := node(t, shared, memory())
			addRule(t, fresh, Rule{Name: "first", Domain: "crepes.fr"})
			var log bytes.Buffer
			if restarted {
				o = node(t, shared, own)
			} else {
				o.Log = slog.New(slog.NewTextHandler(&log, nil))
				if err := o.refresh(ctx); err != nil {
					t.Fatal(err)
				}
				if !strings.Contains(log.String(), "standing orders were lost") {
					t.Errorf("not logged: %s", &log)
				}
			}
			if err := fresh.refresh(ctx); err != nil {
				t.Fatal(err)
			}
			for _, n := range []*Orders{o, fresh} {
				for _, domain := range []string{"example.org", "crepes.fr"} {
					if n.Hold(mail.Path{}, mail.Path{Local: "bob", Domain: domain}) == "" {
						t.Errorf("no rule about %s", domain)
					}
				}
				if n.Suppressed(path(t, "bob@pizza.it")) == "" {
					t.Error("the suppression is gone")
				}
			}
		})
	}
}

func TestManySuppressionsAreQuickToAsk(t *testing.T) {
	o := node(t, memory(), nil)
	for i := range 2000 {
		suppress(t, o, Suppression{Address: fmt.Sprintf("user%d@example.org", i), Reason: "hard bounce"})
	}
	p := path(t, "user1999@example.org")
	if n := testing.AllocsPerRun(100, func() { o.Suppressed(p) }); n > 8 {
		t.Errorf("%v allocations", n)
	}
	if got := o.Counts(); got.Suppressed != 2000 {
		t.Errorf("%+v", got)
	}
}

// An operator need not say why.
func TestSuppressedWithoutAReason(t *testing.T) {
	o := node(t, memory(), nil)
	suppress(t, o, Suppression{Address: "pizza.it"})
	if got := o.Suppressed(path(t, "carol@pizza.it")); got != unreasoned {
		t.Errorf("got %q", got)
	}
}
