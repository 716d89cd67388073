package config

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"strings"

	"gopkg.in/yaml.v3"
)

// A kind is what a value may be: how it is decoded, and how the schema and the
// reference describe it.
type kind[V any] interface {
	// decode sets v from n, or reports findings. at is the path of n.
	decode(d *decoder, n *yaml.Node, at string, v *V)
	// shape describes the kind. def is the default; nil if there is none.
	shape(def *V) shape
}

// A shape describes a kind.
type shape struct {
	words  string  // for the reference: "duration", "list of host:port"
	schema *schema //
	keys   []entry // of a mapping, or of the mappings that a list or a mapping holds
	below  string  // between the path of the value and that of its keys: "", "[]" or ".DOMAIN"
}

// An entry is a key of a mapping as the reference has it.
type entry struct {
	name, doc string
	required  bool
	shape
}

// A key is a key of an object.
type key[T any] struct {
	name, doc  string
	isRequired bool
	decode     func(d *decoder, n *yaml.Node, at string, v *T)
	shape      func(def *T) shape
}

// field makes a key whose value is the part of T that of points at.
func field[T, V any](name string, k kind[V], of func(*T) *V, doc string) key[T] {
	return key[T]{
		name: name, doc: doc,
		decode: func(d *decoder, n *yaml.Node, at string, v *T) { k.decode(d, n, at, of(v)) },
		shape: func(def *T) shape {
			if def == nil {
				return k.shape(nil)
			}
			return k.shape(of(def))
		},
	}
}

// required makes the absence of k a finding.
func required[T any](k key[T]) key[T] {
	k.isRequired = true
	return k
}

// notBuilt is a key that is known but has to be empty for now.
func notBuilt[T any](name, doc string) key[T] {
	return key[T]{
		name: name, doc: doc + " Not built yet: leave it out.",
		decode: func(d *decoder, n *yaml.Node, at string, _ *T) {
			if !isEmpty(n) {
				d.add(n, at, "is not built yet", "leave it out")
			}
		},
		shape: func(*T) shape {
			empty := 0
			return shape{words: "nothing yet", schema: &schema{MaxItems: &empty, MaxProperties: &empty, MaxLength: &empty, Type: []string{"array", "object", "string", "null"}}}
		},
	}
}

// An object is a mapping with known keys.
type object[T any] struct {
	keys []key[T]
	then func(d *decoder, n *yaml.Node, at string, v *T) // checks the whole; may be nil
}

func (o object[T]) decode(d *decoder, n *yaml.Node, at string, v *T) {
	seen := map[string]bool{}
	for _, p := range d.pairs(n, at, "a mapping, one `key: value` on each line") {
		seen[p.name] = true
		if !o.has(p.name) {
			seen[Nearest(p.name, o.names())] = true // told about once
		}
		o.decodeKey(d, p, at, v)
	}
	for _, k := range o.keys {
		if k.isRequired && !seen[k.name] && (n.Kind == yaml.MappingNode || isNull(n)) {
			d.add(n, at, fmt.Sprintf("key %q is missing", k.name), "add it: "+k.doc)
		}
	}
	if o.then != nil {
		o.then(d, n, at, v)
	}
}

func (o object[T]) decodeKey(d *decoder, p pair, at string, v *T) {
	for _, k := range o.keys {
		if k.name == p.name {
			path := Key(at, p.name)
			d.place(path, p.value)
			k.decode(d, p.value, path, v)
			return
		}
	}
	d.unknown(p, at, o.names())
}

func (o object[T]) has(name string) bool { return slices.Contains(o.names(), name) }

func (o object[T]) names() []string {
	names := make([]string, len(o.keys))
	for i, k := range o.keys {
		names[i] = k.name
	}
	return names
}

func (o object[T]) shape(def *T) shape {
	s := shape{words: "mapping", schema: &schema{Type: []string{"object", "null"}, AdditionalProperties: new(bool), Properties: map[string]*schema{}}}
	for _, k := range o.keys {
		below := k.shape(def)
		below.schema.Description = k.doc
		s.schema.Properties[k.name] = below.schema
		if k.isRequired {
			s.schema.Required = append(s.schema.Required, k.name)
			s.schema.Type = "object"
		}
		s.keys = append(s.keys, entry{k.name, k.doc, k.isRequired, below})
	}
	return s
}

// A list is a list of one kind.
type list[V any] struct {
	elem  kind[V]
	empty func() V // what an element begins as; nil: the zero V
}

func (l list[V]) decode(d *decoder, n *yaml.Node, at string, v *[]V) {
	nodes := d.items(n, at, "a list, as in [a, b]")
	*v = make([]V, len(nodes))
	for i, node := range nodes {
		path := Index(at, i)
		d.place(path, node)
		if l.empty != nil {
			(*v)[i] = l.empty()
		}
		l.elem.decode(d, node, path, &(*v)[i])
	}
}

func (l list[V]) shape(def *[]V) shape {
	var elem *V
	if l.empty != nil {
		e := l.empty()
		elem = &e
	}
	below := l.elem.shape(elem)
	s := shape{words: "list of " + below.words, keys: below.keys, below: "[]"}
	s.schema = &schema{Type: []string{"array", "null"}, Items: below.schema}
	return s
}

// A dict is a mapping whose keys are names of things, in the order of the
// file.
type dict[V any] struct {
	what string                                          // what a key is: "a domain"
	want string                                          // what to write where it is not: "a name such as hamburger.edu"
	name func(o *Options, key string) (V, string, error) // the element of that name, and the name as it is compared
	elem kind[V]
	def  func(v []V) any // the default as the schema has it; may be nil
}

func (m dict[V]) decode(d *decoder, n *yaml.Node, at string, v *[]V) {
	pairs := d.pairs(n, at, fmt.Sprintf("a mapping, one `%s: …` on each line", m.noun()))
	*v = make([]V, 0, len(pairs))
	first := map[string]int{}
	for _, p := range pairs {
		elem, name, err := m.name(&d.opts, p.name)
		if err != nil {
			what, cure := fmt.Sprintf("%q is not %s: %v", quotable(p.name), m.what, err), "write "+m.want
			if own, ok := errors.AsType[*unitError](err); ok {
				what, cure = own.what, cmp.Or(own.cure, cure)
			}
			d.add(p.key, at, what, cure)
			continue
		}
		if line := first[name]; line > 0 {
			d.add(p.key, at, fmt.Sprintf("%s %q is here twice, first in line %d", m.noun(), quotable(p.name), line), "keep one of them")
			continue
		}
		first[name] = p.key.Line
		path := Key(at, p.name)
		d.place(path, p.value)
		d.place(Key(at, name), p.value)
		m.elem.decode(d, p.value, path, &elem)
		*v = append(*v, elem)
	}
}

func (m dict[V]) noun() string {
	_, noun, _ := strings.Cut(m.what, " ")
	return noun
}

func (m dict[V]) shape(def *[]V) shape {
	sample, _, _ := m.name(&Options{}, "x") // only for its defaults
	below := m.elem.shape(&sample)
	s := shape{words: cmp.Or(below.words, "value") + " by " + m.noun(), keys: below.keys, below: "." + strings.ToUpper(m.noun())}
	s.schema = &schema{Type: []string{"object", "null"}, AdditionalProperties: below.schema}
	if m.def != nil && def != nil {
		s.schema.Default = m.def(*def)
	}
	return s
}
