// Package relay hands mail to next hops: which one, found how, in which order,
// with which TLS. What one connection says is in smtpc; when to try again is
// the queue's decision.
package relay

import (
	"context"
	"crypto/tls"
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/parallel"
	"github.com/wasmta/wasmta/mta/internal/relay/dane"
	"github.com/wasmta/wasmta/mta/internal/relay/dnssec"
	"github.com/wasmta/wasmta/mta/internal/relay/sts"
	"github.com/wasmta/wasmta/mta/internal/relay/tlsrpt"
	"github.com/wasmta/wasmta/mta/internal/relay/verp"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// Defaults of the fields of [Relay] with the same names.
const (
	DefaultMaxRecipients = 100              // what every server has to take (RFC 5321 §4.5.3.1.8)
	DefaultMaxMessages   = 100              // then a new connection gives balancers a chance
	DefaultIdle          = 10 * time.Second // servers wait for minutes, but an idle session costs them one of few
	DefaultConnect       = 30 * time.Second // three SYNs
	DefaultMaxHosts      = 5                // of one MX list
	DefaultMaxAddresses  = 10               // of all these hosts (RFC 5321 §5.1: at least two)
)

// parallelHops bounds how many next hops one message is handed to at a time.
const parallelHops = 10

// A Resolver answers what DNS knows. [net.Resolver] is one.
type Resolver interface {
	LookupMX(ctx context.Context, name string) ([]*net.MX, error)
	LookupIPAddr(ctx context.Context, host string) ([]net.IPAddr, error)
}

// An Observer counts.
type Observer interface {
	Connected(nextHop string, reused bool)                              // a connection is about to be used
	Attempted(nextHop string, outcome mail.Outcome, took time.Duration) // one recipient has its result
	Unanswered(nextHop string)                                          // that recipient may get the message twice
	Secured(policy, failure string)                                     // TLS with a host that DNS named: by whose word, and what failed; empty: nothing
}

// A SecureResolver answers what DNS knows, and whether it is signed. That of
// package dnssec is one.
type SecureResolver interface {
	LookupMX(ctx context.Context, name string) (list []*net.MX, secure bool, err error)
	LookupHost(ctx context.Context, name string) (dnssec.Host, error)
	LookupTLSA(ctx context.Context, port int, base string) ([]dane.Record, error)
}

// A PolicySource knows MTA-STS policies. That of package sts is one.
type PolicySource interface {
	Policy(ctx context.Context, domain string) (*sts.Policy, *sts.Failure)
}

// Relay hands messages to next hops. Its fields do not change once Deliver has
// been called; a zero field has the default. Safe for concurrent use.
type Relay struct {
	Hostname string      // what EHLO says; required
	Routes   []Route     // the first that matches decides; none: MX
	Resolver Resolver    // nil: the system's
	TLS      *tls.Config // RootCAs and the like; nil: an empty one
	Log      *slog.Logger
	Observer Observer       // may be nil
	DNSSEC   SecureResolver // for MX; nil: no DANE, and Resolver is asked
	STS      PolicySource   // nil: no MTA-STS
	Reports  *tlsrpt.Counts // how TLS went; may be nil
	Prefer   Family         // which addresses of a host come first
	Default  Security       // of hops that no route has
	STSTest  bool           // MTA-STS policies are counted and not kept to
	VERP     verp.Senders   // the reverse-paths that name the recipient, one in a transaction; not by LMTP

	// Self tells whether an address is one that this server listens on, to
	// which nothing is ever sent. It may be nil.
	Self func(netip.AddrPort) bool

	// Dial connects; nil is net.Dialer's.
	Dial func(ctx context.Context, network, address string) (net.Conn, error)

	Timeouts      smtpc.Timeouts
	Connect       time.Duration // for one address
	Idle          time.Duration // that a connection waits for its next message
	MaxRecipients int           // of one transaction
	MaxMessages   int           // of one connection
	MaxHosts      int           // tried of one MX list
	MaxAddresses  int           // tried in one attempt
	MaxIdle       int           // connections that wait for their next message, to all next hops

	// MaxConnections is to all next hops. One is open from before it connects
	// until it is closed, so a next hop that goes silent keeps the places it
	// has for as long as Connect or the one of Timeouts that it is in, and then
	// Quit: with no more attempts at it than the queue makes at once, others
	// keep the rest.
	MaxConnections int

	// Messages is how many one connection carries at most, where that is not
	// MaxMessages, by what Lane calls the next hop. Zero: MaxMessages. It may be nil.
	Messages func(lane string) int

	pool pool
}

// Deliver hands m to next hops and returns one result for each recipient, in
// their order. All recipients go to hop; if it is nil, each goes to its own
// Route, or else where Routes says. Recipients of one next hop share a
// transaction. Deliver blocks until all have a result or ctx ends.
func (r *Relay) Deliver(ctx context.Context, m *mail.Message, hop *mail.NextHop) []mail.Result {
	results := make([]mail.Result, len(m.Envelope.Recipients))
	groups := r.group(m, hop)
	body := newBody(m.Content)
	parallel.Do(parallelHops, len(groups), func(i int) {
		r.attempt(ctx, m, body, groups[i], results) // each writes results of its own
		m.Progress.Tell(groups[i].rcpts, results)
	})
	return results
}

// A group is the recipients of one hop, by their place in the envelope.
type group struct {
	hop   Hop
	rcpts []int
}

func (r *Relay) group(m *mail.Message, hop *mail.NextHop) []group {
	var groups []group
	at := make(map[Hop]int, 1)
	for i := range m.Envelope.Recipients {
		h := r.hopFor(&m.Envelope.Recipients[i], hop)
		g, ok := at[h]
		if !ok {
			g = len(groups)
			at[h] = g
			groups = append(groups, group{hop: h})
		}
		groups[g].rcpts = append(groups[g].rcpts, i)
	}
	return groups
}

// Lane names the next hop that Deliver would hand a recipient to, without a
// password: a mail domain, or a hop as in `smtp://host:port`.
func (r *Relay) Lane(rcpt *mail.Recipient, hop *mail.NextHop) string {
	return laneOf(r.hopFor(rcpt, hop))
}

func laneOf(h Hop) string {
	if h.Scheme == MX {
		return h.Host
	}
	return h.String()
}

// hopFor is the hop of one recipient. With MX it names the domain.
func (r *Relay) hopFor(rcpt *mail.Recipient, given *mail.NextHop) Hop {
	if given == nil {
		given = rcpt.Route
	}
	if given != nil {
		return hopOf(given).with(r.Default)
	}
	domain := strings.ToLower(rcpt.Path.Domain)
	h := NewHop(MX, "", 0, "", "").with(r.Default)
	for i := range r.Routes {
		if r.Routes[i].matches(domain) {
			h = r.Routes[i].Hop
			break
		}
	}
	if h.Scheme == MX && h.Host == "" {
		h.Host = domain
	}
	return h
}

// Close closes the connections that wait for a next message, and those in use
// as soon as their transaction ends. It waits for the former.
func (r *Relay) Close() error {
	r.pool.close()
	return nil
}

func or[T int | time.Duration](v, otherwise T) T {
	if v > 0 {
		return v
	}
	return otherwise
}
