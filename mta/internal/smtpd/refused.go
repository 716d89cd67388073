package smtpd

import (
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A refused is a recipient that was refused alone, by what RCPT called it.
type refused struct {
	path  mail.Path
	reply *smtp.Reply
}

// someRefused deals with recipients that the policy refused while it took the
// message for others. LMTP has a reply for each (RFC 2033 §4.2), so those are
// done with once they are told. SMTP has one for all: if any recipient is to be
// tried again it is that one's, as nothing has been taken yet, and the client
// keeps the message for all; else the message is taken, and the queue returns
// it to its sender for those that were refused.
func (s *session) someRefused() *smtp.Reply {
	if s.srv.Listener == mail.ListenerLMTP {
		s.refused = refusedOf(s.tx, nil)
		kept := s.tx.More[:0:0]
		for _, part := range s.tx.More {
			s.refused = refusedOf(part, s.refused)
			if len(part.Envelope.Recipients) > 0 {
				kept = append(kept, part)
			}
		}
		s.tx.More = kept
		return nil
	}
	if r := firstSoft(s.tx); r != nil {
		return r
	}
	for _, part := range s.tx.More {
		if r := firstSoft(part); r != nil {
			return r
		}
	}
	return nil
}

// refusedOf takes the refused ones out of tx and appends them to list.
func refusedOf(tx *mail.Transaction, list []refused) []refused {
	kept := tx.Envelope.Recipients[:0:0]
	for i := range tx.Envelope.Recipients {
		r := &tx.Envelope.Recipients[i]
		if r.Refused == nil {
			kept = append(kept, *r)
			continue
		}
		list = append(list, refused{r.Original, replyOf(r.Refused)})
	}
	if len(kept) < len(tx.Envelope.Recipients) {
		tx.Envelope.Recipients = kept
	}
	return list
}

// firstSoft is the reply to the first recipient that is refused for now.
func firstSoft(tx *mail.Transaction) *smtp.Reply {
	for i := range tx.Envelope.Recipients {
		if r := tx.Envelope.Recipients[i].Refused; r != nil && r.Code < 500 {
			return replyOf(r)
		}
	}
	return nil
}

// replyOf is the reply that a refusal is told with. It never closes the
// session: the transaction of others may go on.
func replyOf(r *mail.Refusal) *smtp.Reply {
	enh, _ := smtp.ParseEnh(r.Enh)
	return &smtp.Reply{Code: r.Code, Enh: enh, Text: r.Text}
}

// toEach replies to the end of content once for each RCPT that was taken: with
// r, or with what that recipient was refused with.
func (s *session) toEach(r *smtp.Reply) {
	if r.Code >= 400 && r.Code != 421 { // the policy refused all of them, perhaps each in its own words
		s.refused = refusedOf(s.tx, s.refused)
		for _, part := range s.tx.More {
			s.refused = refusedOf(part, s.refused)
		}
	}
	for _, path := range s.copies {
		s.reply(s.replyFor(path, r))
	}
	for _, one := range s.refused {
		s.asked = one.path
		s.rejected(one.reply, s.askedAttr()...)
	}
	s.refused = nil
}

func (s *session) replyFor(path mail.Path, r *smtp.Reply) *smtp.Reply {
	for i := range s.refused {
		if s.refused[i].path.Equal(path) {
			return s.refused[i].reply
		}
	}
	return r
}
