package mail

import (
	"errors"
	"fmt"
	"strings"
	"unicode/utf8"
)

// Limits of a path (RFC 5321 §4.5.3.1).
const (
	MaxLocalPart = 64  // octets (RFC 5321 §4.5.3.1.1)
	MaxDomain    = 255 // octets (RFC 5321 §4.5.3.1.2)
)

// A Path is the mailbox of a reverse-path or forward-path. Local is held
// unquoted, as the octets it means; [Path.String] quotes it again where it
// must. The zero Path is the null reverse-path, `<>`. A Path with a Local and
// no Domain is a bare name such as `postmaster` (RFC 5321 §4.5.1).
type Path struct {
	Local  string
	Domain string
}

// ParsePath reads a mailbox without angle brackets: `alice@crepes.fr`,
// `"a b"@crepes.fr`, `bob@[127.0.0.1]`, `postmaster`. The empty string is the
// null path. A source route (`@a,@b:c@d`) is dropped, as RFC 5321 §4.1.1.3
// asks of a server. Octets above 127 are taken as UTF-8 (RFC 6531) and
// refused when they are not.
func ParsePath(s string) (Path, error) {
	if s == "" {
		return Path{}, nil
	}
	if !utf8.ValidString(s) {
		return Path{}, errors.New("not valid UTF-8")
	}
	if s[0] == '@' {
		_, rest, found := strings.Cut(s, ":")
		if !found {
			return Path{}, errors.New("source route without a mailbox")
		}
		s = rest
	}
	local, rest, err := cutLocal(s)
	if err != nil {
		return Path{}, err
	}
	if len(local) > MaxLocalPart {
		return Path{}, fmt.Errorf("local part over %d octets", MaxLocalPart)
	}
	if rest == "" {
		return Path{Local: local}, nil
	}
	domain := rest[1:]
	if err := checkDomain(domain); err != nil {
		return Path{}, err
	}
	return Path{Local: local, Domain: domain}, nil
}

// cutLocal reads the local part at the front of s; rest is empty or begins
// with the at sign.
func cutLocal(s string) (local, rest string, err error) {
	if s != "" && s[0] == '"' {
		return cutQuoted(s)
	}
	local, _, _ = strings.Cut(s, "@")
	if !isDotString(local) {
		return "", "", errors.New("bad local part")
	}
	return local, s[len(local):], nil
}

func cutQuoted(s string) (local, rest string, err error) {
	var b strings.Builder
	for i := 1; i < len(s); i++ {
		switch c := s[i]; {
		case c == '"':
			rest = s[i+1:]
			if b.Len() == 0 {
				return "", "", errors.New("empty local part")
			}
			if rest != "" && rest[0] != '@' {
				return "", "", errors.New("bad local part")
			}
			return b.String(), rest, nil
		case c == '\\' && i+1 < len(s):
			i++
			if s[i] < ' ' || s[i] > '~' { // RFC 5321 §4.1.2, quoted-pairSMTP
				return "", "", errors.New("bad quoted pair")
			}
			b.WriteByte(s[i])
		case c < ' ' || c == 0x7f:
			return "", "", errors.New("control character in local part")
		default:
			b.WriteByte(c)
		}
	}
	return "", "", errors.New("quoted local part does not end")
}

// isDotString tells whether s can stand unquoted (RFC 5321 §4.1.2), with the
// octets of RFC 6531 §3.3.
func isDotString(s string) bool {
	if s == "" || s[0] == '.' || s[len(s)-1] == '.' || strings.Contains(s, "..") {
		return false
	}
	for i := range len(s) {
		if c := s[i]; c != '.' && !isAtext(c) {
			return false
		}
	}
	return true
}

func isAtext(c byte) bool {
	switch {
	case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c >= 0x80:
		return true
	}
	return strings.IndexByte("!#$%&'*+-/=?^_`{|}~", c) >= 0
}

func checkDomain(d string) error {
	switch {
	case d == "":
		return errors.New("empty domain")
	case len(d) > MaxDomain:
		return fmt.Errorf("domain over %d octets", MaxDomain)
	case d[0] == '[':
		if d[len(d)-1] != ']' || len(d) < 3 {
			return errors.New("bad address literal")
		}
		for i := 1; i < len(d)-1; i++ {
			if c := d[i]; c <= ' ' || c > '~' || c == '[' || c == ']' || c == '\\' {
				return errors.New("bad address literal")
			}
		}
		return nil
	}
	return checkLabels(d)
}

// checkLabels takes the underscore too: names in use have it.
func checkLabels(d string) error {
	for label := range strings.SplitSeq(d, ".") {
		if label == "" || len(label) > 63 && !HasUTF8(label) {
			return errors.New("bad domain")
		}
		for i := range len(label) {
			c := label[i]
			switch {
			case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '_', c >= 0x80:
			default:
				return errors.New("bad domain")
			}
		}
	}
	return nil
}

// IsNull tells whether p is the null path, `<>`.
func (p Path) IsNull() bool { return p == Path{} }

// String is the mailbox as SMTP writes it between angle brackets, quoted where
// it must be. The null path is the empty string.
func (p Path) String() string {
	local := p.Local
	if local != "" && !isDotString(local) {
		local = quoteLocal(local)
	}
	if p.Domain == "" {
		return local
	}
	return local + "@" + p.Domain
}

func quoteLocal(s string) string {
	var b strings.Builder
	b.WriteByte('"')
	for i := range len(s) {
		if s[i] == '"' || s[i] == '\\' {
			b.WriteByte('\\')
		}
		b.WriteByte(s[i])
	}
	b.WriteByte('"')
	return b.String()
}

// Equal compares as mail servers do: the local part to the octet, the domain
// without regard to ASCII case (RFC 5321 §2.4).
func (p Path) Equal(q Path) bool {
	return p.Local == q.Local && strings.EqualFold(p.Domain, q.Domain)
}

// NeedsUTF8 tells whether p can be named only where SMTPUTF8 was agreed on
// (RFC 6531 §3.4).
func (p Path) NeedsUTF8() bool { return HasUTF8(p.Local) || HasUTF8(p.Domain) }

// HasUTF8 tells whether s has an octet above 127.
func HasUTF8(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return true
		}
	}
	return false
}

// MarshalText is [Path.String].
func (p Path) MarshalText() ([]byte, error) { return []byte(p.String()), nil }

// UnmarshalText is [ParsePath].
func (p *Path) UnmarshalText(b []byte) (err error) {
	*p, err = ParsePath(string(b))
	return err
}
