package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/wasmta/wasmta/mta/internal/disk"
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
	sum := crc32.New(castagnoli)
	n, err := io.Copy(io.NewOffsetWriter(f, 0), io.TeeReader(r, sum))
	if err == nil && n != content.Size() {
		err = fmt.Errorf("it has %d octets and was said to have %d", n, content.Size())
	}
	if err == nil {
		_, err = f.WriteAt(appendTail(nil, n, sum.Sum32()), n)
	}
	if err == nil && !s.options.NoSync {
		err = f.Sync()
	}
	return errors.Join(err, f.Close())
}

// A content's file ends with a tail: magic 4, octets of the content 8, their
// checksum 4.
const (
	tailMagic = 0x3163746d // "mtc1"
	tailSize  = 16
)

func appendTail(b []byte, size int64, sum uint32) []byte {
	b = binary.LittleEndian.AppendUint32(b, tailMagic)
	b = binary.LittleEndian.AppendUint64(b, uint64(size))
	return binary.LittleEndian.AppendUint32(b, sum)
}

// fileContent is a content in a file.
type fileContent struct {
	fs   disk.FS
	path string
	size int64
	sum  uint32
}

// openFile is the content in a file that has its whole length.
func (s *Store) openFile(name string) (mail.Content, error) {
	c := &fileContent{fs: s.fs, path: s.contentPath(name)}
	if err := c.readTail(); err != nil {
		return nil, fmt.Errorf("content in %s: %w", c.path, err)
	}
	return c, nil
}

func (c *fileContent) readTail() error {
	f, err := c.fs.Open(c.path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	c.size = size - tailSize
	tail := make([]byte, tailSize)
	if c.size < 0 {
		return io.ErrUnexpectedEOF
	}
	if n, err := f.ReadAt(tail, c.size); n < len(tail) {
		return err
	}
	if binary.LittleEndian.Uint32(tail) != tailMagic || int64(binary.LittleEndian.Uint64(tail[4:])) != c.size {
		return io.ErrUnexpectedEOF
	}
	c.sum = binary.LittleEndian.Uint32(tail[12:])
	return nil
}

// Size implements [mail.Content].
func (c *fileContent) Size() int64 { return c.size }

// Open implements [mail.Content]. The reader ends with an error if what it read
// does not have its checksum.
func (c *fileContent) Open() (io.ReadCloser, error) {
	f, err := c.fs.Open(c.path, os.O_RDONLY)
	if err != nil {
		return nil, err
	}
	return &fileReader{from: io.NewSectionReader(f, 0, c.size), content: c, file: f}, nil
}

type fileReader struct {
	from    io.Reader
	content *fileContent
	file    disk.File
	sum     uint32
}

// Read implements [io.Reader].
func (r *fileReader) Read(b []byte) (int, error) {
	n, err := r.from.Read(b)
	r.sum = crc32.Update(r.sum, castagnoli, b[:n])
	if err == io.EOF && r.sum != r.content.sum {
		err = fmt.Errorf("%s: %w", r.content.path, errChecksum)
	}
	return n, err
}

// Close implements [io.Closer].
func (r *fileReader) Close() error { return r.file.Close() }

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
