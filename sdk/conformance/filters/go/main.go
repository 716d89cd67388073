// The conformance filter in Go; sdk/conformance/README.md is its specification.
package main

import (
	"strings"

	mta "github.com/wasmta/wasmta/sdk/go"
)

// config is what the configuration says; nil leaves out a step.
var config struct {
	Stamp *struct {
		Name  string `json:"name"`
		Value string `json:"value"`
	} `json:"stamp"`
	Tag        *string `json:"tag"`
	Attachment *string `json:"attachment"`
	Refuse     *string `json:"refuse"`
}

func init() {
	mta.OnLoad(func() error { return mta.Config(&config) })
	mta.OnMessage(func(m *mta.Message) mta.Verdict {
		for _, step := range []func(*mta.Message) error{stamp, tag, replaceAttachments, refuse} {
			if err := step(m); err != nil {
				return mta.Fail(err)
			}
		}
		return mta.Continue
	})
}

func main() {}

func stamp(m *mta.Message) error {
	if config.Stamp == nil {
		return nil
	}
	return m.Header().AddTop(config.Stamp.Name, config.Stamp.Value)
}

func tag(m *mta.Message) error {
	if config.Tag == nil {
		return nil
	}
	field, ok := m.Header().First("Subject")
	if !ok {
		return m.Header().Add("Subject", *config.Tag)
	}
	subject := field.Value()
	if strings.HasPrefix(subject, *config.Tag) {
		return nil
	}
	return field.Set(*config.Tag + " " + subject)
}

func replaceAttachments(m *mta.Message) error {
	if config.Attachment == nil {
		return nil
	}
	var found []mta.Part
	for p := range m.Parts() {
		if p.Flags().Attachment() && strings.HasPrefix(p.Type(), "text/") {
			found = append(found, p)
		}
	}
	for _, p := range found {
		if err := p.Replace("text/plain; charset=utf-8", []byte(*config.Attachment)); err != nil {
			return err
		}
	}
	return nil
}

func refuse(m *mta.Message) error {
	if config.Refuse == nil {
		return nil
	}
	for _, r := range m.Recipients() {
		if !equalFold(r.Address(), *config.Refuse) {
			continue
		}
		if err := r.Refuse(550, "5.7.1", "Refused by conformance"); err != nil {
			return err
		}
	}
	return nil
}

// equalFold takes upper and lower case of ASCII for the same, and of no other
// letters.
func equalFold(a, b string) bool {
	return strings.Map(lower, a) == strings.Map(lower, b)
}

func lower(r rune) rune {
	if 'A' <= r && r <= 'Z' {
		return r + 'a' - 'A'
	}
	return r
}
