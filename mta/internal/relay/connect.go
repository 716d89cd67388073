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

	"github.com/wasmta/wasmta/mta/internal/smtpc"
)

// policyAge is how long a connection may be used after what its host had to
// show was looked up: DNS may say something else by then.
const policyAge = 5 * time.Minute

// connect opens a connection to one address of host. Where TLS is welcome but
// not required and fails, it does without on a second connection: plain text
// is what there was before STARTTLS (RFC 7435 §3).
func (r *Relay) connect(ctx context.Context, hop Hop, host string, addr netip.AddrPort) (*connection, error) {
	c, err := r.open(ctx, hop, host, addr, hop.TLS)
	if _, failed := errors.AsType[*smtpc.TLSError](err); failed && hop.TLS == smtpc.TLSOpportunistic && ctx.Err() == nil {
		r.logger().Debug("TLS failed, going on in plain text", "next_hop", where(host, addr), "err", err)
		c, err = r.open(ctx, hop, host, addr, smtpc.TLSNone)
	}
	return c, err
}

func (r *Relay) open(ctx context.Context, hop Hop, host string, addr netip.AddrPort, mode smtpc.TLSMode) (*connection, error) {
	if r.Self != nil && r.Self(addr) {
		return nil, errSelf
	}
	release, err := r.pool.place(or(r.MaxConnections, DefaultMaxConnections))
	if err != nil {
		return nil, err
	}
	conn, err := r.talk(ctx, hop, host, addr, mode)
	if err != nil {
		release()
		return nil, err
	}
	state, _ := conn.TLS()
	r.logger().Debug("connected", "next_hop", where(host, addr), "address", addr, "tls", state.Version != 0, "greeting_name", conn.Offer().Name)
	return &connection{Conn: conn, key: key{hop: hop}, name: where(host, addr), addr: addr, good: time.Now().Add(policyAge), released: release}, nil
}

// talk connects and talks up to where MAIL may come.
func (r *Relay) talk(ctx context.Context, hop Hop, host string, addr netip.AddrPort, mode smtpc.TLSMode) (*smtpc.Conn, error) {
	raw, err := r.dial(ctx, addr)
	if err != nil {
		return nil, err
	}
	cfg := smtpc.Config{
		Hostname: r.Hostname,
		LMTP:     hop.Scheme == LMTP,
		Mode:     mode,
		TLS:      r.tls(host, hop.Verify),
		Timeouts: r.Timeouts,
	}
	if hop.User != "" {
		cfg.Auth = &smtpc.Credentials{User: hop.User, Password: hop.Password}
	}
	conn, err := smtpc.Open(ctx, raw, cfg)
	if err != nil {
		return nil, err
	}
	// Found by DNS and has our name: that is us behind another address
	// (RFC 5321 §5.1). A host that an operator names may share our name.
	if hop.Scheme == MX && strings.EqualFold(conn.Offer().Name, r.Hostname) {
		conn.Close()
		return nil, errSelf
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

func (r *Relay) tls(host string, verify bool) *tls.Config {
	cfg := r.TLS.Clone()
	if cfg == nil {
		cfg = &tls.Config{}
	}
	cfg.ServerName = host
	// Without verification TLS still keeps out who only listens; a host found
	// by DNS proves nothing by a name that DNS gave it.
	cfg.InsecureSkipVerify = !verify
	return cfg
}

// where names a host and port for results.
func where(host string, addr netip.AddrPort) string {
	return net.JoinHostPort(host, fmt.Sprint(addr.Port()))
}
