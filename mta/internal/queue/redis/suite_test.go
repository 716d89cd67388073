package redis

import (
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/queuetest"
	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// open opens a store that its times are made up for. The name of a test's folder
// keeps it from the others on the same server.
func open(t testing.TB, o Options, dir string) *Store {
	t.Helper()
	o.CallersClock = true
	o.Prefix = filepath.Base(filepath.Dir(dir)) + filepath.Base(dir)
	s, err := Open(o)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func suite(t *testing.T, o Options) {
	opener := func(t testing.TB, dir string) queue.Store { return open(t, o, dir) }
	queuetest.Run(t, opener)
	queuetest.RunLanes(t, opener)
}

func TestSingle(t *testing.T) {
	suite(t, Options{URL: redistest.New(t, redistest.Options{Unix: true}).URL()})
}

func TestContentsInFolder(t *testing.T) {
	suite(t, Options{URL: redistest.New(t, redistest.Options{}).URL(), Contents: t.TempDir(), ContentLimit: 80 << 10})
}

func TestReplicated(t *testing.T) {
	suite(t, Options{URL: redistest.NewReplicated(t, redistest.Options{}, 2).URL(), Replicas: 1})
}

func TestCluster(t *testing.T) {
	suite(t, Options{URL: redistest.NewCluster(t, redistest.Options{}, 3).URL()})
}
