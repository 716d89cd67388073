package main

import (
	"errors"
	"strconv"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// A template is a value with placeholders.
type template []piece

// A piece is a text, or a placeholder if look is set.
type piece struct {
	text string
	look func(m *mta.Message, name string) string
	name string // for look
}

// maxPlaceholder is the most octets that one placeholder becomes: a sender
// must not be able to make a field longer than the host takes (64 KiB).
const maxPlaceholder = 4096

// headerPrefix begins the placeholders that are header fields.
const headerPrefix = "header."

// A placeholder is a name in ${} and what it becomes.
type placeholder struct {
	name string
	look func(m *mta.Message, name string) string
}

var placeholders = []placeholder{
	{"account", func(m *mta.Message, _ string) string { return m.Account() }},
	{"client", client},
	{"client_name", func(m *mta.Message, _ string) string { return m.ClientName() }},
	{"date", func(*mta.Message, string) string { return mta.Now().Format(dateLayout) }},
	{"helo", func(m *mta.Message, _ string) string { return m.Helo() }},
	{"hostname", func(m *mta.Message, _ string) string { return m.Hostname() }},
	{"listener", func(m *mta.Message, _ string) string { return m.Listener() }},
	{"queue_id", func(m *mta.Message, _ string) string { return m.QueueID() }},
	{"recipient", recipient},
	{"sender", func(m *mta.Message, _ string) string { return m.Sender() }},
	{"size", func(m *mta.Message, _ string) string { return strconv.FormatInt(m.Size(), 10) }},
	{"tls", func(m *mta.Message, _ string) string { return m.TLS() }},
}

// dateLayout is date-time (RFC 5322 §3.3).
const dateLayout = "Mon, 2 Jan 2006 15:04:05 -0700"

func client(m *mta.Message, _ string) string {
	s, _ := m.Context("/client/ip")
	return s
}

// recipient is empty if there are several: a field that each of them reads
// must not name the others.
func recipient(m *mta.Message, _ string) string {
	if rcpts := m.Recipients(); len(rcpts) == 1 {
		return rcpts[0].Address()
	}
	return ""
}

func header(m *mta.Message, name string) string { return m.Header().Get(name) }

// parse reads a value: `${name}` is a placeholder, `$$` is a dollar sign, and
// so is `$` before anything else.
func parse(s string) (template, error) {
	if i := strings.IndexFunc(s, isControl); i >= 0 {
		return nil, errors.New("a value is one line of text; remove " + quote(s[i:i+1]))
	}
	var t template
	for s != "" {
		i := strings.IndexByte(s, '$')
		if i < 0 {
			return t.literal(s), nil
		}
		t = t.literal(s[:i])
		s = s[i:]
		switch {
		case strings.HasPrefix(s, "$$"):
			t, s = t.literal("$"), s[2:]
		case !strings.HasPrefix(s, "${"):
			t, s = t.literal("$"), s[1:]
		default:
			name, rest, ok := strings.Cut(s[2:], "}")
			if !ok {
				return nil, errors.New("${ without }; write $$ for a dollar sign")
			}
			p, err := lookup(name)
			if err != nil {
				return nil, err
			}
			t, s = append(t, p), rest
		}
	}
	return t, nil
}

func (t template) literal(s string) template {
	switch n := len(t); {
	case s == "":
		return t
	case n > 0 && t[n-1].look == nil:
		t[n-1].text += s
		return t
	}
	return append(t, piece{text: s})
}

func lookup(name string) (piece, error) {
	if field, ok := strings.CutPrefix(name, headerPrefix); ok {
		if !isFieldName(field) {
			return piece{}, errors.New(quote(field) + " in ${" + name + "} is no name of a header field")
		}
		return piece{look: header, name: field}, nil
	}
	known := make([]string, 0, len(placeholders)+1)
	for _, p := range placeholders {
		if p.name == name {
			return piece{look: p.look}, nil
		}
		known = append(known, p.name)
	}
	return piece{}, errors.New("unknown placeholder ${" + name + "}; known are " +
		strings.Join(append(known, "header.NAME"), ", ") + "; write $$ for a dollar sign")
}

// fill is the value for one message. It is empty if the template has
// placeholders and none of them is known.
func (t template) fill(m *mta.Message) string {
	var buf [256]byte
	b := buf[:0]
	placeholders, found := 0, false
	for _, p := range t {
		if p.look == nil {
			b = append(b, p.text...)
			continue
		}
		placeholders++
		s := p.look(m, p.name)
		found = found || s != ""
		b = appendLine(b, s)
	}
	if placeholders > 0 && !found {
		return ""
	}
	return string(b)
}

// appendLine appends s, from outside, as text that can stand in one line.
func appendLine(b []byte, s string) []byte {
	s = mta.Line(s)
	if len(s) > maxPlaceholder {
		s = strings.ToValidUTF8(s[:maxPlaceholder], "")
	}
	return append(b, s...)
}

func isControl(r rune) bool { return r < ' ' || r == 0x7f }

func quote(s string) string { return strconv.Quote(s) }
