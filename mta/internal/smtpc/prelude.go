package smtpc

import (
	"context"
	"crypto/tls"
	"encoding/base64"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/emersion/go-sasl"

	"github.com/wasmta/wasmta/mta/internal/smtp"
)

// prelude talks up to where MAIL may come.
func (c *Conn) prelude(ctx context.Context) error {
	if c.cfg.Mode == TLSImplicit {
		if err := c.handshake(ctx); err != nil {
			return err
		}
	}
	greeting, err := c.readReply(c.cfg.Timeouts.Greeting)
	if err != nil {
		return fmt.Errorf("greeting: %w", err)
	}
	if greeting.Code != 220 { // 554 refuses (RFC 5321 §3.1), 521 takes no mail (RFC 7504)
		return fmt.Errorf("greeting: %w", refusal(greeting))
	}
	if err := c.hello(); err != nil {
		return err
	}
	if err := c.startTLS(ctx); err != nil {
		return err
	}
	if c.cfg.Auth != nil {
		if err := c.auth(); err != nil {
			return &AuthError{err}
		}
	}
	return nil
}

// refusal is r as an error, also where r is positive but not what was asked for.
func refusal(r *smtp.Reply) error {
	if r.Code < 400 {
		return fmt.Errorf("reply %d: %w", r.Code, ErrProtocol)
	}
	return r
}

// hello says EHLO, or HELO to a peer that does not know it (RFC 5321 §3.2).
func (c *Conn) hello() error {
	verb := "EHLO"
	if c.cfg.LMTP {
		verb = "LHLO"
	}
	t := c.cfg.Timeouts.Greeting
	if err := c.say(t, verb+" "+c.cfg.Hostname); err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	code, lines, err := c.readLines(t)
	if err != nil {
		return fmt.Errorf("%s: %w", verb, err)
	}
	if code/100 == 2 {
		c.offer = parseOffer(lines)
		return nil
	}
	refused := refusal(newReply(code, lines))
	if c.cfg.LMTP || code/100 != 5 {
		return fmt.Errorf("%s: %w", verb, refused)
	}
	reply, err := c.ask(t, "HELO "+c.cfg.Hostname)
	if err != nil {
		return fmt.Errorf("HELO: %w", err)
	}
	if reply.Code/100 != 2 {
		return fmt.Errorf("HELO: %w", refusal(reply))
	}
	name, _, _ := strings.Cut(reply.Text, " ")
	c.offer = Offer{Name: name}
	return nil
}

// startTLS does what the mode asks for. What was offered in plain text is
// forgotten (RFC 3207 §4.2).
func (c *Conn) startTLS(ctx context.Context) error {
	offered := c.offer.Has("STARTTLS") && c.cfg.TLS != nil
	switch {
	case c.cfg.Mode == TLSRequired && !offered:
		return &TLSError{ErrNoTLS}
	case c.cfg.Mode != TLSRequired && (c.cfg.Mode != TLSOpportunistic || !offered):
		return nil
	}
	reply, err := c.ask(c.cfg.Timeouts.Greeting, "STARTTLS")
	if err != nil {
		return &TLSError{fmt.Errorf("STARTTLS: %w", err)}
	}
	if reply.Code != 220 {
		return &TLSError{fmt.Errorf("STARTTLS: %w", refusal(reply))}
	}
	if c.r.Buffered() > 0 { // what came in plain text must not be read as if it had come under TLS
		return &TLSError{fmt.Errorf("plain text after STARTTLS: %w", ErrProtocol)}
	}
	if err := c.handshake(ctx); err != nil {
		return err
	}
	return c.hello()
}

func (c *Conn) handshake(ctx context.Context) error {
	if c.cfg.TLS == nil {
		return &TLSError{ErrNoTLS}
	}
	conn := tls.Client(c.raw, c.cfg.TLS)
	ctx, cancel := context.WithTimeout(ctx, c.cfg.Timeouts.Greeting)
	defer cancel()
	if err := conn.HandshakeContext(ctx); err != nil {
		return &TLSError{err}
	}
	c.attach(conn)
	c.state, c.secure = conn.ConnectionState(), true
	return nil
}

// auth authenticates, by PLAIN or else LOGIN. The password leaves under TLS or
// on loopback only (RFC 4954 §4).
func (c *Conn) auth() error {
	if !c.secure && !isLoopback(c.raw.RemoteAddr()) {
		return ErrPlainAuth
	}
	var mechanism sasl.Client
	switch params := strings.Fields(strings.ToUpper(c.offer.Keywords["AUTH"])); {
	case slices.Contains(params, "PLAIN"):
		mechanism = sasl.NewPlainClient("", c.cfg.Auth.User, c.cfg.Auth.Password)
	case slices.Contains(params, "LOGIN"):
		mechanism = sasl.NewLoginClient(c.cfg.Auth.User, c.cfg.Auth.Password)
	default:
		return ErrNoAuth
	}
	name, response, err := mechanism.Start()
	if err != nil {
		return err
	}
	line := "AUTH " + name
	if response != nil {
		line += " " + encode(response)
	}
	for {
		reply, err := c.ask(c.cfg.Timeouts.Greeting, line)
		switch {
		case err != nil:
			return err
		case reply.Code == 235:
			return nil
		case reply.Code != 334:
			return refusal(reply)
		}
		if line, err = answer(mechanism, reply.Text); err != nil {
			c.ask(c.cfg.Timeouts.Greeting, "*") // gives up (RFC 4954 §4)
			return err
		}
	}
}

// answer is the response to a challenge, both as the wire has them.
func answer(mechanism sasl.Client, challenge string) (string, error) {
	decoded, err := base64.StdEncoding.DecodeString(strings.TrimSpace(challenge))
	if err != nil {
		return "", fmt.Errorf("challenge: %w", err)
	}
	response, err := mechanism.Next(decoded)
	return base64.StdEncoding.EncodeToString(response), err
}

// encode writes an initial response; an empty one is `=` (RFC 4954 §4).
func encode(response []byte) string {
	if len(response) == 0 {
		return "="
	}
	return base64.StdEncoding.EncodeToString(response)
}

// isLoopback tells whether octets to addr stay on this host. A connection
// without an IP address (a pipe, a Unix socket) does not leave it.
func isLoopback(addr net.Addr) bool {
	tcp, ok := addr.(*net.TCPAddr)
	return !ok || tcp.IP.IsLoopback()
}
