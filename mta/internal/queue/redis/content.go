package redis

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strconv"

	"github.com/redis/go-redis/v9"

	"github.com/wasmta/wasmta/mta/internal/disk"
	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Where a content is.
const (
	inEntry  = "i" // in a field of its entry
	inChunks = "c" // in keys of their own
	inFile   = "f" // in the shared folder
)

// A parcel is a content that is stored, or goes with its entry.
type parcel struct {
	id     mail.QueueID
	kind   string
	body   any // the octets, what the keys of the chunks have in common, or the name of the file
	size   int64
	chunks int
}

// store puts a content where its size says. What it left is of no consequence
// until an entry names it.
func (s *Store) store(ctx context.Context, id mail.QueueID, content mail.Content) (parcel, error) {
	p := parcel{id: id, size: content.Size()}
	var err error
	switch {
	case p.size <= inline:
		p.kind = inEntry
		var octets []byte
		if octets, err = mail.ReadAll(content); err == nil {
			err = p.check(int64(len(octets)))
		}
		p.body = octets
	case p.size > s.o.ContentLimit && s.o.Contents != "":
		name := string(id) + "-" + random()
		p.kind, p.body = inFile, name
		err = s.storeFile(name, content, p)
	default:
		p.kind, p.body = inChunks, random() // late chunks of another try never get among these
		p.chunks, err = s.storeChunks(ctx, p, content)
	}
	if err != nil {
		return p, fmt.Errorf("store content of %s: %w", id, err)
	}
	return p, nil
}

// check compares the number of octets read with the one announced.
func (p *parcel) check(n int64) error {
	if n != p.size {
		return fmt.Errorf("it has %d octets and was said to have %d", n, p.size)
	}
	return nil
}

// storeChunks writes chunks that end by themselves, unless an entry takes them.
func (s *Store) storeChunks(ctx context.Context, p parcel, content mail.Content) (n int, err error) {
	r, err := content.Open()
	if err != nil {
		return 0, err
	}
	defer r.Close()
	buf := make([]byte, min(p.size, chunkSize))
	total := int64(0)
	for {
		got, err := io.ReadFull(r, buf)
		if got > 0 {
			if err := s.setChunk(ctx, s.chunk(p.id, p.body, n), buf[:got]); err != nil {
				return n, err
			}
			n++
			total += int64(got)
		}
		switch {
		case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
			return n, p.check(total)
		case err != nil:
			return n, err
		}
	}
}

// setChunk writes one; twice is as good as once.
func (s *Store) setChunk(ctx context.Context, key string, octets []byte) error {
	for try := 1; ; try++ {
		err := s.client.Set(ctx, key, octets, chunkLife).Err()
		if err == nil {
			return nil
		}
		if try == maxTries || !lost(err) {
			return away("", err)
		}
	}
}

func (s *Store) chunk(id mail.QueueID, name any, n int) string {
	return fmt.Sprintf("%s:c:%s:%s:%d", s.key(id.Shard()), id, name, n)
}

// undo removes files that no entry names. Chunks go by themselves.
func (s *Store) undo(stored []parcel) {
	for _, p := range stored {
		if p.kind == inFile {
			s.unlink(p.body.(string))
		}
	}
}

// Content implements [queue.Store].
func (s *Store) Content(ctx context.Context, id mail.QueueID) (mail.Content, error) {
	a, err := s.run(ctx, contentScript, id.Shard(), zero, "", string(id))
	if err != nil {
		return nil, err
	}
	if len(a.rest) < 4 {
		return nil, fmt.Errorf("content of %s: %w", id, queue.ErrNotFound)
	}
	kind, size, chunks, body := text(a.rest[0]), number(a.rest[1]), number(a.rest[2]), text(a.rest[3])
	switch kind {
	case inEntry:
		return mail.Bytes(body), nil
	case inChunks:
		return &chunked{s, id, body, int(chunks), size}, nil
	case inFile:
		return s.openFile(body)
	}
	return nil, fmt.Errorf("content of %s is in an unknown place, %q", id, kind)
}

// chunked is a content in chunks. It is read one chunk at a time.
type chunked struct {
	store  *Store
	id     mail.QueueID
	name   string
	chunks int
	size   int64
}

// Open implements [mail.Content].
func (c *chunked) Open() (io.ReadCloser, error) { return &chunkReader{content: c}, nil }

// Size implements [mail.Content].
func (c *chunked) Size() int64 { return c.size }

type chunkReader struct {
	content *chunked
	next    int
	rest    []byte
}

func (r *chunkReader) Read(p []byte) (int, error) {
	for len(r.rest) == 0 {
		c := r.content
		if r.next == c.chunks {
			return 0, io.EOF
		}
		ctx, cancel := context.WithTimeout(context.Background(), c.store.o.ReplyTimeout)
		octets, err := c.store.client.Get(ctx, c.store.chunk(c.id, c.name, r.next)).Bytes()
		cancel()
		if errors.Is(err, redis.Nil) {
			return 0, fmt.Errorf("chunk %d of the content of %s: %w", r.next, c.id, queue.ErrNotFound)
		}
		if err != nil {
			return 0, away("", err)
		}
		r.next++
		r.rest = octets
	}
	n := copy(p, r.rest)
	r.rest = r.rest[n:]
	return n, nil
}

func (r *chunkReader) Close() error { return nil }

// openContents sees to it that the shared folder is there.
func (s *Store) openContents() error {
	if s.o.Contents == "" {
		return nil
	}
	if err := os.MkdirAll(s.o.Contents, 0o700); err != nil {
		return fmt.Errorf("folder for contents: %w", err)
	}
	return nil
}

func (s *Store) path(name string) string { return filepath.Join(s.o.Contents, name) }

// storeFile makes a content durable in the shared folder. Nothing of it is left
// on error.
func (s *Store) storeFile(name string, content mail.Content, p parcel) error {
	err := s.writeFile(s.path(name+".tmp"), content, p)
	if err == nil {
		err = os.Rename(s.path(name+".tmp"), s.path(name))
	}
	if err == nil {
		err = disk.OS{}.SyncDir(s.o.Contents)
	}
	if err != nil {
		s.unlink(name + ".tmp")
		s.unlink(name)
	}
	return err
}

func (s *Store) writeFile(path string, content mail.Content, p parcel) error {
	r, err := content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, r)
	if err == nil {
		err = p.check(n)
	}
	if err == nil {
		err = disk.SyncFile(f)
	}
	return errors.Join(err, f.Close())
}

// unlink removes a file of the shared folder. One that stays does no harm.
func (s *Store) unlink(name string) {
	if err := os.Remove(s.path(name)); err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("queue store", "err", err)
	}
}

// fileContent is a content in the shared folder.
type fileContent struct {
	path string
	size int64
}

func (s *Store) openFile(name string) (mail.Content, error) {
	if s.o.Contents == "" {
		return nil, fmt.Errorf("content is in the file %s, and no folder of contents is set", strconv.Quote(name))
	}
	info, err := os.Stat(s.path(name))
	if err != nil {
		return nil, fmt.Errorf("content in %s: %w", name, err)
	}
	return &fileContent{s.path(name), info.Size()}, nil
}

// Open implements [mail.Content].
func (c *fileContent) Open() (io.ReadCloser, error) { return os.Open(c.path) }

// Size implements [mail.Content].
func (c *fileContent) Size() int64 { return c.size }
