// Package sts finds, fetches and keeps MTA-STS policies (RFC 8461): which
// domains ask that their mail goes under verified TLS, and to which hosts. To
// keep to them is the caller's matter.
//
// A policy is never a reason for mail to wait by itself: where none can be had,
// or kept, there is none, or the one that was kept before.
package sts

import (
	"cmp"
	"context"
	"errors"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"golang.org/x/sync/singleflight"
)

const (
	lookupTimeout = 10 * time.Second // for the TXT record
	checkEvery    = 5 * time.Minute  // is it still there, and the same; also how long a failure keeps
	refreshAfter  = 24 * time.Hour   // a policy is fetched again whatever DNS says (RFC 8461 §3.3)
	usedWithin    = 14 * 24 * time.Hour
	maxDomains    = 10000 // remembered, and kept in files: a few hundred octets each
)

// Options are what a [Cache] is made with.
type Options struct {
	Dir       string                                                   // keeps policies over a restart; it is made if need be; empty: memory alone
	LookupTXT func(ctx context.Context, name string) ([]string, error) // nil: the system's resolver
	Client    *http.Client                                             // see NewClient; nil: one of the system's
	Log       *slog.Logger                                             // may be nil
}

// A Cache has the policies of domains. Make it with [New]. Safe for concurrent
// use.
type Cache struct {
	files  files
	lookup func(ctx context.Context, name string) ([]string, error)
	client *http.Client
	log    *slog.Logger
	asking singleflight.Group // by domain

	// Questions outlive who asked first, because others wait for them too; they
	// end with the cache.
	life    context.Context
	end     context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex // guards known and what is in it
	known map[string]*state
}

// A state is what is known of one domain.
type state struct {
	policy  *Policy   // not changed once it is here; nil: none
	checked time.Time // when DNS was last asked
	failed  *Failure  // of the last fetch; nil: it went well
}

// New is the cache of o.
func New(o Options) *Cache {
	c := &Cache{files: files{o.Dir}, lookup: o.LookupTXT, client: o.Client, log: o.Log, known: map[string]*state{}}
	if c.lookup == nil {
		c.lookup = net.DefaultResolver.LookupTXT
	}
	c.life, c.end = context.WithCancel(context.Background())
	c.client = cmp.Or(c.client, NewClient(nil, nil))
	c.log = cmp.Or(c.log, slog.New(slog.DiscardHandler))
	return c
}

// Policy returns the policy of domain that is in force; nil if there is none.
// The failure, with or without a policy, says why the one that the domain
// announces could not be had; it is for reports, not a reason to wait. The
// first message to a domain, and one in five minutes after it, waits until DNS
// answers, and for the policy if there is a new one.
func (c *Cache) Policy(ctx context.Context, domain string) (*Policy, *Failure) {
	domain = strings.ToLower(strings.TrimSuffix(domain, "."))
	if !validDomain(domain) {
		return nil, nil
	}
	s := c.stateOf(domain)
	if now := time.Now(); now.Sub(s.checked) >= checkEvery || now.Before(s.checked) {
		done := c.ask(domain)
		select {
		case <-done:
		case <-ctx.Done(): // the attempt ends anyhow
		}
		s = c.stateOf(domain)
	}
	if s.policy == nil || s.policy.Expired(time.Now()) {
		return nil, s.failed
	}
	c.touch(s.policy)
	return s.policy, s.failed
}

// ask begins to check domain, unless that is under way.
func (c *Cache) ask(domain string) <-chan singleflight.Result {
	c.running.Add(1)
	defer c.running.Done()
	return c.asking.DoChan(domain, func() (any, error) {
		c.running.Add(1)
		defer c.running.Done()
		c.check(c.life, domain)
		return nil, nil
	})
}

// Close ends what is under way, and waits for it. Nobody may ask any more.
func (c *Cache) Close() {
	c.end()
	c.running.Wait()
}

// stateOf is a copy of what is known of domain, in memory or else in a file.
func (c *Cache) stateOf(domain string) state {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.known[domain]; s != nil {
		return *s
	}
	p, err := c.files.read(domain)
	if err != nil {
		c.log.Warn("MTA-STS policy not read", "domain", domain, "err", err)
	}
	for old := range c.known { // any: what it had comes back from its file, or DNS
		if len(c.known) < maxDomains {
			break
		}
		delete(c.known, old)
	}
	c.known[domain] = &state{policy: p}
	return state{policy: p}
}

func (c *Cache) put(domain string, s state) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.known[domain] = &s
}

// check asks DNS whether there is a policy and a new one, and fetches it.
func (c *Cache) check(ctx context.Context, domain string) {
	s := c.stateOf(domain)
	lookup, cancel := context.WithTimeout(ctx, lookupTimeout)
	texts, err := c.lookup(lookup, "_mta-sts."+domain+".")
	cancel()
	s.checked = time.Now()
	if err != nil {
		texts = nil
	}
	id, announced := parseRecords(texts)
	valid := s.policy != nil && !s.policy.Expired(time.Now())
	switch {
	case err != nil && !isNotFound(err):
		c.log.Debug("MTA-STS record not looked up", "domain", domain, "err", err)
		c.put(domain, s)
	case !announced || valid && s.policy.ID == id: // a policy that is kept stays in force (RFC 8461 §5.1)
		s.failed = nil
		c.put(domain, s)
	default:
		c.renew(ctx, domain, id, s)
	}
}

// renew fetches a policy in the place of that of s. If that fails, the old one
// stays as long as it is not expired.
func (c *Cache) renew(ctx context.Context, domain, id string, s state) {
	p, failed := c.fetch(ctx, domain)
	s.failed = failed
	if failed != nil {
		c.log.Info("MTA-STS policy not fetched", "domain", domain, "kept", s.policy != nil, "err", failed)
		c.put(domain, s)
		return
	}
	p.ID, p.Fetched, p.Used = id, time.Now(), time.Now()
	if s.policy != nil {
		p.Used = s.policy.Used
	}
	s.policy = p
	c.put(domain, s)
	c.save(p)
}

func (c *Cache) save(p *Policy) {
	if err := c.files.write(p); err != nil { // memory has it
		c.log.Warn("MTA-STS policy not kept", "domain", p.Domain, "err", err)
	}
}

// touch notes that p is in use, once a day.
func (c *Cache) touch(p *Policy) {
	now := time.Now()
	if now.Sub(p.Used) < 24*time.Hour {
		return
	}
	used := *p
	used.Used = now
	c.mu.Lock()
	s := c.known[p.Domain]
	first := s != nil && s.policy == p
	if first {
		s.policy = &used
	}
	c.mu.Unlock()
	if first {
		c.save(&used)
	}
}

func isNotFound(err error) bool {
	dns, ok := errors.AsType[*net.DNSError](err)
	return ok && dns.IsNotFound
}
