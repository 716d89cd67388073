package main

import (
	"errors"
	"regexp"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// A pattern is a glob, or a regular expression between slashes.
//
// A glob has `*` for any text and `?` for one octet, stands for the whole
// value, and does not mind the case of letters. One that begins with `@` means
// a whole domain, and `<>` the null reverse-path.
type pattern struct {
	glob string // in lower case
	re   *regexp.Regexp
}

// patterns match if one of them does. In the file they are one text or a list.
type patterns []pattern

// UnmarshalConfig implements [mta.Unmarshaler].
func (p *patterns) UnmarshalConfig(v mta.Value) error {
	list, err := textOrList(v)
	if err != nil {
		return err
	}
	*p = make(patterns, 0, len(list))
	for _, s := range list {
		one, err := parsePattern(s)
		if err != nil {
			return err
		}
		*p = append(*p, one)
	}
	return nil
}

// textOrList reads what is one text or a list of at least one.
func textOrList(v mta.Value) ([]string, error) {
	list, ok := v.Texts()
	switch {
	case !ok:
		return nil, errors.New("want text or a list of texts; put numbers, true and false in quotes")
	case len(list) == 0:
		return nil, errors.New("the list is empty and would never match; remove the condition or fill it")
	}
	return list, nil
}

func parsePattern(s string) (pattern, error) {
	switch {
	case s == "<>":
		return pattern{}, nil
	case s == "":
		return pattern{}, errors.New(`the pattern is empty; write "*" for anything, or "<>" for the null sender`)
	case s[0] == '/':
		return parseRegexp(s)
	case s[0] == '@':
		s = "*" + s
	}
	return pattern{glob: strings.ToLower(s)}, nil
}

// parseRegexp reads `/expression/`, with an i after it if the case of letters
// does not matter.
func parseRegexp(s string) (pattern, error) {
	expr, ignoreCase := strings.CutSuffix(s[1:], "/i")
	expr, closed := strings.CutSuffix(expr, "/")
	if !closed && !ignoreCase || expr == "" {
		return pattern{}, errors.New("the regular expression " + s + " does not end; write /expression/ or /expression/i")
	}
	if ignoreCase {
		expr = "(?i)" + expr
	}
	re, err := regexp.Compile(expr)
	if err != nil {
		return pattern{}, err
	}
	return pattern{re: re}, nil
}

// match tells whether p matches value; lower is value in lower case. groups
// are what the parentheses of a regular expression matched.
func (p pattern) match(value, lower string) (groups []string, ok bool) {
	switch {
	case p.re == nil:
		return nil, globMatch(p.glob, lower)
	case p.re.NumSubexp() == 0:
		return nil, p.re.MatchString(value)
	}
	groups = p.re.FindStringSubmatch(value)
	return groups, groups != nil
}

func (p patterns) match(value, lower string) (groups []string, ok bool) {
	for _, one := range p {
		if groups, ok = one.match(value, lower); ok {
			return groups, true
		}
	}
	return nil, false
}

// globMatch goes back to the last star only, so it takes at most
// len(glob)*len(s) steps.
func globMatch(glob, s string) bool {
	g, i := 0, 0
	star, mark := -1, 0
	for i < len(s) {
		switch {
		case g < len(glob) && glob[g] == '*':
			star, mark = g, i
			g++
		case g < len(glob) && (glob[g] == '?' || glob[g] == s[i]):
			g++
			i++
		case star >= 0:
			mark++
			g, i = star+1, mark
		default:
			return false
		}
	}
	return strings.Trim(glob[g:], "*") == ""
}
