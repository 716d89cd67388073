package queue_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var postmaster = mail.Path{Local: "postmaster", Domain: "crepes.fr"}

// deliverAll has b's deliverer ask decide about DSNs too.
func (b *bench) deliverAll(decide func(rcpt mail.Path) mail.Result) {
	b.q.Deliverer = deliverFunc(func(ctx context.Context, m *mail.Message) []mail.Result {
		b.Deliver(ctx, m)
		var out []mail.Result
		for _, rcpt := range m.Envelope.Recipients {
			out = append(out, decide(rcpt.Path))
		}
		return out
	})
}

func failing(names ...string) func(mail.Path) mail.Result {
	return func(p mail.Path) mail.Result {
		if slices.Contains(names, p.Local) {
			return bounced
		}
		return delivered
	}
}

// TestDoubleBounce follows a message whose recipient, then whose sender, then
// whose postmaster cannot be reached.
func TestDoubleBounce(t *testing.T) {
	for _, tt := range []struct {
		name       string
		from       string
		notify     mail.Notify
		sentBy     string
		postmaster mail.Path
		fails      []string
		went       string // whom the attempts were for, in their order
		held       string // why; empty: nothing is left
	}{
		{"to the postmaster", "alice@crepes.fr", 0, "", postmaster, []string{"bob", "alice"}, "bob alice postmaster", ""},
		{"one for the postmaster that cannot be delivered", "alice@crepes.fr", 0, "", postmaster, []string{"bob", "alice", "postmaster"}, "bob alice postmaster",
			"it is for the postmaster and cannot be delivered; postmaster@crepes.fr: 550 5.1.1 no such user"},
		{"no postmaster", "alice@crepes.fr", 0, "", mail.Path{}, []string{"bob", "alice"}, "bob alice",
			"there is no postmaster to return it to; alice@crepes.fr: 550 5.1.1 no such user"},
		{"from a postmaster who cannot be reached", "postmaster@crepes.fr", 0, "", postmaster, []string{"bob", "postmaster"}, "bob postmaster postmaster",
			"it is for the postmaster and cannot be delivered; postmaster@crepes.fr: 550 5.1.1 no such user"},
		{"the null reverse-path of a client", "", 0, "", postmaster, []string{"bob"}, "bob postmaster", ""},
		{"the null reverse-path, never to be told", "", mail.NotifyNever, "", postmaster, []string{"bob"}, "bob", ""},
		{"the null reverse-path of a plugin", "", 0, "vacation", postmaster, []string{"bob"}, "bob", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.q.Postmaster = tt.postmaster
				b.deliverAll(failing(tt.fails...))
				b.run()
				tx := transaction(tt.from, "bob@hamburger.edu")
				tx.Envelope.Recipients[0].Notify, tx.SentBy = tt.notify, tt.sentBy
				b.enqueue(tx)
				time.Sleep(30 * day)
				messages, dsns := b.taken()
				var went []string
				for _, a := range append(messages, dsns...) {
					for _, to := range a.to {
						name, _, _ := strings.Cut(to, "@")
						went = append(went, name)
					}
				}
				if got := strings.Join(went, " "); got != tt.went {
					t.Errorf("attempts for %q, want %q", got, tt.went)
				}
				entries, err := b.q.List(ctx, queue.Filter{}, "", 10)
				if err != nil {
					t.Fatal(err)
				}
				held := ""
				for _, e := range entries {
					held += e.Held
				}
				if held != tt.held {
					t.Errorf("held: %q, want %q", held, tt.held)
				}
			})
		})
	}
}

// TestDoubleBounceHasEverything holds that the postmaster gets the only copy
// there is.
func TestDoubleBounceHasEverything(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Postmaster = postmaster
		b.deliverAll(failing("bob", "alice"))
		b.run()
		tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
		const original = "Subject: pancakes\r\n\r\nthin ones\r\n"
		tx.Content = mail.Bytes(original)
		b.enqueue(tx)
		_, dsns := b.taken()
		if len(dsns) != 2 {
			t.Fatalf("%d DSNs", len(dsns))
		}
		last := dsns[1].content
		for _, want := range []string{"To: <postmaster@crepes.fr>", "alice@crepes.fr", "bob@hamburger.edu", original} {
			if !strings.Contains(last, want) {
				t.Errorf("it lacks %q:\n%s", want, last)
			}
		}
	})
}

// TestHeldDoubleBounceIsTriedAgain: an operator may repair the postmaster's
// mailbox and release what was held.
func TestHeldDoubleBounceIsTriedAgain(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Postmaster = postmaster
		var broken atomic.Bool
		broken.Store(true)
		b.deliverAll(func(p mail.Path) mail.Result {
			if p.Local == "postmaster" && !broken.Load() {
				return delivered
			}
			return bounced
		})
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(10 * day)
		b.wantStats(queue.Stats{Held: 1})
		for _, want := range []queue.Stats{{Held: 1}, {}} {
			if c, err := b.q.Operate(ctx, queue.Order{Do: queue.Release, Who: "alice"}); c.Changed != 1 || err != nil {
				t.Fatalf("released %+v, %v", c, err)
			}
			time.Sleep(time.Minute)
			b.wantStats(want)
			broken.Store(false)
		}
	})
}

// answerLost is a store that does what Conclude asks and then says that it
// could not.
type answerLost struct {
	queue.Store
	times atomic.Int32 // to do it, from now on
	lost  atomic.Int32
}

func (s *answerLost) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	err := s.Store.Conclude(ctx, e, more)
	if err == nil && s.times.Add(-1) >= 0 {
		s.lost.Add(1)
		for _, d := range more {
			d.Entry.Lease = queue.Lease{}
		}
		return errIO
	}
	return err
}

// TestLostAnswerDoublesNoDSN: what is asked again has been done, and is not done
// again.
func TestLostAnswerDoublesNoDSN(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := &answerLost{Store: b.q.Store}
		s.times.Store(1)
		b.q.Store = s
		b.decide = always(bounced)
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(time.Hour)
		messages, dsns := b.taken()
		if len(messages) != 1 || len(dsns) != 1 || s.lost.Load() != 1 {
			t.Errorf("%d attempts, %d DSNs, %d lost answers", len(messages), len(dsns), s.lost.Load())
		}
		b.wantStats(queue.Stats{})
		if log := b.log.String(); strings.Contains(log, "lease lost") || strings.Count(log, "dsn=failed") != 1 {
			t.Errorf("log:\n%s", log)
		}
	})
}

// TestStoppedWhileTheStoreFails: neither the entry nor its DSN is lost or there
// twice.
func TestStoppedWhileTheStoreFails(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		s := b.faulty()
		b.decide = func(*mail.Message, mail.Recipient, int) mail.Result {
			fail(&s.put, errIO)
			return bounced
		}
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(time.Minute)
		b.stop()
		fail(&s.put, nil)
		if err := b.q.Store.(*faulty).Store.Close(); err != nil {
			t.Fatal(err)
		}
		b.open()
		b.decide = always(bounced)
		b.run()
		time.Sleep(time.Hour)
		messages, dsns := b.taken()
		if len(messages) != 2 || len(dsns) != 1 {
			t.Errorf("%d attempts and %d DSNs", len(messages), len(dsns))
		}
		b.wantStats(queue.Stats{})
	})
}

// TestWarningsOfAMailing: a sender of a thousand messages to a next hop that is
// down is not told a thousand times, unless it asked.
func TestWarningsOfAMailing(t *testing.T) {
	for _, tt := range []struct {
		notify mail.Notify
		want   int
	}{{0, 20}, {mail.NotifyDelay, 50}} {
		inBubble(t, func(t *testing.T, b *bench) {
			b.decide = always(deferred)
			b.run()
			for i := range 50 {
				tx := transaction("alice@crepes.fr", fmt.Sprintf("u%d@hamburger.edu", i))
				tx.Envelope.Recipients[0].Notify = tt.notify
				b.enqueue(tx)
			}
			b.enqueue(transaction("carol@crepes.fr", "bob@hamburger.edu"))
			time.Sleep(day)
			_, dsns := b.taken()
			told := map[string]int{}
			for _, d := range dsns {
				told[d.to[0]]++
			}
			if told["alice@crepes.fr"] != tt.want || told["carol@crepes.fr"] != 1 {
				t.Errorf("NOTIFY=%s: warnings %v, want %d", tt.notify, told, tt.want)
			}
		})
	}
}

// TestNoticeIsBeside holds that an entry and its DSN can be stored in one step.
func TestNoticeIsBeside(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.decide = always(bounced)
		b.run()
		for range 20 {
			b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
			messages, dsns := b.taken()
			if len(messages) != 1 || len(dsns) != 1 || messages[0].id.Shard() != dsns[0].id.Shard() {
				t.Fatalf("%+v and %+v", messages, dsns)
			}
		}
	})
}

// TestNoticeIsUnderTheSameTLS holds RFC 8689 §5.
func TestNoticeIsUnderTheSameTLS(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		got := map[string]bool{}
		b.q.Deliverer = deliverFunc(func(_ context.Context, m *mail.Message) []mail.Result {
			to := m.Envelope.Recipients[0].Path.Local
			got[to] = m.Envelope.RequireTLS
			return []mail.Result{failing("bob", "dave")(m.Envelope.Recipients[0].Path)}
		})
		b.run()
		tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
		tx.Envelope.RequireTLS = true
		b.enqueue(tx)
		b.enqueue(transaction("carol@crepes.fr", "dave@hamburger.edu"))
		synctest.Wait()
		if len(got) != 4 || !got["alice"] || got["carol"] {
			t.Errorf("required for %v", got)
		}
	})
}
