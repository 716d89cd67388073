package daemon

import (
	"context"
	"net"
	"path/filepath"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/lookup"
	"github.com/wasmta/wasmta/mta/internal/relay"
	"github.com/wasmta/wasmta/mta/internal/relay/dnssec"
	"github.com/wasmta/wasmta/mta/internal/relay/sts"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// resolvConf says which DNS servers the system asks.
const resolvConf = "/etc/resolv.conf"

// newRelay is the relay of cfg, with what refreshes its policies; end stops
// both.
func (s *Server) newRelay(cfg *config.Config) (r *relay.Relay, end func() error) {
	c := &cfg.Relay
	r = &relay.Relay{
		Hostname: cfg.Hostname, Messages: messages(cfg), Log: s.log, Observer: s.metrics.Relay(),
		Timeouts: timeouts(c), Connect: min(c.Timeout, relay.DefaultConnect), Self: s.isSelf,
		MaxConnections: c.Connections, Prefer: family(c.IP), VERP: c.VERP,
		Default: relay.Security(c.TLS), STSTest: c.MTASTS == "testing", Reports: &s.tlsReports,
	}
	if server := dnsServer(cfg); server != nil {
		r.Resolver = server
	}
	if resolver := s.secureResolver(c); resolver != nil {
		r.DNSSEC = resolver
	}
	for _, route := range c.Routes {
		r.Routes = append(r.Routes, relay.Route{Domain: route.Domain, Hop: hopOf(route.To, c.TLS)})
	}
	if c.MTASTS == "off" {
		return r, r.Close
	}
	policies := s.newPolicies(cfg)
	r.STS = policies
	ctx, cancel := context.WithCancel(context.Background())
	var refreshing sync.WaitGroup
	refreshing.Go(func() { policies.Run(ctx) })
	return r, func() error {
		cancel()
		policies.Close()
		refreshing.Wait()
		return r.Close()
	}
}

// newPolicies is the cache of MTA-STS policies, over a restart too.
func (s *Server) newPolicies(cfg *config.Config) *sts.Cache {
	server := dnsServer(cfg)
	o := sts.Options{Dir: filepath.Join(cfg.State, "mta-sts"), Client: sts.NewClient(server, nil), Log: s.log}
	if server != nil {
		o.LookupTXT = server.LookupTXT
	}
	return sts.New(o)
}

// secureResolver is who is believed about DNSSEC; nil: nobody.
func (s *Server) secureResolver(c *config.Relay) *dnssec.Resolver {
	if c.DANE == "off" {
		return nil
	}
	resolver, err := dnssec.New(c.DNS), error(nil)
	if c.DNS == "" {
		resolver, err = dnssec.System(resolvConf)
	}
	if err != nil {
		s.log.Warn("no DANE", "err", err)
		return nil
	}
	if c.DANE == "auto" && !resolver.OnLoopback() {
		return nil
	}
	return resolver
}

// hopOf is a route's next hop; otherwise is what it does where the route does
// not say.
func hopOf(to config.Endpoint, otherwise config.Security) relay.Hop {
	h := relay.NewHop(relay.Scheme(to.Scheme), to.Host, int(to.Port), to.User, string(to.Password))
	h.NoSTS, h.NoDANE = to.NoMTASTS, to.NoDANE
	switch {
	case to.TLS != "":
		return h.With(relay.Security(to.TLS))
	case h.Scheme != relay.LMTP && h.TLS == smtpc.TLSOpportunistic:
		return h.With(relay.Security(otherwise))
	}
	return h
}

func family(name string) relay.Family {
	if name == "any" {
		return relay.AnyFamily
	}
	return relay.Family(name)
}

// dnsServer is the resolver of relay.dns; nil: the system's.
func dnsServer(cfg *config.Config) *net.Resolver {
	if cfg.Relay.DNS == "" {
		return nil
	}
	return lookup.NewServer(cfg.Relay.DNS)
}

// timeouts are those of the file. The reply to the final dot has its own: a next
// hop that takes its time over a message it has would get it twice (RFC 5321
// §4.5.3.2.6).
func timeouts(r *config.Relay) smtpc.Timeouts {
	d := r.Timeout
	return smtpc.Timeouts{Greeting: d, Mail: d, Rcpt: d, DataInit: d, DataBlock: d, DataEnd: r.FinalReply}
}
