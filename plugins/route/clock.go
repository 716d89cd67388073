package main

import (
	"errors"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // a guest has no files to read time zones from

	mta "github.com/wasmta/wasmta/sdk/go"
)

// hours are times of the day. In the file: "08:00-18:00", or a list. One that
// ends before it begins goes on after midnight.
type hours []span

// A span is from and until in minutes of the day; until is not in it.
type span struct{ from, until int }

// UnmarshalConfig implements [mta.Unmarshaler].
func (h *hours) UnmarshalConfig(v mta.Value) error {
	list, err := textOrList(v)
	if err != nil {
		return err
	}
	*h = nil
	for _, s := range list {
		from, until, ok := strings.Cut(s, "-")
		f, ok1 := minutes(from)
		u, ok2 := minutes(until)
		if !ok || !ok1 || !ok2 || f == u {
			return errors.New(strconv.Quote(s) + ` is no span of time; write it as in "08:00-18:00"`)
		}
		*h = append(*h, span{f, u})
	}
	return nil
}

// minutes reads "08:30"; "24:00" is the end of the day.
func minutes(s string) (int, bool) {
	s = strings.TrimSpace(s)
	h, m, ok := strings.Cut(s, ":")
	if !ok || len(h) < 1 || len(h) > 2 || len(m) != 2 {
		return 0, false
	}
	hour, err1 := strconv.ParseUint(h, 10, 8)
	minute, err2 := strconv.ParseUint(m, 10, 8)
	at := int(hour)*60 + int(minute)
	return at, err1 == nil && err2 == nil && minute < 60 && at <= 24*60
}

func (h hours) match(t time.Time) bool {
	at := t.Hour()*60 + t.Minute()
	for _, s := range h {
		switch {
		case s.from < s.until && s.from <= at && at < s.until,
			s.from > s.until && (s.from <= at || at < s.until):
			return true
		}
	}
	return false
}

// days are weekdays, a bit for each. In the file: "mon-fri", "sat", or a list.
type days uint8

var dayNames = [...]string{"sun", "mon", "tue", "wed", "thu", "fri", "sat"}

// UnmarshalConfig implements [mta.Unmarshaler].
func (d *days) UnmarshalConfig(v mta.Value) error {
	list, err := textOrList(v)
	if err != nil {
		return err
	}
	*d = 0
	for _, s := range list {
		first, last, isRange := strings.Cut(s, "-")
		if !isRange {
			last = first
		}
		f, ok1 := weekday(first)
		l, ok2 := weekday(last)
		if !ok1 || !ok2 {
			return errors.New(strconv.Quote(s) + " is no day; write mon, tue, wed, thu, fri, sat, sun, or mon-fri")
		}
		for ; f != l; f = (f + 1) % 7 {
			*d |= 1 << f
		}
		*d |= 1 << l
	}
	return nil
}

func weekday(s string) (int, bool) {
	s = strings.ToLower(strings.TrimSpace(s))
	for i, name := range dayNames {
		if s == name {
			return i, true
		}
	}
	return 0, false
}

func (d days) match(t time.Time) bool { return d&(1<<t.Weekday()) != 0 }

func loadZone(name string) (*time.Location, error) {
	if name == "" {
		return time.UTC, nil
	}
	zone, err := time.LoadLocation(name)
	if err != nil || strings.EqualFold(name, "local") {
		return nil, errors.New(strconv.Quote(name) + ` is no time zone; write one as in "Europe/Paris"`)
	}
	return zone, nil
}
