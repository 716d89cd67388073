package queue_test

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/spool"
)

const day = 24 * time.Hour

var ctx = context.Background()

// A bench is a queue over a spool, with a deliverer that the test decides for.
// All of it lives in one synctest bubble.
type bench struct {
	t     *testing.T
	dir   string
	q     *queue.Queue
	log   *bytes.Buffer
	start time.Time
	stop  func() // of Run; waits for it

	mu       sync.Mutex
	attempts []attempt
	decide   func(m *mail.Message, rcpt mail.Recipient, n int) mail.Result // n: which attempt of this message, from 1
	before   func(ctx context.Context, m *mail.Message)                    // may be nil; runs outside mu
	counts   map[mail.QueueID]int
}

// An attempt is one call of the deliverer.
type attempt struct {
	at      time.Duration // since the start
	id      mail.QueueID
	from    string
	to      []string
	body    mail.Body
	content string
}

// inBubble runs a test with fake time.
func inBubble(t *testing.T, f func(t *testing.T, b *bench)) {
	t.Helper()
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		b := &bench{t: t, dir: dir, start: time.Now(), log: &bytes.Buffer{}, counts: map[mail.QueueID]int{}}
		b.decide = func(*mail.Message, mail.Recipient, int) mail.Result { return delivered }
		b.open()
		defer func() {
			if b.stop != nil {
				b.stop()
			}
			b.q.Store.Close()
		}()
		f(t, b)
	})
}

// open makes a queue over the store in b.dir. It is not running.
func (b *bench) open() {
	b.t.Helper()
	log := slog.New(slog.NewTextHandler(&lockedWriter{w: b.log}, nil))
	store, err := spool.Open(b.dir, log)
	if err != nil {
		b.t.Fatal(err)
	}
	b.q = &queue.Queue{
		Store:     store,
		Deliverer: b,
		Hostname:  "crepes.fr",
		Log:       log,
		WarnAfter: 4 * time.Hour,
		Random:    func() float64 { return 0.5 }, // no jitter
	}
}

func (b *bench) run() {
	ctx, cancel := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		b.q.Run(ctx)
		close(done)
	}()
	b.stop = func() {
		cancel()
		<-done
		b.stop = nil
	}
	synctest.Wait()
}

// Deliver implements mail.Deliverer.
func (b *bench) Deliver(ctx context.Context, m *mail.Message) []mail.Result {
	if b.before != nil {
		b.before(ctx, m)
	}
	octets, err := mail.ReadAll(m.Content)
	if err != nil {
		b.t.Errorf("content of %s: %v", m.ID, err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.counts[m.ID]++
	a := attempt{at: time.Since(b.start), id: m.ID, from: m.Envelope.ReversePath.String(), body: m.Envelope.Body, content: string(octets)}
	var results []mail.Result
	for _, rcpt := range m.Envelope.Recipients {
		a.to = append(a.to, rcpt.Path.String())
		if m.Envelope.ReversePath.IsNull() {
			results = append(results, delivered)
		} else {
			results = append(results, b.decide(m, rcpt, b.counts[m.ID]))
		}
	}
	b.attempts = append(b.attempts, a)
	return results
}

var (
	delivered = mail.Result{Outcome: mail.Delivered, NextHop: "bob", Code: 250}
	relayed   = mail.Result{Outcome: mail.Relayed, NextHop: "mx.hamburger.edu:25", Code: 250, Enh: "2.0.0", Text: "ok", Peer: true}
	deferred  = mail.Result{Outcome: mail.Deferred, NextHop: "mx.hamburger.edu:25", Code: 451, Enh: "4.3.0", Text: "busy", Peer: true}
	bounced   = mail.Result{Outcome: mail.Bounced, NextHop: "mx.hamburger.edu:25", Code: 550, Enh: "5.1.1", Text: "no such user", Peer: true}
)

// always decides the same.
func always(r mail.Result) func(*mail.Message, mail.Recipient, int) mail.Result {
	return func(*mail.Message, mail.Recipient, int) mail.Result { return r }
}

func path(s string) mail.Path {
	p, err := mail.ParsePath(s)
	if err != nil {
		panic(err)
	}
	return p
}

const crepe = "Subject: crêpes\r\nMessage-ID: <1@crepes.fr>\r\n\r\nDo you like them?\r\n"

func transaction(from string, to ...string) *mail.Transaction {
	tx := &mail.Transaction{
		ID:       mail.NewQueueID(time.Now()),
		Received: time.Now(),
		Content:  mail.Bytes(crepe),
		Envelope: mail.Envelope{ReversePath: path(from)},
	}
	for _, rcpt := range to {
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{Path: path(rcpt), Original: path(rcpt)})
	}
	return tx
}

// beside is tx as it is queued together with root.
func beside(root mail.QueueID, tx *mail.Transaction) *mail.Transaction {
	tx.ID = mail.NewQueueIDBeside(tx.Received, root)
	return tx
}

func (b *bench) enqueue(tx *mail.Transaction) mail.QueueID {
	b.t.Helper()
	if err := b.q.Enqueue(ctx, tx); err != nil {
		b.t.Fatalf("enqueue: %v", err)
	}
	return tx.ID
}

// taken returns the attempts so far, of messages or of DSNs, and forgets all.
func (b *bench) taken() (messages, dsns []attempt) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, a := range b.attempts {
		if a.from == "" {
			dsns = append(dsns, a)
		} else {
			messages = append(messages, a)
		}
	}
	b.attempts = nil
	return messages, dsns
}

func (b *bench) stats() queue.Stats {
	b.t.Helper()
	synctest.Wait()
	s, err := b.q.Stats(ctx)
	if err != nil {
		b.t.Fatal(err)
	}
	s.Oldest = time.Time{}
	return s
}

func (b *bench) wantStats(want queue.Stats) {
	b.t.Helper()
	got := b.stats()
	got.Lanes = nil
	if !reflect.DeepEqual(got, want) {
		b.t.Errorf("stats are %+v, want %+v", got, want)
	}
}

func times(attempts []attempt) []time.Duration {
	var out []time.Duration
	for _, a := range attempts {
		out = append(out, a.at)
	}
	return out
}

// field is a field of a DSN's third part, or of any of its header sections.
func field(content, name string) string {
	for line := range strings.SplitSeq(content, "\r\n") {
		if value, ok := strings.CutPrefix(line, name+": "); ok {
			return value
		}
	}
	return ""
}

type lockedWriter struct {
	mu sync.Mutex
	w  *bytes.Buffer
}

func (w *lockedWriter) Write(p []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.w.Write(p)
}

func TestFirstAttemptIsAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		got, _ := b.taken()
		if len(got) != 1 || got[0].at != 0 || got[0].content != crepe || !slices.Equal(got[0].to, []string{"bob@hamburger.edu"}) {
			t.Errorf("attempts: %+v", got)
		}
		b.wantStats(queue.Stats{})
	})
}

func TestScheduleExpiryAndWarning(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.decide = always(deferred)
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(6 * day)
		got, dsns := b.taken()

		var want []time.Duration
		wait, at := time.Minute, time.Duration(0)
		for at < 5*day {
			want = append(want, at)
			at += wait
			wait = min(2*wait, 4*time.Hour)
		}
		want = append(want, 5*day) // the last attempt is when it expires
		if !slices.Equal(times(got), want) {
			t.Errorf("attempts at %v, want %v", times(got), want)
		}
		if len(dsns) != 2 {
			t.Fatalf("%d DSNs, want a warning and a failure", len(dsns))
		}
		warning, failure := dsns[0], dsns[1]
		if warning.at < 4*time.Hour || warning.at > 5*time.Hour || field(warning.content, "Action") != "delayed" {
			t.Errorf("the warning came after %v:\n%s", warning.at, warning.content)
		}
		if failure.at != 5*day || field(failure.content, "Action") != "failed" || field(failure.content, "Status") != "4.4.7" {
			t.Errorf("the failure came after %v:\n%s", failure.at, failure.content)
		}
		for _, d := range dsns {
			if !slices.Equal(d.to, []string{"alice@crepes.fr"}) {
				t.Errorf("a DSN went to %v", d.to)
			}
		}
		b.wantStats(queue.Stats{})
	})
}

func TestExpiryAfterTheServerWasDown(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.decide = always(deferred)
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(30 * day)
		b.run()
		got, dsns := b.taken()
		if len(got) != 1 || len(dsns) != 1 || field(dsns[0].content, "Action") != "failed" {
			t.Errorf("%d attempts and %d DSNs, want one last attempt and a failure", len(got), len(dsns))
		}
		b.wantStats(queue.Stats{})
	})
}

func TestRecipientsHaveTheirOwnOutcomes(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.decide = func(_ *mail.Message, rcpt mail.Recipient, n int) mail.Result {
			switch {
			case rcpt.Path.Local == "dave":
				return bounced
			case rcpt.Path.Local == "carol" && n < 3:
				return deferred
			}
			return relayed
		}
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu", "dave@hamburger.edu"))
		time.Sleep(10 * time.Minute)
		got, dsns := b.taken()
		if want := []time.Duration{0, time.Minute, 3 * time.Minute}; !slices.Equal(times(got), want) {
			t.Fatalf("attempts at %v, want %v", times(got), want)
		}
		for i, want := range []int{3, 1, 1} {
			if len(got[i].to) != want {
				t.Errorf("attempt %d was for %v, want %d recipients", i+1, got[i].to, want)
			}
		}
		if len(dsns) != 1 || !strings.Contains(dsns[0].content, "dave@") || strings.Contains(dsns[0].content, "carol@") {
			t.Errorf("DSNs: %+v", dsns)
		}
		b.wantStats(queue.Stats{})
	})
}

func TestNotifications(t *testing.T) {
	over := relayed
	over.DSN = true
	for _, tt := range []struct {
		name   string
		from   string
		notify mail.Notify
		result mail.Result
		after  time.Duration
		want   string // actions of the DSNs
	}{
		{"a failure is told", "alice@crepes.fr", 0, bounced, time.Second, "failed"},
		{"a failure is told where asked", "alice@crepes.fr", mail.NotifyFailure, bounced, time.Second, "failed"},
		{"a failure is not told where only success is asked", "alice@crepes.fr", mail.NotifySuccess, bounced, time.Second, ""},
		{"never means never", "alice@crepes.fr", mail.NotifyNever, bounced, time.Second, ""},
		{"never means never, of success", "alice@crepes.fr", mail.NotifyNever, delivered, time.Second, ""},
		{"never means never, of a delay", "alice@crepes.fr", mail.NotifyNever, deferred, day, ""},
		{"never means never, of expiry", "alice@crepes.fr", mail.NotifyNever, deferred, 6 * day, ""},
		{"a delay only where asked, of success", "alice@crepes.fr", mail.NotifyDelay, delivered, time.Second, ""},
		{"a delay only where asked, of failure", "alice@crepes.fr", mail.NotifyDelay, bounced, time.Second, ""},
		{"a failure only where asked, of success", "alice@crepes.fr", mail.NotifyFailure, delivered, time.Second, ""},
		{"success only where asked, of a delay", "alice@crepes.fr", mail.NotifySuccess, deferred, day, ""},
		{"success and failure, of a delay", "alice@crepes.fr", mail.NotifySuccess | mail.NotifyFailure, deferred, day, ""},
		{"success and failure, of both", "alice@crepes.fr", mail.NotifySuccess | mail.NotifyFailure, relayed, time.Second, "relayed"},
		{"failure and delay, of expiry", "alice@crepes.fr", mail.NotifyFailure | mail.NotifyDelay, deferred, 6 * day, "delayed failed"},
		{"all of it, of expiry", "alice@crepes.fr", mail.NotifySuccess | mail.NotifyFailure | mail.NotifyDelay, deferred, 6 * day, "delayed failed"},
		{"success of an alias", "alice@crepes.fr", mail.NotifySuccess, mail.Result{Outcome: mail.Expanded}, time.Second, "expanded"},
		{"an alias, unasked", "alice@crepes.fr", 0, mail.Result{Outcome: mail.Expanded}, time.Second, ""},
		{"a stage dropped it", "alice@crepes.fr", mail.NotifySuccess | mail.NotifyFailure, mail.Result{Outcome: mail.Discarded}, time.Second, ""},
		{"the null path hears nothing", "", mail.NotifyFailure | mail.NotifySuccess | mail.NotifyDelay, bounced, time.Second, ""},
		{"the null path hears nothing of expiry", "", 0, deferred, 6 * day, ""},
		{"success is not told unasked", "alice@crepes.fr", 0, delivered, time.Second, ""},
		{"success in a mailbox", "alice@crepes.fr", mail.NotifySuccess, delivered, time.Second, "delivered"},
		{"a next hop without DSN", "alice@crepes.fr", mail.NotifySuccess, relayed, time.Second, "relayed"},
		{"a next hop that takes it over", "alice@crepes.fr", mail.NotifySuccess, over, time.Second, ""},
		{"a delay is told", "alice@crepes.fr", 0, deferred, day, "delayed"},
		{"a delay is told where asked", "alice@crepes.fr", mail.NotifyDelay, deferred, day, "delayed"},
		{"a delay is not told where only failure is asked", "alice@crepes.fr", mail.NotifyFailure, deferred, day, ""},
		{"an unknown outcome is a delay", "alice@crepes.fr", 0, mail.Result{Outcome: "?"}, day, "delayed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.run()
				b.decide = always(tt.result)
				tx := transaction(tt.from, "bob@hamburger.edu")
				tx.Envelope.Recipients[0].Notify = tt.notify
				b.enqueueAsNull(tx, tt.result)
				time.Sleep(tt.after)
				_, dsns := b.taken()
				var got []string
				for _, d := range dsns {
					if action := field(d.content, "Action"); action != "" {
						got = append(got, action)
					}
				}
				if strings.Join(got, " ") != tt.want {
					t.Errorf("DSNs %q, want %q", got, tt.want)
				}
			})
		})
	}
}

// enqueueAsNull is enqueue for messages that may have the null reverse-path,
// which Deliver would take for a DSN.
func (b *bench) enqueueAsNull(tx *mail.Transaction, r mail.Result) {
	b.t.Helper()
	if tx.Envelope.ReversePath.IsNull() {
		b.q.Deliverer = deliverFunc(func(ctx context.Context, m *mail.Message) []mail.Result {
			b.Deliver(ctx, m)
			return []mail.Result{r}
		})
	}
	b.enqueue(tx)
}

type deliverFunc func(ctx context.Context, m *mail.Message) []mail.Result

func (f deliverFunc) Deliver(ctx context.Context, m *mail.Message) []mail.Result { return f(ctx, m) }

func TestRestartGoesOnWhereItWas(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.decide = func(_ *mail.Message, rcpt mail.Recipient, n int) mail.Result {
			if rcpt.Path.Local == "carol" && n < 3 {
				return deferred
			}
			return delivered
		}
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@hamburger.edu"))
		time.Sleep(90 * time.Second) // two attempts; the third is due at 3m
		b.restart()
		time.Sleep(time.Hour)
		got, _ := b.taken()
		if want := []time.Duration{0, time.Minute, 3 * time.Minute}; !slices.Equal(times(got), want) {
			t.Errorf("attempts at %v, want %v", times(got), want)
		}
		if to := got[2].to; !slices.Equal(to, []string{"carol@hamburger.edu"}) {
			t.Errorf("after the restart the attempt was for %v", to)
		}
		b.wantStats(queue.Stats{})
	})
}

// restart ends Run and the store, and begins both anew.
func (b *bench) restart() {
	b.t.Helper()
	b.stop()
	if err := b.q.Store.Close(); err != nil {
		b.t.Fatal(err)
	}
	b.open()
	b.run()
}

func TestMoreThanTheWindowIsWorkedOffFromTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Window, b.q.Concurrency = 3, 2
		release := make(chan struct{})
		b.before = func(context.Context, *mail.Message) { <-release }
		b.run()
		for range 300 {
			b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		}
		if s := b.stats(); s.Active > 3+2+102 || s.Waiting+s.Active != 300 {
			t.Errorf("stats with all attempts stuck: %+v", s)
		}
		close(release)
		got, _ := b.taken()
		if len(got) != 300 {
			t.Errorf("%d attempts, want 300", len(got))
		}
		b.wantStats(queue.Stats{})
	})
}

func TestLargeContentComesFromTheStore(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run()
		tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
		tx.Content = mail.Bytes("A: b\r\n\r\n" + strings.Repeat("0123456\r\n", 50_000))
		b.enqueue(tx)
		got, _ := b.taken()
		if len(got) != 1 || got[0].content != string(tx.Content.(mail.Bytes)) {
			t.Errorf("%d attempts, or another content", len(got))
		}
	})
}

func TestQuarantinedMailIsHeld(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run()
		tx := transaction("alice@crepes.fr", "bob@hamburger.edu")
		tx.Hold = "looks odd"
		b.enqueue(tx)
		time.Sleep(6 * day)
		if got, _ := b.taken(); len(got) != 0 {
			t.Errorf("%d attempts", len(got))
		}
		b.wantStats(queue.Stats{Held: 1})
		if n, err := b.operate(queue.Order{Do: queue.Release, Filter: queue.Filter{IDs: []mail.QueueID{tx.ID}}}); n != 1 || err != nil {
			t.Errorf("release: %d, %v", n, err)
		}
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts once it was released", len(got))
		}
		b.wantStats(queue.Stats{})
	})
}

func TestFateCanBeReadFromTheLog(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.run()
		b.decide = func(_ *mail.Message, _ mail.Recipient, n int) mail.Result {
			if n == 1 {
				return deferred
			}
			return relayed
		}
		id := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
		time.Sleep(time.Hour)
		b.stop()
		size := fmt.Sprintf("size=%d", len(crepe))
		for _, want := range [][]string{
			{"msg=queued", "reverse_path=alice@crepes.fr", "rcpt=bob@hamburger.edu", size},
			{"msg=deferred", "reverse_path=alice@crepes.fr", "rcpt=bob@hamburger.edu", size, "delay=0s", "next_hop=mx.hamburger.edu:25", `reply="451 4.3.0 busy"`, "next_try="},
			{"msg=relayed", "reverse_path=alice@crepes.fr", "rcpt=bob@hamburger.edu", size, "delay=1m0s", "next_hop=mx.hamburger.edu:25", `reply="250 2.0.0 ok"`},
		} {
			if !slices.ContainsFunc(strings.Split(b.log.String(), "\n"), func(line string) bool {
				return !slices.ContainsFunc(append(want, "queue_id="+string(id)), func(s string) bool { return !strings.Contains(line, s) })
			}) {
				t.Errorf("no line has all of %q:\n%s", want, b.log)
			}
		}
	})
}
