package queue_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var errRefused = errors.New("the value is too large")

// picky is a store that refuses to write one entry down, and to hold it unless it
// may.
type picky struct {
	queue.Store
	id   mail.QueueID
	hold bool
}

func (s *picky) Update(ctx context.Context, e *queue.Entry) error {
	if e.ID == s.id && (e.Held == "" || !s.hold) {
		return errRefused
	}
	return s.Store.Update(ctx, e)
}

func (s *picky) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	if e.ID == s.id {
		return errRefused
	}
	return s.Store.Conclude(ctx, e, more)
}

func (s *picky) Remove(ctx context.Context, e *queue.Entry) error {
	if e.ID == s.id {
		return errRefused
	}
	return s.Store.Remove(ctx, e)
}

// A store that is away refuses nothing: it is waited for, however long.
func TestAwayIsNotRefused(t *testing.T) {
	for _, why := range []error{queue.ErrAway, syscall.ENOSPC} {
		inWorld(t, func(t *testing.T, w *world) {
			s := &faulty{Store: w.store}
			w.q.Store = s
			w.behave("odd.example", func(context.Context) mail.Result { return strained })
			fail(&s.update, fmt.Errorf("update: %w", why))
			w.run()
			id := w.enqueue("bob@odd.example")
			for range 24 {
				time.Sleep(time.Hour)
				w.enqueue("carol@other.example") // its removal is taken
			}
			s.update.Store(nil)
			time.Sleep(time.Minute)
			if e, err := w.store.Get(ctx, id); err != nil || e.Held != "" || e.Attempts == 0 {
				t.Errorf("%v: got %+v, %v", why, e, err)
			}
		})
	}
}

// An entry that the store refuses to write down is held or set aside: it is not
// attempted again, nor does it keep a place at its next hop.
func TestRefusedByTheStore(t *testing.T) {
	tests := []struct {
		name    string
		hop     hop
		hold    bool
		state   queue.State
		outcome string
	}{
		{"to be tried again", func(context.Context) mail.Result { return strained }, true, queue.Held, "too large"},
		{"done with", takes(0), true, queue.Held, "may be done with"},
		{"to be reported", func(context.Context) mail.Result {
			return mail.Result{Outcome: mail.Bounced, Code: 550, Enh: "5.1.1", Text: "no such user", Peer: true}
		}, true, queue.Held, "may be done with"},
		{"not even held", takes(0), false, queue.Active, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(t *testing.T, w *world) {
				w.q.Concurrency = 1
				s := &picky{Store: w.store, hold: tt.hold}
				w.q.Store = s
				w.behave("odd.example", tt.hop)
				tx := transaction("alice@crepes.fr", "bob@odd.example")
				s.id = tx.ID
				w.run()
				if err := w.q.Enqueue(ctx, tx); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Hour)
				if e, err := w.store.Get(ctx, tx.ID); err != nil || e.Held != "" {
					t.Errorf("while nothing else is written: %+v, %v", e, err)
				}
				w.enqueue("carol@other.example", "dave@other.example")
				w.enqueue("carol@other.example")
				time.Sleep(3 * 24 * time.Hour)
				e, err := w.store.Get(ctx, tx.ID)
				if err != nil || e.State(time.Now()) != tt.state || !strings.Contains(e.Held, tt.outcome) {
					t.Errorf("got %+v, %v", e, err)
				}
				if n := len(w.times(w.calls, "odd.example")); n != 1 {
					t.Errorf("%d attempts, want 1", n)
				}
				if n := len(w.times(w.got, "other.example")); n != 2 {
					t.Errorf("the only place: %d others went on, want 2", n)
				}
			})
		})
	}
}
