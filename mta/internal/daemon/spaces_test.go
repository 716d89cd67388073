package daemon

import (
	"context"
	"log/slog"
	"strings"
	"testing"

	"github.com/alicebob/miniredis/v2"

	"github.com/wasmta/wasmta/mta/internal/config"
)

// TestSpacesAreWhereTheQueueIs: two nodes of a queue in Redis remember the same,
// below the prefix of their queue; a node with a spool has a file.
func TestSpacesAreWhereTheQueueIs(t *testing.T) {
	ctx := context.Background()
	server := miniredis.RunT(t)
	node := func(queue config.Queue) spaces {
		t.Helper()
		s := &Server{cfg: &config.Config{State: t.TempDir(), Queue: queue}, log: slog.New(slog.DiscardHandler)}
		sp, err := s.openSpaces()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() {
			if err := sp.Close(); err != nil {
				t.Error(err)
			}
		})
		return sp
	}
	shared := config.Queue{Store: config.Secret("redis://" + server.Addr()), Prefix: "mx"}
	one, two, alone := node(shared), node(shared), node(config.Queue{Store: config.Spool})
	for want, sp := range []spaces{one, two, alone} {
		n, err := sp.Space("greylist").Add(ctx, "n", 1, 0)
		if sp == alone {
			want = 0
		}
		if err != nil || n != int64(want+1) {
			t.Errorf("got %d, %v; want %d", n, err, want+1)
		}
	}
	for _, key := range server.Keys() {
		if !strings.HasPrefix(key, "mx:kv:") {
			t.Errorf("a key is %q", key)
		}
	}
}
