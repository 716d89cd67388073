// Package verp makes reverse-paths that name the recipient, so that whoever
// returns a message says whom it could not be delivered to (variable envelope
// return paths).
package verp

import (
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// maxPath is how long a path may be, with its angle brackets (RFC 5321
// §4.5.3.1.3).
const maxPath = 256

// Senders are the reverse-paths that are made variable: addresses, as in
// bounces@crepes.fr, and domains, as in lists.crepes.fr.
type Senders []string

// Has tells whether p is one of them. The null reverse-path never is.
func (s Senders) Has(p mail.Path) bool {
	if p.IsNull() || p.Domain == "" {
		return false
	}
	for _, sender := range s {
		local, domain, found := cutLast(sender, '@')
		if !found {
			local, domain = "", sender
		}
		if strings.EqualFold(domain, p.Domain) && (!found || strings.EqualFold(local, p.Local)) {
			return true
		}
	}
	return false
}

// For is p for a message to rcpt: list@crepes.fr for bob@hamburger.edu is
// list+bob=hamburger.edu@crepes.fr, so that the address below which it comes
// back is that of p with a detail. It is p itself if that would be too long, or
// if rcpt has no domain.
func For(p, rcpt mail.Path) mail.Path {
	if rcpt.Domain == "" {
		return p
	}
	v := mail.Path{Local: p.Local + "+" + rcpt.Local + "=" + rcpt.Domain, Domain: p.Domain}
	if len(v.String())+len("<>") > maxPath {
		return p
	}
	return v
}

// Recipient reads what For made of p; ok is false if it did not make it.
func Recipient(p, returned mail.Path) (rcpt mail.Path, ok bool) {
	detail, found := strings.CutPrefix(returned.Local, p.Local+"+")
	local, domain, divided := cutLast(detail, '=')
	if !found || !divided || local == "" || domain == "" || !strings.EqualFold(p.Domain, returned.Domain) {
		return mail.Path{}, false
	}
	return mail.Path{Local: local, Domain: domain}, true
}

func cutLast(s string, sep byte) (before, after string, found bool) {
	i := strings.LastIndexByte(s, sep)
	if i < 0 {
		return s, "", false
	}
	return s[:i], s[i+1:], true
}
