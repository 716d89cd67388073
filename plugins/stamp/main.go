// Stamp is a plugin that removes, sets, prefixes and adds header fields, with
// values made of what is known of the message. See README.md.
package main

import (
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

func init() {
	var s *stamp
	mta.OnLoad(func() (err error) {
		s, err = load()
		return err
	})
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		if err := s.apply(m); err != nil {
			return mta.Fail(err)
		}
		return mta.Continue
	})
}

func main() {}

// A stamp is what is done to each message, in this order.
type stamp struct {
	remove []string
	set    []field
	prefix []field
	add    []field
	addTop []field
}

// A field is a header field to write.
type field struct {
	name  string
	value template
	text  string // value, filled in for the message in hand
}

// apply does all that is to be done to m. Placeholders speak of the message as
// it came, so they are filled in before anything is changed.
func (s *stamp) apply(m *mta.Message) error {
	for _, fields := range [...][]field{s.set, s.add, s.addTop} {
		for i := range fields {
			fields[i].text = strings.TrimSpace(fields[i].value.fill(m))
		}
	}
	for i := range s.prefix {
		s.prefix[i].text = s.prefix[i].value.fill(m)
	}
	h := m.Header()
	for _, name := range s.remove {
		if _, err := h.Remove(name); err != nil {
			return err
		}
	}
	for _, f := range s.set {
		if err := set(h, f); err != nil {
			return err
		}
	}
	for _, f := range s.prefix {
		if err := prefix(h, f); err != nil {
			return err
		}
	}
	for _, f := range s.add {
		if f.text == "" {
			continue
		}
		if err := h.Add(f.name, f.text); err != nil {
			return err
		}
	}
	return s.top(h)
}

// top adds fields above all others. The last one goes first, so that they
// stand in the order of the file.
func (s *stamp) top(h mta.Header) error {
	for i := len(s.addTop) - 1; i >= 0; i-- {
		f := s.addTop[i]
		if f.text == "" {
			continue
		}
		if err := h.AddTop(f.name, f.text); err != nil {
			return err
		}
	}
	return nil
}

// set replaces a field, or removes it if there is nothing to put there: what
// the client wrote must not pass for ours.
func set(h mta.Header, f field) error {
	if f.text != "" {
		return h.Set(f.name, f.text)
	}
	_, err := h.Remove(f.name)
	return err
}

// prefix puts a text before the value of a field that does not begin with it
// yet.
func prefix(h mta.Header, f field) error {
	field, ok := h.First(f.name)
	if !ok || f.text == "" {
		return nil
	}
	value := field.Value()
	if hasPrefix(value, f.text) {
		return nil
	}
	// Encoded words stay as they are where nothing has to be encoded anew.
	if raw := field.Unfolded(); isASCII(f.text) && isASCII(raw) && strings.HasSuffix(f.text, " ") {
		value = raw
	}
	return field.Set(f.text + mta.Line(value))
}

// hasPrefix ignores blanks at the end of prefix: the value may be nothing else.
func hasPrefix(value, prefix string) bool {
	return strings.HasPrefix(value, strings.TrimRight(prefix, " "))
}

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= 0x80 {
			return false
		}
	}
	return true
}
