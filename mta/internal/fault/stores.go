package fault

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// A storeKind is a kind of queue store that runs are played against.
type storeKind struct {
	needs   func() error     // why it cannot be had here; nil: it can
	prepare func(*Run) error // starts it, and sets what pipeline.yaml says of it
}

var stores = map[string]storeKind{
	Spool: {},
	Redis: {needs: redisNeeds, prepare: startRedis},
}

func redisNeeds() error {
	if _, err := exec.LookPath("redis-server"); err != nil {
		return fmt.Errorf("redis-server: %w", err)
	}
	return nil
}

// lease is how long a node's attempts are its own: the shortest that the file
// may say.
const lease = "10s"

// startRedis starts what the scenario wants of Redis: else one server.
func startRedis(r *Run) error {
	start := r.Scenario.Redis
	if start == nil {
		start = oneRedis
	}
	url, err := start(r)
	if err != nil {
		return err
	}
	r.queue += fmt.Sprintf("  store: %s\n  lease: %s\n", url, lease)
	return nil
}

func oneRedis(r *Run) (url string, err error) {
	dir := filepath.Join(r.Dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if r.redis, err = redistest.Start(redistest.Options{Dir: dir}); err != nil {
		return "", err
	}
	r.cleanup = append(r.cleanup, func() { r.redis.Close() })
	return r.redis.URL(), nil
}

// replicatedRedis is a master with two replicas, of which one must have a message
// before that is answered 250, watched by Sentinels.
func replicatedRedis(r *Run) (url string, err error) {
	if r.replicated, err = redistest.StartReplicated(redistest.Options{}, 2); err != nil {
		return "", err
	}
	r.cleanup = append(r.cleanup, func() { r.replicated.Close() })
	return r.replicated.URL() + "\n  replicas: 1", nil
}

// clusteredRedis is a Cluster of three masters.
func clusteredRedis(r *Run) (url string, err error) {
	if r.cluster, err = redistest.StartCluster(redistest.Options{}, 3); err != nil {
		return "", err
	}
	r.cleanup = append(r.cleanup, func() { r.cluster.Close() })
	return r.cluster.URL(), nil
}

// proxiedRedis is one server behind a proxy that can cut connections.
func proxiedRedis(r *Run) (url string, err error) {
	if _, err := oneRedis(r); err != nil {
		return "", err
	}
	if r.proxy, err = newProxy(r.redis.Addr()); err != nil {
		return "", err
	}
	r.cleanup = append(r.cleanup, r.proxy.close)
	return "redis://" + r.proxy.addr() + "/0", nil
}
