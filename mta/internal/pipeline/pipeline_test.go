package pipeline

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

type guest func(ctx context.Context, tx *mail.Transaction) (mail.Answer, error)

func (g guest) Handle(ctx context.Context, hook string, tx *mail.Transaction) (mail.Answer, error) {
	if hook != mail.HookMessage {
		panic("asked by " + hook)
	}
	return g(ctx, tx)
}

func says(a mail.Answer) guest {
	return func(context.Context, *mail.Transaction) (mail.Answer, error) { return a, nil }
}

// leaves marks that it was asked.
func leaves(mark string, a mail.Answer) guest {
	return func(_ context.Context, tx *mail.Transaction) (mail.Answer, error) {
		tx.Envelope.EnvID += mark
		return a, nil
	}
}

// spoils changes everything and then fails.
func spoils(fail func() error) guest {
	return func(_ context.Context, tx *mail.Transaction) (mail.Answer, error) {
		tx.Envelope.ReversePath = mail.Path{Local: "spoiled"}
		tx.Envelope.Recipients[0].Path = mail.Path{Local: "spoiled"}
		tx.Envelope.Recipients = append(tx.Envelope.Recipients, mail.Recipient{})
		tx.Content = mail.Bytes("spoiled")
		tx.Notes["a"] = "spoiled"
		tx.Hold = "spoiled"
		return mail.Answer{Verdict: mail.Accept}, fail()
	}
}

type when func(*mail.Transaction) (bool, error)

func (w when) Match(tx *mail.Transaction) (bool, error) { return w(tx) }

func (w when) Known(string) bool { return true }

func always(b bool, err error) when {
	return func(*mail.Transaction) (bool, error) { return b, err }
}

func transaction() *mail.Transaction {
	return &mail.Transaction{
		ID: "0123456789ABCDEF",
		Envelope: mail.Envelope{
			ReversePath: mail.Path{Local: "alice", Domain: "crepes.fr"},
			Recipients:  []mail.Recipient{{Path: mail.Path{Local: "bob", Domain: "hamburger.edu"}}},
		},
		Content: mail.Bytes("Subject: hi\r\n\r\n"),
		Notes:   map[string]string{"a": "b"},
	}
}

type seen []string

func (s *seen) Staged(stage, outcome string, _ time.Duration) { *s = append(*s, stage+" "+outcome) }

func (s *seen) Tripped(stage string, is bool) { *s = append(*s, fmt.Sprint(stage, " tripped ", is)) }

func TestCheck(t *testing.T) {
	fails := func(context.Context, *mail.Transaction) (mail.Answer, error) {
		return mail.Answer{}, errors.New("it broke")
	}
	last := Stage{Name: "last", Guest: leaves("z", mail.Answer{})}
	for _, tt := range []struct {
		name   string
		stages []Stage
		want   mail.Verdict
		reply  string
		hold   string
		seen   string
	}{
		{"no stages", nil, mail.Accept, "", "", ""},
		{"two that continue", []Stage{{Name: "a", Guest: leaves("a", mail.Answer{})}, last}, mail.Accept, "", "", "a continue, last continue"},
		{"accept skips the rest", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Accept})}, last}, mail.Accept, "", "", "a accept"},
		{"reject without words", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Reject})}, last},
			mail.Reject, "550 5.7.1 Message refused by local policy", "", "a reject"},
		{"reject with words", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Reject, Code: 552, Enh: "5.2.3", Text: "Too long"})}},
			mail.Reject, "552 5.2.3 Too long", "", "a reject"},
		{"reject with a code alone", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Reject, Code: 554})}},
			mail.Reject, "554 5.7.1 Message refused by local policy", "", "a reject"},
		{"defer without words", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Defer})}, last},
			mail.Defer, "451 4.7.1 Message deferred by local policy, try again later", "", "a defer"},
		{"text beyond ASCII", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Reject, Code: 550, Text: "crêpe\r\n250 ok"})}},
			mail.Reject, "550 5.7.1 cr?pe  250 ok", "", "a reject"},
		{"disconnect", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Disconnect})}}, mail.Disconnect, "421 4.7.0 Closing connection", "", "a disconnect"},
		{"discard", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Discard})}, last}, mail.Discard, "", "", "a discard"},
		{"quarantine goes on", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Quarantine, Reason: "odd"})}, last},
			mail.Quarantine, "", "odd", "a quarantine, last continue"},
		{"quarantine without a reason", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Quarantine})}},
			mail.Quarantine, "", "quarantined by stage a", "a quarantine"},
		{"quarantine beside another verdict", []Stage{{Name: "a", Guest: says(mail.Answer{Reason: "odd"})}, last},
			mail.Quarantine, "", "odd", "a continue, last continue"},
		{"quarantine, then reject", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Quarantine})}, {Name: "b", Guest: says(mail.Answer{Verdict: mail.Reject})}},
			mail.Reject, "550 5.7.1 Message refused by local policy", "quarantined by stage a", "a quarantine, b reject"},
		{"failure defers", []Stage{{Name: "a", Guest: guest(fails)}, last},
			mail.Defer, "451 4.3.0 Local error in processing, try again later", "", "a failed"},
		{"failure is skipped", []Stage{{Name: "a", Guest: guest(fails), OnError: Skip}, last}, mail.Accept, "", "", "a failed, last continue"},
		{"failure rejects", []Stage{{Name: "a", Guest: guest(fails), OnError: Reject}}, mail.Reject, "554 5.3.0 Message cannot be processed", "", "a failed"},
		{"failure quarantines", []Stage{{Name: "a", Guest: guest(fails), OnError: Quarantine}, last},
			mail.Quarantine, "", "stage a failed", "a failed, last continue"},
		{"verdict that is none", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: 99})}}, mail.Defer,
			"451 4.3.0 Local error in processing, try again later", "", "a failed"},
		{"reply that does not fit", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Reject, Code: 450})}}, mail.Defer,
			"451 4.3.0 Local error in processing, try again later", "", "a failed"},
		{"condition that holds", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Discard}), When: always(true, nil)}}, mail.Discard, "", "", "a discard"},
		{"condition that does not", []Stage{{Name: "a", Guest: says(mail.Answer{Verdict: mail.Discard}), When: always(false, nil)}, last},
			mail.Accept, "", "", "a skipped, last continue"},
		{"condition that fails", []Stage{{Name: "a", Guest: says(mail.Answer{}), When: always(false, errors.New("no")), OnError: Reject}},
			mail.Reject, "554 5.3.0 Message cannot be processed", "", "a failed"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var got seen
			tx := transaction()
			verdict, err := (&Pipeline{Stages: tt.stages, Observer: &got}).Check(t.Context(), tx)
			if verdict != tt.want {
				t.Errorf("got %s, want %s", verdict, tt.want)
			}
			reply := ""
			if err != nil {
				if _, ok := err.(*smtp.Reply); !ok {
					t.Fatalf("the error is a %T", err)
				}
				reply = err.Error()
			}
			if reply != tt.reply {
				t.Errorf("reply: got %q, want %q", reply, tt.reply)
			}
			if tx.Hold != tt.hold {
				t.Errorf("hold: got %q, want %q", tx.Hold, tt.hold)
			}
			if s := strings.Join(got, ", "); s != tt.seen {
				t.Errorf("observed %q, want %q", s, tt.seen)
			}
			if failed := strings.Contains(tt.seen, "a failed") && tt.want == mail.Defer; (tx.Failed == "a") != failed {
				t.Errorf("deferred because of a failure of %q", tx.Failed)
			}
		})
	}
}

func TestFailedStageLeavesNothing(t *testing.T) {
	for name, g := range map[string]guest{
		"error": spoils(func() error { return errors.New("it broke") }),
		"panic": spoils(func() error { panic("it broke") }),
	} {
		t.Run(name, func(t *testing.T) {
			var log bytes.Buffer
			p := &Pipeline{
				Stages: []Stage{{Name: "spoiler", Guest: g, OnError: Skip}},
				Log:    slog.New(slog.NewTextHandler(&log, nil)),
			}
			tx := transaction()
			if verdict, err := p.Check(t.Context(), tx); verdict != mail.Accept || err != nil {
				t.Fatalf("got %s, %v", verdict, err)
			}
			if diff := cmp.Diff(transaction(), tx, cmp.Comparer(func(a, b mail.Content) bool {
				return string(a.(mail.Bytes)) == string(b.(mail.Bytes))
			}), cmp.Comparer(func(a, b mail.Client) bool { return a == b })); diff != "" {
				t.Error(diff)
			}
			if n := strings.Count(log.String(), "plugin failed"); n != 1 ||
				!strings.Contains(log.String(), "queue_id=0123456789ABCDEF stage=spoiler") || !strings.Contains(log.String(), "it broke") {
				t.Errorf("log: %s", log.String())
			}
		})
	}
}

func TestStagesSeeWhatTheOneBeforeLeft(t *testing.T) {
	tx := transaction()
	p := &Pipeline{Stages: []Stage{
		{Name: "a", Guest: leaves("a", mail.Answer{})},
		{Name: "b", Guest: leaves("b", mail.Answer{}), When: when(func(tx *mail.Transaction) (bool, error) { return tx.Envelope.EnvID == "a", nil })},
	}}
	if _, err := p.Check(t.Context(), tx); err != nil {
		t.Fatal(err)
	}
	if got, want := tx.Envelope.EnvID, "ab"; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNoRecipientIsLeft(t *testing.T) {
	p := &Pipeline{Stages: []Stage{{Name: "a", Guest: guest(func(_ context.Context, tx *mail.Transaction) (mail.Answer, error) {
		tx.Envelope.Recipients = nil
		return mail.Answer{}, nil
	})}}}
	if verdict, err := p.Check(t.Context(), transaction()); verdict != mail.Discard || err != nil {
		t.Errorf("got %s, %v", verdict, err)
	}
}

func TestTimeout(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		waits := guest(func(ctx context.Context, _ *mail.Transaction) (mail.Answer, error) {
			<-ctx.Done()
			return mail.Answer{}, ctx.Err()
		})
		p := &Pipeline{Stages: []Stage{{Name: "a", Guest: waits, Timeout: time.Second, OnError: Skip}, {Name: "b", Guest: waits, OnError: Skip}}}
		began := time.Now()
		if verdict, err := p.Check(t.Context(), transaction()); verdict != mail.Accept || err != nil {
			t.Errorf("got %s, %v", verdict, err)
		}
		if got, want := time.Since(began), time.Second+DefaultTimeout; got != want {
			t.Errorf("took %s, want %s", got, want)
		}
	})
}

// TestSessionEnds holds that a message is never refused because its client, or
// the server, went away.
func TestSessionEnds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, on := range []OnError{Defer, Skip, Reject, Quarantine} {
		p := &Pipeline{Stages: []Stage{{Name: "a", OnError: on, Guest: guest(func(ctx context.Context, _ *mail.Transaction) (mail.Answer, error) {
			return mail.Answer{}, ctx.Err()
		})}}}
		if verdict, err := p.Check(ctx, transaction()); verdict != mail.Defer || err == nil {
			t.Errorf("%s: got %s, %v", on, verdict, err)
		}
	}
}
