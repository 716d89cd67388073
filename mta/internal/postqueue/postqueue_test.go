package postqueue

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// stages do what a test says at a hook.
type stages map[string]func(tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error)

func (s stages) Asks(hook string) bool { return s[hook] != nil }

func (s stages) Check(_ context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	v, _, err := s[mail.HookMessage](tx)
	return v, err
}

func (s stages) AskQueued(_ context.Context, hook string, tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
	return s[hook](tx)
}

// says is a stage that changes each recipient.
func says(v mail.Verdict, err error, do func(tx *mail.Transaction, r *mail.Recipient)) func(*mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
	return func(tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
		for i := range tx.Envelope.Recipients {
			if do != nil {
				do(tx, &tx.Envelope.Recipients[i])
			}
		}
		return v, nil, err
	}
}

// next notes what it is to deliver.
type next struct {
	got    []string
	result mail.Result
}

func (n *next) Deliver(_ context.Context, m *mail.Message) []mail.Result {
	var out []mail.Result
	for _, r := range m.Envelope.Recipients {
		s := r.Path.String()
		if r.Route != nil {
			s += " by " + r.Route.Host
		}
		if r.Deliver != nil {
			s += " into " + r.Deliver.Folder
		}
		n.got = append(n.got, s)
		out = append(out, n.result)
	}
	return out
}

var (
	taken = mail.Result{Outcome: mail.Delivered, Code: 250}
	away  = mail.Result{Outcome: mail.Deferred, Code: 451, Enh: "4.3.0", Text: "busy", Peer: true}
	at    = time.Date(2026, 11, 25, 12, 0, 0, 0, time.UTC)
)

func message(to ...string) *mail.Message {
	m := &mail.Message{ID: "0123456789ABCDEF", Content: mail.Bytes("hi\r\n"), Notes: map[string]string{"a": "b"}, Attempts: 2}
	for _, s := range to {
		local, domain, _ := strings.Cut(s, "@")
		m.Envelope.Recipients = append(m.Envelope.Recipients, mail.Recipient{Path: mail.Path{Local: local, Domain: domain}})
	}
	return m
}

// local knows bob at hamburger.edu and nobody else.
func local(p mail.Path) string {
	if p.String() == "bob@hamburger.edu" {
		return "bob"
	}
	return ""
}

// shown is what matters of a result.
func shown(r mail.Result) string {
	s := string(r.Outcome)
	if r.Code != 0 {
		s += fmt.Sprintf(" %d %s %s", r.Code, r.Enh, r.Text)
	} else if r.Text != "" {
		s += " " + r.Text
	}
	if r.Hold != "" {
		s += ", held"
	}
	if !r.RetryAt.IsZero() {
		s += ", at " + r.RetryAt.Format("15:04")
	}
	return s
}

func refusal(code int) *mail.Refusal { return &mail.Refusal{Code: code, Enh: "", Text: "no"} }

func TestDeliver(t *testing.T) {
	reject := &smtp.Reply{Code: 550, Enh: smtp.Enh{5, 7, 1}, Text: "never"}
	later := &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 3, 0}, Text: "later"}
	onlyBob := func(do func(r *mail.Recipient)) func(*mail.Transaction, *mail.Recipient) {
		return func(_ *mail.Transaction, r *mail.Recipient) {
			if r.Path.Local == "bob" {
				do(r)
			}
		}
	}
	for _, tt := range []struct {
		name      string
		stages    stages
		delivered []string // what the next deliverer gets
		result    mail.Result
		want      []string // of bob here, and of x elsewhere
	}{
		{"nobody is asked", stages{}, []string{"bob@hamburger.edu", "x@example.org"}, taken, []string{"delivered 250  ", "delivered 250  "}},
		{"a route for one", stages{mail.HookRoute: says(0, nil, onlyBob(func(r *mail.Recipient) { r.Route = &mail.NextHop{Host: "scanner"} }))},
			[]string{"bob@hamburger.edu by scanner", "x@example.org"}, taken, []string{"delivered 250  ", "delivered 250  "}},
		{"one refused for good", stages{mail.HookRoute: says(0, nil, onlyBob(func(r *mail.Recipient) { r.Refused = refusal(550) }))},
			[]string{"x@example.org"}, taken, []string{"bounced 550  no", "delivered 250  "}},
		{"one refused for now, until a time", stages{mail.HookRoute: says(0, nil, onlyBob(func(r *mail.Recipient) { r.Refused, r.RetryAt = refusal(450), at }))},
			[]string{"x@example.org"}, taken, []string{"deferred 450  no, at 12:00", "delivered 250  "}},
		{"one postponed", stages{mail.HookRoute: says(0, nil, onlyBob(func(r *mail.Recipient) { r.RetryAt = at }))},
			[]string{"x@example.org"}, taken, []string{"deferred Postponed by local policy, at 12:00", "delivered 250  "}},
		{"all rejected", stages{mail.HookRoute: says(mail.Reject, reject, nil)}, nil, taken, []string{"bounced 550 5.7.1 never", "bounced 550 5.7.1 never"}},
		{"a stage that fails", stages{mail.HookRoute: says(mail.Defer, later, nil)}, nil, taken, []string{"deferred 451 4.3.0 later", "deferred 451 4.3.0 later"}},
		{"discarded", stages{mail.HookRoute: says(mail.Discard, nil, nil)}, nil, taken, []string{"discarded", "discarded"}},
		{"held", stages{mail.HookRoute: says(0, nil, func(tx *mail.Transaction, _ *mail.Recipient) { tx.Hold = "odd" })},
			nil, taken, []string{"deferred Held: odd, held", "deferred Held: odd, held"}},
		{"recipients taken away", stages{mail.HookRoute: func(tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
			tx.Envelope.Recipients = tx.Envelope.Recipients[:1]
			return 0, nil, nil
		}}, nil, taken, []string{"deferred", "deferred"}},
		{"a folder for those who have a mailbox", stages{mail.HookLocal: says(0, nil, func(_ *mail.Transaction, r *mail.Recipient) {
			r.Deliver = &mail.Target{Folder: "of " + r.Resolved}
		})}, []string{"bob@hamburger.edu into of bob", "x@example.org"}, taken, []string{"delivered 250  ", "delivered 250  "}},
		{"a mailbox refused", stages{mail.HookLocal: says(mail.Reject, reject, nil)}, []string{"x@example.org"}, taken,
			[]string{"bounced 550 5.7.1 never", "delivered 250  "}},
		{"routed away from the mailbox", stages{
			mail.HookRoute: says(0, nil, func(_ *mail.Transaction, r *mail.Recipient) { r.Route = &mail.NextHop{Host: "scanner"} }),
			mail.HookLocal: says(mail.Reject, reject, nil),
		}, []string{"bob@hamburger.edu by scanner", "x@example.org by scanner"}, taken, []string{"delivered 250  ", "delivered 250  "}},
		{"a time for what is deferred", stages{mail.HookDelivery: says(0, nil, onlyBob(func(r *mail.Recipient) { r.RetryAt = at }))},
			[]string{"bob@hamburger.edu", "x@example.org"}, away, []string{"deferred 451 4.3.0 busy, at 12:00", "deferred 451 4.3.0 busy"}},
		{"no time for what is delivered", stages{mail.HookDelivery: says(mail.Reject, reject, func(_ *mail.Transaction, r *mail.Recipient) { r.RetryAt = at })},
			[]string{"bob@hamburger.edu", "x@example.org"}, taken, []string{"delivered 250  ", "delivered 250  "}},
		{"given up", stages{mail.HookDelivery: says(mail.Reject, reject, nil)},
			[]string{"bob@hamburger.edu", "x@example.org"}, away, []string{"bounced 550 5.7.1 never", "bounced 550 5.7.1 never"}},
		{"given up for one", stages{mail.HookDelivery: says(0, nil, onlyBob(func(r *mail.Recipient) { r.Refused = refusal(550) }))},
			[]string{"bob@hamburger.edu", "x@example.org"}, away, []string{"bounced 550  no", "deferred 451 4.3.0 busy"}},
		{"a stage that fails after the attempt", stages{mail.HookDelivery: says(mail.Defer, later, nil)},
			[]string{"bob@hamburger.edu", "x@example.org"}, away, []string{"deferred 451 4.3.0 busy", "deferred 451 4.3.0 busy"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			n := &next{result: tt.result}
			d := &Deliverer{Next: n, Stages: tt.stages, Local: local}
			var got []string
			for _, r := range d.Deliver(t.Context(), message("bob@hamburger.edu", "x@example.org")) {
				got = append(got, shown(r))
			}
			if !slices.Equal(got, tt.want) || !slices.Equal(n.got, tt.delivered) {
				t.Errorf("got %q, delivered %q", got, n.got)
			}
		})
	}
}

// TestWhatIsSeen holds what hooks see, and what they leave in the message.
func TestWhatIsSeen(t *testing.T) {
	var seen []string
	sees := func(hook string) func(*mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
		return func(tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
			if !tx.Queued || tx.Attempts != 2 || tx.ID == "" {
				t.Errorf("%s: got %+v", hook, tx)
			}
			for _, r := range tx.Envelope.Recipients {
				s := fmt.Sprintf("%s %s %q %s", hook, r.Path, r.Resolved, tx.QueuedNotes["a"])
				if r.Last != nil {
					s += " " + shown(*r.Last)
				}
				seen = append(seen, s)
			}
			tx.QueuedNotes = map[string]string{"a": hook}
			return 0, []*mail.Transaction{{SentBy: hook}}, nil
		}
	}
	d := &Deliverer{Next: &next{result: away}, Local: local, Stages: stages{
		mail.HookRoute: sees("route"), mail.HookLocal: sees("local"), mail.HookDelivery: sees("delivery"),
	}}
	m := message("bob@hamburger.edu", "x@example.org", "refused@example.org")
	m.Envelope.Recipients[2].Refused = refusal(550)
	m.Envelope.Recipients[0].Last = &mail.Result{Outcome: mail.Deferred, Code: 450, Text: "before"}
	d.Deliver(t.Context(), m)
	want := []string{
		`route bob@hamburger.edu "" b deferred 450  before`,
		`route x@example.org "" b`,
		`local bob@hamburger.edu "bob" route deferred 450  before`,
		`delivery bob@hamburger.edu "bob" local deferred 451 4.3.0 busy`,
		`delivery x@example.org "" local deferred 451 4.3.0 busy`,
		`delivery refused@example.org "" local deferred 451 4.3.0 busy`,
	}
	if !slices.Equal(seen, want) {
		t.Errorf("seen:\n%s", strings.Join(seen, "\n"))
	}
	if m.Notes["a"] != "delivery" || len(m.Sends) != 3 {
		t.Errorf("left the notes %v and %d messages", m.Notes, len(m.Sends))
	}
}

// TestTheServerStops holds that nobody is told of an attempt that was cut off.
func TestTheServerStops(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	d := &Deliverer{Next: &next{result: mail.Result{Outcome: mail.Deferred}}, Local: local, Stages: stages{
		mail.HookDelivery: func(*mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
			t.Error("on_delivery was asked")
			return 0, nil, nil
		},
	}}
	d.Deliver(ctx, message("bob@hamburger.edu"))
}

func TestHooks(t *testing.T) {
	for _, tt := range []struct {
		name    string
		verdict mail.Verdict
		hold    string
		err     error
		want    mail.Verdict
	}{
		{"goes", mail.Continue, "", nil, mail.Continue},
		{"discarded", mail.Discard, "", nil, mail.Discard},
		{"held", mail.Continue, "odd", nil, mail.Quarantine},
		{"a stage that fails does not keep it", mail.Defer, "", errors.New("broken"), mail.Continue},
		{"nor does one that fails after another held it", mail.Reject, "odd", errors.New("broken"), mail.Continue},
	} {
		t.Run(tt.name, func(t *testing.T) {
			h := Hooks{stages{mail.HookDSN: func(tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
				tx.Hold = tt.hold
				return tt.verdict, nil, tt.err
			}}}
			if got := h.Notice(t.Context(), &mail.Transaction{}); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
	if (Hooks{stages{}}).Reviews() || (Hooks{stages{}}).Notice(t.Context(), nil) != mail.Continue {
		t.Error("stages that have no hook are asked")
	}
	h := Hooks{stages{mail.HookMessage: func(tx *mail.Transaction) (mail.Verdict, []*mail.Transaction, error) {
		if !tx.Queued {
			t.Error("it is not in the queue")
		}
		return mail.Quarantine, nil, nil
	}}}
	if v, err := h.Review(t.Context(), &mail.Transaction{}); !h.Reviews() || v != mail.Quarantine || err != nil {
		t.Errorf("got %s, %v", v, err)
	}
}

// A result says that it is a stage that failed and not the next hop, so that the
// queue can hold what makes it fail again and again.
func TestResultsSayWhichStageFailed(t *testing.T) {
	later := &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 3, 0}, Text: "later"}
	d := &Deliverer{Next: &next{result: taken}, Local: func(mail.Path) string { return "" }, Stages: stages{
		mail.HookRoute: says(mail.Defer, later, func(tx *mail.Transaction, _ *mail.Recipient) { tx.Failed = "filter" }),
	}}
	if r := d.Deliver(t.Context(), message("x@example.org"))[0]; r.Failed != "filter" {
		t.Errorf("got %+v", r)
	}
}
