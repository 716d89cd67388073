package shared

import (
	"context"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// The calls of the stand-in for Redis that only look.

func (c *client) Get(ctx context.Context, id mail.QueueID) (e *queue.Entry, err error) {
	err = c.call(ctx, "get", id.Shard(), false, false, func() error { e, err = c.memory.Get(ctx, id); return err })
	return e, err
}

func (c *client) Content(ctx context.Context, id mail.QueueID) (content mail.Content, err error) {
	err = c.call(ctx, "content", id.Shard(), false, false, func() error { content, err = c.memory.Content(ctx, id); return err })
	return content, err
}

func (c *client) List(ctx context.Context, now time.Time, f queue.Filter, after mail.QueueID, max int) (out []*queue.Entry, err error) {
	err = c.call(ctx, "list", -1, false, false, func() error { out, err = c.memory.List(ctx, now, f, after, max); return err })
	return out, err
}

func (c *client) NextDue(ctx context.Context, now time.Time) (due time.Time, ok bool, err error) {
	err = c.call(ctx, "next", -1, false, false, func() error { due, ok, err = c.memory.NextDue(ctx, now); return err })
	return due, ok, err
}

func (c *client) Stats(ctx context.Context, now time.Time) (s queue.Stats, err error) {
	err = c.call(ctx, "stats", -1, false, false, func() error { s, err = c.memory.Stats(ctx, now); return err })
	return s, err
}

func (c *client) Announce(ctx context.Context, _ string) error {
	return c.call(ctx, "announce", -1, false, true, func() error { return nil })
}

func (c *client) Wake(ctx context.Context, lane string) error {
	return c.call(ctx, "wake", -1, false, true, func() error { return c.memory.Wake(ctx, lane) })
}
