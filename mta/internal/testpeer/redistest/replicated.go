package redistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"strconv"
	"strings"
	"time"

	"github.com/redis/go-redis/v9"
)

// MasterName is what Sentinels know the master by.
const MasterName = "queue"

// sentinels is how many watch: two of them have to agree.
const sentinels = 3

// Replicated is a master with replicas, watched by three Sentinels.
type Replicated struct {
	Servers   []*Server // the first was the master at the start
	Sentinels []*Server
}

// StartReplicated runs a master with so many replicas and three Sentinels, and
// returns once they know each other. Dir of the options is not used.
func StartReplicated(o Options, replicas int) (r *Replicated, err error) {
	r = &Replicated{}
	defer func() {
		if err != nil {
			r.Close()
		}
	}()
	o.Dir, o.Unix = "", false
	for i := range replicas + 1 {
		with := o
		with.Config = maps.Clone(o.Config)
		if with.Config == nil {
			with.Config = map[string]string{}
		}
		with.Config["repl-diskless-sync-delay"] = "0"
		if i > 0 {
			with.Config["replicaof"] = fmt.Sprintf("127.0.0.1 %d", r.Servers[0].port)
		}
		s, err := Start(with)
		if err != nil {
			return r, err
		}
		r.Servers = append(r.Servers, s)
	}
	if err := r.Servers[0].await(synced(replicas)); err != nil {
		return r, fmt.Errorf("replicas: %w", err)
	}
	for range sentinels {
		s, err := startSentinel(r.Servers[0].port)
		if err != nil {
			return r, err
		}
		r.Sentinels = append(r.Sentinels, s)
	}
	for _, s := range r.Sentinels {
		if err := s.await(watching(replicas)); err != nil {
			return r, fmt.Errorf("sentinels: %w", err)
		}
	}
	return r, nil
}

func synced(replicas int) func(context.Context, *redis.Client) error {
	return func(ctx context.Context, c *redis.Client) error {
		info, err := c.Info(ctx, "replication").Result()
		if err == nil && strings.Count(info, "state=online") < replicas {
			err = errors.New("not all replicas are in step")
		}
		return err
	}
}

// watching tells whether a Sentinel knows the others and the replicas.
func watching(replicas int) func(context.Context, *redis.Client) error {
	return func(ctx context.Context, c *redis.Client) error {
		m, err := redis.NewSentinelClient(c.Options()).Master(ctx, MasterName).Result()
		if err != nil {
			return err
		}
		if m["num-slaves"] != strconv.Itoa(replicas) || m["num-other-sentinels"] != strconv.Itoa(sentinels-1) {
			return errors.New("it does not know all yet")
		}
		return nil
	}
}

func startSentinel(master int) (*Server, error) {
	var err error
	for range tries {
		var s *Server
		if s, err = prepare(Options{}); err != nil {
			return nil, err
		}
		config := fmt.Sprintf("port %d\nbind 127.0.0.1\ndir %s\n", s.port, s.dir) +
			fmt.Sprintf("sentinel monitor %s 127.0.0.1 %d 2\n", MasterName, master) +
			fmt.Sprintf("sentinel down-after-milliseconds %s 1000\n", MasterName) +
			fmt.Sprintf("sentinel failover-timeout %s 3000\n", MasterName)
		s.args = []string{s.file(), "--sentinel"}
		if err = os.WriteFile(s.file(), []byte(config), 0o600); err == nil {
			err = s.Restart()
		}
		if err == nil {
			return s, nil
		}
		s.Close()
	}
	return nil, err
}

// URL is where the queue finds it.
func (r *Replicated) URL() string {
	return "redis+sentinel://" + addrs(r.Sentinels) + "/" + MasterName
}

func addrs(servers []*Server) string {
	var all []string
	for _, s := range servers {
		all = append(all, s.Addr())
	}
	return strings.Join(all, ",")
}

// Master is the server that is the master now, as the Sentinels see it.
func (r *Replicated) Master() (*Server, error) {
	for _, sentinel := range r.Sentinels {
		v, err := sentinel.Do("SENTINEL", "get-master-addr-by-name", MasterName)
		addr, ok := v.([]any)
		if err != nil || !ok || len(addr) != 2 {
			continue
		}
		for _, s := range r.Servers {
			if fmt.Sprint(s.port) == addr[1] {
				return s, nil
			}
		}
	}
	return nil, errors.New("no sentinel knows the master")
}

// Failover has another become the master, and returns once that is known. The
// master that was may have been killed or paused; else it becomes a replica.
func (r *Replicated) Failover() error {
	was, err := r.Master()
	if err != nil {
		return err
	}
	deadline := time.Now().Add(startLimit)
	for time.Now().Before(deadline) {
		// It is refused while one is under way, or replicas are not known well.
		r.Sentinels[0].Do("SENTINEL", "failover", MasterName)
		for range 20 {
			now, err := r.Master()
			if err == nil && now != was {
				return now.await(isMaster)
			}
			time.Sleep(10 * pollEvery)
		}
	}
	return errors.New("there was no failover")
}

func isMaster(ctx context.Context, c *redis.Client) error {
	info, err := c.Info(ctx, "replication").Result()
	if err == nil && !strings.Contains(info, "role:master") {
		err = errors.New("it is no master")
	}
	return err
}

// Close ends all.
func (r *Replicated) Close() error { return closeAll(append(r.Sentinels, r.Servers...)) }

func closeAll(servers []*Server) error {
	var errs []error
	for _, s := range servers {
		errs = append(errs, s.Close())
	}
	return errors.Join(errs...)
}
