package account

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// try logs in and returns how long that took.
func try(d *Directory, login, password string, from netip.Addr) (time.Duration, error) {
	begin := time.Now()
	_, err := d.Authenticate(context.Background(), login, password, from)
	return time.Since(begin), err
}

func at(last byte) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, last}) }

func TestGuessingAnAccountGetsSlower(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory(t, hamburger(), nil)
		var got []time.Duration
		for i := range 9 {
			took, err := try(d, "alice", "wrong", at(byte(i))) // another client each time
			if !errors.Is(err, ErrBadCredentials) {
				t.Fatal(err)
			}
			got = append(got, took.Round(10*time.Millisecond))
		}
		want := []time.Duration{0, 0, 0, 500 * time.Millisecond}
		for i, w := range want {
			if got[i] != w {
				t.Errorf("attempt %d took %v, want %v (%v)", i+1, got[i], w, got)
			}
		}
		if last := got[len(got)-1]; last != maxAccountDelay {
			t.Errorf("the last attempt took %v, want %v", last, maxAccountDelay)
		}
		if took, err := try(d, "alice", "ketchup", at(99)); err != nil || took != maxAccountDelay {
			t.Errorf("her own attempt: %v, %v", took, err)
		}
		if took, err := try(d, "bob", "mustard", at(99)); err != nil || took != 0 {
			t.Errorf("another account: %v, %v", took, err)
		}
		time.Sleep(5 * halfLife)
		if took, err := try(d, "alice", "ketchup", at(99)); err != nil || took != 0 {
			t.Errorf("much later: %v, %v", took, err)
		}
	})
}

func TestGuessingFromAnAddressIsRefusedInTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory(t, hamburger(), nil)
		refused := 0
		for i := 0; refused == 0; i++ {
			_, err := try(d, fmt.Sprintf("nobody%d@hamburger.edu", i), "wrong", client)
			if errors.Is(err, ErrTooMany) {
				refused = i
			} else if !errors.Is(err, ErrBadCredentials) {
				t.Fatal(err)
			}
			if i > 10*refusedFailures {
				t.Fatal("it is never refused")
			}
		}
		if refused < refusedFailures {
			t.Errorf("refused after %d attempts", refused)
		}
		if _, err := try(d, "alice", "ketchup", client); !errors.Is(err, ErrTooMany) {
			t.Errorf("with the right password: %v", err)
		}
		if took, err := try(d, "alice", "ketchup", at(99)); err != nil || took != 0 {
			t.Errorf("from elsewhere: %v, %v", took, err)
		}
		time.Sleep(5 * halfLife)
		if _, err := try(d, "alice", "ketchup", client); err != nil {
			t.Errorf("much later: %v", err)
		}
	})
}

func TestManyAttemptsAtOnceAreNotCheaper(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory(t, hamburger(), nil)
		for i := range freePerAddress {
			try(d, fmt.Sprintf("nobody%d", i), "wrong", client)
		}
		var wg sync.WaitGroup
		errs := make([]error, 50)
		for i := range errs {
			wg.Go(func() { _, errs[i] = try(d, fmt.Sprintf("someone%d", i), "wrong", client) })
		}
		wg.Wait()
		asked := 0
		for _, err := range errs {
			if errors.Is(err, ErrBadCredentials) {
				asked++
			}
		}
		if asked != maxWaiting {
			t.Errorf("%d of 50 attempts were looked at, want %d", asked, maxWaiting)
		}
	})
}

func TestADelayEndsWithItsContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory(t, hamburger(), nil)
		for i := range 10 {
			try(d, "alice", "wrong", at(byte(i)))
		}
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_, err := d.Authenticate(ctx, "alice", "ketchup", at(99))
		var temporary interface{ Temporary() bool }
		if !errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &temporary) || !temporary.Temporary() {
			t.Errorf("got %v", err)
		}
	})
}

func TestAPasswordThatWasRightIsKnownForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := directory(t, hamburger(), nil)
		a := d.accounts["alice@hamburger.edu"]
		if d.guard.wasRight(a, "ketchup") {
			t.Error("known before the first login")
		}
		try(d, "alice", "wrong", client)
		try(d, "alice", "ketchup", client)
		if !d.guard.wasRight(a, "ketchup") || d.guard.wasRight(a, "wrong") || d.guard.wasRight(a, "") {
			t.Error("after it was right")
		}
		other := a
		other.Hash = cheapHash("ketchup") + "x"
		if d.guard.wasRight(other, "ketchup") {
			t.Error("known with another hash")
		}
		other = a
		other.Name = "bob@hamburger.edu"
		if d.guard.wasRight(other, "ketchup") {
			t.Error("known for another account")
		}
		time.Sleep(verifiedFor)
		if d.guard.wasRight(a, "ketchup") {
			t.Error("known for too long")
		}
	})
}

func TestFailuresAreLoggedWithoutThePassword(t *testing.T) {
	var b bytes.Buffer
	d, err := New(hamburger(), nil, newGuard(), slog.New(slog.NewTextHandler(&b, nil)))
	if err != nil {
		t.Fatal(err)
	}
	try(d, "alice@hamburger.edu", "secret1", client)
	try(d, "nobody\n\xff@hamburger.edu", "secret2", client)
	try(d, "alice@hamburger.edu", "ketchup", client)
	for _, want := range []string{
		`level=WARN msg="login failed" account=alice@hamburger.edu client=192.0.2.1 reason="wrong password"`,
		`reason="no such account"`,
	} {
		if !strings.Contains(b.String(), want) {
			t.Errorf("no %q in\n%s", want, b.String())
		}
	}
	if strings.Contains(b.String(), "secret") || strings.Contains(b.String(), "ketchup") || strings.Count(b.String(), "\n") != 2 {
		t.Errorf("log:\n%s", b.String())
	}
}

func TestMemoryIsBounded(t *testing.T) {
	g := newGuard()
	for i := range 3 * trackedAddresses {
		addr := netip.AddrFrom4([4]byte{10, byte(i >> 16), byte(i >> 8), byte(i)})
		a, _, ok := g.begin(fmt.Sprint(i), addr)
		if !ok {
			t.Fatal(i)
		}
		a.end(true)
	}
	if a, b := g.accounts.order.Len(), g.addresses.order.Len(); a != trackedAccounts || b != trackedAddresses {
		t.Errorf("%d accounts and %d addresses are kept", a, b)
	}
	if len(g.accounts.byKey) != trackedAccounts {
		t.Errorf("%d keys are kept", len(g.accounts.byKey))
	}
}

func TestAddressKey(t *testing.T) {
	for in, want := range map[string]string{
		"192.0.2.1":         "192.0.2.1/32",
		"::ffff:192.0.2.1":  "192.0.2.1/32",
		"2001:db8:1:2:3::4": "2001:db8:1:2::/64",
		"fe80::1%eth0":      "fe80::/64",
	} {
		if got := addressKey(netip.MustParseAddr(in)).String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
	if addressKey(netip.Addr{}).IsValid() {
		t.Error("the zero address has a key")
	}
}

func TestHashesAreComputedInTurn(t *testing.T) {
	d := directory(t, hamburger(), nil)
	for range cap(d.guard.slots) {
		d.guard.slots <- struct{}{}
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := d.guard.verify(ctx, cheap, "ketchup"); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	<-d.guard.slots
	if ok, err := d.guard.verify(context.Background(), cheap, "ketchup"); !ok || err != nil {
		t.Errorf("got %v, %v", ok, err)
	}
}
