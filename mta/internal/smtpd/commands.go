package smtpd

import (
	"context"
	"fmt"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/sasl"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// A phase is how far a session must be for a command.
type phase uint8

const (
	anyTime  phase = iota
	greeted        // HELO, EHLO or LHLO was taken
	noMail         // and no transaction is open
	mailFrom       // MAIL was taken
	rcptTo         // RCPT was taken
)

// A command is a row of the table of verbs.
type command struct {
	handle func(s *session, ctx context.Context, arg string) *smtp.Reply
	after  phase
	plain  bool // takes no argument
}

// commands has what every session knows. HELO, EHLO and LHLO are told apart by
// their handlers.
var commands = map[string]command{
	"HELO":     {handle: (*session).helo},
	"EHLO":     {handle: (*session).ehlo},
	"LHLO":     {handle: (*session).lhlo},
	"STARTTLS": {handle: (*session).startTLS, after: noMail, plain: true},
	"AUTH":     {handle: (*session).auth, after: noMail},
	"MAIL":     {handle: (*session).mail, after: noMail},
	"RCPT":     {handle: (*session).rcpt, after: mailFrom},
	"DATA":     {handle: (*session).data, after: rcptTo, plain: true},
	"BDAT":     {handle: (*session).bdat}, // sees for itself: its octets come in any case
	"RSET":     {handle: (*session).rset, plain: true},
	"NOOP":     {handle: (*session).noop},
	"VRFY":     {handle: (*session).vrfy},
	"EXPN":     {handle: (*session).expn},
	"HELP":     {handle: (*session).help},
	"QUIT":     {handle: (*session).quit, plain: true},

	// Browsers, made to talk to us by a page (cross-protocol attack).
	"GET": {handle: (*session).notSMTP}, "POST": {handle: (*session).notSMTP}, "PUT": {handle: (*session).notSMTP},
	"HEAD": {handle: (*session).notSMTP}, "OPTIONS": {handle: (*session).notSMTP}, "CONNECT": {handle: (*session).notSMTP},
}

func (s *session) dispatch(ctx context.Context, verb, arg string) *smtp.Reply {
	c, ok := commands[verb]
	if !ok {
		return errUnknown // not logged: the word may be a password
	}
	s.verb = verb
	if s.barred && verb != "QUIT" {
		return errBarred
	}
	if c.plain && arg != "" {
		return errNoArgument
	}
	if r := s.outOfSequence(c.after); r != nil {
		return r
	}
	return c.handle(s, ctx, arg)
}

var (
	errGreetFirst = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "Send HELO or EHLO first"}
	errMailOpen   = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "A transaction is open; end it or send RSET"}
	errMailFirst  = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "Send MAIL first"}
	errRcptFirst  = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "No valid recipients"}
)

// outOfSequence is the reply to a command that must not come now (RFC 5321
// §4.1.4); nil: it may.
func (s *session) outOfSequence(after phase) *smtp.Reply {
	switch {
	case after >= greeted && s.client.Helo == "":
		return errGreetFirst
	case after == noMail && s.tx != nil:
		return errMailOpen
	case after >= mailFrom && s.tx == nil:
		return errMailFirst
	case after == rcptTo && s.accepted == 0:
		return errRcptFirst
	}
	return nil
}

func (s *session) helo(ctx context.Context, arg string) *smtp.Reply {
	if s.srv.Listener == mail.ListenerLMTP {
		return errUnknown // RFC 2033 §4.1
	}
	if r := s.greet(ctx, arg, false); r != nil {
		return r
	}
	return &smtp.Reply{Code: 250, Text: s.welcome()}
}

func (s *session) ehlo(ctx context.Context, arg string) *smtp.Reply {
	if s.srv.Listener == mail.ListenerLMTP {
		return errUnknown
	}
	return s.extended(ctx, arg)
}

func (s *session) lhlo(ctx context.Context, arg string) *smtp.Reply {
	if s.srv.Listener != mail.ListenerLMTP {
		return errUnknown
	}
	return s.extended(ctx, arg)
}

func (s *session) extended(ctx context.Context, arg string) *smtp.Reply {
	if r := s.greet(ctx, arg, true); r != nil {
		return r
	}
	lines := append([]string{s.srv.Hostname + " " + s.welcome()}, s.extensions()...)
	return &smtp.Reply{Code: 250, Text: strings.Join(lines, "\n")}
}

// greet takes the client's name and resets the session (RFC 5321 §4.1.4).
func (s *session) greet(ctx context.Context, arg string, extended bool) *smtp.Reply {
	name, err := smtp.ParseHelo(arg)
	if err != nil {
		return smtp.ReplyTo(err)
	}
	s.endTransaction()
	s.client.Helo, s.client.Extended = name, extended
	_, r := s.consult(ctx, mail.HookHelo)
	if r != nil {
		s.client.Helo, s.client.Extended = "", false
	}
	return r
}

func (s *session) welcome() string {
	return "Hello " + s.client.Helo + ", pleased to meet you"
}

// extensions are the lines of the reply to EHLO.
func (s *session) extensions() []string {
	lines := []string{
		"PIPELINING", // RFC 2920
		fmt.Sprintf("SIZE %d", s.srv.limits.Message), // RFC 1870
		"8BITMIME",            // RFC 6152
		"SMTPUTF8",            // RFC 6531
		"CHUNKING",            // RFC 3030
		"DSN",                 // RFC 3461
		"ENHANCEDSTATUSCODES", // RFC 2034
	}
	var limits []string // RFC 9422
	if n := s.srv.limits.Messages; n > 0 {
		limits = append(limits, fmt.Sprintf("MAILMAX=%d", n))
	}
	if n := s.srv.limits.Recipients; n > 0 {
		limits = append(limits, fmt.Sprintf("RCPTMAX=%d", n))
	}
	if limits != nil {
		lines = append(lines, "LIMITS "+strings.Join(limits, " "))
	}
	if s.srv.TLS != nil && s.client.TLS == "" {
		lines = append(lines, "STARTTLS") // RFC 3207
	}
	if s.client.TLS != "" {
		lines = append(lines, "REQUIRETLS") // RFC 8689
	}
	if s.authOffered() && s.client.Account == "" {
		lines = append(lines, "AUTH "+strings.Join(sasl.Mechanisms(), " ")) // RFC 4954
	}
	return lines
}

func (s *session) rset(context.Context, string) *smtp.Reply {
	s.endTransaction()
	return s.ok(smtp.Enh{2, 0, 0}, "Reset")
}

func (s *session) noop(context.Context, string) *smtp.Reply {
	return s.ok(smtp.Enh{2, 0, 0}, "OK")
}

// vrfy tells nothing: it would tell spammers too (RFC 5321 §7.3).
func (s *session) vrfy(_ context.Context, arg string) *smtp.Reply {
	if arg == "" {
		return &smtp.Reply{Code: 501, Enh: smtp.Enh{5, 5, 4}, Text: "Syntax: VRFY string"}
	}
	return &smtp.Reply{Code: 252, Enh: smtp.Enh{2, 0, 0}, Text: "Cannot verify, but will take the message and try to deliver it"}
}

func (s *session) expn(context.Context, string) *smtp.Reply {
	return &smtp.Reply{Code: 502, Enh: smtp.Enh{5, 5, 1}, Text: "EXPN is not offered"}
}

func (s *session) help(context.Context, string) *smtp.Reply {
	return &smtp.Reply{Code: 214, Enh: smtp.Enh{2, 0, 0}, Text: "Commands: HELO EHLO MAIL RCPT DATA BDAT RSET NOOP VRFY HELP QUIT STARTTLS AUTH\nSee RFC 5321"}
}

func (s *session) quit(context.Context, string) *smtp.Reply {
	s.closing = true
	return s.ok(smtp.Enh{2, 0, 0}, s.srv.Hostname+" closing connection")
}

func (s *session) notSMTP(context.Context, string) *smtp.Reply { return errNotSMTP }

// ok is a reply of 250, or 221 to QUIT. A client that said HELO gets it as
// RFC 821 had it: it did not ask for enhanced codes.
func (s *session) ok(enh smtp.Enh, text string) *smtp.Reply {
	r := &smtp.Reply{Code: 250, Enh: enh, Text: text}
	if s.closing {
		r.Code = 221
	}
	if s.client.Helo != "" && !s.client.Extended {
		r.Enh = smtp.Enh{}
	}
	return r
}
