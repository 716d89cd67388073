package kv

import (
	"context"
	"fmt"
	"path/filepath"
	"testing"
	"time"
)

// BenchmarkGreylist is what a greylisting plugin asks for each recipient it
// knows: a Get, and a Set that prolongs it. "synced" is the same with each write
// on the disk before it returns.
func BenchmarkGreylist(b *testing.B) {
	for name, synced := range map[string]bool{"memory first": false, "synced": true} {
		b.Run(name, func(b *testing.B) {
			s, err := Open(filepath.Join(b.TempDir(), "kv.bolt"), Options{})
			if err != nil {
				b.Fatal(err)
			}
			defer s.Close()
			running, stop := context.WithCancel(ctx)
			done := make(chan struct{})
			go func() {
				defer close(done)
				s.Run(running)
			}()
			defer func() {
				stop()
				<-done
			}()
			greylist(b, s, synced)
		})
	}
}

func greylist(b *testing.B, s *Store, synced bool) {
	const keys = 100_000
	key := func(i int) string {
		return fmt.Sprintf("192.0.2.0/24 alice-%d@example.org bob@example.net", i%keys)
	}
	sp := s.Space("greylist")
	for i := range keys {
		if err := sp.Set(ctx, key(i), []byte("1732500000"), time.Hour); err != nil {
			b.Fatal(err)
		}
	}
	if err := s.Flush(); err != nil {
		b.Fatal(err)
	}
	i := 0
	for b.Loop() {
		i++
		v, err := sp.Get(ctx, key(i))
		if err == nil {
			err = sp.Set(ctx, key(i), v, time.Hour)
		}
		if err == nil && synced {
			err = s.Flush()
		}
		if err != nil {
			b.Fatal(err)
		}
	}
}
