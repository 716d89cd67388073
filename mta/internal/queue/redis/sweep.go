package redis

import (
	"context"
	"errors"
	"io"
	"os"
	"strings"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

const (
	// sweepEvery is how often a node looks for files that no entry names.
	sweepEvery = time.Hour

	// orphanAge is how old such a file is at least: its entry may be on its way,
	// for as long as a server is paused, or about to be put back.
	orphanAge = 24 * time.Hour
)

// unlinkReleased removes files of contents whose entries are gone.
func (s *Store) unlinkReleased(ctx context.Context) {
	if s.o.Contents == "" {
		return
	}
	const most = 100 // in a heartbeat, of a shard
	s.each(s.scheduled(), func(shard int) error {
		key := s.key(shard) + ":f"
		names, err := s.client.SRandMemberN(ctx, key, most).Result()
		if err != nil || len(names) == 0 {
			return err
		}
		gone := make([]any, len(names))
		for i, name := range names {
			s.unlink(name)
			gone[i] = name
		}
		return s.client.SRem(ctx, key, gone...).Err()
	})
}

// sweepContents removes files that were written before a time and that no entry
// names: a node died, or a put had no outcome, before there was one. Each node
// looks at those of its shards. Where Redis cannot tell they stay.
func (s *Store) sweepContents(ctx context.Context, before time.Time) {
	if s.o.Contents == "" {
		return
	}
	dir, err := os.Open(s.o.Contents)
	if err != nil {
		s.log.Warn("queue store", "err", err)
		return
	}
	defer dir.Close()
	var mine [mail.Shards]bool
	for _, shard := range s.scheduled() {
		mine[shard] = true
	}
	for ctx.Err() == nil {
		files, err := dir.ReadDir(1000)
		for _, f := range files {
			if info, err := f.Info(); err == nil && info.Mode().IsRegular() && info.ModTime().Before(before) {
				s.sweepContent(ctx, f.Name(), &mine)
			}
		}
		if err != nil {
			if !errors.Is(err, io.EOF) {
				s.log.Warn("queue store", "err", err)
			}
			return
		}
	}
}

// sweepContent removes one file, if its shard is among mine and no entry names it.
// A name that is not one of ours is left alone.
func (s *Store) sweepContent(ctx context.Context, name string, mine *[mail.Shards]bool) {
	prefix, _, ok := strings.Cut(name, "-")
	id := mail.QueueID(prefix)
	if !ok || !validID(id) || !mine[id.Shard()] {
		return
	}
	a, err := s.run(ctx, contentScript, id.Shard(), zero, "", string(id))
	named := err == nil && len(a.rest) >= 4 && text(a.rest[0]) == inFile && text(a.rest[3]) == name
	if named || err != nil && !errors.Is(err, queue.ErrNotFound) {
		return
	}
	s.log.Info("content without an entry is removed", "queue_id", id, "file", name)
	s.unlink(name)
}
