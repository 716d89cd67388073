package daemon

import (
	"context"
	"sync"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
)

// A generation is what a reload replaces as a whole: the pipeline with its
// plugins, who exists, and the ways that mail takes. A message in the pipeline
// or an attempt under way keeps the generation it began with.
type generation struct {
	pipeline  *pipeline.Pipeline
	directory *account.Directory
	deliverer mail.Deliverer
	close     func(context.Context) // frees what it holds; called once, after the last use

	uses sync.WaitGroup // Add only under current.mu, while it is the current one
}

// current hands out the generation in use. It stands where packages need a
// policy, a directory or a deliverer for as long as the server runs.
type current struct {
	mu  sync.Mutex // guards gen
	gen *generation
}

// acquire returns the current generation, to be released after use.
func (c *current) acquire() *generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gen.uses.Add(1)
	return c.gen
}

func (g *generation) release() { g.uses.Done() }

// replace makes next the current generation and returns the one before it,
// nil if it is the first.
func (c *current) replace(next *generation) *generation {
	c.mu.Lock()
	defer c.mu.Unlock()
	before := c.gen
	c.gen = next
	return before
}

// retire waits until nothing uses g, which must not be current any more, and
// frees what it holds.
func (g *generation) retire(ctx context.Context) {
	g.uses.Wait()
	g.close(ctx)
}

// Check implements smtpd.Policy with the current pipeline.
func (c *current) Check(ctx context.Context, tx *mail.Transaction) (mail.Verdict, error) {
	g := c.acquire()
	defer g.release()
	return g.pipeline.Check(ctx, tx)
}

// Deliver implements mail.Deliverer with the current ways.
func (c *current) Deliver(ctx context.Context, m *mail.Message) []mail.Result {
	g := c.acquire()
	defer g.release()
	return g.deliverer.Deliver(ctx, m)
}
