package queue

import (
	"math"
	"slices"
	"testing"
	"time"

	"pgregory.net/rapid"
)

func TestWaits(t *testing.T) {
	s := Schedule{}.withDefaults()
	var got []time.Duration
	for attempts := range 12 {
		got = append(got, s.wait(attempts))
	}
	want := []time.Duration{
		time.Minute, time.Minute, 2 * time.Minute, 4 * time.Minute, 8 * time.Minute, 16 * time.Minute, 32 * time.Minute,
		64 * time.Minute, 128 * time.Minute, 4 * time.Hour, 4 * time.Hour, 4 * time.Hour,
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got := s.wait(math.MaxInt); got != s.Max {
		t.Errorf("after very many attempts: %v", got)
	}
	if got := (Schedule{First: time.Hour, Factor: 1, Max: time.Minute}).wait(1); got != time.Minute {
		t.Errorf("a first wait above the longest: %v", got)
	}
}

func TestJitterStaysWithinBounds(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := time.Duration(rapid.Int64Range(int64(time.Second), int64(7*24*time.Hour)).Draw(t, "wait"))
		got := jittered(d, rapid.Float64Range(0, 1).Draw(t, "random"))
		if low, high := float64(d)*0.849, float64(d)*1.151; float64(got) < low || float64(got) > high {
			t.Errorf("%v became %v", d, got)
		}
	})
	if low, high := jittered(time.Hour, 0), jittered(time.Hour, 0.999999); low >= 52*time.Minute || high <= 68*time.Minute {
		t.Errorf("the bounds are not used: %v to %v", low, high)
	}
}
