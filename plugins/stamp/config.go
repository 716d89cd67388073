package main

import (
	"errors"
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

type config struct {
	Remove []string            `json:"remove"`
	Set    mta.Ordered[string] `json:"set"`
	Prefix mta.Ordered[string] `json:"prefix"`
	Add    mta.Ordered[texts]  `json:"add"`
	AddTop mta.Ordered[texts]  `json:"add_top"`
}

// texts is one text, or a list of them for a field that is added more than
// once.
type texts []string

// UnmarshalConfig implements [mta.Unmarshaler].
func (t *texts) UnmarshalConfig(v mta.Value) error {
	list, ok := v.Texts()
	if !ok {
		return errors.New("want text, or a list of texts; put numbers, true and false in quotes")
	}
	*t = list
	return nil
}

func load() (*stamp, error) {
	var c config
	if err := mta.Config(&c); err != nil {
		return nil, err
	}
	var ck checker
	s := &stamp{
		remove: ck.names("remove", c.Remove),
		set:    ck.singles("set", c.Set),
		prefix: ck.singles("prefix", c.Prefix),
		add:    ck.lists("add", c.Add),
		addTop: ck.lists("add_top", c.AddTop),
	}
	if len(ck.findings) > 0 {
		return nil, &mta.ConfigError{Findings: ck.findings}
	}
	return s, nil
}

// A checker collects what is wrong with a configuration.
type checker struct{ findings []string }

func (ck *checker) add(at, what string) { ck.findings = append(ck.findings, at+": "+what) }

func (ck *checker) names(at string, names []string) []string {
	for _, name := range names {
		ck.name(at, name)
	}
	return names
}

// singles are fields that have one value each.
func (ck *checker) singles(at string, pairs mta.Ordered[string]) []field {
	fields := make([]field, 0, len(pairs))
	for i, p := range pairs {
		for _, q := range pairs[:i] {
			if strings.EqualFold(p.Key, q.Key) {
				ck.add(at, p.Key+" and "+q.Key+" are the same field; keep one")
			}
		}
		fields = append(fields, ck.field(at, p.Key, p.Value))
	}
	return fields
}

// lists are fields that may be written more than once.
func (ck *checker) lists(at string, pairs mta.Ordered[texts]) []field {
	fields := make([]field, 0, len(pairs))
	for _, p := range pairs {
		if isOneOf(p.Key, single) {
			ck.add(at, "a message has "+p.Key+" only once (RFC 5322 §3.6); use set")
		}
		for _, text := range p.Value {
			fields = append(fields, ck.field(at, p.Key, text))
		}
	}
	return fields
}

func (ck *checker) field(at, name, text string) field {
	ck.name(at, name)
	t, err := parse(text)
	if err != nil {
		ck.add(at+"."+name, err.Error())
	}
	return field{name: name, value: t}
}

func (ck *checker) name(at, name string) {
	switch {
	case !isFieldName(name):
		ck.add(at, quote(name)+" is no name of a header field; those are printable ASCII without blanks and colons")
	case isOneOf(name, structure):
		ck.add(at, name+" says how to read the body and cannot be stamped; the rewrite plugin changes bodies")
	}
}

// single are the fields that a message has at most once (RFC 5322 §3.6).
var single = []string{
	"Date", "From", "Sender", "Reply-To", "To", "Cc", "Bcc", "Message-ID",
	"In-Reply-To", "References", "Subject", "Return-Path",
}

// structure are the fields without which a body cannot be read (RFC 2045).
var structure = []string{"MIME-Version", "Content-Type", "Content-Transfer-Encoding"}

func isOneOf(name string, names []string) bool {
	for _, n := range names {
		if strings.EqualFold(n, name) {
			return true
		}
	}
	return false
}

// isFieldName tells whether s is a field name (RFC 5322 §2.2).
func isFieldName(s string) bool {
	for i := range len(s) {
		if s[i] <= ' ' || s[i] >= 0x7f || s[i] == ':' {
			return false
		}
	}
	return s != ""
}
