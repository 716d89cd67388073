package main

import (
	"errors"
	"strconv"
	"strings"
)

// A template is a folder or an address with placeholders that speak of the
// recipient.
type template []piece

// A piece is a text, or what look says of the recipient.
type piece struct {
	text  string
	look  func(a address) string
	group int // of a regular expression; zero: none
}

var placeholders = []struct {
	name string
	look func(a address) string
}{
	{"recipient", func(a address) string { return a.full }},
	{"user", func(a address) string { return a.user }},
	{"detail", func(a address) string { return a.detail }},
	{"domain", func(a address) string { return a.domain }},
}

// parseTemplate reads `${detail}`, `${1}` and `$$`; a `$` before anything else
// is itself.
func parseTemplate(s string) (template, error) {
	var t template
	for s != "" {
		i := strings.IndexByte(s, '$')
		switch {
		case i < 0:
			return append(t, piece{text: s}), nil
		case i > 0:
			t, s = append(t, piece{text: s[:i]}), s[i:]
		case strings.HasPrefix(s, "$$"):
			t, s = append(t, piece{text: "$"}), s[2:]
		case !strings.HasPrefix(s, "${"):
			t, s = append(t, piece{text: "$"}), s[1:]
		default:
			name, rest, ok := strings.Cut(s[2:], "}")
			p, known := lookup(name)
			if !ok || !known {
				return nil, errors.New("unknown placeholder in " + strconv.Quote(s) +
					"; known are ${recipient}, ${user}, ${detail}, ${domain}, ${1} to ${9}; write $$ for a dollar sign")
			}
			t, s = append(t, p), rest
		}
	}
	return t, nil
}

func lookup(name string) (piece, bool) {
	for _, p := range placeholders {
		if p.name == name {
			return piece{look: p.look}, true
		}
	}
	if len(name) == 1 && '1' <= name[0] && name[0] <= '9' {
		return piece{group: int(name[0] - '0')}, true
	}
	return piece{}, false
}

// fill is the text for one recipient. groups are what the parentheses of the
// recipient's regular expression matched. clean makes what comes from outside
// fit.
func (t template) fill(a address, groups []string, clean func(string) string) string {
	if len(t) == 1 && t[0].look == nil && t[0].group == 0 {
		return t[0].text
	}
	var b strings.Builder
	for _, p := range t {
		switch {
		case p.look != nil:
			b.WriteString(clean(p.look(a)))
		case p.group > 0 && p.group < len(groups):
			b.WriteString(clean(groups[p.group]))
		case p.group == 0:
			b.WriteString(p.text)
		}
	}
	return b.String()
}

// maxFolderPart is the most octets of a folder's name that come from outside.
const maxFolderPart = 64

// folderPart makes one level of a folder's name of what a sender may have
// chosen: no separator of levels, no control character.
func folderPart(s string) string {
	s = strings.Map(func(r rune) rune {
		if r == '/' || r == '.' || r == '\\' || r == '"' || isControl(r) {
			return '_'
		}
		return r
	}, s)
	if len(s) > maxFolderPart {
		s = strings.ToValidUTF8(s[:maxFolderPart], "")
	}
	return s
}

// addressPart leaves it to the host to refuse what is no address.
func addressPart(s string) string { return s }
