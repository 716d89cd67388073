package queue_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// orders are standing orders by domain.
type orders struct {
	hold     map[string]string
	suppress sync.Map
}

func (o *orders) Hold(_, rcpt mail.Path) string { return o.hold[rcpt.Domain] }

func (o *orders) Suppressed(rcpt mail.Path) string {
	why, _ := o.suppress.Load(rcpt.Domain)
	text, _ := why.(string)
	return text
}

// queued tells who is in the queue, by why they are held; empty for those that
// are not.
func (b *bench) queued() map[string][]string {
	b.t.Helper()
	all, err := b.q.List(ctx, queue.Filter{}, "", 100)
	if err != nil {
		b.t.Fatal(err)
	}
	found := map[string][]string{}
	for _, e := range all {
		for _, rcpt := range e.Envelope.Recipients {
			found[e.Held] = append(found[e.Held], rcpt.Path.String())
		}
		slices.Sort(found[e.Held])
	}
	return found
}

func TestAHoldRuleKeepsNobodyElseWaiting(t *testing.T) {
	tests := []struct {
		name  string
		hold  map[string]string
		want  map[string][]string
		first string // why the part with the queue ID of the transaction is held
	}{
		{"nobody", map[string]string{"pizza.it": "r"}, map[string][]string{"": {"bob@hamburger.edu", "carol@example.org", "dave@example.net"}}, ""},
		{"one of them", map[string]string{"example.org": "r"}, map[string][]string{"": {"bob@hamburger.edu", "dave@example.net"}, "r": {"carol@example.org"}}, ""},
		{"the first", map[string]string{"hamburger.edu": "r"}, map[string][]string{"": {"carol@example.org", "dave@example.net"}, "r": {"bob@hamburger.edu"}}, ""},
		{"by two rules", map[string]string{"example.org": "r", "hamburger.edu": "s"}, map[string][]string{"": {"dave@example.net"}, "r": {"carol@example.org"}, "s": {"bob@hamburger.edu"}}, ""},
		{"all", map[string]string{"example.org": "r", "hamburger.edu": "r", "example.net": "r"}, map[string][]string{"r": {"bob@hamburger.edu", "carol@example.org", "dave@example.net"}}, "r"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			inBubble(t, func(t *testing.T, b *bench) {
				b.q.Standing = &orders{hold: test.hold}
				tx := transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@example.org", "dave@example.net")
				before := *tx
				id := b.enqueue(tx)
				if diff := cmp.Diff(test.want, b.queued()); diff != "" {
					t.Errorf("(-want +got):\n%s", diff)
				}
				if e, err := b.q.Show(ctx, id); err != nil || e.Held != test.first {
					t.Errorf("the first part: %+v, %v", e, err)
				}
				if diff := cmp.Diff(before.Envelope, tx.Envelope); diff != "" || len(tx.More) != 0 || tx.Hold != "" {
					t.Errorf("the caller's transaction was changed:\n%s", diff)
				}
				all, _ := b.q.List(ctx, queue.Filter{}, "", 100)
				for _, e := range all {
					if e.ID.Shard() != id.Shard() {
						t.Errorf("%s is in another shard than %s", e.ID, id)
					}
				}
			})
		})
	}
}

func TestWhatARuleHoldsIsReleasedByHand(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Standing = &orders{hold: map[string]string{"example.org": "hold rule lawyer: wait"}}
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "carol@example.org"))
		time.Sleep(6 * day)
		if got, _ := b.taken(); len(got) != 0 {
			t.Errorf("%d attempts", len(got))
		}
		if n, err := b.operate(queue.Order{Do: queue.Release, Filter: queue.Filter{Reason: "hold rule lawyer:"}}); n != 1 || err != nil {
			t.Errorf("release: %d, %v", n, err)
		}
		if got, _ := b.taken(); len(got) != 1 {
			t.Errorf("%d attempts", len(got))
		}
	})
}

func TestASuppressedRecipientIsReturnedAtOnce(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.decide = func(m *mail.Message, rcpt mail.Recipient, _ int) mail.Result {
			if r := rcpt.Refused; r != nil { // as package delivery has it
				return mail.Result{Outcome: mail.Bounced, Code: r.Code, Enh: r.Enh, Text: r.Text}
			}
			return deferred
		}
		o := &orders{}
		o.suppress.Store("example.org", "asked to")
		b.q.Standing = o
		b.run()
		id := b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@example.org"))
		_, got := b.taken()
		if len(got) != 1 {
			t.Fatalf("%d DSNs", len(got))
		}
		if dsn := got[0]; !strings.Contains(dsn.content, "Suppressed by the operator: asked to") || strings.Contains(dsn.content, "bob@") {
			t.Errorf("%+v", dsn)
		}
		if diff := cmp.Diff([]string{"bob@hamburger.edu"}, b.paths(id)); diff != "" {
			t.Errorf("left (-want +got):\n%s", diff)
		}

		// One that is suppressed while it waits is returned by its next attempt.
		o.suppress.Store("hamburger.edu", "gone")
		time.Sleep(time.Hour)
		if left := b.paths(id); left != nil {
			t.Errorf("left %v", left)
		}
	})
}
