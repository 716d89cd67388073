// Package sasl has the mechanisms that prove who a client is (RFC 4422), as
// server and as client. It knows no protocol that carries them and no place
// where passwords are kept.
package sasl

import (
	"errors"
	"strings"
	"unicode/utf8"

	gosasl "github.com/emersion/go-sasl"
)

// The mechanisms, the better one first. Both show the password to the server,
// so they belong under TLS.
const (
	Plain = gosasl.Plain // RFC 4616
	Login = gosasl.Login // never a standard; what old user agents have
)

// Mechanisms returns those that [NewServer] has.
func Mechanisms() []string { return []string{Plain, Login} }

// maxSecret is the longest login or password that is looked at (RFC 4616 §2
// asks for 255 octets at least).
const maxSecret = 1024

// ErrMalformed says that a client's response is not what the mechanism has.
var ErrMalformed = errors.New("malformed response")

// A Check decides whether login may come in with password. Its error is what
// the server's Next returns, wrapped or not.
type Check func(login, password string) error

// NewServer returns the server's side of mechanism, whose case does not
// matter; ok is false for one that we do not have. It serves one exchange.
func NewServer(mechanism string, check Check) (server gosasl.Server, ok bool) {
	switch strings.ToUpper(mechanism) {
	case Plain:
		return &plainServer{check: check}, true
	case Login:
		return &loginServer{check: check}, true
	}
	return nil, false
}

// plainServer is go-sasl's, with the errors told apart: those of Check go
// through, all others are ErrMalformed.
type plainServer struct {
	check Check
	inner gosasl.Server
}

func (s *plainServer) Next(response []byte) (challenge []byte, done bool, err error) {
	var verdict error
	asked := false
	if s.inner == nil {
		s.inner = gosasl.NewPlainServer(func(identity, login, password string) error {
			if identity != "" && identity != login {
				return ErrMalformed // nobody acts for another
			}
			if !wellFormed(login, password) {
				return ErrMalformed
			}
			asked = true
			verdict = s.check(login, password)
			return verdict
		})
	}
	challenge, done, err = s.inner.Next(response)
	if asked {
		return challenge, done, verdict
	}
	if err != nil {
		return nil, true, ErrMalformed
	}
	return challenge, done, nil
}

// loginServer asks for a login and then for a password. The prompts are those
// that clients compare with.
type loginServer struct {
	check Check
	login string
	state loginState
}

type loginState uint8

const (
	askLogin loginState = iota
	haveLogin
	loginDone
)

func (s *loginServer) Next(response []byte) (challenge []byte, done bool, err error) {
	switch {
	case s.state == askLogin && response == nil:
		return []byte("Username:"), false, nil
	case s.state == askLogin:
		s.login, s.state = string(response), haveLogin
		return []byte("Password:"), false, nil
	case s.state == haveLogin && response != nil:
		s.state = loginDone
		if !wellFormed(s.login, string(response)) {
			return nil, true, ErrMalformed
		}
		return nil, true, s.check(s.login, string(response))
	}
	return nil, true, ErrMalformed
}

func wellFormed(login, password string) bool {
	return login != "" && password != "" && isText(login) && isText(password)
}

func isText(s string) bool {
	return len(s) <= maxSecret && utf8.ValidString(s) && strings.IndexByte(s, 0) < 0
}

// NewClient returns the client's side of the best mechanism among those that a
// server offers; ok is false when there is none.
func NewClient(offered []string, login, password string) (client gosasl.Client, ok bool) {
	for _, have := range Mechanisms() {
		for _, mechanism := range offered {
			if !strings.EqualFold(mechanism, have) {
				continue
			}
			if have == Plain {
				return gosasl.NewPlainClient("", login, password), true
			}
			return &loginClient{answers: []string{login, password}}, true
		}
	}
	return nil, false
}

// loginClient answers the first challenge with the login and the second with
// the password, whatever their texts: servers differ in them.
type loginClient struct{ answers []string }

func (c *loginClient) Start() (mechanism string, initial []byte, err error) {
	return Login, nil, nil
}

func (c *loginClient) Next([]byte) (response []byte, err error) {
	if len(c.answers) == 0 {
		return nil, gosasl.ErrUnexpectedServerChallenge
	}
	response, c.answers = []byte(c.answers[0]), c.answers[1:]
	return response, nil
}
