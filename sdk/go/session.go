package mta

import (
	"net/netip"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// A Session is one connection, from greeting to QUIT, as far as it got. It is
// the host's: every method asks it there.
type Session struct{ _ [0]func() }

// Context is one value of the context, by its name in the ABI: "/tls/version",
// "/server/listener". ok is false for what is not known.
func (s *Session) Context(key string) (value string, ok bool) {
	b, e := read(func(buf []byte) int32 { return guest.CtxGet(key, buf) })
	return string(b), e == abi.OK
}

// ContextJSON is the whole context as a JSON object, as ctx_json of the ABI
// has it.
func (s *Session) ContextJSON() []byte {
	b, _ := read(guest.CtxJSON)
	return append([]byte(nil), b...)
}

func (s *Session) context(key string) string {
	v, _ := s.Context(key)
	return v
}

// Hostname is the server's own name.
func (s *Session) Hostname() string { return s.context("/server/name") }

// Listener is what the client came in by: "smtp", "submission" or "lmtp".
func (s *Session) Listener() string { return s.context("/server/listener") }

// ClientAddr is the address of the client; the zero Addr is not known.
func (s *Session) ClientAddr() netip.Addr {
	addr, _ := netip.ParseAddr(s.context("/client/ip"))
	return addr
}

// ClientName is the client's reverse name, verified forward; empty if there is
// none.
func (s *Session) ClientName() string { return s.context("/client/ptr") }

// Helo is what the client called itself in HELO or EHLO.
func (s *Session) Helo() string { return s.context("/client/ehlo") }

// Account is who authenticated; empty if nobody did.
func (s *Session) Account() string { return s.context("/auth/login") }

// TLS is the version of TLS, "TLSv1.3"; empty is plain text.
func (s *Session) TLS() string { return s.context("/tls/version") }

// SessionNote is what a stage noted of the session. Behind the queue there are
// none.
func (s *Session) SessionNote(key string) (value string, ok bool) {
	return note(abi.ScopeConnection, key)
}

// SetSessionNote leaves a note for all stages, until the session ends.
func (s *Session) SetSessionNote(key, value string) error {
	return setNote(abi.ScopeConnection, key, value)
}

func note(scope int32, key string) (string, bool) {
	b, e := read(func(buf []byte) int32 { return guest.NoteGet(scope, key, buf) })
	return string(b), e == abi.OK
}

func setNote(scope int32, key, value string) error {
	return failedOn("set note", key, guest.NoteSet(scope, key, value))
}
