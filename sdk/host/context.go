package host

import (
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/wasmta/wasmta/sdk/abi"
)

// A Context is what is known of the session, shaped and named as in
// Stalwart's MTA Hooks. Empty fields are not known.
type Context struct {
	Client   Client   `json:"client"`
	Auth     *Auth    `json:"auth,omitempty"`
	TLS      *TLS     `json:"tls,omitempty"`
	Server   Server   `json:"server"`
	Queue    Queue    `json:"queue"`
	Envelope Envelope `json:"envelope"`
	Plugin   string   `json:"plugin,omitempty"` // the name of the plugin that asks
}

// Client is the other end of the session.
type Client struct {
	IP   netip.Addr `json:"ip,omitzero"`
	Port uint16     `json:"port,omitempty"`
	PTR  string     `json:"ptr,omitempty"`  // the reverse name, verified forward
	EHLO string     `json:"ehlo,omitempty"` // what it called itself in HELO or EHLO
}

// Auth says who authenticated.
type Auth struct {
	Login string `json:"login"`
}

// TLS is the session's encryption; nil in [Context] means plain text.
type TLS struct {
	Version string `json:"version"`
	Cipher  string `json:"cipher,omitempty"`
}

// Server is our end of the session.
type Server struct {
	Name     string     `json:"name"`
	IP       netip.Addr `json:"ip,omitzero"`
	Port     uint16     `json:"port,omitempty"`
	Listener string     `json:"listener,omitempty"` // "smtp", "submission", "lmtp"
}

// Queue names the message. The rest is known once it is queued.
type Queue struct {
	ID       string    `json:"id,omitempty"`
	Attempts int       `json:"attempts,omitempty"` // that were made
	Received time.Time `json:"received,omitzero"`  // when the message came
}

// Envelope has the parameters of MAIL (RFC 6152, RFC 6531, RFC 3461); the
// paths have functions of their own.
type Envelope struct {
	Body  string `json:"body,omitempty"`
	UTF8  bool   `json:"utf8,omitempty"`
	Ret   string `json:"ret,omitempty"`
	EnvID string `json:"envid,omitempty"`
}

// contextKeys are the keys of ctx_get; one that is empty is not found.
var contextKeys = map[string]func(*Call) string{
	"/stage":           func(c *Call) string { return stageName(c.in.Hook) },
	"/plugin":          func(c *Call) string { return c.in.Context.Plugin },
	"/client/ip":       func(c *Call) string { return addr(c.in.Context.Client.IP) },
	"/client/port":     func(c *Call) string { return number(c.in.Context.Client.Port) },
	"/client/ptr":      func(c *Call) string { return c.in.Context.Client.PTR },
	"/client/ehlo":     func(c *Call) string { return c.in.Context.Client.EHLO },
	"/auth/login":      func(c *Call) string { return c.in.Context.Auth.login() },
	"/tls/version":     func(c *Call) string { return c.in.Context.TLS.version() },
	"/tls/cipher":      func(c *Call) string { return c.in.Context.TLS.cipher() },
	"/server/name":     func(c *Call) string { return c.in.Context.Server.Name },
	"/server/ip":       func(c *Call) string { return addr(c.in.Context.Server.IP) },
	"/server/port":     func(c *Call) string { return number(c.in.Context.Server.Port) },
	"/server/listener": func(c *Call) string { return c.in.Context.Server.Listener },
	"/queue/id":        func(c *Call) string { return c.in.Context.Queue.ID },
	"/queue/attempts":  func(c *Call) string { return c.attempts() },
	"/queue/received":  func(c *Call) string { return timestamp(c.in.Context.Queue.Received) },
	"/envelope/body":   func(c *Call) string { return c.in.Context.Envelope.Body },
	"/envelope/utf8":   func(c *Call) string { return yes(c.in.Context.Envelope.UTF8) },
	"/envelope/ret":    func(c *Call) string { return c.in.Context.Envelope.Ret },
	"/envelope/envid":  func(c *Call) string { return c.in.Context.Envelope.EnvID },
}

func (a *Auth) login() string {
	if a == nil {
		return ""
	}
	return a.Login
}

func (t *TLS) version() string {
	if t == nil {
		return ""
	}
	return t.Version
}

func (t *TLS) cipher() string {
	if t == nil {
		return ""
	}
	return t.Cipher
}

// attempts are how many were made; before the queue nothing is known of them.
func (c *Call) attempts() string {
	if !abi.Queued.Has(c.hook) && !c.in.AfterQueue {
		return ""
	}
	return strconv.Itoa(c.in.Context.Queue.Attempts)
}

func timestamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339)
}

// stageName is a hook's name as MTA Hooks has it: "message" for "on_message".
func stageName(hook string) string { return strings.TrimPrefix(hook, "on_") }

func addr(a netip.Addr) string {
	if !a.IsValid() {
		return ""
	}
	return a.String()
}

func number(n uint16) string {
	if n == 0 {
		return ""
	}
	return strconv.Itoa(int(n))
}

func yes(b bool) string {
	if b {
		return "true"
	}
	return ""
}
