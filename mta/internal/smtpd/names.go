package smtpd

import (
	"context"
	"net/netip"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// lookUp begins to look for the client's name. The goroutine ends with the
// look-up, in lookupTimeout at most, and run waits for it.
func (s *session) lookUp(ctx context.Context) <-chan string {
	addr := s.client.Addr.Addr()
	if s.srv.Resolver == nil || !addr.IsValid() {
		return nil
	}
	found := make(chan string, 1)
	s.lookups.Go(func() {
		ctx, cancel := context.WithTimeout(ctx, lookupTimeout)
		defer cancel()
		found <- verifiedName(ctx, s.srv.Resolver, addr)
	})
	return found
}

// takeName waits for the name, which the transaction needs first.
func (s *session) takeName() {
	if s.name != nil {
		s.client.Name = <-s.name
		s.name = nil
	}
}

// verifiedName is the name that addr has and that has addr: a reverse name
// alone may be anything (RFC 5321 §4.4 wants what the server found itself).
func verifiedName(ctx context.Context, r Resolver, addr netip.Addr) string {
	names, err := r.LookupAddr(ctx, addr.String())
	if err != nil || len(names) == 0 {
		return ""
	}
	name, err := smtp.ParseHelo(names[0])
	if err != nil || strings.HasPrefix(name, "[") {
		return ""
	}
	addrs, err := r.LookupNetIP(ctx, "ip", name+".")
	if err != nil {
		return ""
	}
	for _, a := range addrs {
		if a.Unmap() == addr {
			return name
		}
	}
	return ""
}
