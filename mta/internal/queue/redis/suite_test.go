package redis

import (
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/queuetest"
)

func TestMiniredis(t *testing.T) {
	server := miniredis.RunT(t)
	queuetest.Run(t, func(t testing.TB, dir string) queue.Store {
		s, err := Open(Options{URL: "redis://" + server.Addr(), Durability: Relaxed, Prefix: dir, CallersClock: true})
		if err != nil {
			t.Fatal(err)
		}
		return s
	})
}
