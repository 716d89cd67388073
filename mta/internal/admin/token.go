package admin

import (
	"context"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"strings"
	"sync"
	"time"
)

// A Token lets whoever has it call the API.
type Token struct {
	Name string // of the operator, for the log
	Hash string // `sha256:` and 64 hexadecimal digits, or a hash that Server.Verify knows
	May  May
}

// May is what an operator may do. The zero value is everything.
type May bool

// LookOnly is what a reader may: all but content of messages, and changes.
const LookOnly May = true

// Bounds of guessing.
const (
	maxToken     = 512             // octets
	freeFailures = 10              // of one address in a failureTime, and then no token of it is looked at
	failureTime  = time.Minute     //
	maxAddresses = 1000            // that are remembered; then all others count as one
	verifiedFor  = 5 * time.Minute // a token that was right needs no slow hash
	maxVerified  = 100             //
)

// sha256Prefix begins the hash of a token that is too long to be guessed.
const sha256Prefix = "sha256:"

// A gate lets those in who have a token.
type gate struct {
	verify func(hash, token string) bool // slow; may be nil
	now    func() time.Time
	slow   sync.Mutex // one slow hash at a time: each takes much memory
	key    [32]byte   // of what is in verified; random

	mu       sync.Mutex // guards what follows
	failures map[netip.Prefix]failure
	verified map[[sha256.Size]byte]time.Time // until when a token is known
}

type failure struct {
	n     int
	since time.Time
}

func newGate(verify func(hash, token string) bool, now func() time.Time) *gate {
	g := &gate{verify: verify, now: now, failures: map[netip.Prefix]failure{}, verified: map[[sha256.Size]byte]time.Time{}}
	rand.Read(g.key[:]) // never fails (crypto/rand)
	return g
}

// admit returns the token that a request has.
func (g *gate) admit(r *http.Request, tokens []Token) (t Token, err error) {
	from := peerOf(r)
	if r.TLS == nil && !from.IsLoopback() {
		return Token{}, &problemError{http.StatusForbidden, "a token would go over the network in plain text; use https, or ask from this machine"}
	}
	if !g.mayTry(from) {
		return Token{}, &problemError{http.StatusTooManyRequests, fmt.Sprintf("too many wrong tokens; try again in %v", failureTime)}
	}
	kind, token, _ := strings.Cut(r.Header.Get("Authorization"), " ")
	token = strings.TrimSpace(token)
	if !strings.EqualFold(kind, "Bearer") || token == "" {
		return Token{}, &problemError{http.StatusUnauthorized, "send a token of admin.tokens: Authorization: Bearer TOKEN"}
	}
	if len(token) <= maxToken {
		if t, ok := g.find(token, tokens); ok {
			return t, nil
		}
	}
	g.failed(from)
	return Token{}, &problemError{http.StatusUnauthorized, "this token is none of admin.tokens"}
}

// find compares a token with all hashes, each in the same time whether it fits
// or not.
func (g *gate) find(token string, tokens []Token) (found Token, ok bool) {
	sum := sha256.Sum256([]byte(token))
	for _, t := range tokens {
		text, fast := strings.CutPrefix(t.Hash, sha256Prefix)
		if !fast {
			continue
		}
		want, err := hex.DecodeString(text)
		if err == nil && subtle.ConstantTimeCompare(want, sum[:]) == 1 {
			found, ok = t, true
		}
	}
	if ok || g.verify == nil {
		return found, ok
	}
	return g.findSlowly(token, tokens)
}

// findSlowly compares with the hashes that take time. What was right lately is
// known by a keyed hash.
func (g *gate) findSlowly(token string, tokens []Token) (found Token, ok bool) {
	g.slow.Lock()
	defer g.slow.Unlock()
	for _, t := range tokens {
		if strings.HasPrefix(t.Hash, sha256Prefix) {
			continue
		}
		if mac := g.mac(t, token); g.wasRight(mac) || g.verify(t.Hash, token) {
			g.remember(mac)
			return t, true
		}
	}
	return Token{}, false
}

func (g *gate) mac(t Token, token string) (sum [sha256.Size]byte) {
	m := hmac.New(sha256.New, g.key[:])
	m.Write([]byte(t.Hash + "\x00" + token)) // a hash has no NUL
	m.Sum(sum[:0])
	return sum
}

func (g *gate) wasRight(mac [sha256.Size]byte) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.now().Before(g.verified[mac])
}

func (g *gate) remember(mac [sha256.Size]byte) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if len(g.verified) >= maxVerified {
		clear(g.verified)
	}
	g.verified[mac] = g.now().Add(verifiedFor)
}

// mayTry tells whether tokens from an address are looked at.
func (g *gate) mayTry(from netip.Addr) bool {
	g.mu.Lock()
	defer g.mu.Unlock()
	f := g.failures[g.countedAs(from)]
	return f.n < freeFailures || g.now().Sub(f.since) >= failureTime
}

func (g *gate) failed(from netip.Addr) {
	g.mu.Lock()
	defer g.mu.Unlock()
	key := g.countedAs(from)
	f := g.failures[key]
	if now := g.now(); now.Sub(f.since) >= failureTime {
		f = failure{since: now}
	}
	f.n++ // up to freeFailures, or some more that were under way
	g.failures[key] = f
}

// countedAs is what the failures of an address are counted by: an IPv4 address,
// or the /64 that a client of IPv6 has to itself. With too many of them it is
// the zero Prefix, which stands for all others. It needs mu.
func (g *gate) countedAs(from netip.Addr) netip.Prefix {
	bits := 32
	if from.Is6() {
		bits = 64
	}
	key, err := from.Prefix(bits)
	if err != nil {
		return netip.Prefix{}
	}
	if _, known := g.failures[key]; known || len(g.failures) < maxAddresses {
		return key
	}
	now := g.now()
	for k, f := range g.failures {
		if now.Sub(f.since) >= failureTime {
			delete(g.failures, k)
		}
	}
	if len(g.failures) < maxAddresses {
		return key
	}
	return netip.Prefix{}
}

// peerOf is the address at the other end.
func peerOf(r *http.Request) netip.Addr {
	host, _, err := net.SplitHostPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	addr, _ := netip.ParseAddr(host) // the zero Addr is no loopback
	return addr.Unmap().WithZone("")
}

// guarded is the API behind tokens. While there are none, it is not there.
func (s *Server) guarded() http.Handler {
	g := newGate(s.Verify, s.now)
	api := s.withProblems(s.api())
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tokens := s.tokens()
		if len(tokens) == 0 {
			http.NotFound(w, r)
			return
		}
		t, err := g.admit(r, tokens)
		if err != nil {
			s.refuse(w, r, err)
			return
		}
		ctx := withOperator(r.Context(), "token "+t.Name)
		api.ServeHTTP(w, r.WithContext(context.WithValue(ctx, mayKey{}, t.May)))
	})
}

// mayKey is the key of a May.
type mayKey struct{}

// allow refuses a reader what is for operators.
func (r *route) allow(ctx context.Context) error {
	if may, _ := ctx.Value(mayKey{}).(May); may == LookOnly && r.forOperators() {
		return &problemError{http.StatusForbidden, "a token of admin.readers changes nothing, and reads no content; this takes one of admin.tokens"}
	}
	return nil
}

// forOperators tells whether a route changes something or shows content.
func (r *route) forOperators() bool { return r.method != http.MethodGet || r.media == mediaMessage }

func (s *Server) refuse(w http.ResponseWriter, r *http.Request, err error) {
	switch refused, _ := errors.AsType[*problemError](err); refused.status {
	case http.StatusUnauthorized:
		w.Header().Set("WWW-Authenticate", `Bearer realm="mta"`)
	case http.StatusTooManyRequests:
		w.Header().Set("Retry-After", fmt.Sprint(int(failureTime.Seconds())))
	}
	s.log().Warn("operator refused", "client", peerOf(r), "path", r.URL.Path, "err", err)
	s.fail(w, err)
}

func (s *Server) tokens() []Token {
	if s.Tokens == nil {
		return nil
	}
	return s.Tokens()
}
