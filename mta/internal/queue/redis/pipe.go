package redis

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/redisurl"
)

const (
	// maxFlights is how many pipelines are under way to one server: one that
	// Redis syncs and one that it reads meanwhile, and one that is made.
	maxFlights = 3

	// maxBatch and maxBatchBytes bound what goes in one pipeline.
	maxBatch      = 256
	maxBatchBytes = 4 << 20
)

// A call is a script on its way to Redis and back.
type call struct {
	script *script
	shard  int
	args   []any
	full   bool // the server does not know the script: send all of it
	size   int
	reply  any
	err    error
	done   chan struct{}
}

// A pipe sends the calls to one server. Those that come while others are under
// way go together in one pipeline, for which Redis syncs once.
type pipe struct {
	node    *redis.Client
	waiting []*call // guarded by Store.mu, as all of it
	flights int
}

// send makes a call and waits for its reply. An error that is errUnsent says that
// it never went.
func (s *Store) send(ctx context.Context, c *call) (any, error) {
	reply, err := s.sendOnce(ctx, c)
	if redis.HasErrorPrefix(err, "NOSCRIPT") {
		again := &call{script: c.script, shard: c.shard, args: c.args, full: true}
		reply, err = s.sendOnce(ctx, again)
	}
	if moved(err) && s.address.Kind == redisurl.Cluster {
		s.client.(*redis.ClusterClient).ReloadState(ctx)
	}
	return reply, err
}

func (s *Store) sendOnce(ctx context.Context, c *call) (any, error) {
	node, err := s.node(ctx, c.shard)
	if err != nil {
		return nil, fmt.Errorf("%w: %w", errUnsent, err)
	}
	c.done = make(chan struct{})
	for _, arg := range c.args {
		switch arg := arg.(type) {
		case string:
			c.size += len(arg)
		case []byte:
			c.size += len(arg)
		}
	}
	if err := s.enter(node, c); err != nil {
		return nil, err
	}
	select {
	case <-c.done:
		return c.reply, c.err
	case <-ctx.Done():
		if s.withdraw(node, c) {
			return nil, fmt.Errorf("%w: %w", errUnsent, ctx.Err())
		}
		return nil, ctx.Err()
	}
}

// node is the client of the server that has a shard.
func (s *Store) node(ctx context.Context, shard int) (*redis.Client, error) {
	switch c := s.client.(type) {
	case *redis.Client:
		return c, nil
	case *redis.ClusterClient:
		return c.MasterForKey(ctx, s.key(shard))
	}
	return nil, errors.ErrUnsupported
}

// enter puts a call where the next pipeline takes it, and starts one if there is
// room.
func (s *Store) enter(node *redis.Client, c *call) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return fmt.Errorf("%w: %w", errUnsent, redis.ErrClosed)
	}
	p := s.pipe[node]
	if p == nil {
		p = &pipe{node: node}
		s.pipe[node] = p
	}
	p.waiting = append(p.waiting, c)
	if p.flights < maxFlights {
		p.flights++
		s.pipes.Go(func() { s.fly(p) })
	}
	return nil
}

// withdraw takes back a call that has not been sent.
func (s *Store) withdraw(node *redis.Client, c *call) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pipe[node]
	if p == nil {
		return false
	}
	for i, other := range p.waiting {
		if other == c {
			p.waiting = append(p.waiting[:i], p.waiting[i+1:]...)
			return true
		}
	}
	return false
}

// fly sends pipelines while calls are waiting.
func (s *Store) fly(p *pipe) {
	for {
		batch := s.nextBatch(p)
		if batch == nil {
			return
		}
		if err := s.exchange(p.node, batch); err != nil {
			s.ground(p, err)
		}
		for _, c := range batch {
			close(c.done)
		}
	}
}

// nextBatch takes the calls of one pipeline; nil: there are none, and the flight
// is over. A pipe that has been idle is not kept: nodes of a Cluster come and go.
func (s *Store) nextBatch(p *pipe) []*call {
	s.mu.Lock()
	defer s.mu.Unlock()
	n, size := 0, 0
	for n < len(p.waiting) && n < maxBatch && (n == 0 || size+p.waiting[n].size <= maxBatchBytes) {
		size += p.waiting[n].size
		n++
	}
	if n == 0 {
		p.flights--
		if p.flights == 0 {
			delete(s.pipe, p.node)
		}
		return nil
	}
	batch := append([]*call(nil), p.waiting[:n]...)
	p.waiting = append(p.waiting[:0], p.waiting[n:]...)
	return batch
}

// ground fails the calls that wait for a server that did not answer: they would
// wait for the same.
func (s *Store) ground(p *pipe, err error) {
	s.mu.Lock()
	waiting := p.waiting
	p.waiting = nil
	s.mu.Unlock()
	for _, c := range waiting {
		c.err = fmt.Errorf("%w: %w", errUnsent, err)
		close(c.done)
	}
}

// exchange sends a batch in one pipeline and reads the replies. The error is not
// nil if none of them came.
func (s *Store) exchange(node *redis.Client, batch []*call) error {
	ctx, cancel := context.WithTimeout(context.Background(), s.o.DialTimeout+2*s.o.ReplyTimeout)
	defer cancel()
	pipeline := node.Pipeline()
	cmds := make([]*redis.Cmd, len(batch))
	change := false
	for i, c := range batch {
		keys := []string{s.key(c.shard)}
		if c.full {
			cmds[i] = pipeline.Eval(ctx, c.script.source, keys, c.args...)
		} else {
			cmds[i] = pipeline.EvalSha(ctx, c.script.sha, keys, c.args...)
		}
		change = change || c.script.change
	}
	var confirm *redis.Cmd
	if change && s.o.Replicas > 0 {
		confirm = s.confirm(ctx, pipeline)
	}
	_, err := pipeline.Exec(ctx)
	answered := false
	for i, c := range batch {
		c.reply, c.err = cmds[i].Result()
		var reply redis.Error
		answered = answered || c.reply != nil || errors.As(c.err, &reply)
		if c.err == nil && c.reply != nil && c.script.change && confirm != nil {
			c.err = s.confirmed(confirm)
		}
	}
	if answered || err == nil {
		return nil
	}
	for _, c := range batch {
		if c.err == nil { // the server refused the session: the client leaves the calls as they were
			c.err = fmt.Errorf("%w: %w", errUnsent, err)
		}
	}
	return err
}

// confirmTimeout is how long replicas have to take a change. It is less than any
// sensible ReplyTimeout.
const confirmTimeout = 2 * time.Second

// errTooFew says that a change is on the master, and not where else it has to be.
var errTooFew = errors.New("too few replicas have the change")

// confirm asks at the end of a pipeline how many replicas have what came before.
func (s *Store) confirm(ctx context.Context, p redis.Pipeliner) *redis.Cmd {
	limit := min(confirmTimeout, s.o.ReplyTimeout/2).Milliseconds()
	if s.waitAOF.Load() {
		return p.Do(ctx, "WAITAOF", 1, s.o.Replicas, limit)
	}
	return p.Do(ctx, "WAIT", s.o.Replicas, limit)
}

// confirmed tells whether enough have it.
func (s *Store) confirmed(cmd *redis.Cmd) error {
	v, err := cmd.Result()
	if err != nil {
		return fmt.Errorf("%w: %w", errTooFew, err)
	}
	got, here := number(v), int64(1)
	if list, ok := v.([]any); ok && len(list) == 2 { // WAITAOF: this server, and replicas
		here, got = number(list[0]), number(list[1])
	}
	if here < 1 || got < int64(s.o.Replicas) {
		return fmt.Errorf("%w: %d of %d", errTooFew, got, s.o.Replicas)
	}
	return nil
}
