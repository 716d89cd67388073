package shared

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
	"github.com/wasmta/wasmta/mta/internal/queue/redis"
)

// A server stands for a Redis that several nodes share.
type server struct {
	*memory
	mu        sync.Mutex
	gone      map[mail.QueueID]string       // tombstones: finished or refused
	version   map[mail.QueueID]uint64       // tokens that entries were last written under
	epoch     [mail.Shards]int              //
	restoring map[int]map[*client]time.Time // by shard: who puts back, and when it last did
	finished  map[mail.QueueID]bool         // for the accounts: removed by whoever finished it
}

func newServer() *server {
	return &server{
		memory: newMemory(), gone: map[mail.QueueID]string{}, version: map[mail.QueueID]uint64{},
		restoring: map[int]map[*client]time.Time{}, finished: map[mail.QueueID]bool{},
	}
}

// flush loses everything.
func (v *server) flush() {
	v.mu.Lock()
	defer v.mu.Unlock()
	v.memory.mu.Lock()
	defer v.memory.mu.Unlock()
	clear(v.memory.entries)
	clear(v.memory.content)
	clear(v.gone)
	clear(v.version)
	v.restoring = map[int]map[*client]time.Time{}
	for i := range v.epoch {
		v.epoch[i]++
	}
}

// A fault is what a call comes to.
type fault int

const (
	works     fault = iota
	away            // refused: nothing is done
	lostReply       // done, and the answer is lost
	lostCall        // not done, and nobody knows
	lateCall        // not done when the answer is given up, but later, once server.late is called
	slow            // as lostCall, after the time limit
	full            // new entries are refused
	readOnly
	unsafe
)

// A client is one node's connection to the server.
type client struct {
	*server
	views [mail.Shards]int
	late  []func()

	faults sync.Mutex
	fault  func(op string) fault // nil: works
}

func (v *server) connect() *client {
	v.mu.Lock()
	defer v.mu.Unlock()
	return &client{server: v, views: v.epoch}
}

func (c *client) set(f fault) {
	c.faults.Lock()
	defer c.faults.Unlock()
	c.fault = func(string) fault { return f }
}

func (c *client) setFunc(f func(string) fault) {
	c.faults.Lock()
	defer c.faults.Unlock()
	c.fault = f
}

// arriveLate has the server execute what it had been sent.
func (c *client) arriveLate() {
	c.faults.Lock()
	calls := c.late
	c.late = nil
	c.faults.Unlock()
	for _, f := range calls {
		f()
	}
}

var errRefusedConn = errors.New("connection refused")

// call makes a call come to what the fault says. brings says that it adds
// something, changes that it changes anything.
func (c *client) call(ctx context.Context, op string, shard int, brings, changes bool, f func() error) error {
	c.faults.Lock()
	kind := works
	if c.fault != nil {
		kind = c.fault(op)
	}
	c.faults.Unlock()
	run := func() error {
		if err := c.lost(shard); err != nil {
			return err
		}
		return f()
	}
	switch kind {
	case away:
		return errors.Join(redis.ErrAway, errRefusedConn)
	case unsafe:
		return errors.Join(redis.ErrAway, redis.ErrUnsafe)
	case readOnly:
		if changes {
			return errors.Join(redis.ErrAway, syscall.EROFS)
		}
	case full:
		if brings {
			return errors.Join(redis.ErrAway, redis.ErrFull)
		}
	case slow:
		<-ctx.Done()
		return &redis.UnknownError{Op: op, Err: ctx.Err()}
	case lostCall:
		return &redis.UnknownError{Op: op, Err: errRefusedConn}
	case lostReply:
		run()
		return &redis.UnknownError{Op: op, Err: errRefusedConn}
	case lateCall:
		c.faults.Lock()
		c.late = append(c.late, func() { run() })
		c.faults.Unlock()
		return &redis.UnknownError{Op: op, Err: errRefusedConn}
	}
	return run()
}

func (c *client) lost(shard int) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for i := range mail.Shards {
		if (shard == -1 || shard == i) && c.views[i] != c.epoch[i] {
			return &redis.EmptiedError{Shard: i}
		}
	}
	return nil
}

func (c *client) Run(context.Context) {}

func (c *client) Ready(ctx context.Context) error {
	return c.call(ctx, "ready", -2, false, false, func() error { return nil })
}

func (c *client) Put(ctx context.Context, e *queue.Entry, content mail.Content, until time.Time) error {
	return c.PutAll(ctx, []queue.Deposit{{Entry: e, Content: content, Until: until}})
}

// PutAll works on copies: a call that arrives late must not change what the
// caller has.
func (c *client) PutAll(ctx context.Context, deposits []queue.Deposit) error {
	own, octets := cloneAll(deposits)
	if octets != nil {
		return octets
	}
	err := c.call(ctx, "put", deposits[0].Entry.ID.Shard(), true, true, func() error {
		return c.put(own, func() error { return c.memory.PutAll(ctx, own) })
	})
	if err == nil {
		for i, d := range deposits {
			d.Entry.Lease = own[i].Entry.Lease
		}
	}
	return err
}

func cloneAll(deposits []queue.Deposit) (own []queue.Deposit, err error) {
	for _, d := range deposits {
		octets, readErr := mail.ReadAll(d.Content)
		if readErr != nil {
			err = readErr
		}
		own = append(own, queue.Deposit{Entry: clone(d.Entry), Content: mail.Bytes(octets), Until: d.Until})
	}
	return own, err
}

// put refuses what was settled.
func (c *client) put(deposits []queue.Deposit, f func() error) error {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	for _, d := range deposits {
		if c.gone[d.Entry.ID] == "refused" {
			return redis.ErrRefused
		}
	}
	err := f()
	if err == nil {
		for _, d := range deposits {
			c.version[d.Entry.ID] = d.Entry.Lease.Token
		}
	}
	return err
}

func (c *client) PutAs(ctx context.Context, _ string, e *queue.Entry, content mail.Content) error {
	return c.Put(ctx, e, content, time.Time{})
}

func (c *client) Settle(ctx context.Context, id mail.QueueID, _ string) (there bool, err error) {
	err = c.call(ctx, "settle", id.Shard(), true, true, func() error {
		c.server.mu.Lock()
		defer c.server.mu.Unlock()
		_, err := c.memory.Get(ctx, id)
		there = err == nil || c.gone[id] == "finished"
		if !there {
			c.gone[id] = "refused"
		}
		return nil
	})
	return there, err
}

func (c *client) Present(ctx context.Context, ids []mail.QueueID) (there []bool, err error) {
	for _, id := range ids {
		err := c.call(ctx, "present", id.Shard(), false, false, func() error {
			_, err := c.memory.Get(ctx, id)
			there = append(there, err == nil)
			return nil
		})
		if err != nil {
			return nil, err
		}
	}
	return there, nil
}

func (c *client) Claim(ctx context.Context, now, until time.Time, max int, pick queue.Pick) (out []*queue.Entry, err error) {
	err = c.call(ctx, "claim", -1, false, true, func() error {
		if c.isRestored() {
			return nil
		}
		out, err = c.memory.Claim(ctx, now, until, max, pick)
		return err
	})
	if err != nil {
		return nil, err
	}
	return out, nil
}

// restoreLife is how long the others wait for a node that puts nothing back.
const restoreLife = 30 * time.Second

func (v *server) isRestored() bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	for _, nodes := range v.restoring {
		for _, at := range nodes {
			if time.Since(at) < restoreLife {
				return true
			}
		}
	}
	return false
}

func (c *client) Take(ctx context.Context, id mail.QueueID, now, until time.Time) (e *queue.Entry, err error) {
	err = c.call(ctx, "take", id.Shard(), false, true, func() error {
		e, err = c.memory.Take(ctx, id, now, until)
		return err
	})
	if err != nil {
		return nil, err
	}
	return e, nil
}

func (c *client) Extend(ctx context.Context, id mail.QueueID, token uint64, until time.Time) error {
	return c.call(ctx, "extend", id.Shard(), false, true, func() error { return c.memory.Extend(ctx, id, token, until) })
}

func (c *client) wrote(e *queue.Entry, gone bool) {
	c.server.mu.Lock()
	defer c.server.mu.Unlock()
	c.version[e.ID] = e.Lease.Token
	if gone {
		c.gone[e.ID], c.server.finished[e.ID] = "finished", true
	}
}

func (c *client) Update(ctx context.Context, e *queue.Entry) error {
	e = clone(e)
	return c.call(ctx, "update", e.ID.Shard(), false, true, func() error {
		err := c.memory.Update(ctx, e)
		if err == nil {
			c.wrote(e, false)
		}
		return err
	})
}

func (c *client) Remove(ctx context.Context, e *queue.Entry) error {
	e = clone(e)
	return c.call(ctx, "remove", e.ID.Shard(), false, true, func() error {
		_, was := c.memory.Get(ctx, e.ID)
		err := c.memory.Remove(ctx, e)
		if err == nil && was == nil {
			c.wrote(e, true)
		}
		return err
	})
}

func (c *client) Conclude(ctx context.Context, e *queue.Entry, more []queue.Deposit) error {
	e = clone(e)
	own, octets := cloneAll(more)
	if octets != nil {
		return octets
	}
	err := c.call(ctx, "conclude", e.ID.Shard(), len(more) > 0, true, func() error {
		err := c.put(own, func() error { return c.memory.Conclude(ctx, e, own) })
		if err == nil {
			c.wrote(e, len(e.Envelope.Recipients) == 0)
		}
		return err
	})
	if err == nil {
		for i, d := range more {
			d.Entry.Lease = own[i].Entry.Lease
		}
	}
	return err
}

func (c *client) Replace(ctx context.Context, e *queue.Entry, content mail.Content, more []queue.Deposit) error {
	e = clone(e)
	own, octets := cloneAll(append([]queue.Deposit{{Entry: e, Content: content}}, more...))
	if octets != nil {
		return octets
	}
	err := c.call(ctx, "replace", e.ID.Shard(), true, true, func() error {
		err := c.put(own[1:], func() error { return c.memory.Replace(ctx, e, own[0].Content, own[1:]) })
		if err == nil {
			c.wrote(e, len(e.Envelope.Recipients) == 0)
		}
		return err
	})
	if err == nil {
		for i, d := range more {
			d.Entry.Lease = own[i+1].Entry.Lease
		}
	}
	return err
}

func (c *client) Close() error { return nil }
