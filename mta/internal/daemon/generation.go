package daemon

import (
	"context"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/postqueue"
)

// A generation is what a reload replaces as a whole: the pipeline with its
// plugins, who exists, and the ways that mail takes. A message in the pipeline
// or an attempt under way keeps the generation it began with.
type generation struct {
	pipeline  *pipeline.Pipeline // while a client waits
	hooks     postqueue.Hooks    // behind the queue
	stages    int                // of both
	directory *account.Directory
	deliverer mail.Deliverer
	lane      func(*mail.Recipient) string // the next hop that the deliverer would choose
	tokens    []admin.Token                // of operators
	close     func(context.Context)        // frees what it holds; called once, after the last use

	uses int // guarded by current.mu
}

// current hands out the generation in use. It stands where packages need a
// policy, a directory or a deliverer for as long as the server runs. Before the
// first replace it must not be asked.
type current struct {
	mu   sync.Mutex // guards what follows, and the uses of every generation
	gen  *generation
	free *sync.Cond // a use has ended
}

// acquire returns the current generation, to be released after use.
func (c *current) acquire() *generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.uses++
	return c.gen
}

func (c *current) release(g *generation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	g.uses--
	c.free.Broadcast()
}

// replace makes next the current generation and returns the one before it,
// nil if it is the first.
func (c *current) replace(next *generation) *generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.free == nil {
		c.free = sync.NewCond(&c.mu)
	}
	before := c.gen
	c.gen = next
	return before
}

// retire waits until nothing uses g and frees what it holds. A generation that
// is still current then answers with errors: what is late at the server's end
// is to be tried again.
func (c *current) retire(ctx context.Context, g *generation) {
	c.mu.Lock()
	for g.uses > 0 {
		c.free.Wait()
	}
	c.mu.Unlock()
	g.close(ctx)
}

// end retires the current generation, if there is one.
func (c *current) end(ctx context.Context) {
	c.mu.Lock()
	g := c.gen
	c.mu.Unlock()
	if g != nil {
		c.retire(ctx, g)
	}
}

// Check implements smtpd.Policy with the current pipeline.
func (c *current) Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	g := c.acquire()
	defer c.release(g)
	return g.pipeline.Check(ctx, tx)
}

// Asks implements smtpd.Policy.
func (c *current) Asks(hook string) bool {
	g := c.acquire()
	defer c.release(g)
	return g.pipeline.Asks(hook)
}

// Ask implements smtpd.Policy. A session that lasts over a reload asks the new
// pipeline from then on.
func (c *current) Ask(ctx context.Context, hook string, tx *mail.Transaction) (mail.Verdict, error) {
	g := c.acquire()
	defer c.release(g)
	return g.pipeline.Ask(ctx, hook, tx)
}

// Reviews implements queue.Hooks.
func (c *current) Reviews() bool {
	g := c.acquire()
	defer c.release(g)
	return g.hooks.Reviews()
}

// Review implements queue.Hooks.
func (c *current) Review(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	g := c.acquire()
	defer c.release(g)
	return g.hooks.Review(ctx, tx)
}

// Notice implements queue.Hooks.
func (c *current) Notice(ctx context.Context, tx *mail.Transaction) mail.Verdict {
	g := c.acquire()
	defer c.release(g)
	return g.hooks.Notice(ctx, tx)
}

// Deliver implements mail.Deliverer with the current ways.
func (c *current) Deliver(ctx context.Context, m *mail.Message) []mail.Result {
	g := c.acquire()
	defer c.release(g)
	return g.deliverer.Deliver(ctx, m)
}

// tokens are those of operators.
func (c *current) tokens() []admin.Token {
	g := c.acquire()
	defer c.release(g)
	return g.tokens
}

// lane is the next hop of a recipient by the current ways; empty: its mailbox is
// here.
func (c *current) lane(rcpt *mail.Recipient) string {
	g := c.acquire()
	defer c.release(g)
	return g.lane(rcpt)
}
