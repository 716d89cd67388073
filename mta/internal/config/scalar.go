package config

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A scalar is one word or number.
type scalar[V any] struct {
	words  string                                 // what it is: "duration"
	want   string                                 // what to write instead: `a duration such as "30s"`
	schema schema                                 // without description and default
	tags   []string                               // which YAML types it may have; nil: text
	parse  func(s string) (V, error)              // a *unitError brings its own cure
	show   func(v V) any                          // the default as JSON; nil result: none
	fill   func(piece string) string              // not nil: ${NAME} and file:PATH stand for secrets; escapes one piece
	then   func(*decoder, *yaml.Node, string, *V) // what parse cannot know; may be nil
}

var (
	textTags   = []string{"!!str", "!!timestamp"}
	numberTags = []string{"!!int", "!!float"}
	anyTags    = []string{"!!str", "!!timestamp", "!!int", "!!float"}
)

func (k scalar[V]) decode(d *decoder, n *yaml.Node, at string, v *V) {
	text, ok := k.text(d, n, at)
	if !ok {
		return
	}
	parsed, err := k.parse(text)
	if err != nil {
		d.add(n, at, err.Error(), k.cure(err, n))
		return
	}
	*v = parsed
	if k.then != nil {
		k.then(d, n, at, v)
	}
}

// text returns the text of n, with secrets filled in.
func (k scalar[V]) text(d *decoder, n *yaml.Node, at string) (string, bool) {
	switch {
	case !d.usable(n, at):
		return "", false
	case n.Kind != yaml.ScalarNode:
		d.wrongKind(n, at, k.want)
		return "", false
	case isNull(n):
		d.add(n, at, "has no value", "write "+k.want+", or leave the key out")
		return "", false
	case !slices.Contains(k.allowedTags(), n.ShortTag()):
		d.add(n, at, "is "+describeNode(n), "write "+k.insteadOf(n))
		return "", false
	case k.fill == nil:
		return n.Value, true
	}
	return d.fill(n, at, k.fill)
}

func (k scalar[V]) allowedTags() []string {
	if k.tags == nil {
		return textTags
	}
	return k.tags
}

// insteadOf is the cure for a value of the wrong type: quotes where they make
// text of it, none where they hide a number.
func (k scalar[V]) insteadOf(n *yaml.Node) string {
	if _, err := k.parse(n.Value); err != nil || k.fill != nil {
		return k.want
	}
	if n.ShortTag() == "!!str" {
		return quotable(n.Value) + " without quotes"
	}
	return fmt.Sprintf("%q, in quotes", quotable(n.Value))
}

func (k scalar[V]) cure(err error, n *yaml.Node) string {
	if unit, ok := errors.AsType[*unitError](err); ok {
		return unit.cure
	}
	if k.fill == nil && strings.Contains(n.Value, "${") {
		return "write the value itself: ${NAME} is filled in only where secrets stand"
	}
	return "write " + k.want
}

func (k scalar[V]) shape(def *V) shape {
	s := k.schema
	if s.Type == nil && s.OneOf == nil {
		s.Type = "string"
	}
	if def != nil && k.show != nil {
		s.Default = k.show(*def)
	}
	return shape{words: k.words, schema: &s}
}

// enum is one of some words.
func enum[V ~string](words ...V) scalar[V] {
	names := make([]string, len(words))
	for i, w := range words {
		names[i] = string(w)
	}
	return scalar[V]{
		words:  strings.Join(names, ", "),
		want:   oneOf(names),
		schema: schema{Enum: names},
		show:   showText[V],
		parse: func(s string) (V, error) {
			if slices.Contains(names, s) {
				return V(s), nil
			}
			cure := oneOf(names)
			if near := Nearest(s, names); near != "" {
				cure = fmt.Sprintf("%q", near)
			}
			return "", &unitError{fmt.Sprintf("%q is not known", quotable(s)), "write " + cure}
		},
	}
}

func oneOf(names []string) string {
	if len(names) == 1 {
		return names[0]
	}
	return strings.Join(names[:len(names)-1], ", ") + " or " + names[len(names)-1]
}

// showText shows a default that is not empty.
func showText[V ~string](v V) any {
	if v == "" {
		return nil
	}
	return string(v)
}
