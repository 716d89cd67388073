package dnssec

import (
	"context"
	"errors"
	"net"
	"strings"

	"github.com/miekg/dns"
)

// ask puts one question, and returns the answer of the first server that has
// one. That the name does not exist, or is no name, is a [*net.DNSError] that
// IsNotFound; a server that fails is one that IsTemporary. That there are no
// records of the type is an answer.
func (r *Resolver) ask(ctx context.Context, name string, kind uint16) (*dns.Msg, error) {
	if _, ok := dns.IsDomainName(name); !ok || name == "" {
		return nil, notFound(name)
	}
	q := new(dns.Msg)
	q.SetQuestion(dns.Fqdn(name), kind)
	q.AuthenticatedData = true // asks for the AD bit (RFC 6840 §5.7)
	q.SetEdns0(udpSize, false)
	var last error
	for range rounds {
		for _, server := range r.servers {
			m, err := r.exchange(ctx, q, server)
			if ctx.Err() != nil {
				return nil, &net.DNSError{Err: "timed out", Name: name, IsTimeout: true, IsTemporary: true, UnwrapErr: ctx.Err()}
			}
			if err != nil {
				ne, ok := errors.AsType[net.Error](err)
				last = &net.DNSError{UnwrapErr: err, Err: "no answer", Name: name, IsTemporary: true, IsTimeout: ok && ne.Timeout()}
				continue
			}
			switch m.Rcode {
			case dns.RcodeSuccess:
				return m, nil
			case dns.RcodeNameError:
				if len(m.Answer) == 0 || kind == dns.TypeCNAME {
					return nil, notFound(name)
				}
				return m, nil // an alias of nothing
			}
			last = &net.DNSError{Err: "server answers " + dns.RcodeToString[m.Rcode], Name: name, IsTemporary: true}
		}
	}
	return nil, last
}

// exchange asks one server, by TCP if the answer is too large.
func (r *Resolver) exchange(ctx context.Context, q *dns.Msg, server string) (*dns.Msg, error) {
	udp := dns.Client{Timeout: tryFor, UDPSize: udpSize}
	m, _, err := udp.ExchangeContext(ctx, q, server)
	if err == nil && m.Truncated {
		tcp := dns.Client{Net: "tcp", Timeout: tryFor}
		m, _, err = tcp.ExchangeContext(ctx, q, server)
	}
	if err != nil {
		return nil, err
	}
	if len(m.Question) != 1 || m.Question[0].Qtype != q.Question[0].Qtype || !strings.EqualFold(m.Question[0].Name, q.Question[0].Name) {
		return nil, errors.New("answer to another question")
	}
	return m, nil
}

func notFound(name string) error {
	return &net.DNSError{Err: "no such host", Name: name, IsNotFound: true}
}
