package redistest

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strings"

	"github.com/redis/go-redis/v9"
)

const slots = 16384 // of a Cluster

// A Cluster is a Redis Cluster of masters without replicas.
type Cluster struct{ Servers []*Server }

// StartCluster runs a Cluster of so many masters and returns once all of them
// find it whole. Dir of the options is not used.
func StartCluster(o Options, masters int) (c *Cluster, err error) {
	c = &Cluster{}
	defer func() {
		if err != nil {
			c.Close()
		}
	}()
	o.Dir, o.Unix = "", false
	o.Config = maps.Clone(o.Config)
	if o.Config == nil {
		o.Config = map[string]string{}
	}
	o.Config["cluster-enabled"] = "yes"
	o.Config["cluster-config-file"] = "nodes.conf"
	o.Config["cluster-node-timeout"] = "2000"
	for i := range masters {
		s, err := Start(o)
		if err != nil {
			return c, err
		}
		c.Servers = append(c.Servers, s)
		from, to := i*slots/masters, (i+1)*slots/masters-1
		if _, err := s.Do("CLUSTER", "ADDSLOTSRANGE", from, to); err != nil {
			return c, err
		}
		if _, err := s.Do("CLUSTER", "SET-CONFIG-EPOCH", i+1); err != nil {
			return c, err
		}
		if i > 0 {
			if _, err := s.Do("CLUSTER", "MEET", "127.0.0.1", c.Servers[0].port); err != nil {
				return c, err
			}
		}
	}
	return c, c.Await()
}

// Await returns once all servers find the Cluster whole.
func (c *Cluster) Await() error {
	for _, s := range c.Servers {
		if err := s.await(whole(len(c.Servers))); err != nil {
			return err
		}
	}
	return nil
}

func whole(nodes int) func(context.Context, *redis.Client) error {
	return func(ctx context.Context, c *redis.Client) error {
		info, err := c.ClusterInfo(ctx).Result()
		if err == nil && !(strings.Contains(info, "cluster_state:ok") && strings.Contains(info, fmt.Sprintf("cluster_known_nodes:%d\r", nodes))) {
			err = errors.New("the cluster is not whole")
		}
		return err
	}
}

// URL is where the queue finds it.
func (c *Cluster) URL() string { return "redis+cluster://" + addrs(c.Servers) }

// Close ends all.
func (c *Cluster) Close() error { return closeAll(c.Servers) }
