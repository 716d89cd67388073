package smtpd

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// facts are what the policy made of the session, for all its transactions.
type facts struct {
	notes  map[string]string
	hold   string   // not empty: what comes is to be held; the reason
	spared []string // the stages that are not asked about the session again
}

func (f facts) clone() facts {
	return facts{maps.Clone(f.notes), f.hold, slices.Clone(f.spared)}
}

// consult asks the policy at a step before the content, about the transaction
// that is open or else about the session. The reply is nil where the session
// goes on; the verdict may be discard then.
func (s *session) consult(ctx context.Context, hook string) (mail.Verdict, *smtp.Reply) {
	if s.srv.Policy == nil || !s.srv.Policy.Asks(hook) {
		return mail.Continue, nil
	}
	s.takeName()
	tx := s.tx
	if tx == nil {
		tx = &mail.Transaction{
			Received: time.Now(), Client: s.client,
			SessionNotes: s.facts.notes, Hold: s.facts.hold, Spared: s.facts.spared,
		}
	}
	verdict, err := s.srv.Policy.Ask(ctx, hook, tx)
	s.facts.notes = tx.SessionNotes
	if s.tx == nil {
		s.facts.hold, s.facts.spared = tx.Hold, tx.Spared
	}
	return verdict, s.refusal(verdict, err)
}

var errBarred = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "No service for you here, send QUIT"}

// welcomed asks the policy about a new connection, and answers one that is not
// wanted. 4xx can only be 421, which closes; 5xx can only be 554, after which
// the client is to send QUIT (RFC 5321 §3.1). It is false when the session
// ends.
func (s *session) welcomed(ctx context.Context) bool {
	_, refusal := s.consult(ctx, mail.HookConnect)
	if refusal == nil {
		s.first = s.facts.clone()
		return true
	}
	r := *refusal
	if r.Code < 500 {
		r.Code = 421
		s.end(&r)
		return false
	}
	r.Code = 554
	s.barred = true
	s.rejected(&r)
	s.reply(&r)
	return true
}

// consultRcpt asks about the recipient that was just added to the envelope,
// which was before until then. One that is refused or dropped leaves nothing.
func (s *session) consultRcpt(ctx context.Context, path mail.Path, before mail.Envelope) *smtp.Reply {
	verdict, r := s.consult(ctx, mail.HookRcpt)
	if r == nil {
		r = refusedAtOnce(&s.tx.Envelope, path)
	}
	if r != nil || verdict == mail.Discard {
		s.tx.Envelope = before
	}
	return r
}

// refusedAtOnce is the reply to the recipient in question if a stage refused it
// by its own reply, and not by the verdict.
func refusedAtOnce(e *mail.Envelope, path mail.Path) *smtp.Reply {
	for i := range e.Recipients {
		if r := &e.Recipients[i]; r.Refused != nil && r.Original.Equal(path) {
			return replyOf(r.Refused)
		}
	}
	return nil
}

// farewell tells the policy that the session is over. Nobody waits for it but
// the server's end.
func (s *session) farewell(ctx context.Context) {
	defer s.recover()
	if s.opened && ctx.Err() == nil {
		s.consult(ctx, mail.HookDisconnect)
	}
}
