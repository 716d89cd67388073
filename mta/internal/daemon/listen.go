package daemon

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/imapd"
	"github.com/wasmta/wasmta/mta/internal/lookup"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pop3d"
	"github.com/wasmta/wasmta/mta/internal/relay"
	"github.com/wasmta/wasmta/mta/internal/smtpd"
)

// listen binds every address of the file. All that cannot be bound come back,
// each with its place.
func (s *Server) listen(ctx context.Context) error {
	var findings config.Findings
	for _, l := range s.cfg.Listen.All() {
		if len(l.Addresses) == 0 {
			continue
		}
		svc := s.newService(l)
		for i, a := range l.Addresses {
			var lc net.ListenConfig
			ln, err := lc.Listen(ctx, "tcp", a.String())
			if err != nil {
				findings = append(findings, s.cfg.ExplainListen(l, i, err))
				continue
			}
			svc.listeners = append(svc.listeners, ln)
			s.listeners = append(s.listeners, BoundListener{Protocol: l.Protocol, Addr: ln.Addr(), TLS: l.TLS})
		}
		s.services = append(s.services, svc)
	}
	return findings.Err()
}

// isSelf tells whether an address is one of this server's own SMTP listeners,
// to which nothing is relayed.
func (s *Server) isSelf(addr netip.AddrPort) bool {
	s.selfOnce.Do(func() {
		var addrs []net.Addr
		for _, l := range s.listeners {
			if _, ok := kinds[l.Protocol]; ok {
				addrs = append(addrs, l.Addr)
			}
		}
		s.self = relay.Listens(addrs)
	})
	return s.self(addr)
}

// newService returns what speaks the protocol of l.
func (s *Server) newService(l config.Listener) service {
	switch l.Protocol {
	case "pop3", "pop3s":
		srv := s.newPOP3(l.TLS)
		return service{protocol: l.Protocol, serve: srv.Serve, shutdown: srv.Shutdown}
	case "imap", "imaps":
		srv := s.newIMAP(l.TLS)
		return service{protocol: l.Protocol, serve: srv.Serve, shutdown: srv.Shutdown}
	case "http":
		ctx, stop := context.WithCancel(context.Background())
		public := s.admin.Public()
		return service{
			protocol: l.Protocol,
			serve:    func(ln net.Listener) error { return s.admin.Serve(ctx, ln, public) },
			shutdown: func(context.Context) error { stop(); return nil },
		}
	}
	srv := s.newSMTP(l)
	return service{protocol: l.Protocol, serve: srv.Serve, shutdown: srv.Shutdown}
}

// kinds are the promises of each SMTP listener.
var kinds = map[string]mail.Listener{
	"smtp":        mail.ListenerSMTP,
	"submission":  mail.ListenerSubmission,
	"submissions": mail.ListenerSubmission,
	"lmtp":        mail.ListenerLMTP,
}

func (s *Server) newSMTP(l config.Listener) *smtpd.Server {
	c := &s.cfg.Limits
	return &smtpd.Server{
		Hostname: s.cfg.Hostname, Listener: kinds[l.Protocol], TLS: s.tls.config(), ImplicitTLS: l.TLS,
		Limits: smtpd.Limits{
			Message: int64(c.Message), Recipients: c.Recipients, Line: int(c.Line),
			Connections: c.Connections, PerAddress: c.PerAddress,
			Idle: c.Idle, Data: c.Data, DataIdle: c.DataIdle, Errors: c.Errors, Hops: c.Hops,
		},
		Policy: &s.current, Queue: s.queue, Directory: logins{&s.current, s.metrics},
		RelayAllow: s.cfg.Relay.Allow, Resolver: s.resolver(),
		TempDir: filepath.Join(s.cfg.State, "tmp"), Log: s.log, Observer: s.metrics.SMTP(),
	}
}

// resolver finds the names of clients: that of relay.dns, or none where every
// listener is on loopback, so that a server at home needs no DNS.
func (s *Server) resolver() smtpd.Resolver {
	if s.cfg.Relay.DNS != "" {
		return lookup.NewServer(s.cfg.Relay.DNS)
	}
	if s.cfg.Listen.LoopbackOnly() {
		return nil
	}
	return net.DefaultResolver
}

func (s *Server) newPOP3(implicit bool) *pop3d.Server {
	return &pop3d.Server{
		Hostname: s.cfg.Hostname, TLS: s.tls.config(), ImplicitTLS: implicit,
		Accounts: &s.current, Store: s.mailboxes,
		Limits: pop3d.Limits{Connections: s.cfg.Limits.Connections, PerAddress: s.cfg.Limits.PerAddress},
		Log:    s.log, Observer: s.metrics.POP3(),
	}
}

func (s *Server) newIMAP(implicit bool) *imapd.Server {
	return &imapd.Server{
		TLS: s.tls.config(), ImplicitTLS: implicit,
		Accounts: &s.current, Store: s.mailboxes,
		Limits: imapd.Limits{
			Connections: s.cfg.Limits.Connections, PerAddress: s.cfg.Limits.PerAddress, Message: int64(s.cfg.Limits.Message),
		},
		Log: s.log, Observer: s.metrics.IMAP(),
	}
}

// serveAdmin serves the operator's socket until ctx ends.
func (s *Server) serveAdmin(ctx context.Context) {
	s.serving.Go(func() {
		if err := s.admin.Serve(ctx, s.socket, s.admin.Operator()); err != nil {
			s.log.Warn("admin socket", "err", err)
		}
	})
}

// isClosed tells whether a Serve ended because it was asked to.
func isClosed(err error) bool {
	return errors.Is(err, net.ErrClosed) || errors.Is(err, pop3d.ErrClosed) || errors.Is(err, imapd.ErrClosed)
}
