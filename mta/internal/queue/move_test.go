package queue_test

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// cut is a store that fails at the n-th call that changes something.
type cut struct {
	queue.Store
	left *int
}

var errCut = errors.New("cut off")

func (c cut) step() error {
	if *c.left--; *c.left < 0 {
		return errCut
	}
	return nil
}

func (c cut) Put(ctx context.Context, e *queue.Entry, content mail.Content, until time.Time) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Store.Put(ctx, e, content, until)
}

func (c cut) Remove(ctx context.Context, e *queue.Entry) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Store.Remove(ctx, e)
}

func (c cut) Extend(ctx context.Context, id mail.QueueID, token uint64, until time.Time) error {
	if err := c.step(); err != nil {
		return err
	}
	return c.Store.Extend(ctx, id, token, until)
}

func (c cut) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (*queue.Entry, error) {
	if err := c.step(); err != nil {
		return nil, err
	}
	return c.Store.Take(ctx, id, now, until)
}

// toMove are entries in each state.
func toMove(t *testing.T, s queue.Store) (ids []mail.QueueID) {
	t.Helper()
	now := time.Now()
	for i := range 5 {
		e := &queue.Entry{ID: mail.NewQueueID(now), Received: now, Due: now.Add(-time.Second), Size: 5, Attempts: i}
		e.Envelope.Recipients = []mail.Recipient{{Path: mail.Path{Local: fmt.Sprint("bob", i), Domain: "hamburger.edu"}}}
		if i == 1 {
			e.Held = "wait"
		}
		if err := s.Put(t.Context(), e, mail.Bytes("hello"), time.Time{}); err != nil {
			t.Fatal(err)
		}
		ids = append(ids, e.ID)
	}
	return ids
}

// Wherever a Move is cut off, the next one ends it, and nothing is lost or there
// twice, or attempted in both stores.
func TestMoveCutOffAnywhere(t *testing.T) {
	for n := 0; ; n++ {
		from, to := newMemory(), newMemory()
		ids := toMove(t, from)
		left := n
		_, err := queue.Move(t.Context(), cut{from, &left}, cut{to, &left}, nil)
		if err != nil && !errors.Is(err, errCut) {
			t.Fatalf("cut off at call %d: %v", n, err)
		}
		now := time.Now()
		there, cerr := to.Claim(t.Context(), now, now.Add(time.Second), 10, nil)
		if cerr != nil {
			t.Fatal(cerr)
		}
		for _, e := range there {
			if _, err := from.Get(t.Context(), e.ID); err == nil {
				t.Errorf("cut off at call %d: %s can be attempted in both", n, e.ID)
			}
			if err := to.Extend(t.Context(), e.ID, e.Lease.Token, time.Time{}); err != nil {
				t.Fatal(err)
			}
		}
		from.reopened()
		if _, err := queue.Move(t.Context(), from, to, nil); err != nil {
			t.Fatalf("again after call %d: %v", n, err)
		}
		to.reopened()
		for i, id := range ids {
			e, err := to.Get(t.Context(), id)
			if err != nil {
				t.Fatalf("cut off at call %d: %s: %v", n, id, err)
			}
			if e.Attempts != i || (e.Held != "") != (i == 1) {
				t.Errorf("cut off at call %d: it is not as it was: %+v", n, e)
			}
			if _, err := from.Get(t.Context(), id); !errors.Is(err, queue.ErrNotFound) {
				t.Errorf("cut off at call %d: %s is there still: %v", n, id, err)
			}
		}
		if now := time.Now(); len(ids) > 0 {
			if all, err := to.Claim(t.Context(), now, now.Add(time.Second), 10, nil); err != nil || len(all) != len(ids)-1 {
				t.Errorf("cut off at call %d: %d can be attempted, %v", n, len(all), err)
			}
		}
		if err == nil {
			return
		}
	}
}

// What is being attempted stays.
func TestMoveLeavesWhatIsActive(t *testing.T) {
	from, to := newMemory(), newMemory()
	ids := toMove(t, from)
	now := time.Now()
	if _, err := from.Take(t.Context(), ids[0], now, now.Add(time.Minute)); err != nil {
		t.Fatal(err)
	}
	m, err := queue.Move(t.Context(), from, to, nil)
	if want := (queue.Moved{Entries: 4, Octets: 20, Active: 1}); err != nil || m != want {
		t.Errorf("got %+v, %v", m, err)
	}
}
