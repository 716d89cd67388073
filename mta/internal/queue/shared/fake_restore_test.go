package shared

import (
	"context"
	"fmt"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// What the stand-in for Redis does when it lost what it had.

// Marks implements [Redis]: this one counts no changes.
func (c *client) Marks() (marks [mail.Shards]redis.Mark) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for i := range marks {
		marks[i].Epoch = fmt.Sprint(c.views[i])
	}
	return marks
}

// Recall implements [Redis].
func (c *client) Recall(marks [mail.Shards]redis.Mark) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for i, m := range marks {
		fmt.Sscan(m.Epoch, &c.views[i])
	}
}

func (c *client) BeginRestore(ctx context.Context, shard int) error {
	return c.call(ctx, "begin", -2, false, true, func() error {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		c.views[shard] = c.epoch[shard]
		if c.restoring[shard] == nil {
			c.restoring[shard] = map[*client]time.Time{}
		}
		c.restoring[shard][c] = time.Now()
		return nil
	})
}

func (c *client) EndRestore(ctx context.Context, shard int) error {
	return c.call(ctx, "end", shard, false, true, func() error {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		if delete(c.restoring[shard], c); len(c.restoring[shard]) == 0 {
			delete(c.restoring, shard)
		}
		return nil
	})
}

func (c *client) Bury(ctx context.Context, leases map[mail.QueueID]uint64) error {
	return c.call(ctx, "bury", -2, true, true, func() error {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		for id, token := range leases {
			if e, err := c.memory.Get(ctx, id); err == nil && max(e.Lease.Token, c.version[id]) > token {
				continue
			}
			c.forgetEntry(id)
			c.gone[id] = "refused"
		}
		return nil
	})
}

func (c *client) forgetEntry(id mail.QueueID) {
	c.memory.mu.Lock()
	defer c.memory.mu.Unlock()
	c.memory.forget(id)
}

func (c *client) Restore(ctx context.Context, e *queue.Entry, content mail.Content) (restored bool, err error) {
	err = c.call(ctx, "restore", e.ID.Shard(), true, true, func() error {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		old, err := c.memory.Get(ctx, e.ID)
		if c.gone[e.ID] != "" || err == nil && (c.version[e.ID] >= e.Lease.Token || old.Lease.Token > e.Lease.Token) {
			return nil
		}
		c.forgetEntry(e.ID)
		back := clone(e)
		back.Lease = queue.Lease{}
		c.memory.mu.Lock()
		c.memory.token = max(c.memory.token, e.Lease.Token)
		c.memory.mu.Unlock()
		restored = true
		c.version[e.ID] = e.Lease.Token
		return c.memory.Put(ctx, back, content, time.Time{})
	})
	return restored, err
}
