package parallel

import (
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

func TestDo(t *testing.T) {
	tests := []struct {
		limit, n int
		most     int
		took     time.Duration
	}{
		{0, 0, 0, 0},
		{0, 1, 1, time.Second},
		{0, 5, 5, time.Second},
		{2, 5, 2, 3 * time.Second},
		{9, 2, 2, time.Second},
	}
	for _, tt := range tests {
		synctest.Test(t, func(t *testing.T) {
			var mu sync.Mutex
			var now, most int
			done := make([]bool, tt.n)
			start := time.Now()
			Do(tt.limit, tt.n, func(i int) {
				mu.Lock()
				now++
				most = max(most, now)
				mu.Unlock()
				time.Sleep(time.Second)
				mu.Lock()
				defer mu.Unlock()
				now--
				done[i] = true
			})
			if slices.Contains(done, false) || most != tt.most || time.Since(start) != tt.took {
				t.Errorf("%+v: %v, %d at once, in %v", tt, done, most, time.Since(start))
			}
		})
	}
}

func TestPanic(t *testing.T) {
	var others atomic.Int32
	defer func() {
		p, ok := recover().(*Panic)
		if !ok || p.Value != "boo" || !strings.Contains(p.String(), "TestPanic") || others.Load() != 3 {
			t.Errorf("got %v, %d others", p, others.Load())
		}
	}()
	Do(2, 4, func(i int) {
		if i == 1 {
			panic("boo")
		}
		others.Add(1)
	})
	t.Error("no panic")
}
