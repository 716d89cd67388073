package spool

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/mail"
)

// The ends of names of files that are not simply a queue ID.
const (
	temporary = ".tmp" // one that is being written
	second    = ".2"   // one that took the place of another
)

var errNotExist = fs.ErrNotExist

// fileName is the name of the file that has the content of an entry; empty if it
// is in none.
func fileName(id mail.QueueID, flags byte) string {
	switch {
	case flags&flagFile == 0:
		return ""
	case flags&flagSecond != 0:
		return string(id) + second
	}
	return string(id)
}

func (s *Store) contentPath(name string) string { return filepath.Join(s.dir, contentFolder, name) }

// storeFile makes a content durable. Nothing of it is left on error.
func (s *Store) storeFile(name string, content mail.Content) error {
	err := s.writeFile(s.contentPath(name+temporary), content)
	if err == nil {
		err = s.fs.Rename(s.contentPath(name+temporary), s.contentPath(name))
	}
	if err != nil {
		s.unlink(name + temporary)
		return err
	}
	if err := s.syncDir(s.contentPath("")); err != nil {
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
	f, err := s.fs.Open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.NewOffsetWriter(f, 0), r)
	if err == nil && n != content.Size() {
		err = fmt.Errorf("it has %d octets and was said to have %d", n, content.Size())
	}
	if err == nil && !s.options.NoSync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// cleanContents removes files that no entry has. A crash left them.
func (s *Store) cleanContents() error {
	infos, err := s.fs.ReadDir(s.contentPath(""))
	if err != nil {
		return err
	}
	for _, info := range infos {
		id := mail.QueueID(info.Name)
		if n := len(info.Name) - len(second); n > 0 && info.Name[n:] == second {
			id = id[:n]
		}
		slot := s.slotOf(id)
		if slot == none || fileName(id, s.index.at(slot).flags) != info.Name {
			s.unlink(info.Name)
		}
	}
	return nil
}
