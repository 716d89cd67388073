package smtpc

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// putAll writes a whole envelope. The RSET, MAIL and RCPT commands may stand
// anywhere in a group, DATA at its end (RFC 2920 §3.1).
func (t *transaction) putAll() {
	if t.open {
		t.putReset()
	}
	t.putMail()
	for i := range t.env.Recipients {
		t.putRcpt(&t.env.Recipients[i])
	}
	if !t.chunked() {
		t.putData()
	}
}

func (t *transaction) putReset() { t.w.WriteString("RSET\r\n") }
func (t *transaction) putData()  { t.w.WriteString("DATA\r\n") }

// putMail writes MAIL with the parameters that the peer knows.
func (t *transaction) putMail() {
	w := t.w
	w.WriteString("MAIL FROM:<")
	w.WriteString(t.env.ReversePath.String())
	w.WriteByte('>')
	if t.env.Body == mail.Body8Bit { // RFC 6152 §3; check has seen that it is offered
		w.WriteString(" BODY=8BITMIME")
	}
	if t.env.Body == mail.BodyBinary { // RFC 3030 §3
		w.WriteString(" BODY=BINARYMIME")
	}
	if t.offer.Has("SIZE") && t.size > 0 { // RFC 1870 §6
		w.WriteString(" SIZE=")
		w.WriteString(strconv.FormatInt(t.size, 10))
	}
	if t.env.UTF8 { // RFC 6531 §3.4
		w.WriteString(" SMTPUTF8")
	}
	if t.env.RequireTLS && t.offer.Has("REQUIRETLS") { // RFC 8689 §2; who sent us here has seen that it is offered
		w.WriteString(" REQUIRETLS")
	}
	if t.offer.Has("DSN") { // RFC 3461 §4.3, §4.4
		if t.env.Ret == "FULL" || t.env.Ret == "HDRS" {
			w.WriteString(" RET=")
			w.WriteString(t.env.Ret)
		}
		if t.env.EnvID != "" {
			w.WriteString(" ENVID=")
			w.WriteString(xtext(t.env.EnvID))
		}
	}
	w.WriteString("\r\n")
}

// putRcpt writes RCPT with the parameters that the peer knows.
func (t *transaction) putRcpt(rcpt *mail.Recipient) {
	w := t.w
	w.WriteString("RCPT TO:<")
	w.WriteString(rcpt.Path.String())
	w.WriteByte('>')
	if t.offer.Has("DSN") { // RFC 3461 §4.1, §4.2
		if rcpt.Notify != 0 {
			w.WriteString(" NOTIFY=")
			w.WriteString(rcpt.Notify.String())
		}
		if rcpt.ORCPT != "" {
			w.WriteString(" ORCPT=")
			w.WriteString(orcpt(rcpt.ORCPT, t.env.UTF8))
		}
	}
	w.WriteString("\r\n")
}

// orcpt is the value of ORCPT for what a mail.Recipient has of it.
func orcpt(s string, utf8 bool) string {
	kind, address, found := strings.Cut(s, ";")
	if !found {
		kind, address = "rfc822", s
	}
	if strings.EqualFold(kind, "utf-8") {
		return "utf-8;" + unitext(address, utf8)
	}
	return xtext(kind) + ";" + xtext(address)
}

// xtext encodes as RFC 3461 §4 says: what could be taken for grammar is `+`
// and two hexadecimal digits.
func xtext(s string) string {
	const hex = "0123456789ABCDEF"
	if isXtext(s) {
		return s
	}
	b := make([]byte, 0, len(s)+8)
	for i := range len(s) {
		if c := s[i]; isXchar(c) {
			b = append(b, c)
		} else {
			b = append(b, '+', hex[c>>4], hex[c&15])
		}
	}
	return string(b)
}

func isXtext(s string) bool {
	for i := range len(s) {
		if !isXchar(s[i]) {
			return false
		}
	}
	return true
}

func isXchar(c byte) bool { return '!' <= c && c <= '~' && c != '+' && c != '=' }

// unitext encodes an address of type utf-8 (RFC 6533 §3): as it is where
// SMTPUTF8 was agreed on, otherwise with \x{E9} for what ASCII does not have.
func unitext(s string, utf8 bool) string {
	var b strings.Builder
	for _, r := range s {
		if r != '\\' && (r < 0x80 && isXchar(byte(r)) || r >= 0xa0 && utf8) {
			b.WriteRune(r)
		} else {
			fmt.Fprintf(&b, `\x{%02X}`, r)
		}
	}
	return b.String()
}

// nameable tells whether the octets of p cannot be taken for anything else
// than a path. Paths that were parsed always are.
func nameable(p mail.Path) bool {
	for i := range len(p.Local) {
		if c := p.Local[i]; c < ' ' || c == 0x7f {
			return false
		}
	}
	for i := range len(p.Domain) {
		if c := p.Domain[i]; c <= ' ' || c == 0x7f || c == '<' || c == '>' || c == '@' {
			return false
		}
	}
	return p.Local != "" || p.Domain == ""
}
