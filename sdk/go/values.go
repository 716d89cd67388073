package mta

import (
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

func (o *Ordered[V]) decode(d *decoder, at string, pairs []Pair[Value]) {
	*o = make(Ordered[V], len(pairs))
	for i, p := range pairs {
		(*o)[i].Key = p.Key
		d.value(join(at, p.Key), p.Value, reflect.ValueOf(&(*o)[i].Value).Elem())
	}
}

// A Size is a number of octets, written with its unit: "10MiB", "64KiB", "1MB",
// "500B".
type Size int64

// UnmarshalConfig implements [Unmarshaler].
func (s *Size) UnmarshalConfig(v Value) error {
	n, err := measure(v, sizeUnits, "10MiB")
	*s = Size(n)
	return err
}

// A Duration is written with its units: "5m", "1h30m", "2d".
type Duration time.Duration

// UnmarshalConfig implements [Unmarshaler].
func (d *Duration) UnmarshalConfig(v Value) error {
	n, err := measure(v, durationUnits, "5m")
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
func measure(v Value, units []unit, example string) (total int64, err error) {
	if v.kind == kindNumber {
		return 0, errors.New(v.text + " has no unit; write " + v.text + units[len(units)-1].name + ", or as in " + example)
	}
	if v.kind != kindText {
		return 0, errors.New("got " + v.describe() + ", want a number with its unit, as in " + example)
	}
	bad := errors.New(strconv.Quote(v.text) + " is no number with its unit; write one as in " + example)
	rest := v.text
	for first := true; first || rest != ""; first = false {
		end := digits(rest)
		n, err := strconv.ParseInt(rest[:end], 10, 64)
		if err != nil {
			return 0, bad
		}
		rest = rest[end:]
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
