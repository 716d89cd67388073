package offline

import (
	"bytes"
	"errors"
	netmail "net/mail"
	"net/netip"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/report"
	"github.com/wasmta/wasmta/sdk/mimetree"
)

// client is the address of a client that is not given (RFC 5737).
var client = netip.MustParseAddr("192.0.2.1")

// maxAssumed is how many recipients are taken from a message's fields.
const maxAssumed = 100

// complete fills in what a message is not given, and says in the report where
// it was taken from.
func complete(m *Message, octets []byte, hostname string, rep *report.Report) error {
	tree := mimetree.Parse(bytes.NewReader(octets), mimetree.Limits{})
	assume := func(what, source string) {
		if rep.Assumed == nil {
			rep.Assumed = map[string]string{}
		}
		rep.Assumed[what] = source
	}
	if m.From == nil {
		from, field := sender(tree)
		m.From = &from
		assume("from", field)
	}
	if len(m.To) == 0 {
		var field string
		if m.To, field = recipients(tree); len(m.To) == 0 {
			postmaster, err := mail.ParsePath("postmaster@" + hostname)
			if err != nil {
				return errors.New("the message names no recipient; name one with --to")
			}
			m.To, field = []mail.Path{postmaster}, "made up, as no field names one"
		}
		assume("to", field)
	}
	if !m.Client.IsValid() {
		m.Client = client
		assume("client", "made up")
	}
	if m.Helo == "" {
		if m.Helo = m.From.Domain; m.Helo == "" || mail.HasUTF8(m.Helo) {
			m.Helo = "client.example"
		}
	}
	return nil
}

// sender is the reverse-path that a message's fields speak of, and which.
func sender(t *mimetree.Tree) (mail.Path, string) {
	if value, ok := first(t, "Return-Path"); ok {
		value = string(bytes.Trim([]byte(value), "<> \t"))
		if value == "" {
			return mail.Path{}, "its Return-Path"
		}
		if p, err := mail.ParsePath(value); err == nil {
			return p, "its Return-Path"
		}
	}
	for _, name := range []string{"Sender", "From"} {
		if found, _ := addresses(t, name); len(found) > 0 {
			return found[0], "its " + name
		}
	}
	return mail.Path{}, "no field names a sender"
}

// recipients are those that a message's fields speak of, and which.
func recipients(t *mimetree.Tree) ([]mail.Path, string) {
	for _, name := range []string{"Delivered-To", "X-Original-To"} {
		if found, _ := addresses(t, name); len(found) > 0 {
			return found[:1], "its " + name
		}
	}
	found, names := addresses(t, "To", "Cc", "Bcc")
	return found[:min(len(found), maxAssumed)], "its " + strings.Join(names, ", ")
}

// addresses are all that fields name and that mail can be sent to, and which
// fields those are.
func addresses(t *mimetree.Tree, names ...string) (found []mail.Path, used []string) {
	seen := map[mail.Path]bool{}
	for _, name := range names {
		value, ok := first(t, name)
		if !ok {
			continue
		}
		list, err := (&netmail.AddressParser{}).ParseList(value)
		if err != nil {
			continue
		}
		for _, a := range list {
			if p, err := mail.ParsePath(a.Address); err == nil && p.Domain != "" && !seen[p] {
				seen[p] = true
				found = append(found, p)
			}
		}
		if len(list) > 0 {
			used = append(used, name)
		}
	}
	return found, used
}

// first is the value of the first field of that name, in one line.
func first(t *mimetree.Tree, name string) (string, bool) {
	i, err := t.FindField(mimetree.Root, name, 0)
	if err != nil {
		return "", false
	}
	value, err := t.FieldValue(mimetree.Root, i, mimetree.Unfolded)
	return string(value), err == nil
}

// subject is that of a content, decoded.
func subject(content mail.Content) string {
	octets, ok := content.(mail.Octets)
	if !ok {
		return ""
	}
	t := mimetree.Parse(octets, mimetree.Limits{})
	i, err := t.FindField(mimetree.Root, "Subject", 0)
	if err != nil {
		return ""
	}
	value, err := t.FieldValue(mimetree.Root, i, mimetree.Decoded)
	if err != nil {
		return ""
	}
	return string(value)
}
