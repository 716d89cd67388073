package queue_test

import (
	"context"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// counts are the groups of a survey by their names.
func counts(s *queue.Survey) map[string]int {
	found := map[string]int{}
	for _, g := range s.Groups {
		found[g.Name] = g.Count
	}
	return found
}

func (b *bench) survey(f queue.Filter, by queue.Grouping, max int) *queue.Survey {
	b.t.Helper()
	s, err := b.q.Survey(ctx, f, by, max)
	if err != nil {
		b.t.Fatal(err)
	}
	return s
}

func TestSurveyGroupsWhatHasSomethingInCommon(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		b.q.Lane = func(rcpt *mail.Recipient) string {
			if rcpt.Path.Domain == "crepes.fr" {
				return ""
			}
			return "mx://" + rcpt.Path.Domain
		}
		n := 0
		b.decide = func(_ *mail.Message, rcpt mail.Recipient, _ int) mail.Result {
			n++
			return mail.Result{Outcome: mail.Deferred, Code: 451, Enh: "4.7.1", Text: fmt.Sprintf("<%s>: Greylisted for %d seconds, see https://example.org/?id=%d", rcpt.Path, 30+n, n)}
		}
		b.run()
		b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu", "carol@example.org", "dave@Hamburger.EDU"))
		b.enqueue(transaction("erin@pizza.it", "bob@hamburger.edu", "frank@crepes.fr"))
		b.taken()
		held := transaction("", "bob@hamburger.edu")
		held.Hold = "quarantined 17 times"
		b.enqueue(held)
		for _, test := range []struct {
			by       queue.Grouping
			f        queue.Filter
			messages int
			want     map[string]int
		}{
			{queue.ByNextHop, queue.Filter{}, 3, map[string]int{"mx://hamburger.edu": 3, "mx://Hamburger.EDU": 1, "mx://example.org": 1, "local": 1}},
			{queue.ByDomain, queue.Filter{}, 3, map[string]int{"hamburger.edu": 4, "example.org": 1, "crepes.fr": 1}},
			{queue.ByDomain, queue.Filter{Domain: "example.org"}, 1, map[string]int{"example.org": 1}},
			{queue.BySender, queue.Filter{}, 3, map[string]int{"crepes.fr": 1, "pizza.it": 1, "<>": 1}},
			{queue.ByReason, queue.Filter{}, 3, map[string]int{"451 4.7.1 * Greylisted for * seconds, see *": 5, "held: quarantined * times": 1}},
			{queue.ByReason, queue.Filter{State: queue.Held}, 1, map[string]int{"held: quarantined * times": 1}},
			{queue.ByReason, queue.Filter{From: "nobody@*"}, 0, map[string]int{}},
		} {
			s := b.survey(test.f, test.by, 100)
			if diff := cmp.Diff(test.want, counts(s)); diff != "" || s.Messages != test.messages {
				t.Errorf("by %s, %s: %d messages (-want +got):\n%s", test.by, &test.f, s.Messages, diff)
			}
		}
		if _, err := b.q.Survey(ctx, queue.Filter{}, "colour", 1); err == nil {
			t.Error("a grouping that is none")
		}
	})
}

func TestSurveyDividesByAge(t *testing.T) {
	inBubble(t, func(t *testing.T, b *bench) {
		for _, wait := range []time.Duration{30 * time.Hour, 79 * time.Minute, time.Minute, 5 * time.Minute} {
			b.enqueue(transaction("alice@crepes.fr", "bob@hamburger.edu"))
			time.Sleep(wait)
		}
		b.enqueue(transaction("alice@crepes.fr", "carol@example.org"))
		s := b.survey(queue.Filter{}, queue.ByDomain, 1)
		want := &queue.Survey{
			By: queue.ByDomain, Messages: 5,
			Total:  queue.Group{Count: 5, Ages: [10]int{0: 1, 1: 2, 5: 1, 9: 1}},
			Groups: []queue.Group{{Name: "hamburger.edu", Count: 4, Ages: [10]int{1: 2, 5: 1, 9: 1}}},
			Others: queue.Group{Count: 1, Ages: [10]int{0: 1}},
		}
		if diff := cmp.Diff(want, s); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// endless is a store with a lot of entries, each of a domain of its own, that
// are made as they are listed.
type endless struct {
	queue.Store
	n int
}

func (s *endless) List(_ context.Context, _ time.Time, _ queue.Filter, after mail.QueueID, max int) (page []*queue.Entry, _ error) {
	var i int
	fmt.Sscanf(string(after), "%d", &i)
	for i++; i <= s.n && len(page) < max; i++ {
		e := &queue.Entry{ID: mail.QueueID(fmt.Sprintf("%08d", i)), Received: time.Now()}
		e.Envelope.Recipients = []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: fmt.Sprintf("%d.example", i)}}}
		page = append(page, e)
	}
	return page, nil
}

func TestASurveyOfManyDomainsStaysSmall(t *testing.T) {
	q := &queue.Queue{Store: &endless{n: 200_000}}
	heap := func() uint64 {
		runtime.GC()
		var m runtime.MemStats
		runtime.ReadMemStats(&m)
		return m.HeapAlloc
	}
	before := heap()
	s, err := q.Survey(ctx, queue.Filter{}, queue.ByDomain, 1_000_000)
	if err != nil {
		t.Fatal(err)
	}
	if grew := int64(heap()) - int64(before); grew > 16<<20 {
		t.Errorf("it took %d MiB", grew>>20)
	}
	if s.Total.Count != 200_000 || len(s.Groups) != 10_000 || s.Others.Count != 190_000 {
		t.Errorf("%d in all, %d groups, %d others", s.Total.Count, len(s.Groups), s.Others.Count)
	}
}
