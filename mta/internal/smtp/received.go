package smtp

import (
	"net/netip"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// AppendReceived appends the Received: field of a transaction that the server
// hostname takes at a time (RFC 5321 §4.4). Every word in it is known to be
// harmless: the client's name was checked by [ParseHelo] or by the resolver,
// the path by mail.ParsePath.
func AppendReceived(dst []byte, tx *mail.Transaction, hostname string, now time.Time) []byte {
	c := &tx.Client
	dst = append(dst, "Received: from "...)
	dst = append(dst, c.Helo...)
	dst = append(dst, " ("...)
	if c.Name != "" {
		dst = append(dst, c.Name...)
		dst = append(dst, ' ')
	}
	dst = appendLiteral(dst, c.Addr.Addr())
	dst = append(dst, ")\r\n\tby "...)
	dst = append(dst, hostname...)
	dst = append(dst, " with "...)
	dst = append(dst, protocol(c, tx.Envelope.UTF8)...)
	if c.TLS != "" {
		dst = append(dst, " ("...)
		dst = append(dst, c.TLS...)
		dst = append(dst, ' ')
		dst = append(dst, c.Cipher...)
		dst = append(dst, ')')
	}
	dst = append(dst, "\r\n\tid "...)
	dst = append(dst, tx.ID...)
	if rcpts := tx.Envelope.Recipients; len(rcpts) == 1 { // more would tell them of each other
		dst = append(dst, "\r\n\tfor <"...)
		dst = append(dst, rcpts[0].Original.String()...) // as the client knows it, whatever a hook made of it
		dst = append(dst, '>')
	}
	dst = append(dst, ";\r\n\t"...)
	dst = now.AppendFormat(dst, "Mon, 2 Jan 2006 15:04:05 -0700")
	return append(dst, "\r\n"...)
}

// appendLiteral appends an address literal (RFC 5321 §4.1.3).
func appendLiteral(dst []byte, addr netip.Addr) []byte {
	dst = append(dst, '[')
	switch {
	case !addr.IsValid():
		dst = append(dst, "unknown"...)
	case addr.Is6():
		dst = append(dst, "IPv6:"...)
		dst = addr.WithZone("").AppendTo(dst)
	default:
		dst = addr.AppendTo(dst)
	}
	return append(dst, ']')
}

// protocol is the word after `with` (RFC 3848, RFC 6531 §4.3).
func protocol(c *mail.Client, utf8 bool) string {
	word := "SMTP"
	switch {
	case c.Listener == mail.ListenerLMTP:
		word = "LMTP"
	case !c.Extended:
		return word
	case !utf8:
		word = "ESMTP"
	}
	var b strings.Builder
	if utf8 {
		b.WriteString("UTF8")
	}
	b.WriteString(word)
	if c.TLS != "" {
		b.WriteByte('S')
	}
	if c.Account != "" {
		b.WriteByte('A')
	}
	return b.String()
}
