package mta

import (
	"errors"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"
)

// A Value is a piece of a configuration: a mapping, a list, a text, a number,
// true or false, or nothing.
type Value struct {
	kind  kind
	text  string // of a text: what it says; of a number, true and false: as written
	items []Value
	pairs []Pair[Value]
}

type kind byte

const (
	kindNull kind = iota
	kindBool
	kindNumber
	kindText
	kindList
	kindMapping
)

// UnmarshalConfig keeps what is there, whatever kind it has, so that a field of
// a configuration can be a Value.
func (v *Value) UnmarshalConfig(what Value) error {
	*v = what
	return nil
}

// Text is the value if it is a text.
func (v Value) Text() (s string, ok bool) { return v.text, v.kind == kindText }

// List is the value if it is a list.
func (v Value) List() (items []Value, ok bool) { return v.items, v.kind == kindList }

// Texts is a text, or a list of them: what a key takes that has one or many.
func (v Value) Texts() (list []string, ok bool) {
	if v.kind == kindText {
		return []string{v.text}, true
	}
	for _, item := range v.items {
		if item.kind != kindText {
			return nil, false
		}
		list = append(list, item.text)
	}
	return list, v.kind == kindList
}

// maxNesting is how deep a configuration may be. The host's own limit is 100.
const maxNesting = 200

var errJSON = errors.New("config: the host gave no valid JSON")

// A parser reads JSON (RFC 8259). The host made it, so that its mistakes need
// no places. It is here because encoding/json makes a guest half again as
// large, and its start as slow.
type parser struct {
	b []byte
	i int
}

func parseJSON(b []byte) (Value, error) {
	p := parser{b: b}
	v, ok := p.value(0)
	p.space()
	if !ok || p.i != len(b) {
		return Value{}, errJSON
	}
	return v, nil
}

func (p *parser) space() {
	for p.i < len(p.b) && (p.b[p.i] == ' ' || p.b[p.i] == '\n' || p.b[p.i] == '\t' || p.b[p.i] == '\r') {
		p.i++
	}
}

// next tells whether c comes next, and passes it.
func (p *parser) next(c byte) bool {
	p.space()
	if p.i < len(p.b) && p.b[p.i] == c {
		p.i++
		return true
	}
	return false
}

func (p *parser) value(depth int) (v Value, ok bool) {
	p.space()
	if p.i >= len(p.b) || depth > maxNesting {
		return v, false
	}
	switch c := p.b[p.i]; c {
	case '{':
		return p.mapping(depth)
	case '[':
		return p.list(depth)
	case '"':
		v.kind = kindText
		v.text, ok = p.str()
		return v, ok
	}
	return p.word()
}

func (p *parser) mapping(depth int) (v Value, ok bool) {
	v.kind = kindMapping
	p.i++
	if p.next('}') {
		return v, true
	}
	for {
		var pair Pair[Value]
		p.space()
		if pair.Key, ok = p.str(); !ok || !p.next(':') {
			return v, false
		}
		if pair.Value, ok = p.value(depth + 1); !ok {
			return v, false
		}
		v.pairs = append(v.pairs, pair)
		if !p.next(',') {
			return v, p.next('}')
		}
	}
}

func (p *parser) list(depth int) (v Value, ok bool) {
	v.kind = kindList
	p.i++
	if p.next(']') {
		return v, true
	}
	for {
		item, ok := p.value(depth + 1)
		if !ok {
			return v, false
		}
		v.items = append(v.items, item)
		if !p.next(',') {
			return v, p.next(']')
		}
	}
}

// word reads null, true, false or a number.
func (p *parser) word() (v Value, ok bool) {
	start := p.i
	for p.i < len(p.b) && isWord(p.b[p.i]) {
		p.i++
	}
	v.text = string(p.b[start:p.i])
	switch v.text {
	case "null":
		return v, true
	case "true", "false":
		v.kind = kindBool
		return v, true
	}
	v.kind = kindNumber
	return v, isNumber(v.text)
}

func isWord(c byte) bool {
	return 'a' <= c && c <= 'z' || c == 'E' || '0' <= c && c <= '9' || c == '-' || c == '+' || c == '.'
}

// isNumber tells whether s is a number (RFC 8259 §6).
func isNumber(s string) bool {
	if s != "" && s[0] == '-' {
		s = s[1:]
	}
	whole := digits(s)
	if whole == 0 || whole > 1 && s[0] == '0' {
		return false
	}
	s = s[whole:]
	if s != "" && s[0] == '.' {
		n := digits(s[1:])
		if n == 0 {
			return false
		}
		s = s[1+n:]
	}
	if s == "" {
		return true
	}
	if s[0]|0x20 != 'e' {
		return false
	}
	if s = s[1:]; s != "" && (s[0] == '+' || s[0] == '-') {
		s = s[1:]
	}
	return s != "" && digits(s) == len(s)
}

func digits(s string) int {
	n := 0
	for n < len(s) && '0' <= s[n] && s[n] <= '9' {
		n++
	}
	return n
}

// str reads a text in quotes.
func (p *parser) str() (string, bool) {
	if p.i >= len(p.b) || p.b[p.i] != '"' {
		return "", false
	}
	p.i++
	var out []byte
	for p.i < len(p.b) {
		c := p.b[p.i]
		p.i++
		switch {
		case c == '"':
			return string(out), utf8.Valid(out)
		case c < ' ':
			return "", false
		case c != '\\':
			out = append(out, c)
		default:
			var ok bool
			if out, ok = p.escape(out); !ok {
				return "", false
			}
		}
	}
	return "", false
}

var escapes = map[byte]byte{
	'"': '"', '\\': '\\', '/': '/', 'b': '\b', 'f': '\f', 'n': '\n', 'r': '\r', 't': '\t',
}

func (p *parser) escape(out []byte) ([]byte, bool) {
	if p.i >= len(p.b) {
		return out, false
	}
	c := p.b[p.i]
	p.i++
	if c != 'u' {
		plain, ok := escapes[c]
		return append(out, plain), ok
	}
	r, ok := p.hex()
	if !ok {
		return out, false
	}
	if utf16.IsSurrogate(r) {
		at := p.i
		second := rune(utf8.RuneError)
		if at+1 < len(p.b) && p.b[at] == '\\' && p.b[at+1] == 'u' {
			p.i += 2
			if second, ok = p.hex(); !ok {
				return out, false
			}
		}
		if r = utf16.DecodeRune(r, second); r == utf8.RuneError {
			p.i = at
		}
	}
	return utf8.AppendRune(out, r), true
}

func (p *parser) hex() (rune, bool) {
	if p.i+4 > len(p.b) {
		return 0, false
	}
	n, err := strconv.ParseUint(string(p.b[p.i:p.i+4]), 16, 16)
	p.i += 4
	return rune(n), err == nil
}
