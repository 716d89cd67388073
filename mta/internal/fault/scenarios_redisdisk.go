package fault

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/wasmta/wasmta/mta/internal/testpeer/redistest"
)

// redisOnDisk is one server whose files are on a disk of the run's; those of the
// nodes are not.
func redisOnDisk(r *Run) (url string, err error) {
	if r.redisDisk, err = newDisk(filepath.Join(r.Dir, "redis")); err != nil {
		return "", err
	}
	r.cleanup = append(r.cleanup, func() { sh("umount", r.redisDisk.dir) })
	dir := filepath.Join(r.redisDisk.dir, "redis")
	if err := os.Mkdir(dir, 0o700); err != nil {
		return "", err
	}
	if r.redis, err = redistest.Start(redistest.Options{Dir: dir}); err != nil {
		return "", err
	}
	r.cleanup = append(r.cleanup, func() { r.redis.Close() })
	return r.redis.URL(), sh("sync", "-f", dir) // its folder and its configuration are not what is lost
}

// redisDiskFaults are scenarios in which the disk of Redis breaks. One that syncs
// always ends itself when it cannot write; somebody starts it again.
func redisDiskFaults() []*Scenario {
	return []*Scenario{
		redisDisk("redis-power", "power cut of the machine of Redis: what it had not synced is gone; it is started again", func(r *Run) error {
			if err := r.redisDisk.cut(); err != nil {
				return err
			}
			time.Sleep(upTo(r.random, 300*time.Millisecond)) // meanwhile it answers as it can
			return r.repairRedis()
		}),
		redisDisk("redis-disk-full", "the disk of Redis is full for a second; then there is room, and it is started again", func(r *Run) error {
			if err := r.redisDisk.fill(); err != nil {
				return err
			}
			time.Sleep(time.Second)
			if err := r.redisDisk.empty(); err != nil {
				return err
			}
			return r.restartRedis()
		}),
		redisDisk("redis-readonly", "the filesystem of Redis finds an error and becomes read-only; a second later it is repaired", func(r *Run) error {
			if err := r.redisDisk.fail(); err != nil {
				return err
			}
			time.Sleep(time.Second)
			return r.repairRedis()
		}),
		redisDisk("redis-disk-slow", "the filesystem of Redis stands still, five times for up to 400 ms", func(r *Run) error {
			for range 5 {
				if err := r.redisDisk.freeze(upTo(r.random, 400*time.Millisecond)); err != nil {
					return err
				}
				time.Sleep(upTo(r.random, 50*time.Millisecond))
			}
			return nil
		}),
	}
}

func redisDisk(name, what string, f func(*Run) error) *Scenario {
	return &Scenario{
		Name: name, What: what, Stores: []string{Redis}, Times: 10, Load: calm,
		Needs: diskNeeds, Redis: redisOnDisk,
		Fault: func(r *Run, _ int) error { return f(r) },
	}
}

func (r *Run) repairRedis() error {
	if err := r.redis.Kill(); err != nil {
		return err
	}
	if err := r.redisDisk.repair(); err != nil {
		return err
	}
	return r.redis.Restart()
}

func (r *Run) restartRedis() error {
	if err := r.redis.Kill(); err != nil {
		return err
	}
	return r.redis.Restart()
}

// killedAtRedis is the counterpart of what callFaults do to the file layer: the
// server is killed with each of the pieces that it exchanges with Redis, which
// gets it, or does not any more.
func killedAtRedis() *Scenario {
	return &Scenario{
		Name: "redis-step", What: "SIGKILL of the server at the 1st, 2nd, 3rd… of what it sends to Redis and gets from there, before and after that is passed on",
		Stores: []string{Redis}, Times: 50, Load: Load{Refused: true, Between: 10}, Redis: proxiedRedis,
		Fault: func(r *Run, i int) error {
			n := r.Nodes[0]
			dead := make(chan struct{})
			r.proxy.trap(1+i/2, i%2 == 0, func() {
				n.signalDead()
				close(dead)
			})
			select {
			case <-dead:
			case <-time.After(serveTime):
				return fmt.Errorf("within %v nobody asked Redis %d times", serveTime, 1+i/2)
			}
			n.kill()
			return n.start()
		},
	}
}
