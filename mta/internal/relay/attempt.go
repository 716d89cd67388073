package relay

import (
	"context"
	"errors"
	"log/slog"
	"net/netip"
	"slices"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/relay/sts"
	"github.com/wasmta/wasmta/mta/internal/smtp"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// A job is one attempt to hand a message to one next hop for a group of
// recipients. A recipient is pending until it has a result that no other host
// of the hop could better.
type job struct {
	*Relay
	hop     Hop
	m       *mail.Message
	body    *body
	results []mail.Result // of the whole message
	pending []int         // recipients, by their place in the envelope

	need need        // of the connection
	sts  *sts.Policy // the one in force; nil: none

	tried   map[netip.AddrPort]bool
	session bool         // some host got as far as MAIL
	missed  *mail.Result // of hosts that did not; a temporary one stays
}

// attempt fills in results of the recipients of g.
func (r *Relay) attempt(ctx context.Context, m *mail.Message, b *body, g group, results []mail.Result) {
	start := time.Now()
	j := &job{Relay: r, hop: g.hop, m: m, body: b, results: results, pending: g.rcpts}
	j.run(ctx)
	for _, i := range g.rcpts {
		res := &results[i]
		res.Lane = laneOf(g.hop)
		if res.NextHop == "" {
			res.NextHop = nameOf(g.hop)
		}
		if r.Observer != nil && res.Unanswered {
			r.Observer.Unanswered(res.NextHop)
		}
		if r.Observer != nil {
			r.Observer.Attempted(res.NextHop, res.Outcome, time.Since(start))
		}
	}
}

func nameOf(h Hop) string {
	if h.Scheme == MX {
		return h.Host
	}
	return h.address()
}

func (j *job) run(ctx context.Context) {
	j.needs(ctx)
	if c := j.reuse(key{j.hop, j.need}); c != nil {
		j.use(ctx, c, true)
		if len(j.pending) == 0 {
			return
		}
	}
	if res := j.tryHosts(ctx); res != nil {
		j.settle(*res)
	}
	j.settle(deferred(451, "4.3.2", "interrupted", context.Cause(ctx))) // no host is left to try
}

// settle gives res to all recipients that are pending and have none.
func (j *job) settle(res mail.Result) {
	for _, i := range j.pending {
		if j.results[i].Outcome == "" {
			j.results[i] = res
		}
	}
	j.pending = nil
}

// tryHosts tries one host after the other until no recipient is pending. It
// returns the result of those that no host was reached for.
func (j *job) tryHosts(ctx context.Context) *mail.Result {
	hosts, secure, failed := j.hosts(ctx, j.hop)
	if failed != nil {
		j.miss(*failed)
	}
	left := or(j.MaxAddresses, DefaultMaxAddresses)
	for _, name := range hosts {
		if !j.tryHost(ctx, target{name: name, secure: secure}, &left) {
			break
		}
	}
	if j.missed == nil || ctx.Err() != nil || errors.Is(j.missed.Err, ErrBusy) || errors.Is(j.missed.Err, errClosed) {
		return j.missed
	}
	j.missed.Unreached = !j.session
	return j.missed
}

// tryHost tries the addresses of host until a session was had with one, and
// tells whether there is reason to try another host.
func (j *job) tryHost(ctx context.Context, host target, left *int) bool {
	addrs, bases, err := j.addresses(ctx, j.hop, host.name)
	if err != nil {
		j.miss(nameless(j.hop, host.name, err))
		return ctx.Err() == nil
	}
	if host.secure && !j.hop.NoDANE {
		host.bases = bases
	}
	d, failed := j.demandOf(ctx, host)
	if failed != nil {
		j.miss(*failed)
		return ctx.Err() == nil
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool { return j.tried[a] })
	for len(addrs) > 0 {
		if *left--; *left < 0 || ctx.Err() != nil {
			break
		}
		c, used, err := j.connect(ctx, d, host.name, addrs)
		if err != nil {
			j.logger().Debug("next hop not reached", "next_hop", where(host.name, addrs[0]), "address", addrs[0], "err", err)
			j.miss(j.notReached(host.name, addrs[0], err))
			addrs = addrs[used:]
			continue
		}
		addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool { return a == c.addr })
		if !j.use(ctx, c, false) {
			break
		}
		addrs = slices.Insert(addrs, 0, c.addr) // the same address once more
	}
	return len(j.pending) > 0 && *left > 0 && ctx.Err() == nil
}

func (j *job) notReached(host string, addr netip.AddrPort, err error) mail.Result {
	name := where(host, addr)
	if errors.Is(err, errNoRequireTLS) || j.need.requireTLS && errors.Is(err, smtpc.ErrNoTLS) {
		return requiresTLS(name, err)
	}
	if !errors.Is(err, errSelf) {
		return unreached(name, err)
	}
	res := bounced(554, "5.4.6", "mail for "+j.hop.Host+" loops back to "+j.Hostname)
	if j.hop.Scheme != MX { // somebody's rule is wrong, not the message
		res = deferred(451, "4.4.6", name+" is this server", err)
	}
	res.NextHop = name
	return res
}

// miss notes that a host was not reached. One that may be reached later keeps
// the message from bouncing.
func (j *job) miss(res mail.Result) {
	if j.missed == nil || res.Outcome == mail.Deferred || j.missed.Outcome != mail.Deferred {
		j.missed = &res
	}
}

// use sends the message on c to all that are pending, in as many transactions
// as it takes. Those that c leaves pending may be tried on another host. A
// reused connection that turns out to be dead has changed nothing. A connection
// is worn when the host has to be asked on another one for those that are left.
func (j *job) use(ctx context.Context, c *connection, reused bool) (worn bool) {
	if j.Observer != nil {
		j.Observer.Connected(c.name, reused)
	}
	defer j.keep(c)
	w := &work{job: j, c: c, reused: reused}
	w.todo, j.pending = j.pending, nil
	most := c.Offer().MailMax // LIMITS MAILMAX (RFC 9422 §4.1); zero: none
	for len(w.todo) > 0 && (most == 0 || c.Sent() < most) && w.transact(ctx) {
	}
	j.pending = append(w.todo, j.pending...) // who was not asked for comes first
	worn = most > 0 && c.Sent() >= most && len(w.todo) > 0
	if !w.stale {
		j.session = true
		if j.tried == nil {
			j.tried = make(map[netip.AddrPort]bool)
		}
		j.tried[c.addr] = !worn
	}
	return worn
}

// A work is a job on one connection.
type work struct {
	*job
	c      *connection
	reused bool
	stale  bool  // it was dead before it was used
	todo   []int // recipients that were not asked for yet
}

// transact does one transaction, and tells whether another may follow.
func (w *work) transact(ctx context.Context) bool {
	env, content, batch := w.prepare()
	if len(batch) == 0 {
		return len(w.todo) > 0
	}
	rep, err := w.c.Send(ctx, env, content)
	if err != nil {
		for _, i := range batch {
			w.results[i] = w.unsendable(err)
		}
		return true
	}
	if w.reused && w.c.Sent() > 0 && ctx.Err() == nil && gone(&rep) {
		w.stale = true
		w.todo = append(batch, w.todo...)
		return false
	}
	w.reused = false
	w.classify(ctx, batch, &rep)
	return rep.Err == nil
}

// gone tells whether the peer had ended the session before it was asked.
func gone(rep *smtpc.Report) bool {
	first := rep.Answers[0]
	return rep.Unsent() || first.Reply != nil && first.Stage == smtpc.StageMail && first.Reply.Code == 421
}

// classify turns the answers to one transaction into results.
func (w *work) classify(ctx context.Context, batch []int, rep *smtpc.Report) {
	dsn := w.c.Offer().Has("DSN")
	var again []int
	for k, i := range batch {
		a := rep.Answers[k]
		if a.Reply == nil {
			w.results[i] = cutOff(w.c.name, rep.Stage, rep.Err)
			w.results[i].Strained = ctx.Err() == nil
			if rep.Stage != smtpc.StageEnd { // no other host may get what this one may have
				w.pending = append(w.pending, i)
			}
			continue
		}
		if tooMany(a) && taken(rep) {
			again = append(again, i)
		}
		res := replied(a.Reply)
		res.NextHop, res.DSN = w.c.name, dsn && res.Outcome == mail.Relayed
		res.Strained = strained(a)
		w.results[i] = res
		if res.Outcome == mail.Deferred && !(tooMany(a) && taken(rep)) {
			w.pending = append(w.pending, i)
		}
	}
	w.todo = append(again, w.todo...)
}

// strained tells whether an answer is about the next hop and not about the
// message: it is closing, or it puts off MAIL.
func strained(a smtpc.Answer) bool {
	return a.Reply.Code == 421 || a.Reply.Code/100 == 4 && a.Stage == smtpc.StageMail
}

// tooMany tells whether RCPT was refused because the transaction has enough
// recipients. 552 for 452 is an old mistake (RFC 5321 §4.5.3.1.10).
func tooMany(a smtpc.Answer) bool {
	if a.Stage != smtpc.StageRcpt || a.Reply.Code != 452 && a.Reply.Code != 552 {
		return false
	}
	e := a.Reply.Enh
	return e == smtp.Enh{} || e[1] == 5 && e[2] == 3
}

// taken tells whether the transaction had any recipient, so that another one
// gets on.
func taken(rep *smtpc.Report) bool {
	for _, a := range rep.Answers {
		if a.Stage == smtpc.StageEnd && a.Reply != nil {
			return true
		}
	}
	return false
}

func (r *Relay) logger() *slog.Logger {
	if r.Log != nil {
		return r.Log
	}
	return slog.New(slog.DiscardHandler)
}
