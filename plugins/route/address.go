package main

import (
	"errors"
	"strconv"
	"strings"
)

// An address is a recipient as conditions see it.
type address struct {
	full   string // bob+lists@hamburger.edu
	lower  string // full in lower case
	user   string // bob
	detail string // lists; empty without a separator
	domain string // hamburger.edu
	plain  string // bob@hamburger.edu in lower case: without the detail
}

// split reads an address. What divides user and detail is separator
// (RFC 5233 §1); a local part that begins with it has no detail.
func split(full, separator string) address {
	a := address{full: full, lower: strings.ToLower(full), user: full}
	if at := strings.LastIndexByte(full, '@'); at >= 0 {
		a.user, a.domain = full[:at], full[at+1:]
	}
	if i := strings.Index(a.user, separator); i > 0 && separator != "" && a.user[0] != '"' {
		a.user, a.detail = a.user[:i], a.user[i+len(separator):]
	}
	a.plain = strings.ToLower(a.user)
	if a.domain != "" {
		a.plain += "@" + strings.ToLower(a.domain)
	}
	return a
}

// match tries the whole address and the one without its detail: a rule for
// bob@ is for bob+lists@ too.
func (p patterns) matchAddress(a address) (groups []string, ok bool) {
	for _, one := range p {
		if groups, ok = one.match(a.full, a.lower); ok {
			return groups, true
		}
		if one.re == nil && globMatch(one.glob, a.plain) {
			return nil, true
		}
	}
	return nil, false
}

var errOneAddress = errors.New("is one address; use add for more")

// parseAddress reads an address to send to, with placeholders.
func parseAddress(s string) (template, error) {
	t, err := parseTemplate(s)
	if err != nil {
		return nil, err
	}
	local, domain, ok := cutLast(s, "@")
	if !ok || local == "" || domain == "" || strings.ContainsAny(s, " <>\t\r\n\x00") {
		return nil, errors.New(strconv.Quote(s) + " is no address; write one as in bob@hamburger.edu")
	}
	return t, nil
}

func cutLast(s, sep string) (before, after string, ok bool) {
	if i := strings.LastIndex(s, sep); i >= 0 {
		return s[:i], s[i+len(sep):], true
	}
	return s, "", false
}
