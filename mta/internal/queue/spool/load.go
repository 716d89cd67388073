package spool

import (
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// load brings the index into memory: the checkpoint, and what the log has since.
func (s *Store) load() error {
	fresh, err := s.isNew()
	if err != nil {
		return err
	}
	if fresh {
		return s.create()
	}
	if err := s.openSegments(); err != nil {
		return err
	}
	if err := s.readCheckpoint(); err != nil {
		return err
	}
	if err := s.replay(); err != nil {
		return err
	}
	if err := s.cleanSegments(); err != nil {
		return err
	}
	return s.cleanContents()
}

// isNew tells a folder that nothing was ever accepted into from one that lacks
// what it must have.
func (s *Store) isNew() (bool, error) {
	for _, name := range []string{oldIndex, checkpointFile} {
		there, err := disk.Exists(s.fs, s.dir, name)
		if err != nil {
			return false, err
		}
		path := filepath.Join(s.dir, name)
		switch {
		case there && name == oldIndex:
			return false, fmt.Errorf("%s is a queue in an older format; run the mta that wrote it until the queue is empty, then move %s away", path, s.dir)
		case there:
			return false, nil
		}
		for _, folder := range []string{logFolder, contentFolder} {
			infos, err := s.fs.ReadDir(filepath.Join(s.dir, folder))
			if err != nil && !errors.Is(err, errNotExist) {
				return false, err
			}
			if len(infos) > 0 && name == checkpointFile {
				return false, fmt.Errorf("%s is missing, but the queue was in use; restore the file, or move %s away to begin with an empty queue", path, s.dir)
			}
		}
	}
	return true, nil
}

// create makes a new store. The checkpoint comes last: a folder without one is
// one that a crash left half made.
func (s *Store) create() error {
	for _, folder := range []string{logFolder, contentFolder} {
		if err := s.fs.Mkdir(filepath.Join(s.dir, folder)); err != nil {
			return err
		}
	}
	for _, folder := range []string{filepath.Dir(s.dir), s.dir} { // for the folder, and those in it
		if err := s.syncDir(folder); err != nil {
			return err
		}
	}
	var salt [4]byte
	rand.Read(salt[:]) // never fails (crypto/rand)
	s.journal.salt = binary.LittleEndian.Uint32(salt[:])
	return s.checkpoint()
}

// openSegments opens all files of the log, and removes what cannot be one.
func (s *Store) openSegments() error {
	infos, err := s.fs.ReadDir(s.journal.dir)
	if err != nil {
		return err
	}
	for _, info := range infos {
		number, ok := segmentNumber(info.Name)
		if !ok {
			if err := s.fs.Remove(s.journal.path(info.Name)); err != nil {
				return err
			}
			continue
		}
		f, err := s.fs.Open(s.journal.path(info.Name), os.O_RDWR)
		if err != nil {
			return err
		}
		s.segments[number] = &segment{number: number, file: f, end: info.Size, sealed: true}
		s.journal.number = max(s.journal.number, number)
	}
	return nil
}

// checkSegments holds that no entry needs a segment that is not there.
func (s *Store) checkSegments() error {
	for _, n := range slices.Sorted(maps.Keys(s.segments)) {
		if g := s.segments[n]; g.file == nil && g.live != 0 {
			return fmt.Errorf("%s is missing, and %d octets of messages are in it; restore the file, or make an empty one in its place to have these messages held",
				s.journal.path(segmentName(n)), g.live)
		}
	}
	return nil
}

// cleanSegments removes those that nothing needs: they are older than the
// checkpoint and have nothing live, or nothing leads to them.
func (s *Store) cleanSegments() error {
	last := s.applied.segment
	s.dead = 0
	for _, n := range slices.Sorted(maps.Keys(s.segments)) {
		g := s.segments[n]
		switch {
		case g.file == nil:
			delete(s.segments, n)
		case g.live == 0 && (n < s.saved.segment || n > last):
			delete(s.segments, n)
			if err := errors.Join(g.file.Close(), s.fs.Remove(s.journal.path(segmentName(n)))); err != nil {
				return err
			}
		case g.live == 0:
			s.dead++
		}
	}
	return nil
}
