package mta

import (
	"encoding"
	"errors"
	"reflect"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/sdk/go/internal/guest"
)

// Config reads the plugin's configuration, the `config:` of its stage, into
// the struct that v points to. What the file does not say stays as it is in v,
// so defaults are set before. Fields are named as for encoding/json:
//
//	type config struct {
//		Folder string   `json:"folder"`
//		Limit  mta.Size `json:"limit"`
//	}
//
// It is strict: a key that the struct does not have, a key given twice and a
// value of another kind are errors. The error is a [*ConfigError] with all of
// them, each with its place. Return it from the function given to [OnLoad], and
// the operator reads it.
//
// A type with a form of its own implements [Unmarshaler], or
// [encoding.TextUnmarshaler].
func Config(v any) error {
	b, e := read(guest.Config)
	if e < 0 {
		return failed("config", int32(e))
	}
	root, err := parseJSON(b)
	if err != nil {
		return err
	}
	return root.Into(v)
}

// An Unmarshaler reads itself from a configuration.
type Unmarshaler interface {
	UnmarshalConfig(v Value) error
}

// Into fills what p points to, as strictly as [Config] does.
func (v Value) Into(p any) error {
	to := reflect.ValueOf(p)
	if to.Kind() != reflect.Pointer || to.IsNil() {
		return errors.New("mta.Config needs a pointer to a struct")
	}
	var d decoder
	d.value("", v, to.Elem())
	if len(d.findings) == 0 {
		return nil
	}
	return &ConfigError{d.findings}
}

// A ConfigError is everything that is wrong with a configuration.
type ConfigError struct {
	Findings []string // "rules[2].folder: got a number, want text"
}

// Error is all findings in one line.
func (e *ConfigError) Error() string { return strings.Join(e.Findings, "; ") }

// A decoder fills Go values and collects what is wrong.
type decoder struct{ findings []string }

func (d *decoder) add(at, what string) {
	if at != "" {
		what = at + ": " + what
	}
	d.findings = append(d.findings, what)
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
	switch {
	case at == "":
		return what
	case ok && !strings.ContainsAny(place, " \""):
		return join(at, place) + what[len(place):]
	}
	return at + ": " + what
}

// ordered is what keeps the order of its keys.
type ordered interface {
	decode(d *decoder, at string, pairs []Pair[Value])
}

// value fills to from v; at is its place. Nothing leaves it as it is.
func (d *decoder) value(at string, v Value, to reflect.Value) {
	if v.kind == kindNull {
		return
	}
	switch p := to.Addr().Interface().(type) {
	case ordered:
		d.mapping(at, v, func() { p.decode(d, at, v.pairs) })
	case Unmarshaler:
		d.nested(at, p.UnmarshalConfig(v))
	case encoding.TextUnmarshaler:
		if v.kind != kindText {
			d.wrongKind(at, v, "text")
			return
		}
		d.nested(at, p.UnmarshalText([]byte(v.text)))
	default:
		d.plain(at, v, to)
	}
}

// plain fills what has no form of its own.
func (d *decoder) plain(at string, v Value, to reflect.Value) {
	switch to.Kind() {
	case reflect.Pointer:
		if to.IsNil() {
			to.Set(reflect.New(to.Type().Elem()))
		}
		d.value(at, v, to.Elem())
	case reflect.Struct:
		d.mapping(at, v, func() { d.structure(at, v, to) })
	case reflect.Map:
		d.mapping(at, v, func() { d.dict(at, v, to) })
	case reflect.Slice:
		d.list(at, v, to)
	default:
		d.scalar(at, v, to)
	}
}

// scalar fills a text, a number, or true or false.
func (d *decoder) scalar(at string, v Value, to reflect.Value) {
	var err error
	want := "text"
	switch k := to.Kind(); {
	case k == reflect.String && v.kind == kindText:
		to.SetString(v.text)
		return
	case k == reflect.String:
	case k == reflect.Bool:
		want = "true or false"
		if v.kind == kindBool {
			to.SetBool(v.text == "true")
			return
		}
	case to.CanInt():
		want = "a whole number"
		var n int64
		if n, err = strconv.ParseInt(v.text, 10, to.Type().Bits()); err == nil && v.kind == kindNumber {
			to.SetInt(n)
			return
		}
	case to.CanUint():
		want = "a whole number, zero or more"
		var n uint64
		if n, err = strconv.ParseUint(v.text, 10, to.Type().Bits()); err == nil && v.kind == kindNumber {
			to.SetUint(n)
			return
		}
	case to.CanFloat():
		want = "a number"
		var n float64
		if n, err = strconv.ParseFloat(v.text, to.Type().Bits()); err == nil && v.kind == kindNumber {
			to.SetFloat(n)
			return
		}
	default:
		d.add(at, "mta.Config cannot fill a "+to.Type().String())
		return
	}
	if errors.Is(err, strconv.ErrRange) {
		want += " that is not so large"
	}
	d.wrongKind(at, v, want)
}

// mapping checks that v is a mapping without a key twice, and goes on with f.
func (d *decoder) mapping(at string, v Value, f func()) {
	if v.kind != kindMapping {
		d.wrongKind(at, v, "a mapping")
		return
	}
	for i, p := range v.pairs {
		for _, q := range v.pairs[:i] {
			if p.Key == q.Key {
				d.add(join(at, p.Key), "is given twice")
			}
		}
	}
	f()
}

func (d *decoder) structure(at string, v Value, to reflect.Value) {
	names, fields := fieldsOf(to.Type())
	for _, p := range v.pairs {
		i, ok := fields[p.Key]
		if !ok {
			d.unknown(at, p.Key, names)
			continue
		}
		d.value(join(at, p.Key), p.Value, to.Field(i))
	}
}

func (d *decoder) dict(at string, v Value, to reflect.Value) {
	t := to.Type()
	if t.Key().Kind() != reflect.String {
		d.add(at, "mta.Config cannot fill a "+t.String())
		return
	}
	to.Set(reflect.MakeMapWithSize(t, len(v.pairs)))
	for _, p := range v.pairs {
		item := reflect.New(t.Elem()).Elem()
		d.value(join(at, p.Key), p.Value, item)
		to.SetMapIndex(reflect.ValueOf(p.Key).Convert(t.Key()), item)
	}
}

func (d *decoder) list(at string, v Value, to reflect.Value) {
	if v.kind != kindList {
		d.wrongKind(at, v, "a list")
		return
	}
	to.Set(reflect.MakeSlice(to.Type(), len(v.items), len(v.items)))
	for i, item := range v.items {
		d.value(at+"["+strconv.Itoa(i)+"]", item, to.Index(i))
	}
}

func (d *decoder) wrongKind(at string, v Value, want string) {
	if at == "" {
		at = "config"
	}
	d.add(at, "got "+v.describe()+", want "+want)
}

func (v Value) describe() string {
	switch v.kind {
	case kindMapping:
		return "a mapping"
	case kindList:
		return "a list"
	case kindText:
		return "the text " + strconv.Quote(v.text)
	case kindNumber:
		return "the number " + v.text
	case kindBool:
		return v.text + " without quotes"
	}
	return "nothing"
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
