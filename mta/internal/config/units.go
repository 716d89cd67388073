package config

import (
	"errors"
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Size is a number of octets.
type Size int64

type unit struct {
	name  string
	value int64
}

// Longest first where one is the end of another.
var sizeUnits = []unit{
	{"GiB", 1 << 30}, {"MiB", 1 << 20}, {"KiB", 1 << 10},
	{"GB", 1e9}, {"MB", 1e6}, {"kB", 1e3}, {"B", 1},
}

var durationUnits = []unit{
	{"d", int64(24 * time.Hour)}, {"h", int64(time.Hour)}, {"m", int64(time.Minute)},
	{"s", int64(time.Second)}, {"ms", int64(time.Millisecond)}, {"us", int64(time.Microsecond)},
}

// String writes s with the largest unit that leaves a whole number.
func (s Size) String() string {
	for _, u := range sizeUnits[:3] {
		if s != 0 && int64(s)%u.value == 0 {
			return fmt.Sprintf("%d%s", int64(s)/u.value, u.name)
		}
	}
	return fmt.Sprintf("%dB", int64(s))
}

// countUnits are those of what is counted in large numbers.
var countUnits = []unit{{"G", 1e9}, {"M", 1e6}, {"k", 1e3}}

// formatCount writes n with the largest unit that leaves a whole number.
func formatCount[N int | uint64](n N) string {
	for _, u := range countUnits {
		if n != 0 && int64(n)%u.value == 0 {
			return fmt.Sprintf("%d%s", int64(n)/u.value, u.name)
		}
	}
	return fmt.Sprint(n)
}

// ParseCount reads "500M", "1.5k" or "20000".
func ParseCount(s string) (int64, error) {
	num, rest, ok := cutNumber(strings.ReplaceAll(s, "_", ""))
	if !ok {
		return 0, &unitError{fmt.Sprintf("%q is not a number", quotable(s)), `write a number such as 500M`}
	}
	if rest == "" {
		n, err := scale(num, 1)
		return n, describe(err, s)
	}
	for _, u := range countUnits {
		if rest == u.name {
			n, err := scale(num, u.value)
			return n, describe(err, s)
		}
	}
	for _, u := range countUnits {
		if strings.EqualFold(strings.TrimSpace(rest), u.name) {
			return 0, &unitError{fmt.Sprintf("%q has an unknown unit", quotable(s)), fmt.Sprintf("write %q", num+u.name)}
		}
	}
	return 0, &unitError{fmt.Sprintf("%q has an unknown unit", quotable(s)), "units are k, M and G, which are powers of ten"}
}

// formatDuration writes d as the file would: "5d", "1h30m", "250ms".
func formatDuration(d time.Duration) string {
	if d <= 0 {
		return "0s"
	}
	var b strings.Builder
	left := int64(d)
	for _, u := range durationUnits {
		if n := left / u.value; n > 0 {
			fmt.Fprintf(&b, "%d%s", n, u.name)
			left %= u.value
		}
	}
	return b.String()
}

// A unitError says what is wrong with a number and its unit, and the cure.
type unitError struct{ what, cure string }

func (e *unitError) Error() string { return e.what }

var errTooBig = errors.New("is too large")

// ParseSize reads "50MiB".
func ParseSize(s string) (Size, error) {
	num, rest, ok := cutNumber(s)
	if !ok {
		return 0, &unitError{fmt.Sprintf("%q is not a size", s), `write a number with its unit, as in "50MiB"`}
	}
	if rest == "" {
		return 0, &unitError{fmt.Sprintf("%q has no unit", s), fmt.Sprintf("write %q, or %q for single octets", num+"MiB", num+"B")}
	}
	for _, u := range sizeUnits {
		if rest == u.name {
			n, err := scale(num, u.value)
			return Size(n), describe(err, s)
		}
	}
	rest = strings.TrimSpace(rest)
	for _, u := range sizeUnits {
		if strings.EqualFold(rest, u.name) || strings.EqualFold(rest, u.name[:1]) {
			return 0, &unitError{fmt.Sprintf("%q has an unknown unit", s), fmt.Sprintf("write %q", num+u.name)}
		}
	}
	return 0, &unitError{fmt.Sprintf("%q has an unknown unit", s), "units are B, KiB, MiB, GiB, kB, MB and GB"}
}

// ParseDuration reads "250ms", "1h30m", "5d".
func ParseDuration(s string) (time.Duration, error) {
	var sum int64
	for rest := s; rest != "" || s == ""; {
		num, tail, ok := cutNumber(rest)
		if !ok {
			return 0, &unitError{fmt.Sprintf("%q is not a duration", s), `write a number with its unit, as in "30s"`}
		}
		if tail == "" {
			return 0, noUnit(s, num)
		}
		name := tail[:len(tail)-len(strings.TrimLeft(tail, letters))]
		n, err := durationPart(num, name)
		if err != nil {
			return 0, describe(err, s)
		}
		if sum += n; sum < 0 {
			return 0, describe(errTooBig, s)
		}
		rest = tail[len(name):]
	}
	return time.Duration(sum), nil
}

const letters = " abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"

func noUnit(s, num string) error {
	cure := fmt.Sprintf("write %q", s+"s")
	if s != num {
		cure = "write one after the last number too"
	}
	return &unitError{fmt.Sprintf("%q has no unit", s), cure}
}

var errUnit = errors.New("has an unknown unit")

func durationPart(num, name string) (int64, error) {
	for _, u := range durationUnits {
		if name == u.name {
			return scale(num, u.value)
		}
	}
	return 0, errUnit
}

// spelledOut has the units that people write otherwise.
var spelledOut = map[string]string{
	"day": "d", "days": "d", "hour": "h", "hours": "h", "min": "m", "minute": "m", "minutes": "m",
	"sec": "s", "second": "s", "seconds": "s", "d": "d", "h": "h", "m": "m", "s": "s", "ms": "ms",
}

// describe puts the text s into an error of scale or durationPart.
func describe(err error, s string) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, errUnit):
		if num, rest, _ := cutNumber(s); spelledOut[strings.TrimSpace(rest)] != "" {
			return &unitError{fmt.Sprintf("%q %v", s, err), fmt.Sprintf("write %q", num+spelledOut[strings.TrimSpace(rest)])}
		}
		return &unitError{fmt.Sprintf("%q %v", s, err), "units are us, ms, s, m, h and d"}
	}
	return &unitError{fmt.Sprintf("%q %v", s, err), "write a smaller number"}
}

// cutNumber cuts digits, with or without a fraction, from the front of s.
func cutNumber(s string) (num, rest string, ok bool) {
	rest = strings.TrimLeft(s, "0123456789.")
	num = s[:len(s)-len(rest)]
	_, err := strconv.ParseFloat(num, 64)
	return num, rest, err == nil
}

// scale multiplies exactly where num is whole.
func scale(num string, value int64) (int64, error) {
	if n, err := strconv.ParseInt(num, 10, 64); err == nil {
		if n > math.MaxInt64/value {
			return 0, errTooBig
		}
		return n * value, nil
	}
	f, err := strconv.ParseFloat(num, 64)
	if err != nil || f*float64(value) >= math.MaxInt64 {
		return 0, errTooBig
	}
	return int64(f * float64(value)), nil
}
