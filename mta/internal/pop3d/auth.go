package pop3d

import (
	"context"
	"encoding/base64"
	"errors"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/sasl"
)

// mayLogin tells whether a password may be sent now: where nobody can listen.
func (s *session) mayLogin() bool { return s.secure || s.loopback }

// mayStartTLS tells whether STLS is offered.
func (s *session) mayStartTLS() bool { return s.srv.tls != nil && !s.secure }

// startTLS goes over to TLS (RFC 2595 §4). What came with the command in plain
// text may be an attacker's: then the session ends.
func (s *session) startTLS(_ context.Context, arg string) {
	switch {
	case arg != "":
		s.bad("STLS has no argument")
		return
	case s.secure:
		s.bad("TLS is active")
		return
	case s.srv.tls == nil:
		s.bad("TLS is not offered")
		return
	case s.in.Buffered() > 0:
		s.err("nothing may follow STLS in plain text")
		s.closing = true
		return
	}
	s.ok("begin TLS negotiation")
	if s.out.Flush() != nil || !s.handshake() {
		s.closing = true
		return
	}
	s.login = ""
}

// user takes a login. Whether there is such an account is not told.
func (s *session) user(_ context.Context, arg string) {
	switch {
	case !s.mayLogin():
		s.refuseLogin()
	case arg == "":
		s.bad("USER needs a name")
	default:
		s.login = arg
		s.ok("")
	}
}

// pass takes the password: all of the line, blanks too (RFC 1939 §7).
func (s *session) pass(ctx context.Context, arg string) {
	login := s.login
	s.login = ""
	switch {
	case !s.mayLogin():
		s.refuseLogin()
	case login == "":
		s.bad("USER comes first")
	default:
		account, err := s.srv.Accounts.Authenticate(ctx, login, arg, s.client)
		s.enter(account, err)
	}
}

func (s *session) refuseLogin() {
	if s.mayStartTLS() {
		s.bad("a password is taken under TLS only, send STLS first")
		return
	}
	s.bad("a password is taken under TLS only")
}

// auth runs a SASL exchange (RFC 5034). Without an argument it lists the
// mechanisms, as clients older than CAPA expect.
func (s *session) auth(ctx context.Context, arg string) {
	mechanism, initial, hasInitial := strings.Cut(arg, " ")
	switch {
	case !s.mayLogin():
		s.refuseLogin()
		return
	case mechanism == "":
		s.ok("mechanisms follow")
		for _, m := range sasl.Mechanisms() {
			s.line(m)
		}
		s.line(".")
		return
	}
	account := ""
	server, ok := sasl.NewServer(mechanism, func(login, password string) (err error) {
		account, err = s.srv.Accounts.Authenticate(ctx, login, password, s.client)
		return err
	})
	if !ok {
		s.bad("mechanism is not offered")
		return
	}
	var response []byte
	if hasInitial {
		if response, ok = decodeResponse(initial); !ok {
			s.bad("bad initial response")
			return
		}
	}
	for {
		challenge, done, err := server.Next(response)
		if errors.Is(err, sasl.ErrMalformed) {
			s.bad("bad response to the challenge")
			return
		}
		if done || err != nil {
			s.enter(account, err)
			return
		}
		if response, ok = s.challenge(challenge); !ok {
			return
		}
	}
}

// challenge sends one and returns the response; false: there is none, and the
// client has its reply.
func (s *session) challenge(octets []byte) (response []byte, ok bool) {
	s.line("+ " + base64.StdEncoding.EncodeToString(octets))
	line, err := s.read(maxAuthLine)
	switch {
	case errors.Is(err, errLong):
		s.bad("response is too long")
		return nil, false
	case err != nil:
		s.closing = true // the next read would fail as well
		return nil, false
	case line == "*":
		s.bad("authentication cancelled")
		return nil, false
	}
	if response, ok = decodeResponse(line); !ok {
		s.bad("response is not base64")
	}
	return response, ok
}

func decodeResponse(s string) ([]byte, bool) {
	if s == "=" { // an empty one (RFC 5034 §4)
		return []byte{}, true
	}
	b, err := base64.StdEncoding.Strict().DecodeString(s)
	if err == nil && b == nil {
		b = []byte{}
	}
	return b, err == nil
}

// enter opens the maildrop of whoever logged in.
func (s *session) enter(account string, err error) {
	if err == nil && account == "" {
		err = errors.New("no account")
	}
	s.srv.Observer.Login(err == nil)
	if err != nil {
		s.refused(err)
		return
	}
	drop, err := openMaildrop(s.srv.Store, account)
	if errors.Is(err, errInUse) {
		s.err("[IN-USE] another session has the maildrop, try again later")
		return
	}
	if err != nil {
		s.srv.log.Error("maildrop cannot be opened", "account", account, "client", s.client, "err", err)
		s.err("[SYS/TEMP] maildrop cannot be opened, try again later")
		return
	}
	s.drop, s.account, s.state = drop, account, transaction
	s.ok("user successfully logged on")
}

// refused answers a login that failed (RFC 3206: AUTH is the client's fault,
// SYS/TEMP is not).
func (s *session) refused(err error) {
	temporary, ok := errors.AsType[interface {
		error
		Temporary() bool
	}](err)
	if ok && temporary.Temporary() {
		s.err("[SYS/TEMP] login is not possible now, try again later")
	} else {
		s.err("[AUTH] login or password is wrong")
	}
	if s.logins++; over(s.logins, s.srv.limits.Logins-1) && s.srv.limits.Logins > 0 {
		s.closing = true
	}
}
