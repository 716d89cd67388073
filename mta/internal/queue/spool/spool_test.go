package spool

import (
	"log/slog"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/queuetest"
)

func TestSpool(t *testing.T) {
	open := func(t testing.TB, dir string) queue.Store { return mustOpen(t, dir) }
	queuetest.Run(t, open)
	queuetest.RunLanes(t, open)
}

var discard = slog.New(slog.DiscardHandler)

func mustOpen(t testing.TB, dir string) *Store {
	t.Helper()
	s, err := Open(dir, discard)
	if err != nil {
		t.Fatal(err)
	}
	return s
}
