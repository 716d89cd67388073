package relay

import (
	"context"
	"errors"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/relay/dane"
	"github.com/wasmta/wasmta/mta/internal/relay/sts"
	"github.com/wasmta/wasmta/mta/internal/relay/tlsrpt"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// A need is what a message asks of the TLS with its next hop, beside what the
// hop itself says. Connections are shared by messages with equal needs.
type need struct {
	requireTLS bool   // REQUIRETLS (RFC 8689 §4.2.1)
	relaxed    bool   // `TLS-Required: No` (RFC 8689 §4.1): deliver rather than verify
	policy     string // the MTA-STS policy in force, by mode and ID; empty: none
}

// A demand is what the TLS with one host has to show, and by whose word.
type demand struct {
	by      tlsrpt.Policy
	mode    smtpc.TLSMode
	pkix    bool          // a certificate that is valid for the host
	records []dane.Record // or one that these vouch for; the names are those for trust anchors
	names   []string
	next    *demand // what will do on another connection if TLS fails; nil: nothing
}

// errNoRequireTLS is why a host does not get a message with REQUIRETLS.
var errNoRequireTLS = errors.New("REQUIRETLS is not offered")

// needs finds out what j's message needs.
func (j *job) needs(ctx context.Context) {
	j.need.requireTLS = j.m.Envelope.RequireTLS && j.hop.Scheme != LMTP
	if j.hop.Scheme != MX || isAddress(j.hop.Host) || j.STS == nil && j.DNSSEC == nil {
		return
	}
	if !j.need.requireTLS { // the parameter goes before the field (RFC 8689 §4.1)
		j.need.relaxed = j.body.relaxed()
	}
	if j.STS == nil || j.hop.NoSTS || j.need.relaxed {
		return
	}
	p, failed := j.STS.Policy(ctx, asciiDomain(j.hop.Host))
	if failed != nil {
		j.report(tlsrpt.Event{Policy: tlsrpt.STS, Failure: failed.Kind, Reason: reason(failed.Err)})
	}
	if p != nil && p.Mode == sts.Enforce && j.STSTest {
		tested := *p
		tested.Mode = sts.Testing
		p = &tested
	}
	if p != nil && p.Mode != sts.None {
		j.sts = p
		j.need.policy = string(p.Mode) + " " + p.ID
	}
}

// demandOf is what host has to show: REQUIRETLS goes before DANE, that before
// MTA-STS, and that before what the hop says. The result is that of a host that
// must not be used.
func (j *job) demandOf(ctx context.Context, h target) (*demand, *mail.Result) {
	d := j.hopDemand()
	if j.hop.Scheme == MX && !j.need.relaxed {
		byDANE, failed := j.daneDemand(ctx, h)
		if failed != nil {
			return nil, failed
		}
		bySTS, failed := j.stsDemand(h, d)
		switch {
		case byDANE != nil:
			d = byDANE
		case failed != nil:
			return nil, failed
		case bySTS != nil:
			d = bySTS
		}
	}
	if !j.need.requireTLS {
		return d, nil
	}
	return j.requireDemand(h, d)
}

// hopDemand is what the hop says. TLS that is welcome and fails is not missed:
// plain text is what there was before STARTTLS (RFC 7435 §3).
func (j *job) hopDemand() *demand {
	d := &demand{by: tlsrpt.NoPolicy, mode: j.hop.TLS, pkix: j.hop.Verify}
	if d.mode == smtpc.TLSOpportunistic {
		d.next = &demand{by: tlsrpt.NoPolicy, mode: smtpc.TLSNone}
	}
	return d
}

// daneDemand is what TLSA records ask for (RFC 7672 §2.2); nil: nothing.
func (j *job) daneDemand(ctx context.Context, h target) (*demand, *mail.Result) {
	for _, base := range h.bases {
		ctx, cancel := context.WithTimeout(ctx, dnsTimeout)
		records, err := j.DNSSEC.LookupTLSA(ctx, j.hop.Port, base)
		cancel()
		if err != nil {
			j.report(tlsrpt.Event{Policy: tlsrpt.TLSA, Failure: tlsrpt.DNSSECInvalid, Host: h.name, Reason: dnsReason(err)})
			res := deferred(451, "4.7.5", "look up TLSA of "+h.name+": "+dnsReason(err), err)
			return nil, &res
		}
		if len(records) == 0 {
			continue
		}
		d := &demand{by: tlsrpt.TLSA, mode: smtpc.TLSRequired, records: dane.Usable(records)}
		if len(d.records) == 0 { // TLS, but by anyone
			j.report(tlsrpt.Event{Policy: tlsrpt.TLSA, Failure: tlsrpt.TLSAInvalid, Host: h.name})
		}
		d.names = []string{base, h.name, asciiDomain(j.hop.Host)} // RFC 7672 §3.2.2
		return d, nil
	}
	return nil, nil
}

// stsDemand is what the domain's MTA-STS policy asks for; nil: nothing.
func (j *job) stsDemand(h target, otherwise *demand) (*demand, *mail.Result) {
	if j.sts == nil {
		return nil, nil
	}
	d := &demand{by: tlsrpt.STS, mode: smtpc.TLSRequired, pkix: true}
	if j.sts.Mode == sts.Testing {
		d.next = otherwise
	}
	if j.sts.Matches(h.name) {
		return d, nil
	}
	j.report(tlsrpt.Event{Policy: tlsrpt.STS, Failure: tlsrpt.Failed, Host: h.name, Reason: "not in the policy"})
	if j.sts.Mode == sts.Testing {
		return otherwise, nil
	}
	res := deferred(454, "4.7.5", "mail host "+h.name+" is not one that the MTA-STS policy of "+j.hop.Host+" names", nil)
	return nil, &res
}

// requireDemand is what REQUIRETLS asks for beside d: a name that DNS alone
// does not vouch for, and a certificate for it (RFC 8689 §4.2.1).
func (j *job) requireDemand(h target, d *demand) (*demand, *mail.Result) {
	switch {
	case d.by == tlsrpt.TLSA && len(d.records) > 0, d.by == tlsrpt.STS && d.next == nil:
		return d, nil
	case j.hop.Scheme != MX, h.secure:
		mode := smtpc.TLSRequired
		if d.mode == smtpc.TLSImplicit {
			mode = d.mode
		}
		return &demand{by: d.by, mode: mode, pkix: true}, nil
	}
	res := bounced(550, "5.7.30", "the message requires TLS, and nothing vouches for "+h.name+" being a mail host of "+j.hop.Host)
	return nil, &res
}

// requiresTLS is the result of a host that cannot do what REQUIRETLS asks for.
func requiresTLS(where string, err error) mail.Result {
	res := bounced(550, "5.7.30", "the message requires TLS all the way, and "+where+" does not do that: "+reason(err))
	res.NextHop, res.Err = where, err
	return res
}

// isRelaxed tells whether content asks to be delivered rather than protected,
// with `TLS-Required: No` (RFC 8689 §5). Content that cannot be read does not.
func isRelaxed(c mail.Content) bool {
	relaxed := false
	eachHeaderLine(c, func(line []byte, whole bool) bool {
		name, value, ok := strings.Cut(string(line), ":")
		if !whole || !ok || !strings.EqualFold(strings.TrimRight(name, " \t"), "TLS-Required") {
			return true
		}
		relaxed = strings.EqualFold(strings.TrimSpace(value), "No")
		return false
	})
	return relaxed
}
