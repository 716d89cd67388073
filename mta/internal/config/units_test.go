package config

import (
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestDurationsAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]time.Duration{
		"0s": 0, "250ms": 250 * time.Millisecond, "5d": 120 * time.Hour, "1h30m": 90 * time.Minute,
		"1.5h": 90 * time.Minute, "100us": 100 * time.Microsecond, "1d12h": 36 * time.Hour, "106751d": 106751 * 24 * time.Hour,
	} {
		if got, err := ParseDuration(text); got != want || err != nil {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "5", "s", "-5s", "+5s", "5 s", "5S", "1e3s", "106752d", "106751d24h", ".s", "5..5s", "Inf", "NaNs", "0x5s", "1_0s"} {
		if got, err := ParseDuration(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestSizesAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]Size{
		"0B": 0, "50MiB": 50 << 20, "1.5KiB": 1536, "2GiB": 2 << 30, "5MB": 5e6, "7kB": 7000, "1GB": 1e9, "8589934591GiB": 8589934591 << 30,
	} {
		if got, err := ParseSize(text); got != want || err != nil {
			t.Errorf("%s is %v, %v; want %v", text, int64(got), err, int64(want))
		}
	}
	for _, text := range []string{"", "5", "B", "-5B", "5 B", "5mib", "5K", "8589934592GiB", "9999999999999999999B", "1e3B"} {
		if got, err := ParseSize(text); err == nil {
			t.Errorf("%q is %v", text, int64(got))
		}
	}
}

func TestCountsAreReadAsWritten(t *testing.T) {
	for text, want := range map[string]int64{"0": 0, "20000": 20000, "20_000": 20000, "1.5k": 1500, "500M": 500e6, "1G": 1e9, "0.25G": 250e6} {
		if got, err := ParseCount(text); got != want || err != nil {
			t.Errorf("%s is %v, %v; want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "G", "-5", "5 M", "5m", "5MB", "1e3", "9223372037G"} {
		if got, err := ParseCount(text); err == nil {
			t.Errorf("%q is %v", text, got)
		}
	}
}

func TestUnitsSurviveWritingAndReading(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(0, 1<<53).Draw(t, "microseconds")) * time.Microsecond
		if got, err := ParseDuration(formatDuration(d)); got != d || err != nil {
			t.Errorf("%v is written %s and read %v, %v", d, formatDuration(d), got, err)
		}
		s := Size(rapid.Int64Min(0).Draw(t, "octets"))
		if got, err := ParseSize(s.String()); got != s || err != nil {
			t.Errorf("%d is written %s and read %d, %v", s, s, got, err)
		}
		n := rapid.IntMin(0).Draw(t, "count")
		if got, err := ParseCount(formatCount(n)); got != int64(n) || err != nil {
			t.Errorf("%d is written %s and read %d, %v", n, formatCount(n), got, err)
		}
	})
}
