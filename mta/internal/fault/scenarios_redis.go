package fault

import (
	"fmt"
	"slices"
	"time"
)

// redisFaults are scenarios in which Redis breaks, or nodes that share one.
func redisFaults() []*Scenario {
	return slices.Concat(
		[]*Scenario{killedAtRedis(), redisKilled()}, redisDiskFaults(),
		[]*Scenario{redisPaused(), redisFailsOver(), redisEmptied(), redisFull(), redisCut(), clusterKilled(), threeNodes()},
	)
}

// calm is a load that a node bears with Redis. Without Redis it takes ten times as
// many, all of which are to be handed over before the next fault.
var calm = Load{Refused: true, Pause: 10 * time.Millisecond}

func redisKilled() *Scenario {
	return &Scenario{
		Name: "redis-kill", What: "SIGKILL of Redis under load, started again within half a second",
		Stores: []string{Redis}, Times: 20, Load: calm,
		Fault: func(r *Run, _ int) error {
			if err := r.redis.Kill(); err != nil {
				return err
			}
			time.Sleep(upTo(r.random, 500*time.Millisecond))
			return r.redis.Restart()
		},
	}
}

// pauseTime is how long Redis says nothing; in a test it is shorter.
const pauseTime, shortPause = 60 * time.Second, 8 * time.Second

func redisPaused() *Scenario {
	return &Scenario{
		Name: "redis-pause", What: "Redis stands still for 60 s (SIGSTOP)",
		Stores: []string{Redis}, Times: 2, Load: Load{Refused: true, Pause: 50 * time.Millisecond},
		Fault: func(r *Run, _ int) error {
			if err := r.redis.Pause(); err != nil {
				return err
			}
			pause := pauseTime
			if r.Brief {
				pause = shortPause
			}
			before := r.Ledger.Accepted()
			time.Sleep(pause)
			if n := r.Ledger.Accepted() - before; n < 10 {
				r.Ledger.note("not served: while Redis stood still, %d messages were answered 250", n)
			}
			return r.redis.Resume()
		},
	}
}

func redisFailsOver() *Scenario {
	return &Scenario{
		Name: "redis-failover", What: "Sentinel has another Redis become the master; every other time the one before is killed (SIGKILL), and started again later",
		Stores: []string{Redis}, Times: 6, Load: calm, Redis: replicatedRedis,
		Fault: func(r *Run, i int) error {
			was, err := r.replicated.Master()
			if err != nil {
				return err
			}
			if i%2 == 0 {
				if err := was.Kill(); err != nil {
					return err
				}
				defer was.Restart()
			}
			return r.replicated.Failover()
		},
	}
}

func redisEmptied() *Scenario {
	return &Scenario{
		Name: "redis-flush", What: "FLUSHALL; next hops defer some mail, so that there is some",
		Stores: []string{Redis}, Times: 6, Load: calm,
		Quirks: []Quirk{{At: "mail", Do: "4xx", Share: share}},
		Fault: func(r *Run, _ int) error {
			_, err := r.redis.Do("FLUSHALL")
			return err
		},
	}
}

func redisFull() *Scenario {
	return &Scenario{
		Name: "redis-oom", What: "Redis has no memory left for a second (maxmemory, OOM)",
		Stores: []string{Redis}, Times: 8, Load: calm,
		Fault: func(r *Run, _ int) error {
			if _, err := r.redis.Do("CONFIG", "SET", "maxmemory", "1"); err != nil {
				return err
			}
			time.Sleep(time.Second)
			_, err := r.redis.Do("CONFIG", "SET", "maxmemory", "0")
			return err
		},
	}
}

func redisCut() *Scenario {
	return &Scenario{
		Name: "redis-half", What: "half a reply of Redis, or half a command to it, and then all connections are closed",
		Stores: []string{Redis}, Times: 30, Load: calm, Redis: proxiedRedis,
		Fault: func(r *Run, i int) error {
			cut, before := &r.proxy.cutReply, r.proxy.cuts.Load()
			if i%3 == 2 {
				cut = &r.proxy.cutCommand
			}
			cut.Store(true)
			for deadline := time.Now().Add(serveTime); r.proxy.cuts.Load() == before; {
				if time.Now().After(deadline) {
					return fmt.Errorf("within %v nobody asked Redis", serveTime)
				}
				time.Sleep(time.Millisecond)
			}
			return nil
		},
	}
}

func clusterKilled() *Scenario {
	return &Scenario{
		Name: "cluster-kill", What: "SIGKILL of one of the three masters of a Redis Cluster, started again after a while",
		Stores: []string{Redis}, Times: 6, Load: calm, Redis: clusteredRedis,
		Fault: func(r *Run, _ int) error {
			s := r.cluster.Servers[r.random.IntN(len(r.cluster.Servers))]
			if err := s.Kill(); err != nil {
				return err
			}
			time.Sleep(upTo(r.random, 4*time.Second)) // after two the others know
			if err := s.Restart(); err != nil {
				return err
			}
			return r.cluster.Await()
		},
	}
}

// pastLease is longer than the lease of a node.
const pastLease = 13 * time.Second

func threeNodes() *Scenario {
	return &Scenario{
		Name: "nodes", What: "three nodes on one Redis: one is killed and stays away, one stands still past its lease (SIGSTOP) and goes on",
		Stores: []string{Redis}, Times: 4, Nodes: 3, Load: Load{Refused: true, Pause: 20 * time.Millisecond},
		Quirks: []Quirk{{At: "end", Do: "late", Share: share}}, // so that attempts are under way
		Fault: func(r *Run, _ int) error {
			i := r.random.IntN(len(r.Nodes))
			dead, still := r.Nodes[i], r.Nodes[(i+1)%len(r.Nodes)]
			dead.kill()
			still.freeze(pastLease)
			time.Sleep(time.Second) // it goes on beside those who took over
			return dead.start()
		},
	}
}
