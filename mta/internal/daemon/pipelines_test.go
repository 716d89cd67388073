package daemon

import (
	"context"
	"slices"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// answers are a guest that notes when it is asked.
type answers struct {
	name  string
	say   mail.Answer
	asked *[]string
}

func (a answers) Handle(_ context.Context, hook string, tx *mail.Transaction) (mail.Answer, error) {
	when := "session"
	if tx.Queued {
		when = "queue"
	}
	*a.asked = append(*a.asked, a.name+" "+hook+" "+when)
	return a.say, nil
}

func TestStagesAreAskedWhereTheirHooksAre(t *testing.T) {
	p := newPipelines("hamburger.edu", surroundings{})
	all := []string{mail.HookRcpt, mail.HookMessage, mail.HookRoute, mail.HookDSN}
	p.add(&pipeline.Stage{Name: "a", Hooks: all}, false)
	p.add(&pipeline.Stage{Name: "b", Hooks: all}, true)
	p.add(&pipeline.Stage{Name: "c", Hooks: []string{mail.HookDelivery}}, false)
	p.add(&pipeline.Stage{Name: "d", Hooks: []string{mail.HookHeaders}}, true)
	shown := func(p *pipeline.Pipeline) string {
		var all []string
		for _, s := range p.Stages {
			all = append(all, s.Name+": "+strings.Join(s.Hooks, " "))
		}
		return strings.Join(all, "; ")
	}
	if got, want := shown(p.session), "a: on_rcpt on_message; b: on_rcpt"; got != want {
		t.Errorf("in the session: %s", got)
	}
	if got, want := shown(p.queued), "a: on_route on_dsn; b: on_message on_route on_dsn; c: on_delivery; d: on_headers"; got != want {
		t.Errorf("behind the queue: %s", got)
	}
}

func TestWithoutAQueueBothAreAsked(t *testing.T) {
	for _, tt := range []struct {
		name    string
		first   mail.Answer // of the stage in the session
		later   mail.Answer
		want    mail.Verdict
		asked   string
		refused bool
	}{
		{"both continue", mail.Answer{}, mail.Answer{}, mail.Accept, "a on_message session, b on_message queue", false},
		{"the first refuses", mail.Answer{Verdict: mail.Reject}, mail.Answer{}, mail.Reject, "a on_message session", true},
		{"the second refuses", mail.Answer{}, mail.Answer{Verdict: mail.Reject}, mail.Reject, "a on_message session, b on_message queue", true},
		{"the second discards", mail.Answer{}, mail.Answer{Verdict: mail.Discard}, mail.Discard, "a on_message session, b on_message queue", false},
		{"the first holds", mail.Answer{Verdict: mail.Quarantine}, mail.Answer{}, mail.Quarantine, "a on_message session, b on_message queue", false},
		{"the second holds", mail.Answer{}, mail.Answer{Verdict: mail.Quarantine}, mail.Quarantine, "a on_message session, b on_message queue", false},
	} {
		t.Run(tt.name, func(t *testing.T) {
			var asked []string
			p := newPipelines("hamburger.edu", surroundings{})
			hooks := []string{mail.HookMessage}
			p.add(&pipeline.Stage{Name: "b", Hooks: hooks, Guest: answers{"b", tt.later, &asked}}, true)
			p.add(&pipeline.Stage{Name: "a", Hooks: hooks, Guest: answers{"a", tt.first, &asked}}, false)
			got, err := whole{p}.Check(t.Context(), &mail.Transaction{
				ID: "0123456789ABCDEF", Content: mail.Bytes("\r\n"), Envelope: mail.Envelope{Recipients: []mail.Recipient{{}}},
			})
			if _, refused := err.(*smtp.Reply); got != tt.want || refused != tt.refused {
				t.Errorf("got %s, %v", got, err)
			}
			if want := strings.Split(tt.asked, ", "); !slices.Equal(asked, want) {
				t.Errorf("asked %q", asked)
			}
		})
	}
}
