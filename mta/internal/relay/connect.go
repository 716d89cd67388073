package relay

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/relay/dane"
	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// policyAge is how long a connection may be used after what its host had to
// show was looked up: DNS may say something else by then.
const policyAge = 5 * time.Minute

// connect opens a connection to the first of addrs, or the second if that is of
// the other family and does better. Where TLS fails and the demand allows less,
// it does with less on another connection. On error it tells how many of addrs
// there is no point in trying again.
func (j *job) connect(ctx context.Context, d *demand, host string, addrs []netip.AddrPort) (c *connection, used int, err error) {
	addr, other := addrs[0], netip.AddrPort{}
	if len(addrs) > 1 && addrs[1].Addr().Is4() != addr.Addr().Is4() && !j.isSelf(addrs[1]) {
		other = addrs[1]
	}
	for {
		var way dialed
		c, way, err = j.open(ctx, d, host, addr, other)
		used = 1
		if way.both {
			used = 2
		}
		_, failed := errors.AsType[*smtpc.TLSError](err)
		if !failed || d.next == nil || ctx.Err() != nil {
			return c, used, err
		}
		j.logger().Debug("TLS failed, going on with less", "next_hop", where(host, addr), "err", err)
		d, addr, other = d.next, way.addr, netip.AddrPort{}
	}
}

func (r *Relay) isSelf(addr netip.AddrPort) bool { return r.Self != nil && r.Self(addr) }

// open opens a connection that shows what d demands.
func (j *job) open(ctx context.Context, d *demand, host string, addr, other netip.AddrPort) (*connection, dialed, error) {
	if j.isSelf(addr) {
		return nil, dialed{addr: addr}, errSelf
	}
	release, err := j.pool.place(or(j.MaxConnections, DefaultMaxConnections))
	if err != nil {
		return nil, dialed{addr: addr}, err
	}
	way := j.dialEither(ctx, addr, other)
	if way.err != nil {
		release()
		return nil, way, way.err
	}
	conn, err := j.talk(ctx, d, host, way.conn)
	j.reportTLS(d, host, way.addr.Addr(), conn, err)
	if err != nil {
		release()
		return nil, way, err
	}
	state, _ := conn.TLS()
	j.logger().Debug("connected", "next_hop", where(host, way.addr), "address", way.addr, "tls", state.Version != 0, "policy", d.by, "greeting_name", conn.Offer().Name)
	return &connection{
		Conn: conn, key: key{j.hop, j.need}, name: where(host, way.addr), addr: way.addr, good: time.Now().Add(policyAge), released: release,
	}, way, nil
}

// talk talks on raw up to where MAIL may come.
func (j *job) talk(ctx context.Context, d *demand, host string, raw net.Conn) (*smtpc.Conn, error) {
	cfg := smtpc.Config{
		Hostname: j.Hostname,
		LMTP:     j.hop.Scheme == LMTP,
		Mode:     d.mode,
		TLS:      j.tls(host, d),
		Timeouts: j.Timeouts,
	}
	if j.hop.User != "" {
		cfg.Auth = &smtpc.Credentials{User: j.hop.User, Password: j.hop.Password}
	}
	conn, err := smtpc.Open(ctx, raw, cfg)
	if err != nil {
		return nil, err
	}
	// Found by DNS and has our name: that is us behind another address
	// (RFC 5321 §5.1). A host that an operator names may share our name.
	if j.hop.Scheme == MX && strings.EqualFold(conn.Offer().Name, j.Hostname) {
		conn.Close()
		return nil, errSelf
	}
	if j.need.requireTLS && !conn.Offer().Has("REQUIRETLS") {
		conn.Close()
		return nil, errNoRequireTLS
	}
	return conn, nil
}

func (r *Relay) dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	ctx, cancel := context.WithTimeout(ctx, or(r.Connect, DefaultConnect))
	defer cancel()
	if r.Dial != nil {
		return r.Dial(ctx, "tcp", addr.String())
	}
	var d net.Dialer
	return d.DialContext(ctx, "tcp", addr.String())
}

// tls is what a handshake with host has to come to. Without verification TLS
// still keeps out who only listens; a host found by DNS proves nothing by a name
// that DNS gave it.
func (r *Relay) tls(host string, d *demand) *tls.Config {
	cfg := r.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.ServerName = host
	cfg.InsecureSkipVerify = !d.pkix
	if len(d.records) > 0 {
		cfg.ServerName = d.names[0] // RFC 7672 §8.1
		cfg.VerifyConnection = func(state tls.ConnectionState) error { return dane.Verify(d.records, state, d.names) }
	}
	return cfg
}

// where names a host and port for results.
func where(host string, addr netip.AddrPort) string {
	return net.JoinHostPort(host, fmt.Sprint(addr.Port()))
}
