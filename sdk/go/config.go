package mta

import (
	"encoding/json"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Config reads the plugin's configuration, the `config:` of its stage, into
// the struct that v points to. What the file does not say stays as it is in v,
// so defaults are set before. Fields are named as in encoding/json:
//
//	type config struct {
//		Folder string   `json:"folder"`
//		Limit  mta.Size `json:"limit"`
//	}
//
// It is strict: a key that the struct does not have, a key given twice and a
// value of another kind are errors. The error has all of them, each with its
// place, "rules[2].folder". Return it from the function given to [OnLoad], and
// the operator reads it.
func Config(v any) error {
	b, e := read(guest.Config)
	if e < 0 {
		return failed("config", int32(e))
	}
	p := reflect.ValueOf(v)
	if p.Kind() != reflect.Pointer || p.IsNil() {
		return errors.New("mta.Config needs a pointer to a struct")
	}
	return Strict(append([]byte(nil), b...), v)
}

// Strict reads JSON into what v points to, as [Config] does. It serves an
// UnmarshalJSON that takes a mapping among other things.
func Strict(b []byte, v any) error {
	var d decoder
	d.value("", b, reflect.ValueOf(v).Elem())
	return d.err()
}

// A ConfigError is everything that is wrong with a configuration.
type ConfigError struct {
	Findings []string // "rules[2].folder: got a number, want text"
}

// Error is all findings in one line.
func (e *ConfigError) Error() string { return strings.Join(e.Findings, "; ") }

// A decoder fills Go values from JSON and collects what is wrong.
type decoder struct{ findings []string }

func (d *decoder) err() error {
	if len(d.findings) == 0 {
		return nil
	}
	return &ConfigError{d.findings}
}

func (d *decoder) add(at, what string) {
	if at != "" {
		what = at + ": " + what
	}
	d.findings = append(d.findings, what)
}

// ordered is what keeps the order of its keys.
type ordered interface {
	decode(d *decoder, at string, pairs []rawPair)
}

// value fills v from raw; at is its place.
func (d *decoder) value(at string, raw json.RawMessage, v reflect.Value) {
	if string(raw) == "null" {
		return
	}
	if v.CanAddr() {
		switch p := v.Addr().Interface().(type) {
		case ordered:
			d.object(at, raw, func(pairs []rawPair) { p.decode(d, at, pairs) })
			return
		case json.Unmarshaler:
			d.nested(at, p.UnmarshalJSON(raw))
			return
		}
	}
	switch v.Kind() {
	case reflect.Pointer:
		if v.IsNil() {
			v.Set(reflect.New(v.Type().Elem()))
		}
		d.value(at, raw, v.Elem())
	case reflect.Struct:
		d.object(at, raw, func(pairs []rawPair) { d.structure(at, pairs, v) })
	case reflect.Map:
		d.object(at, raw, func(pairs []rawPair) { d.mapping(at, pairs, v) })
	case reflect.Slice:
		d.list(at, raw, v)
	default:
		if json.Unmarshal(raw, v.Addr().Interface()) != nil {
			d.wrongKind(at, raw, wanted(v.Kind()))
		}
	}
}

// nested takes over what a value found wrong with itself.
func (d *decoder) nested(at string, err error) {
	if err == nil {
		return
	}
	var inner *ConfigError
	if !errors.As(err, &inner) {
		d.add(at, err.Error())
		return
	}
	for _, what := range inner.Findings {
		d.findings = append(d.findings, nest(at, what))
	}
}

// nest puts a place before a finding that begins with its own, "code: got …",
// or with none.
func nest(at, what string) string {
	place, _, ok := strings.Cut(what, ": ")
	if ok && !strings.ContainsAny(place, " \"") {
		return at + "." + what
	}
	return at + ": " + what
}

func (d *decoder) object(at string, raw json.RawMessage, f func([]rawPair)) {
	pairs, err := splitObject(raw)
	if err != nil {
		d.wrongKind(at, raw, "a mapping")
		return
	}
	for i, p := range pairs {
		for _, q := range pairs[:i] {
			if p.key == q.key {
				d.add(join(at, p.key), "is given twice")
			}
		}
	}
	f(pairs)
}

func (d *decoder) structure(at string, pairs []rawPair, v reflect.Value) {
	names, fields := fieldsOf(v.Type())
	for _, p := range pairs {
		i, ok := fields[p.key]
		if !ok {
			d.unknown(at, p.key, names)
			continue
		}
		d.value(join(at, p.key), p.value, v.Field(i))
	}
}

func (d *decoder) mapping(at string, pairs []rawPair, v reflect.Value) {
	if v.Type().Key().Kind() != reflect.String {
		d.add(at, "mta.Config fills maps with keys of text only")
		return
	}
	v.Set(reflect.MakeMapWithSize(v.Type(), len(pairs)))
	for _, p := range pairs {
		item := reflect.New(v.Type().Elem()).Elem()
		d.value(join(at, p.key), p.value, item)
		v.SetMapIndex(reflect.ValueOf(p.key).Convert(v.Type().Key()), item)
	}
}

func (d *decoder) list(at string, raw json.RawMessage, v reflect.Value) {
	var items []json.RawMessage
	if json.Unmarshal(raw, &items) != nil {
		d.wrongKind(at, raw, "a list")
		return
	}
	v.Set(reflect.MakeSlice(v.Type(), len(items), len(items)))
	for i, item := range items {
		d.value(at+"["+strconv.Itoa(i)+"]", item, v.Index(i))
	}
}

func (d *decoder) wrongKind(at string, raw json.RawMessage, want string) {
	if at == "" {
		at = "config"
	}
	d.add(at, "got "+kindOf(raw)+", want "+want)
}

func (d *decoder) unknown(at, key string, names []string) {
	near, distance := "", 3
	for _, name := range names {
		if n := editDistance(key, name); n < distance {
			near, distance = name, n
		}
	}
	if near != "" {
		d.add(at, "unknown key "+strconv.Quote(key)+"; did you mean "+strconv.Quote(near)+"?")
		return
	}
	d.add(at, "unknown key "+strconv.Quote(key)+"; known keys are "+strings.Join(names, ", "))
}

// fieldsOf are the keys of a struct: their names in its order, and the index
// of each one's field.
func fieldsOf(t reflect.Type) (names []string, fields map[string]int) {
	fields = map[string]int{}
	for i := range t.NumField() {
		f := t.Field(i)
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if !f.IsExported() || name == "-" {
			continue
		}
		if name == "" {
			name = f.Name
		}
		names = append(names, name)
		fields[name] = i
	}
	return names, fields
}

func join(at, key string) string {
	if at == "" {
		return key
	}
	return at + "." + key
}

func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "a mapping"
	case '[':
		return "a list"
	case '"':
		return "the text " + string(raw)
	case 't', 'f':
		return string(raw) + " (true and false, yes and no are not text unless quoted)"
	}
	return "the number " + string(raw)
}

func wanted(k reflect.Kind) string {
	switch k {
	case reflect.String:
		return "text"
	case reflect.Bool:
		return "true or false"
	case reflect.Float32, reflect.Float64:
		return "a number"
	}
	return "a whole number in range"
}

// editDistance is how many letters to add, remove or change make a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(row[j+1]+1, row[j]+1, diagonal+cost)
		}
	}
	return row[len(b)]
}
