package smtpd

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"errors"
	"strings"

	gosasl "github.com/emersion/go-sasl"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/sasl"
	"github.com/wasmta/wasmta/mta/internal/smtp"
)

var (
	errNoTLS        = &smtp.Reply{Code: 502, Enh: smtp.Enh{5, 5, 1}, Text: "STARTTLS is not offered"}
	errTLSActive    = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "TLS is active"}
	errTLSPipelined = &smtp.Reply{Code: 521, Enh: smtp.Enh{5, 5, 1}, Text: "Nothing may follow STARTTLS in plain text"}
	errNoAuth       = &smtp.Reply{Code: 502, Enh: smtp.Enh{5, 5, 1}, Text: "AUTH is not offered"}
	errAuthPlain    = &smtp.Reply{Code: 538, Enh: smtp.Enh{5, 7, 11}, Text: "Encryption required for authentication, send STARTTLS first"}
	errAuthDone     = &smtp.Reply{Code: 503, Enh: smtp.Enh{5, 5, 1}, Text: "Already authenticated"}
	errMechanism    = &smtp.Reply{Code: 504, Enh: smtp.Enh{5, 5, 4}, Text: "Mechanism is not offered"}
	errAuthCancel   = &smtp.Reply{Code: 501, Enh: smtp.Enh{5, 7, 0}, Text: "Authentication cancelled"}
	errAuthSyntax   = &smtp.Reply{Code: 501, Enh: smtp.Enh{5, 5, 2}, Text: "Bad response to the challenge"}
	errAuthLong     = &smtp.Reply{Code: 500, Enh: smtp.Enh{5, 5, 6}, Text: "Authentication exchange line is too long"}
	errCredentials  = &smtp.Reply{Code: 535, Enh: smtp.Enh{5, 7, 8}, Text: "Authentication credentials invalid"}
	errAuthLater    = &smtp.Reply{Code: 454, Enh: smtp.Enh{4, 7, 0}, Text: "Temporary authentication failure, try again later"}
)

// startTLS goes over to TLS (RFC 3207). The session forgets all it was told in
// plain text, and does not go on when more came with the command: an attacker
// may have put it there to be taken for a part of the secured session.
func (s *session) startTLS(context.Context, string) *smtp.Reply {
	switch {
	case s.srv.TLS == nil:
		return errNoTLS
	case s.client.TLS != "":
		return errTLSActive
	case s.wire.in.Buffered() > 0:
		return errTLSPipelined
	}
	s.reply(&smtp.Reply{Code: 220, Enh: smtp.Enh{2, 0, 0}, Text: "Ready to start TLS"})
	if s.wire.flush() != nil || !s.shakeHands() {
		s.closing = true
		return nil
	}
	s.client.Helo, s.client.Extended, s.client.Account = "", false, "" // RFC 3207 §4.2
	s.facts = s.first.clone()
	return nil
}

// shakeHands is false when the session must end.
func (s *session) shakeHands() bool {
	state, err := s.wire.startTLS(s.srv.tls, s.srv.limits.Handshake)
	if err != nil {
		s.log.Info("handshake failed", "client", s.client.Addr, "err", err)
		return false
	}
	s.client.TLS = strings.Replace(tls.VersionName(state.Version), "TLS ", "TLSv", 1)
	s.client.Cipher = tls.CipherSuiteName(state.CipherSuite)
	return true
}

// authOffered tells whether AUTH may be used now: on a listener for users, and
// where nobody can listen.
func (s *session) authOffered() bool {
	return s.authKnown() && (s.client.TLS != "" || s.loopback)
}

func (s *session) authKnown() bool {
	return s.srv.Listener == mail.ListenerSubmission && s.srv.Directory != nil
}

// auth runs a SASL exchange (RFC 4954 §4).
func (s *session) auth(ctx context.Context, arg string) *smtp.Reply {
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	switch {
	case !s.authKnown():
		return errNoAuth
	case !s.authOffered():
		return errAuthPlain
	case s.client.Account != "":
		return errAuthDone
	}
	account := ""
	server, ok := sasl.NewServer(mechanism, func(login, password string) (err error) {
		account, err = s.srv.Directory.Authenticate(ctx, login, password, s.client.Addr.Addr())
		return err
	})
	if !ok {
		return errMechanism
	}
	if ok, r := s.exchange(server, initial, hasInitial); !ok {
		return r
	}
	if account == "" {
		return errCredentials
	}
	s.client.Account = account
	if _, r := s.consult(ctx, mail.HookAuth); r != nil {
		s.client.Account = ""
		return r
	}
	return &smtp.Reply{Code: 235, Enh: smtp.Enh{2, 7, 0}, Text: "Authentication succeeded"}
}

// exchange carries challenges and responses; ok: the client is who it says. A
// session that ended meanwhile has no reply.
func (s *session) exchange(server gosasl.Server, initial string, hasInitial bool) (ok bool, r *smtp.Reply) {
	var response []byte
	if hasInitial {
		if response, r = decodeResponse(initial); r != nil {
			return false, r
		}
	}
	for {
		challenge, done, err := server.Next(response)
		switch {
		case errors.Is(err, sasl.ErrMalformed):
			return false, errAuthSyntax
		case isTemporary(err):
			return false, errAuthLater
		case err != nil:
			return false, errCredentials
		case done:
			return true, nil
		}
		if response, r = s.challenge(challenge); r != nil || s.closing {
			return false, r
		}
	}
}

func isTemporary(err error) bool {
	var temporary interface{ Temporary() bool }
	return errors.As(err, &temporary) && temporary.Temporary()
}

// challenge sends one and reads the response.
func (s *session) challenge(challenge []byte) ([]byte, *smtp.Reply) {
	s.reply(&smtp.Reply{Code: 334, Text: base64.StdEncoding.EncodeToString(challenge)})
	s.wire.await(s.srv.limits.Idle, 0, true)
	line, err := s.wire.readLine(maxAuthLine)
	switch {
	case errors.Is(err, errLongLine):
		return nil, errAuthLong
	case err != nil:
		s.badLine(err)
		return nil, nil
	case string(line) == "*":
		return nil, errAuthCancel
	}
	return decodeResponse(string(line))
}

// decodeResponse reads base64; "=" is an empty response (RFC 4954 §4). What it
// returns is not nil if the reply is.
func decodeResponse(s string) ([]byte, *smtp.Reply) {
	if s == "=" {
		return []byte{}, nil
	}
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		return nil, errAuthSyntax
	}
	if b == nil {
		b = []byte{}
	}
	return b, nil
}
