package smtpd

import (
	"context"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

var (
	errRefused    = &smtp.Reply{Code: 550, Enh: smtp.Enh{5, 7, 1}, Text: "Message refused"}
	errDeferred   = &smtp.Reply{Code: 451, Enh: smtp.Enh{4, 7, 1}, Text: "Message not taken now, try again later"}
	errDisconnect = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 7, 0}, Text: "Closing connection"}
)

// judge asks the policy about a message and does what it says.
func (s *session) judge(ctx context.Context) *smtp.Reply {
	if s.tx.Discard || len(s.tx.Envelope.Recipients) == 0 {
		return s.discarded() // a hook before the content said so
	}
	verdict, err := mail.Continue, error(nil)
	if s.srv.Policy != nil {
		verdict, err = s.srv.Policy.Check(ctx, s.tx)
		s.facts.notes = s.tx.SessionNotes
	}
	if r := s.refusal(verdict, err); r != nil {
		return r
	}
	if verdict == mail.Discard {
		return s.discarded()
	}
	if verdict == mail.Quarantine && s.tx.Hold == "" {
		s.tx.Hold = "quarantined"
	}
	if r := s.someRefused(); r != nil {
		return r
	}
	return s.enqueue(ctx)
}

// refusal is the reply that a verdict of the policy asks for; nil: none.
func (s *session) refusal(verdict mail.Verdict, err error) *smtp.Reply {
	var id mail.QueueID
	if s.tx != nil {
		id = s.tx.ID
	}
	if err != nil && !carriesReply(err) {
		s.log.Error("policy failed", "queue_id", id, "err", err)
	}
	switch verdict {
	case mail.Reject:
		return pick(err, 5, errRefused)
	case mail.Defer:
		return pick(err, 4, errDeferred)
	case mail.Disconnect:
		r := *pick(err, 4, errDisconnect)
		r.Code = 421 // the only one that may close (RFC 5321 §3.8)
		return &r
	}
	if err != nil {
		return atLeastDeferred(err)
	}
	if verdict < mail.Continue || verdict > mail.Disconnect {
		s.log.Error("policy failed", "queue_id", id, "verdict", int(verdict))
		return errDeferred
	}
	return nil
}

func carriesReply(err error) bool { return smtp.ReplyTo(err) != smtp.ErrTemporary }

// pick is the reply that err carries if it is of the class that the verdict
// promises, and else other.
func pick(err error, class int, other *smtp.Reply) *smtp.Reply {
	if err != nil && carriesReply(err) {
		if r := smtp.ReplyTo(err); r.Code/100 == class {
			return r
		}
	}
	return other
}

// atLeastDeferred is the reply to an error: never a positive one.
func atLeastDeferred(err error) *smtp.Reply {
	if r := smtp.ReplyTo(err); r.Code >= 400 {
		return r
	}
	return smtp.ErrTemporary
}

// discarded tells the client what it likes to hear. The log is all that is
// left of the message.
func (s *session) discarded() *smtp.Reply {
	s.log.Info("discarded", "queue_id", s.tx.ID, "client", s.client.Addr,
		"reverse_path", s.tx.Envelope.ReversePath.String(), "recipients", len(s.tx.Envelope.Recipients))
	return s.accepts()
}

// enqueue hands the message over. When the client is gone before it hears the
// 250, it will send the message again: SMTP has no way to know (RFC 1047).
func (s *session) enqueue(ctx context.Context) *smtp.Reply {
	if len(s.tx.Envelope.Recipients)+len(s.tx.More) == 0 {
		return s.discarded() // the policy took the last one out
	}
	if err := s.srv.Queue.Enqueue(context.WithoutCancel(ctx), s.tx); err != nil {
		s.log.Error("not queued", "queue_id", s.tx.ID, "err", err)
		return atLeastDeferred(err)
	}
	return s.accepts()
}

func (s *session) accepts() *smtp.Reply {
	return s.ok(smtp.Enh{2, 0, 0}, "Message accepted for delivery, queued as "+string(s.tx.ID))
}
