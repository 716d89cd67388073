package spool

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// A segment is one file of the log. The Store's mu guards what changes of it.
type segment struct {
	number uint32
	file   disk.File
	end    int64 // octets of it that are the log's; what is behind is not looked at
	live   int64 // of these, octets that some entry needs
	stuck  bool  // something in it cannot be read: it stays
	sealed bool  // nothing is appended any more
	refs   int   // who reads from it: it is not used for something else meanwhile
}

const segmentEnd = ".log"

func segmentName(number uint32) string { return fmt.Sprintf("%08d%s", number, segmentEnd) }

// segmentNumber is false for what is not the name of a segment.
func segmentNumber(name string) (uint32, bool) {
	digits, ok := strings.CutSuffix(name, segmentEnd)
	n, err := strconv.ParseUint(digits, 10, 32)
	return uint32(n), ok && err == nil && n > 0 && segmentName(uint32(n)) == name
}

// account adds what an item needs to the segments that have it, or takes it away.
// Called with mu held.
func (s *Store) account(it *item, sign int64) {
	if it.flags&flagFile == 0 {
		s.addLive(it.content.segment, sign*int64(it.whole))
		if it.record == it.content {
			return
		}
	}
	s.addLive(it.record.segment, sign*int64(it.size))
}

func (s *Store) addLive(number uint32, octets int64) {
	g := s.segments[number]
	if g == nil { // it is missing: Open finds out
		g = &segment{number: number, sealed: true}
		s.segments[number] = g
	}
	g.live += octets
	if g.live == 0 && g.sealed {
		s.dead++
	}
}

// acquire keeps a segment for reading. Called with mu held.
func (s *Store) acquire(number uint32) *segment {
	g := s.segments[number]
	g.refs++
	return g
}

// letGo ends acquire.
func (s *Store) letGo(g *segment) {
	s.mu.Lock()
	g.refs--
	s.mu.Unlock()
}

// readFrame reads the first octets of a frame and takes them apart. What is not
// an error of the disk's is that the frame is not sound.
func (g *segment) readFrame(id key, offset, size uint32) (o op, record, content []byte, err error) {
	b := make([]byte, size)
	if n, err := g.file.ReadAt(b, int64(offset)); n < len(b) {
		return o, nil, nil, fmt.Errorf("read %s at %d: %w", segmentName(g.number), offset, err)
	}
	o, record, content, ok := parseFrame(b)
	if !ok || o.id != id {
		return o, nil, nil, fmt.Errorf("%s at %d: %w", segmentName(g.number), offset, errChecksum)
	}
	return o, record, content, nil
}

var errChecksum = errors.New("it does not have its checksum")

func (l *appendLog) path(name string) string { return filepath.Join(l.dir, name) }

const (
	spareEnd  = ".spare" // of a segment's file that is to be used again
	maxSpares = 2
)

// create makes the file of a new segment, with room for size octets, of one that
// is to be used again if there is one: what lies in the file already is written
// over faster than what has to be given a place.
func (l *appendLog) create(number uint32, size int64) (disk.File, error) {
	f, err := l.reuse(number, size)
	if f == nil && err == nil {
		f, err = l.createNew(number, size)
	}
	if err != nil {
		return nil, err
	}
	if err := l.syncDir(); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func (l *appendLog) createNew(number uint32, size int64) (disk.File, error) {
	path := l.path(segmentName(number))
	f, err := l.fs.Open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return nil, err
	}
	if err := f.Reserve(size); err != nil {
		return nil, errors.Join(err, f.Close(), l.fs.Remove(path))
	}
	return f, nil
}

// reuse is nil without an error if there is nothing to be used again.
func (l *appendLog) reuse(number uint32, size int64) (disk.File, error) {
	l.mu.Lock()
	n := len(l.spares)
	if n == 0 || size > l.segmentSize {
		l.mu.Unlock()
		return nil, nil
	}
	spare := l.spares[n-1]
	l.spares = l.spares[:n-1]
	l.mu.Unlock()
	if err := l.fs.Rename(l.path(spare.name), l.path(segmentName(number))); err != nil {
		return nil, errors.Join(err, spare.file.Close())
	}
	return spare.file, nil
}

// A spare is a file that was a segment of the usual size.
type spare struct {
	name string
	file disk.File
}

// retire ends a segment that nobody needs and nobody reads: its file is kept to be
// used again, or removed.
func (l *appendLog) retire(g *segment) error {
	name := segmentName(g.number)
	size, err := g.file.Size()
	l.mu.Lock()
	keep := err == nil && size == l.segmentSize && len(l.spares) < maxSpares && !l.full
	l.mu.Unlock()
	if keep {
		spareName := strings.TrimSuffix(name, segmentEnd) + spareEnd
		if err := l.fs.Rename(l.path(name), l.path(spareName)); err != nil {
			return errors.Join(err, g.file.Close())
		}
		l.mu.Lock()
		l.spares = append(l.spares, spare{spareName, g.file})
		l.mu.Unlock()
		return nil
	}
	return errors.Join(g.file.Close(), l.fs.Remove(l.path(name)))
}

// dropSpares gives their room back.
func (l *appendLog) dropSpares() error {
	l.mu.Lock()
	spares := l.spares
	l.spares = nil
	l.mu.Unlock()
	var err error
	for _, s := range spares {
		err = errors.Join(err, s.file.Close(), l.fs.Remove(l.path(s.name)))
	}
	return err
}
