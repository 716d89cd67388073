package redistest

import (
	"testing"

	"github.com/wasmta/wasmta/mta/internal/testpeer"
)

// New is Start for a test, which it ends with.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	need(t)
	s, err := Start(o)
	return started(t, s, err)
}

// NewReplicated is StartReplicated for a test.
func NewReplicated(t testing.TB, o Options, replicas int) *Replicated {
	t.Helper()
	need(t)
	r, err := StartReplicated(o, replicas)
	return started(t, r, err)
}

// NewCluster is StartCluster for a test.
func NewCluster(t testing.TB, o Options, masters int) *Cluster {
	t.Helper()
	need(t)
	c, err := StartCluster(o, masters)
	return started(t, c, err)
}

func need(t testing.TB) {
	t.Helper()
	testpeer.Need(t, "redis-server", "redis-server")
}

func started[T interface{ Close() error }](t testing.TB, s T, err error) T {
	t.Helper()
	if err != nil {
		t.Fatalf("start redis: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("end redis: %v", err)
		}
	})
	return s
}
