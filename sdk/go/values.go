package mta

import (
	"bytes"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"
)

// An Ordered is a mapping of a configuration whose keys keep the order of the
// file.
type Ordered[V any] []Pair[V]

// A Pair is one key of an [Ordered] with its value.
type Pair[V any] struct {
	Key   string
	Value V
}

// UnmarshalJSON implements [json.Unmarshaler], as strict as [Config].
func (o *Ordered[V]) UnmarshalJSON(b []byte) error {
	var d decoder
	d.value("", b, reflect.ValueOf(o).Elem())
	return d.err()
}

func (o *Ordered[V]) decode(d *decoder, at string, pairs []rawPair) {
	*o = make(Ordered[V], len(pairs))
	for i, p := range pairs {
		(*o)[i].Key = p.key
		d.value(join(at, p.key), p.value, reflect.ValueOf(&(*o)[i].Value).Elem())
	}
}

type rawPair struct {
	key   string
	value json.RawMessage
}

// splitObject reads the keys of a JSON object, in order.
func splitObject(raw []byte) ([]rawPair, error) {
	dec := json.NewDecoder(bytes.NewReader(raw))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil, errors.New("not an object")
	}
	var pairs []rawPair
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, err
		}
		p := rawPair{key: key.(string)}
		if err := dec.Decode(&p.value); err != nil {
			return nil, err
		}
		pairs = append(pairs, p)
	}
	_, err := dec.Token()
	return pairs, err
}

// A Size is a number of octets, written with its unit: "10MiB", "64KiB", "1MB",
// "500B".
type Size int64

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Size) UnmarshalJSON(b []byte) error {
	n, err := measure(b, sizeUnits, `"10MiB"`)
	*s = Size(n)
	return err
}

// A Duration is written with its units: "5m", "1h30m", "2d".
type Duration time.Duration

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(b []byte) error {
	n, err := measure(b, durationUnits, `"5m"`)
	*d = Duration(n)
	return err
}

type unit struct {
	name  string
	value int64
}

// Where one is the beginning of another, the longer comes first.
var sizeUnits = []unit{
	{"KiB", 1 << 10}, {"MiB", 1 << 20}, {"GiB", 1 << 30}, {"kB", 1e3}, {"MB", 1e6}, {"GB", 1e9}, {"B", 1},
}

var durationUnits = []unit{
	{"ms", int64(time.Millisecond)}, {"s", int64(time.Second)}, {"m", int64(time.Minute)},
	{"h", int64(time.Hour)}, {"d", 24 * int64(time.Hour)},
}

// measure reads numbers with their units and adds them up.
func measure(raw []byte, units []unit, example string) (total int64, err error) {
	var s string
	if json.Unmarshal(raw, &s) != nil {
		return 0, errors.New(string(raw) + " has no unit; write a number with its unit, as in " + example)
	}
	bad := errors.New(strconv.Quote(s) + " is no number with a unit; write one as in " + example)
	rest := s
	for first := true; first || rest != ""; first = false {
		digits := len(rest) - len(strings.TrimLeft(rest, "0123456789"))
		n, err := strconv.ParseInt(rest[:digits], 10, 64)
		if err != nil {
			return 0, bad
		}
		rest = rest[digits:]
		u, ok := unitOf(rest, units)
		if !ok || n > (math.MaxInt64-total)/u.value {
			return 0, bad
		}
		total += n * u.value
		rest = rest[len(u.name):]
	}
	return total, nil
}

func unitOf(s string, units []unit) (unit, bool) {
	for _, u := range units {
		if strings.HasPrefix(s, u.name) {
			return u, true
		}
	}
	return unit{}, false
}
