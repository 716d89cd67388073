package mailbox

import (
	"fmt"
	"os"
	"strings"
	"sync/atomic"
	"testing"
	"time"
)

var fourKB = strings.Repeat("0123456789012345678901234567890123456789012345678901234567890123456789012345678\r\n", 50)

// BenchmarkDeliver is 20 deliveries at a time, of 4 KB, durable.
func BenchmarkDeliver(b *testing.B) {
	for _, accounts := range []int{1, 20} {
		b.Run(fmt.Sprintf("accounts=%d", accounts), func(b *testing.B) {
			s := open(b, b.TempDir())
			m := message(fourKB)
			var n atomic.Int64
			b.SetParallelism(10)
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					account := fmt.Sprintf("user%d@hamburger.edu", n.Add(1)%int64(accounts))
					if err := s.Deliver(b.Context(), account, "", "", bobsPath, m); err != nil {
						b.Fatal(err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "msg/s")
		})
	}
}

// full is a store with a mailbox of n small messages.
func full(b *testing.B, n int) *Store {
	s := open(b, b.TempDir())
	m := mailbox(b, s, Inbox)
	m.Close()
	for i := range n {
		base := fmt.Sprintf("%d.M%dP1Q%d.hamburger.edu,S=%d,W=%d", 1790000000+i, i, i, len(crepe), len(crepe))
		if err := os.WriteFile(bobs(s, "cur", base+":2,S"), []byte(crepe), 0o600); err != nil {
			b.Fatal(err)
		}
	}
	return s
}

func BenchmarkOpen10000(b *testing.B) {
	s := full(b, 10_000)
	mailbox(b, s, Inbox).Close() // gives UIDs
	b.Run("cold", func(b *testing.B) {
		for b.Loop() {
			cold, err := Open(s.root, Options{})
			if err != nil {
				b.Fatal(err)
			}
			m, err := cold.Mailbox(bob, Inbox)
			if err != nil {
				b.Fatal(err)
			}
			m.Close()
			cold.Close()
		}
	})
	b.Run("cached, changed", func(b *testing.B) {
		for b.Loop() {
			now := time.Now()
			os.Chtimes(bobs(s, "cur"), now, now)
			m, err := s.Mailbox(bob, Inbox)
			if err != nil {
				b.Fatal(err)
			}
			m.Close()
		}
	})
	b.Run("cached", func(b *testing.B) {
		past := time.Now().Add(-time.Hour)
		os.Chtimes(bobs(s, "cur"), past, past)
		os.Chtimes(bobs(s, "new"), past, past)
		for b.Loop() {
			m, err := s.Mailbox(bob, Inbox)
			if err != nil {
				b.Fatal(err)
			}
			m.Close()
		}
	})
}
