package spool

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// The ends of names of files that are not simply a queue ID.
const (
	temporary = ".tmp" // one that is being written
	second    = ".2"   // one that took the place of another
)

// files are the operations on files outside the index, so that a test can have
// any of them fail.
type files interface {
	mkdir(path string) error
	create(path string) (file, error)
	rename(from, to string) error
	remove(path string) error
	syncDir(path string) error
	names(dir string) ([]string, error)
}

type file interface {
	io.WriteCloser
	Sync() error
}

type osFiles struct{}

func (osFiles) mkdir(path string) error      { return os.MkdirAll(path, 0o700) }
func (osFiles) rename(from, to string) error { return os.Rename(from, to) }
func (osFiles) remove(path string) error     { return os.Remove(path) }

func (osFiles) create(path string) (file, error) {
	return os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
}

func (osFiles) syncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}

func (osFiles) names(dir string) ([]string, error) {
	d, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	names, err := d.Readdirnames(-1)
	return names, errors.Join(err, d.Close())
}

func (s *Store) path(name string) string { return filepath.Join(s.dir, contentFolder, name) }

// openContent creates the folder of large contents if need be, and removes what
// a crash left in it.
func (s *Store) openContent() error {
	names, err := s.files.names(s.path(""))
	if errors.Is(err, os.ErrNotExist) {
		err = s.createContent()
	}
	if err != nil {
		return fmt.Errorf("open queue: %w", err)
	}
	return s.db.View(func(tx *bbolt.Tx) error {
		for _, name := range names {
			id := strings.TrimSuffix(name, second)
			r := record(tx.Bucket(entriesBucket).Get([]byte(id)))
			if r.file(mail.QueueID(id)) != name {
				s.unlink(name)
			}
		}
		return nil
	})
}

// createContent ends the making of a new store: a folder without it is one that
// a crash left half made, and nothing was ever accepted into.
func (s *Store) createContent() error {
	return errors.Join(
		s.files.syncDir(filepath.Dir(s.dir)), // for the folder
		s.files.mkdir(s.path("")),
		s.files.syncDir(s.dir), // for the index and the contents
	)
}

// storeFile makes a content durable. Nothing of it is left on error.
func (s *Store) storeFile(name string, content mail.Content) error {
	if err := s.writeFile(s.path(name+temporary), content); err != nil {
		s.unlink(name + temporary)
		return err
	}
	if err := s.files.rename(s.path(name+temporary), s.path(name)); err != nil {
		s.unlink(name + temporary)
		return err
	}
	if err := s.files.syncDir(s.path("")); err != nil {
		s.unlink(name)
		return err
	}
	return nil
}

func (s *Store) writeFile(path string, content mail.Content) error {
	r, err := content.Open()
	if err != nil {
		return err
	}
	defer r.Close()
	f, err := s.files.create(path)
	if err != nil {
		return err
	}
	n, err := io.Copy(f, r)
	if err == nil && n != content.Size() {
		err = fmt.Errorf("it has %d octets and was said to have %d", n, content.Size())
	}
	if err == nil {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// unlink removes a file of the content folder. What stays goes when the store is
// opened next.
func (s *Store) unlink(name string) {
	err := s.files.remove(s.path(name))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		s.log.Warn("queue store", "err", err)
	}
}

// fileContent is a content in a file.
type fileContent struct {
	path string
	size int64
}

func (s *Store) openFile(name string) (mail.Content, error) {
	path := s.path(name)
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("content in %s: %w", name, err)
	}
	return &fileContent{path, info.Size()}, nil
}

// Open implements [mail.Content].
func (c *fileContent) Open() (io.ReadCloser, error) { return os.Open(c.path) }

// Size implements [mail.Content].
func (c *fileContent) Size() int64 { return c.size }

// listIDs is List where the filter names IDs: nothing else is read.
func (s *Store) listIDs(now time.Time, f queue.Filter, after mail.QueueID, max int) []*queue.Entry {
	ids := make([]mail.QueueID, 0, len(f.IDs))
	for _, id := range f.IDs {
		ids = append(ids, mail.QueueID(strings.ToUpper(string(id))))
	}
	slices.Sort(ids)
	var out []*queue.Entry
	for _, id := range slices.Compact(ids) {
		if id <= after || len(out) == max {
			continue
		}
		e, err := s.Get(context.Background(), id)
		if err == nil && f.Match(e, now) {
			out = append(out, e)
		}
	}
	return out
}
