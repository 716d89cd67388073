package daemon

import (
	"context"
	"testing"
	"testing/synctest"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/mail"
)

// A deliverer that asks for a name in the middle of its attempt, as the message
// store does.
type asking struct {
	current *current
	begun   chan struct{}
	goOn    chan struct{}
	known   bool
}

func (a *asking) Deliver(context.Context, *mail.Message) []mail.Result {
	close(a.begun)
	<-a.goOn
	_, a.known = a.current.known("bob@hamburger.edu")
	return nil
}

func directoryOfBob(t *testing.T) *account.Directory {
	t.Helper()
	hash, err := account.Hash("pickles")
	if err != nil {
		t.Fatal(err)
	}
	dir, err := account.New(account.Config{
		Domains:  []account.Domain{{Name: "hamburger.edu"}},
		Accounts: []account.Account{{Name: "bob@hamburger.edu", Hash: hash}},
	}, nil, account.NewGuard(), nil)
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestTheLastGenerationServesAttemptsThatAreUnderWay(t *testing.T) {
	dir := directoryOfBob(t)
	synctest.Test(t, func(t *testing.T) {
		c := &current{}
		d := &asking{current: c, begun: make(chan struct{}), goOn: make(chan struct{})}
		closed := false
		c.replace(&generation{directory: dir, deliverer: d, close: func(context.Context) { closed = true }})
		done := make(chan struct{})
		go func() { defer close(done); c.Deliver(t.Context(), nil) }()
		<-d.begun
		ended := make(chan struct{})
		go func() { defer close(ended); c.end(t.Context()) }()
		synctest.Wait()
		if closed {
			t.Error("closed under an attempt")
		}
		close(d.goOn)
		<-done
		<-ended
		if !d.known || !closed {
			t.Errorf("bob is known: %t, closed: %t; want both", d.known, closed)
		}
	})
}

func TestAReloadWaitsForTheUsesOfTheOldGeneration(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := &current{}
		closed := 0
		old := &generation{close: func(context.Context) { closed++ }}
		c.replace(old)
		g := c.acquire()
		next := &generation{close: func(context.Context) { t.Error("the new one is closed") }}
		if before := c.replace(next); before != old {
			t.Fatal("replace returns another generation than the one before")
		}
		done := make(chan struct{})
		go func() { defer close(done); c.retire(t.Context(), old) }()
		synctest.Wait()
		if closed != 0 {
			t.Error("closed while it is used")
		}
		if c.acquire() != next {
			t.Error("the next use has the old generation")
		}
		c.release(next)
		c.release(g)
		<-done
		if closed != 1 {
			t.Errorf("closed %d times", closed)
		}
	})
}
