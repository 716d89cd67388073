// Package lookup asks the DNS for plugins: one record type of one name, as
// text. Which server is asked is the caller's choice, and what the answer means
// the plugin's matter.
package lookup

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/sdk/host"
)

const (
	// DefaultTimeout is how long a question may take: two tries at a server
	// that is slow, and a small part of what a client waits for a reply.
	DefaultTimeout = 5 * time.Second

	// keepFor is how long an answer is used again, be it records or none. What
	// it saves is the same question by the next stage, or about the next
	// recipient; long enough to matter is the DNS server's own cache.
	keepFor = 30 * time.Second

	// maxKept is how many answers are kept.
	maxKept = 4096
)

// New asks through net what [host.Resolver] asks; nil is the system's
// resolver. Types are A, AAAA, CNAME, MX, NS, PTR, SRV and TXT. CNAME is the
// name at the end of the chain, and PTR needs a name below in-addr.arpa or
// ip6.arpa. Where the system's files (/etc/hosts) know an address, they answer.
func New(through *net.Resolver) *Resolver {
	if through == nil {
		through = net.DefaultResolver
	}
	return &Resolver{net: through, kept: map[question]answer{}}
}

// NewServer is a resolver of the library that asks the server at address, host
// and port, and no other.
func NewServer(address string) *net.Resolver {
	return &net.Resolver{
		PreferGo: true,
		Dial: func(ctx context.Context, network, _ string) (net.Conn, error) {
			var d net.Dialer
			return d.DialContext(ctx, network, address)
		},
	}
}

// A Resolver implements [host.Resolver]. Make it with [New]. Safe for
// concurrent use.
type Resolver struct {
	net *net.Resolver

	mu   sync.Mutex // guards kept
	kept map[question]answer
}

var _ host.Resolver = (*Resolver)(nil)

type question struct {
	qtype uint16
	name  string // lower case, with the dot at the end
}

type answer struct {
	records []string // none: there is no such record
	until   time.Time
}

// Lookup implements [host.Resolver]. It takes [DefaultTimeout] at most.
func (r *Resolver) Lookup(ctx context.Context, qtype uint16, name string) ([]string, error) {
	ask, ok := types[qtype]
	if !ok {
		return nil, fmt.Errorf("%w: record type %d", host.ErrUnsupported, qtype)
	}
	q := question{qtype, strings.ToLower(strings.TrimSuffix(name, ".")) + "."}
	a, ok := r.recall(q)
	if !ok {
		ctx, cancel := context.WithTimeout(ctx, DefaultTimeout)
		defer cancel()
		records, err := ask(ctx, r.net, q.name)
		if len(records) == 0 && err != nil {
			if err = classify(ctx, err); !errors.Is(err, host.ErrNotFound) {
				return nil, fmt.Errorf("look up %s: %w", name, err)
			}
		} // else some records are good and others are not: those that are, are the answer
		a = answer{records: records, until: time.Now().Add(keepFor)}
		r.keep(q, a)
	}
	if len(a.records) == 0 {
		return nil, host.ErrNotFound
	}
	return append([]string(nil), a.records...), nil
}

// classify gives the errors of the library the names that plugins know.
func classify(ctx context.Context, err error) error {
	if dns, ok := errors.AsType[*net.DNSError](err); ok {
		switch {
		case dns.IsNotFound:
			return host.ErrNotFound
		case dns.IsTimeout:
			return host.ErrTimeout
		}
	}
	if _, ok := errors.AsType[*net.AddrError](err); ok {
		return host.ErrNotFound // it has addresses, of the other kind
	}
	if ctx.Err() != nil {
		return host.ErrTimeout
	}
	return err
}

func (r *Resolver) recall(q question) (answer, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	a, ok := r.kept[q]
	return a, ok && time.Now().Before(a.until)
}

// keep makes room by forgetting what is old, and if that is nothing any quarter
// of it all: looking for the old costs more than a question now and then.
func (r *Resolver) keep(q question, a answer) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.kept) >= maxKept {
		now := time.Now()
		for old, a := range r.kept {
			if !now.Before(a.until) {
				delete(r.kept, old)
			}
		}
	}
	if len(r.kept) >= maxKept {
		for old := range r.kept {
			if delete(r.kept, old); len(r.kept) <= maxKept*3/4 {
				break
			}
		}
	}
	r.kept[q] = a
}

// types are the record types that can be asked for, by their numbers (RFC 1035
// §3.2.2, RFC 3596 §2.1, RFC 2782). Each asks for an absolute name.
var types = map[uint16]func(ctx context.Context, r *net.Resolver, name string) ([]string, error){
	1:  addresses("ip4"),
	2:  nameServers,
	5:  canonical,
	12: pointers,
	15: exchangers,
	16: texts,
	28: addresses("ip6"),
	33: services,
}

func addresses(network string) func(context.Context, *net.Resolver, string) ([]string, error) {
	return func(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
		addrs, err := r.LookupNetIP(ctx, network, name)
		return presented(addrs, func(a netip.Addr) string { return a.Unmap().WithZone("").String() }), err
	}
}

func nameServers(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
	ns, err := r.LookupNS(ctx, name)
	return presented(ns, func(n *net.NS) string { return n.Host }), err
}

func canonical(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
	end, err := r.LookupCNAME(ctx, name)
	if err != nil || strings.EqualFold(end, name) {
		return nil, err
	}
	return []string{end}, nil
}

func pointers(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
	addr, ok := reversed(name)
	if !ok {
		return nil, fmt.Errorf("%w: PTR of a name that is no address", host.ErrUnsupported)
	}
	return r.LookupAddr(ctx, addr.String())
}

func exchangers(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
	mx, err := r.LookupMX(ctx, name)
	return presented(mx, func(m *net.MX) string { return fmt.Sprintf("%d %s", m.Pref, m.Host) }), err
}

func texts(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
	txt, err := r.LookupTXT(ctx, name)
	return presented(txt, visible), err
}

func services(ctx context.Context, r *net.Resolver, name string) ([]string, error) {
	_, srv, err := r.LookupSRV(ctx, "", "", name)
	return presented(srv, func(s *net.SRV) string {
		return fmt.Sprintf("%d %d %d %s", s.Priority, s.Weight, s.Port, s.Target)
	}), err
}

func presented[T any](in []T, show func(T) string) []string {
	var out []string
	for _, v := range in {
		out = append(out, show(v))
	}
	return out
}

// visible is a text with what does not print as \DDD (RFC 1035 §5.1).
func visible(s string) string {
	var b strings.Builder
	for i := range len(s) {
		if c := s[i]; c < ' ' || c > '~' {
			fmt.Fprintf(&b, `\%03d`, c)
		} else {
			b.WriteByte(c)
		}
	}
	return b.String()
}
