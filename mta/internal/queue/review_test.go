package queue_test

import (
	"context"
	"errors"
	"io"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// hooks are what a test decides.
type hooks struct {
	review func(tx *mail.Transaction) (mail.Verdict, error) // nil: nobody reviews
	notice func(tx *mail.Transaction) mail.Verdict          // nil: it goes
	asked  []mail.QueueID                                   // those that were reviewed
}

func (h *hooks) Reviews() bool { return h.review != nil }

func (h *hooks) Review(_ context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	h.asked = append(h.asked, tx.ID)
	return h.review(tx)
}

func (h *hooks) Notice(_ context.Context, tx *mail.Transaction) mail.Verdict {
	if h.notice == nil {
		return mail.Continue
	}
	return h.notice(tx)
}

// restartWith is restart with hooks.
func (b *bench) restartWith(h *hooks) {
	b.t.Helper()
	b.stop()
	if err := b.q.Store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
	b.q.Hooks = h
	b.run()
}

var busy = &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 3, 0}, Text: "Local error"}

// edits leaves what a stage may leave.
func edits(tx *mail.Transaction) (mail.Verdict, error) {
	old, err := mail.ReadAll(tx.Content)
	if err != nil {
		return 0, err
	}
	tx.Content = mail.Bytes("X-Reviewed: yes\r\n" + string(old))
	tx.Envelope.Recipients[0].Path = path("carol@hamburger.edu")
	tx.QueuedNotes = map[string]string{"score": "7"}
	return mail.Accept, nil
}

func TestReviewedOnceAndBeforeTheFirstAttempt(t *testing.T) {
	for name, size := range map[string]int{"small": 0, "large": 300 << 10} {
		t.Run(name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				h := &hooks{review: edits}
				b.q.Hooks = h
				b.decide = func(m *mail.Message, _ mail.Recipient, n int) mail.Result {
					if m.Notes["score"] != "7" {
						t.Errorf("attempt %d has the notes %v", n, m.Notes)
					}
					if n < 3 {
						return deferred
					}
					return delivered
				}
				b.run()
				tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
				content := crepe + strings.Repeat("x", size)
				tx.Content = mail.Bytes(content)
				b.enqueue(tx)
				time.Sleep(90 * time.Second)
				b.restartWith(h) // what the stages left is on the disk
				time.Sleep(time.Hour)
				got, _ := b.taken()
				if len(got) != 3 || len(h.asked) != 1 {
					t.Fatalf("%d attempts, %d reviews", len(got), len(h.asked))
				}
				for _, a := range got {
					if a.content != "X-Reviewed: yes\r\n"+content || !slices.Equal(a.to, []string{"carol@hamburger.edu"}) {
						t.Errorf("attempted for %v: %.60q", a.to, a.content)
					}
				}
				b.wantStats(queue.Stats{})
			})
		})
	}
}

func TestVerdictsOfAReview(t *testing.T) {
	refuse := func(i, code int) func(*mail.Transaction) (mail.Verdict, error) {
		return func(tx *mail.Transaction) (mail.Verdict, error) {
			tx.Envelope.Recipients[i].Refused = &mail.Refusal{Code: code, Enh: "4.7.1", Text: "not for bob"}
			return mail.Accept, nil
		}
	}
	says := func(v mail.Verdict, err error) func(*mail.Transaction) (mail.Verdict, error) {
		return func(tx *mail.Transaction) (mail.Verdict, error) {
			if v == mail.Quarantine {
				tx.Hold = "odd"
			}
			tx.Content = mail.Bytes("changed")
			return v, err
		}
	}
	for _, tt := range []struct {
		name     string
		review   func(*mail.Transaction) (mail.Verdict, error)
		attempts int
		stats    queue.Stats
		dsn      string // its Status field; empty: none
		log      string
	}{
		{"reject returns it", says(mail.Reject, &smtp.Reply{Code: 550, Enh: smtp.Enh{5, 7, 1}, Text: "no"}), 0, queue.Stats{}, "5.7.1", "msg=bounced"},
		{"defer tries again", says(mail.Defer, busy), 0, queue.Stats{Waiting: 1}, "", "msg=deferred"},
		{"discard drops it", says(mail.Discard, nil), 0, queue.Stats{}, "", "msg=discarded"},
		{"quarantine holds it", says(mail.Quarantine, nil), 0, queue.Stats{Held: 1}, "", "reason=odd"},
		{"one refused for now defers all", refuse(0, 450), 0, queue.Stats{Waiting: 1}, "", `reply="450 4.7.1 not for bob"`},
		{"one refused for good is the deliverer's to return", refuse(1, 550), 1, queue.Stats{}, "", "msg=delivered"},
		{"an answer that is none defers", says(mail.Disconnect, errors.New("odd")), 0, queue.Stats{Waiting: 1}, "", "err=odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.q.Hooks = &hooks{review: tt.review}
				b.run()
				id := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu"))
				got, dsns := b.taken()
				if len(got) != tt.attempts {
					t.Errorf("attempts: %+v", got)
				}
				b.wantStats(tt.stats)
				status := ""
				if len(dsns) == 1 {
					status = field(dsns[0].content, "Status")
				}
				if status != tt.dsn || len(dsns) > 1 {
					t.Errorf("%d DSNs, with the status %q", len(dsns), status)
				}
				if !strings.Contains(b.log.String(), tt.log) {
					t.Errorf("the log lacks %q:\n%s", tt.log, b.log)
				}
				if tt.stats.Held == 1 {
					c, err := b.q.Content(ctx, id)
					if octets, _ := mail.ReadAll(c); err != nil || string(octets) != "changed" {
						t.Errorf("held is %q, %v", octets, err)
					}
				}
			})
		})
	}
}

// TestAReviewThatKeepsFailing holds that a message whose stage never succeeds is
// tried by the schedule and returned in the end, as any other.
func TestAReviewThatKeepsFailing(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		h := &hooks{review: func(*mail.Transaction) (mail.Verdict, error) { return mail.Defer, busy }}
		b.q.Hooks = h
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(6 * day)
		got, dsns := b.taken()
		if len(got) != 0 || len(dsns) != 2 { // a warning and the end
			t.Errorf("%d attempts, %d DSNs", len(got), len(dsns))
		}
		if n := len(h.asked); n < 10 || n > 60 {
			t.Errorf("it was asked %d times in five days", n)
		}
		b.wantStats(queue.Stats{})
	})
}

func TestPartsOfAReviewAreQueuedAndNotReviewed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		h := &hooks{review: func(tx *mail.Transaction) (mail.Verdict, error) {
			variant := tx.Fork()
			variant = beside(tx.ID, variant)
			variant.Envelope.Recipients = []mail.Recipient{{Path: path("carol@hamburger.edu")}}
			answer := beside(tx.ID, transaction("bob@hamburger.edu", "alice@crepes.fr"))
			answer.SentBy = "vacation"
			tx.More = []*mail.Transaction{variant, answer}
			return mail.Discard, nil
		}}
		b.q.Hooks = h
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		got, _ := b.taken()
		var to []string
		for _, a := range got {
			to = append(to, a.to...)
		}
		slices.Sort(to)
		if !slices.Equal(to, []string{"alice@crepes.fr", "carol@hamburger.edu"}) || len(h.asked) != 1 {
			t.Errorf("attempted for %v, reviewed %v", to, h.asked)
		}
		b.wantStats(queue.Stats{})
	})
}

// TestWhoIsNotReviewed holds that a stage which comes with a reload is not asked
// about what is under way, nor ever about DSNs.
func TestWhoIsNotReviewed(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		h := &hooks{}
		b.q.Hooks = h
		b.decide = func(_ *mail.Message, _ mail.Recipient, n int) mail.Result {
			if n == 1 {
				return deferred
			}
			return bounced
		}
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		b.taken()
		h.review = edits
		b.restartWith(h)
		time.Sleep(time.Hour)
		if got, dsns := b.taken(); len(got) != 1 || len(dsns) != 1 || len(h.asked) != 0 {
			t.Errorf("%d attempts, %d DSNs, %d reviews", len(got), len(dsns), len(h.asked))
		}
	})
}

// TestAFullDiskDefersAReview holds that nothing of a review is used if it could
// not be stored.
func TestAFullDiskDefersAReview(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		f := b.faulty()
		h := &hooks{review: edits}
		b.q.Hooks = h
		fail(&f.replace, os.ErrPermission)
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		if got, _ := b.taken(); len(got) != 0 {
			t.Errorf("attempts: %+v", got)
		}
		b.wantStats(queue.Stats{Waiting: 1})
		fail(&f.replace, nil)
		time.Sleep(2 * time.Minute)
		got, _ := b.taken()
		if len(got) != 1 || strings.Count(got[0].content, "X-Reviewed") != 1 || len(h.asked) != 2 {
			t.Errorf("%d reviews, attempts: %+v", len(h.asked), got)
		}
	})
}

func TestRetryAt(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		start := time.Now()
		b.decide = func(m *mail.Message, rcpt mail.Recipient, n int) mail.Result {
			if n > 1 && (rcpt.Last == nil || rcpt.Last.Text != "busy") || m.Attempts != n-1 {
				t.Errorf("attempt %d at %s: %d before, the last is %+v", n, rcpt.Path, m.Attempts, rcpt.Last)
			}
			r := deferred
			if rcpt.Path.Local == "bob" {
				r.RetryAt = start.Add(3 * time.Hour)
			}
			if time.Since(start) > 2*time.Hour {
				return delivered
			}
			return r
		}
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu"))
		time.Sleep(5 * time.Hour)
		got, _ := b.taken()
		var bob []time.Duration
		for _, a := range got {
			if slices.Contains(a.to, "bob@hamburger.edu") {
				bob = append(bob, a.at)
			}
		}
		if !slices.Equal(bob, []time.Duration{0, 3 * time.Hour}) || len(got) < 7 {
			t.Errorf("%d attempts, bob's at %v", len(got), bob)
		}
		b.wantStats(queue.Stats{})
	})
}

func TestRetryAtBeyondTheEndIsTheEnd(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		later := deferred
		later.RetryAt = time.Now().Add(30 * day)
		b.decide = always(later)
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(6 * day)
		got, dsns := b.taken()
		if at := times(got); !slices.Equal(at, []time.Duration{0, 5 * day}) || len(dsns) != 2 {
			t.Errorf("attempts at %v, %d DSNs, want two, and a warning and a failure", at, len(dsns))
		}
	})
}

func TestADelivererHoldsNotesAndSends(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		held := deferred
		held.Hold = "look at it"
		b.decide = func(_ *mail.Message, rcpt mail.Recipient, _ int) mail.Result {
			switch rcpt.Path.Local {
			case "bob":
				return held
			}
			return delivered
		}
		b.before = func(_ context.Context, m *mail.Message) {
			if m.Envelope.Recipients[0].Path.Local == "bob" {
				m.Notes = map[string]string{"seen": "yes"}
				answer := beside(m.ID, transaction("bob@hamburger.edu", "alice@crepes.fr"))
				answer.SentBy = "vacation"
				m.Sends = append(m.Sends, answer)
			}
		}
		b.run()
		id := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu"))
		got, _ := b.taken()
		if len(got) != 2 || !slices.Equal(got[1].to, []string{"alice@crepes.fr"}) {
			t.Errorf("attempts: %+v", got)
		}
		e, err := b.q.Show(ctx, id)
		if err != nil || e.Held != "look at it" || !maps.Equal(e.Notes, map[string]string{"seen": "yes"}) || len(e.Envelope.Recipients) != 1 {
			t.Errorf("got %+v, %v", e, err)
		}
	})
}

func TestNotice(t *testing.T) {
	for _, tt := range []struct {
		name   string
		notice func(*mail.Transaction) mail.Verdict
		dsns   int
		stats  queue.Stats
		log    string
	}{
		{"edited", func(tx *mail.Transaction) mail.Verdict {
			r, err := tx.Content.Open()
			if err != nil {
				panic(err)
			}
			defer r.Close()
			octets, _ := io.ReadAll(r)
			tx.Content = mail.Bytes("X-Help: http://hamburger.edu\r\n" + string(octets))
			return mail.Continue
		}, 1, queue.Stats{}, "dsn=failed"},
		{"discarded", func(*mail.Transaction) mail.Verdict { return mail.Discard }, 0, queue.Stats{}, "msg=discarded"},
		{"held", func(tx *mail.Transaction) mail.Verdict {
			tx.Hold = "odd"
			return mail.Quarantine
		}, 0, queue.Stats{Held: 1}, "held=odd"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.q.Hooks = &hooks{notice: func(tx *mail.Transaction) mail.Verdict {
					if !tx.Envelope.ReversePath.IsNull() || tx.Envelope.Recipients[0].Path != path("alice@crepes.fr") || tx.QueuedNotes["a"] != "b" {
						t.Errorf("asked about %+v", tx)
					}
					return tt.notice(tx)
				}}
				b.decide = always(bounced)
				b.run()
				tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
				tx.QueuedNotes = map[string]string{"a": "b"}
				b.enqueue(tx)
				_, dsns := b.taken()
				if len(dsns) != tt.dsns || len(dsns) == 1 && field(dsns[0].content, "X-Help") == "" {
					t.Errorf("DSNs: %+v", dsns)
				}
				b.wantStats(tt.stats)
				if !strings.Contains(b.log.String(), tt.log) {
					t.Errorf("the log lacks %q:\n%s", tt.log, b.log)
				}
			})
		})
	}
}
