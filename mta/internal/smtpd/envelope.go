package smtpd

import (
	"context"
	"strings"

	gosmtp "github.com/emersion/go-smtp"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

var (
	errAuthNeeded = &smtp.Reply{Code: 530, Enh: smtp.Enh{5, 7, 0}, Text: "Authentication required"}
	errTLSNeeded  = &smtp.Reply{Code: 530, Enh: smtp.Enh{5, 7, 0}, Text: "Must issue a STARTTLS command first"}
	errMessages   = &smtp.Reply{Code: 421, Enh: smtp.Enh{4, 7, 0}, Text: "Enough messages for one session, connect again"}
	errBinary     = &smtp.Reply{Code: 501, Enh: smtp.Enh{5, 5, 4}, Text: "BODY=BINARYMIME is not offered"}
	errRequireTLS = &smtp.Reply{Code: 530, Enh: smtp.Enh{5, 7, 10}, Text: "REQUIRETLS is for sessions under TLS"}
	errNoUTF8     = &smtp.Reply{Code: 553, Enh: smtp.Enh{5, 6, 7}, Text: "A non-ASCII address needs SMTPUTF8"}
	errNoSuch     = &smtp.Reply{Code: 550, Enh: smtp.Enh{5, 1, 1}, Text: "No such recipient here"}
	errRelay      = &smtp.Reply{Code: 554, Enh: smtp.Enh{5, 7, 1}, Text: "Relaying denied"}
	errRecipients = &smtp.Reply{Code: 452, Enh: smtp.Enh{4, 5, 3}, Text: "Too many recipients in one transaction"}
	errChunksOpen = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "BDAT has begun"}
)

// mail opens a transaction (RFC 5321 §4.1.1.2).
func (s *session) mail(ctx context.Context, arg string) *smtp.Reply {
	if s.srv.Listener == mail.ListenerSubmission && s.client.Account == "" {
		if !s.authOffered() && s.srv.TLS != nil {
			return errTLSNeeded
		}
		return errAuthNeeded // RFC 6409 §4.3
	}
	if over(s.messages+1, s.srv.limits.Messages) {
		return errMessages
	}
	path, opts, err := smtp.ParseMail(arg)
	switch {
	case err != nil:
		return smtp.ReplyTo(err)
	case opts.Body == gosmtp.BodyBinaryMIME:
		return errBinary
	case path.NeedsUTF8() && !opts.UTF8:
		return errNoUTF8
	case opts.RequireTLS && s.client.TLS == "": // RFC 8689 §3: it is offered under TLS alone
		return errRequireTLS
	case opts.Size > s.srv.limits.Message:
		return s.srv.tooLarge()
	}
	s.takeName()
	s.begin(mail.Envelope{
		ReversePath: path,
		Body:        mail.Body(opts.Body),
		UTF8:        opts.UTF8,
		Ret:         string(opts.Return),
		EnvID:       opts.EnvelopeID,
		RequireTLS:  opts.RequireTLS,
	})
	if _, r := s.consult(ctx, mail.HookMail); r != nil {
		s.endTransaction()
		return r
	}
	return s.ok(smtp.Enh{2, 1, 0}, shown(path)+" ... Sender ok")
}

// shown is a path as replies have it.
func shown(p mail.Path) string {
	if p.IsNull() {
		return "<>"
	}
	return p.String()
}

// rcpt adds a recipient (RFC 5321 §4.1.1.3).
func (s *session) rcpt(ctx context.Context, arg string) *smtp.Reply {
	if s.chunks != nil {
		return errChunksOpen
	}
	path, opts, err := smtp.ParseRcpt(arg)
	s.asked = path
	switch {
	case err != nil:
		return smtp.ReplyTo(err)
	case path.NeedsUTF8() && !s.tx.Envelope.UTF8:
		return errNoUTF8
	case over(s.accepted+1, s.srv.limits.Recipients):
		return errRecipients
	}
	if r := s.mayReceive(ctx, path); r != nil {
		return r
	}
	before := s.tx.Envelope
	if s.addRecipient(path, opts) {
		if r := s.consultRcpt(ctx, path, before); r != nil {
			return r
		}
	}
	s.accepted++
	if s.srv.Listener == mail.ListenerLMTP {
		s.copies = append(s.copies, path)
	}
	return s.ok(smtp.Enh{2, 1, 5}, path.String()+" ... Recipient ok")
}

// mayReceive is the reply to a recipient that cannot be taken; nil: it can.
func (s *session) mayReceive(ctx context.Context, path mail.Path) *smtp.Reply {
	local, exists := false, false
	if s.srv.Directory != nil {
		var err error
		if local, exists, err = s.srv.Directory.Recipient(ctx, path); err != nil {
			s.log.Error("recipient not looked up", "rcpt", path.String(), "err", err)
			return smtp.ReplyTo(err)
		}
	}
	switch {
	case local && !exists:
		return errNoSuch
	case !local && path.Domain == "":
		return errNoSuch // <postmaster>, and nobody plays the part
	case !local && !s.mayRelay():
		return errRelay
	}
	return nil
}

// mayRelay tells whether the client may send on to other domains.
func (s *session) mayRelay() bool {
	return s.client.Account != "" || s.srv.mayRelay(s.client.Addr.Addr())
}

// addRecipient drops a recipient that was named before: it gets one copy. It is
// false then.
func (s *session) addRecipient(path mail.Path, opts gosmtp.RcptOptions) bool {
	e := &s.tx.Envelope
	for i := range e.Recipients {
		if e.Recipients[i].Path.Equal(path) || e.Recipients[i].Original.Equal(path) {
			return false
		}
	}
	r := mail.Recipient{Path: path, Original: path}
	if opts.OriginalRecipient != "" {
		r.ORCPT = strings.ToLower(string(opts.OriginalRecipientType)) + ";" + opts.OriginalRecipient
	}
	for _, n := range opts.Notify {
		r.Notify |= notifies[n]
	}
	e.Recipients = append(e.Recipients, r)
	return true
}

var notifies = map[gosmtp.DSNNotify]mail.Notify{
	gosmtp.DSNNotifyNever:   mail.NotifyNever,
	gosmtp.DSNNotifySuccess: mail.NotifySuccess,
	gosmtp.DSNNotifyFailure: mail.NotifyFailure,
	gosmtp.DSNNotifyDelayed: mail.NotifyDelay,
}
