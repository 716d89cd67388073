package queue_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"testing/iotest"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A faulty store fails where the test says.
type faulty struct {
	queue.Store
	put, replace, update, claim, content atomic.Pointer[error]
	hides, keeps                         atomic.Bool // nothing is ever due; it leases nothing for its first attempt
}

func fail(p *atomic.Pointer[error], err error) { p.Store(&err) }

func fault(p *atomic.Pointer[error]) error {
	if err := p.Load(); err != nil {
		return *err
	}
	return nil
}

func (s *faulty) Put(ctx context.Context, e *queue.Entry, c mail.Content, until time.Time) error {
	if err := fault(&s.put); err != nil {
		return err
	}
	if s.keeps.Load() {
		until = time.Time{}
	}
	return s.Store.Put(ctx, e, c, until)
}

func (s *faulty) PutAll(ctx context.Context, deposits []queue.Deposit) error {
	if err := fault(&s.put); err != nil {
		return err
	}
	return s.Store.PutAll(ctx, deposits)
}

func (s *faulty) Replace(ctx context.Context, e *queue.Entry, c mail.Content, more []queue.Deposit) error {
	if err := fault(&s.replace); err != nil {
		return err
	}
	return s.Store.Replace(ctx, e, c, more)
}

func (s *faulty) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	if err := fault(&s.put); err != nil && len(more) > 0 {
		return err
	}
	return s.Store.Conclude(ctx, e, more)
}

func (s *faulty) Update(ctx context.Context, e *queue.Entry) error {
	if err := fault(&s.update); err != nil {
		return err
	}
	return s.Store.Update(ctx, e)
}

func (s *faulty) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) ([]*queue.Entry, error) {
	if err := fault(&s.claim); err != nil {
		return nil, err
	}
	if s.hides.Load() {
		return nil, nil
	}
	return s.Store.Claim(ctx, now, until, max, pick)
}

func (s *faulty) NextDue(ctx context.Context, now time.Time) (time.Time, bool, error) {
	if s.hides.Load() {
		return time.Time{}, false, nil
	}
	return s.Store.NextDue(ctx, now)
}

func (s *faulty) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	if err := fault(&s.content); err != nil {
		return nil, err
	}
	return s.Store.Content(ctx, id)
}

var errIO = errors.New("input/output error")

func (b *bench) faulty() *faulty {
	s := &faulty{Store: b.q.Store}
	b.q.Store = s
	return s
}

func TestFullDiskIs452AndThenGoesOn(t *testing.T) {
	for _, tt := range []struct {
		name string
		err  error
		code int
	}{
		{"full", syscall.ENOSPC, 452},
		{"over quota", syscall.EDQUOT, 452},
		{"read-only", syscall.EROFS, 452},
		{"broken", errIO, 451},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				s := b.faulty()
				b.q.Window = 1
				b.run()
				fail(&s.put, tt.err)
				err := b.q.Enqueue(ctx, transaction("alice@crepes.fr", "bob@hamburger.edu"))
				if got := smtp.ReplyTo(err).Code; err == nil || got != tt.code {
					t.Errorf("enqueue: %v is answered %d, want %d", err, got, tt.code)
				}
				fail(&s.put, nil)
				s.hides.Store(true) // its place in the window must not be lost
				b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
				if got, _ := b.taken(); len(got) != 1 {
					t.Errorf("%d attempts", len(got))
				}
			})
		})
	}
}

func TestNobodyToSendTo(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		if err := b.q.Enqueue(ctx, transaction("alice@crepes.fr")); smtp.ReplyTo(err).Code != 554 {
			t.Errorf("got %v", err)
		}
	})
}

func TestBounceThatCannotBeStoredIsNotLost(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.faulty()
		b.run()
		b.decide = func(_ *mail.Message, rcpt mail.Recipient, _ int) mail.Result {
			fail(&s.put, syscall.ENOSPC)
			if rcpt.Path.Local == "bob" {
				return bounced
			}
			return delivered
		}
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu"))
		if _, dsns := b.taken(); len(dsns) != 0 {
			t.Fatalf("%d DSNs", len(dsns))
		}
		b.wantStats(queue.Stats{Waiting: 1})
		b.mu.Lock()
		b.decide = always(bounced)
		b.mu.Unlock()
		fail(&s.put, nil)
		time.Sleep(time.Hour)
		got, dsns := b.taken()
		if len(got) != 1 || !slices.Equal(got[0].to, []string{"bob@hamburger.edu"}) || len(dsns) != 1 {
			t.Errorf("then %d attempts and %d DSNs", len(got), len(dsns))
		}
		b.wantStats(queue.Stats{})
	})
}

func TestStoreThatCannotBeUpdatedDoesNotRepeatTheAttempt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.faulty()
		b.run()
		b.decide = func(_ *mail.Message, rcpt mail.Recipient, n int) mail.Result {
			if rcpt.Path.Local == "bob" && n == 1 {
				return deferred
			}
			return delivered
		}
		fail(&s.update, errIO)
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu"))
		time.Sleep(20 * time.Minute) // well beyond its lease
		fail(&s.update, nil)
		time.Sleep(20 * time.Minute)
		got, _ := b.taken()
		if len(got) != 2 || !slices.Equal(got[1].to, []string{"bob@hamburger.edu"}) {
			t.Errorf("attempts: %+v", got)
		}
		b.wantStats(queue.Stats{})
	})
}

func TestStoreThatCannotBeClaimedFromRecovers(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.faulty()
		b.q.Window = -1
		fail(&s.claim, errIO)
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(time.Minute)
		fail(&s.claim, nil)
		time.Sleep(10 * time.Second)
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts", len(got))
		}
	})
}

func TestUnreadableContentIsHeldInTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.faulty()
		b.q.Window = -1
		b.run()
		fail(&s.content, errIO)
		id := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(6 * day)
		if got, dsns := b.taken(); len(got)+len(dsns) != 0 {
			t.Errorf("%d attempts and %d DSNs", len(got), len(dsns))
		}
		b.wantStats(queue.Stats{Held: 1})
		e, err := b.q.Show(ctx, id)
		if err != nil || !strings.Contains(e.Held, errIO.Error()) || len(e.Envelope.Recipients) != 1 {
			t.Errorf("entry %+v, %v", e, err)
		}
	})
}

// halfContent ends with an error after some octets.
type halfContent struct{ err error }

func (c halfContent) Size() int64 { return 100 }
func (c halfContent) Open() (io.ReadCloser, error) {
	return io.NopCloser(io.MultiReader(strings.NewReader(crepe), iotest.ErrReader(c.err))), nil
}

type halfStore struct {
	queue.Store
	err error
}

func (s *halfStore) Content(context.Context, mail.QueueID) (mail.Content, error) {
	return halfContent{s.err}, nil
}

// Content that cannot be read to its end is our failure: the message is held, and
// those who had it all the same are done. While the store is away, nothing is said
// about it.
func TestContentThatEndsEarlyIsHeldInTheEnd(t *testing.T) {
	for name, tt := range map[string]struct {
		err  error
		want queue.Stats
	}{
		"damaged":   {errIO, queue.Stats{Held: 1}},
		"away":      {fmt.Errorf("read: %w", queue.ErrAway), queue.Stats{Waiting: 1}},
		"read once": {io.EOF, queue.Stats{}},
	} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.q.Store = &halfStore{b.q.Store, tt.err}
				b.q.Window = -1
				b.q.Deliverer = deliverFunc(func(_ context.Context, m *mail.Message) []mail.Result {
					results := make([]mail.Result, len(m.Envelope.Recipients))
					for i, rcpt := range m.Envelope.Recipients {
						if _, err := mail.ReadAll(m.Content); err != nil && rcpt.Path.Local != "quick" {
							results[i] = mail.Result{Outcome: mail.Deferred, Err: err}
						} else {
							results[i] = delivered
						}
					}
					return results
				})
				b.run()
				id := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "quick@hamburger.edu"))
				time.Sleep(3 * time.Hour)
				b.wantStats(tt.want)
				if tt.want.Held == 0 {
					return
				}
				e, err := b.q.Show(ctx, id)
				if err != nil || !strings.Contains(e.Held, errIO.Error()+", 3 times in a row") || len(e.Envelope.Recipients) != 1 {
					t.Errorf("entry %+v, %v", e, err)
				}
			})
		})
	}
}

func TestPanicIsContainedAndHeldInTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Concurrency = 1
		var poison mail.QueueID
		var tries int
		b.before = func(_ context.Context, m *mail.Message) {
			if m.ID == poison {
				tries++
				panic("poison")
			}
		}
		b.run()
		tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
		poison = tx.ID
		b.enqueue(tx)
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(6 * day)
		if got, dsns := b.taken(); len(got) != 1 || len(dsns) != 0 || tries != 3 {
			t.Errorf("%d attempts at the other message, %d at the poison, %d DSNs", len(got), tries, len(dsns))
		}
		b.wantStats(queue.Stats{Held: 1})
	})
}

func TestTooFewResultsAreDeferred(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		var calls int
		b.q.Deliverer = deliverFunc(func(context.Context, *mail.Message) []mail.Result {
			calls++
			return nil
		})
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(90 * time.Second)
		b.wantStats(queue.Stats{Waiting: 1})
		if calls != 2 {
			t.Errorf("%d attempts", calls)
		}
	})
}

func TestStopWaitsForAttemptsInFlight(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.before = func(context.Context, *mail.Message) { time.Sleep(10 * time.Second) }
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		synctest.Wait()
		b.stop()
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts", len(got))
		}
		b.wantStats(queue.Stats{})
	})
}

func TestStopCutsOffWhatTakesTooLong(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Concurrency = 2
		b.q.Deliverer = deliverFunc(func(ctx context.Context, m *mail.Message) []mail.Result {
			<-ctx.Done()
			return []mail.Result{{Outcome: mail.Deferred, Err: ctx.Err()}}
		})
		b.run()
		for range 20 {
			b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		}
		synctest.Wait()
		start := time.Now()
		b.stop()
		if took := time.Since(start); took != queue.DefaultGrace {
			t.Errorf("it took %v, want the grace of %v", took, queue.DefaultGrace)
		}
		b.wantStats(queue.Stats{Waiting: 20}) // all leases are given back
		entries, err := b.q.List(ctx, queue.Filter{}, "", 100)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			if e.Attempts != 0 {
				t.Errorf("being cut off counts as an attempt: %+v", e)
			}
		}
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu")) // accepted still, and waits
		b.wantStats(queue.Stats{Waiting: 21})
		b.q.Deliverer = b
		b.run()
		if got, _ := b.taken(); len(got) != 21 {
			t.Errorf("%d attempts once it runs again", len(got))
		}
	})
}

func TestLongAttemptKeepsItsLease(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.before = func(context.Context, *mail.Message) { time.Sleep(30 * time.Minute) }
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(2 * time.Hour)
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts, want one", len(got))
		}
		b.wantStats(queue.Stats{})
	})
}

func TestHangingAttemptIsCutOff(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Deliverer = deliverFunc(func(ctx context.Context, m *mail.Message) []mail.Result {
			<-ctx.Done()
			return nil
		})
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(61 * time.Minute)
		e, err := b.q.List(ctx, queue.Filter{}, "", 1)
		if err != nil || len(e) != 1 || e[0].Attempts != 1 {
			t.Errorf("after an hour: %+v, %v", e, err)
		}
	})
}

// TestDSNOfUnreadableContent: what is returned cannot be read any more when the
// message fails; the sender is told all the same.
func TestDSNOfUnreadableContent(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.decide = always(bounced)
		b.run()
		tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
		once := &onceContent{Content: tx.Content}
		tx.Content = once
		b.q.Store = &contentOf{b.q.Store, once, tx.ID}
		tx.Content = &large{once}
		b.enqueue(tx)
		_, dsns := b.taken()
		if len(dsns) != 1 || !strings.Contains(dsns[0].content, "no longer be read") {
			t.Errorf("DSNs: %+v", dsns)
		}
	})
}

// onceContent can be opened twice: by the store and by the attempt.
type onceContent struct {
	mail.Content
	opened int
}

func (c *onceContent) Open() (io.ReadCloser, error) {
	if c.opened++; c.opened > 1 {
		return nil, errIO
	}
	return c.Content.Open()
}

// large says that it is too large for memory.
type large struct{ mail.Content }

func (c *large) Size() int64 { return 1 << 20 }

// contentOf is a store that takes anything and has one content.
type contentOf struct {
	queue.Store
	content mail.Content
	id      mail.QueueID
}

func (s *contentOf) Put(ctx context.Context, e *queue.Entry, c mail.Content, until time.Time) error {
	if e.ID == s.id {
		c = mail.Bytes(crepe)
	}
	return s.Store.Put(ctx, e, c, until)
}

func (s *contentOf) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	if id == s.id {
		return s.content, nil
	}
	return s.Store.Content(ctx, id)
}

func TestWhatTheStoreKeepsBackIsNotAttempted(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.faulty()
		b.q.Window = 1
		b.run()
		s.hides.Store(true)
		s.keeps.Store(true)
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		if got, _ := b.taken(); len(got) != 0 {
			t.Errorf("%d attempts at what is kept back", len(got))
		}
		s.keeps.Store(false) // its place in the window must not be lost
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts, want one at the second message", len(got))
		}
		s.hides.Store(false)
		time.Sleep(2 * time.Minute)
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts, want one once the first may be claimed", len(got))
		}
	})
}
