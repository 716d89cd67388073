package spool

import (
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"syscall"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// A checkpoint is the index in a file: a head, then blocks, the last of which has
// no items. It is written while changes go on, so that some of its items are as
// they were later than its position says; reading the log from there on makes
// the same of them again.
//
//	head   text, salt 4, segment 4, offset 4, sequence 8, checksum of the above 4
//	block  octets of the rest 4, its checksum 4;
//	       lanes 2, items 2, each lane: octets 2, name;
//	       each item: queue ID 16, due 8, record 8, content 8, sizes 4 and 4,
//	       lane 2, flags 1
const (
	checkpointMark = "mta queue: checkpoint 2\n"
	checkpointHead = len(checkpointMark) + 20 + 4
	blockHead      = 8
	itemSize       = 16 + 8 + 8 + 8 + 4 + 4 + 2 + 1
)

// checkpoint writes the index down and has it take the place of the last. Only
// upkeep calls it, and Close.
func (s *Store) checkpoint() error {
	err := s.writeCheckpoint()
	if errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) {
		if err := s.journal.dropSpares(); err != nil {
			return fmt.Errorf("make room for a checkpoint: %w", err)
		}
		err = s.writeCheckpoint()
	}
	if err != nil {
		return fmt.Errorf("write a checkpoint: %w", err)
	}
	return nil
}

func (s *Store) writeCheckpoint() error {
	s.mu.Lock()
	from, logged := s.applied, s.logged
	s.mu.Unlock()
	path := filepath.Join(s.dir, checkpointFile)
	f, err := s.fs.Open(path+temporary, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	size, err := s.writeIndex(f, from)
	if err == nil && !s.options.NoSync {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return errors.Join(err, s.fs.Remove(path+temporary))
	}
	if err := s.fs.Rename(path+temporary, path); err != nil {
		return err
	}
	if err := s.syncDir(s.dir); err != nil {
		return err
	}
	s.mu.Lock()
	s.saved = saved{from, logged, size}
	s.mu.Unlock()
	return nil
}

// saved is what the last checkpoint was.
type saved struct {
	position
	logged int64 // octets that the log had got since the store was opened
	size   int64 // of the file
}

// writeIndex writes all blocks, and holds up changes for one at a time.
func (s *Store) writeIndex(f disk.File, from position) (size int64, err error) {
	b := append(make([]byte, 0, chunk*itemSize), checkpointMark...)
	b = binary.LittleEndian.AppendUint32(b, s.journal.salt)
	b = binary.LittleEndian.AppendUint32(b, from.segment)
	b = binary.LittleEndian.AppendUint32(b, from.offset)
	b = binary.LittleEndian.AppendUint64(b, from.seq)
	b = binary.LittleEndian.AppendUint32(b, checksum(b))
	for n := 0; ; n++ {
		start := len(b)
		b = append(b, make([]byte, blockHead)...)
		s.mu.Lock()
		last := n >= len(s.index.chunks)
		if !last {
			b = s.index.appendItems(b, s.index.chunks[n])
		}
		s.mu.Unlock()
		binary.LittleEndian.PutUint32(b[start:], uint32(len(b)-start-blockHead))
		binary.LittleEndian.PutUint32(b[start+4:], checksum(b[start+blockHead:]))
		if _, err := f.WriteAt(b, size); err != nil {
			return 0, err
		}
		size += int64(len(b))
		if last {
			return size, nil
		}
		b = b[:0]
	}
}

// appendItems appends what is in a block.
func (x *index) appendItems(b []byte, items []item) []byte {
	lanes := map[uint32]uint16{}
	names := []byte(nil)
	body := make([]byte, 0, len(items)*itemSize)
	n := 0
	for i := range items {
		it := &items[i]
		if it.lane == none || it.flags&flagGone != 0 || it.id == (key{}) {
			continue
		}
		at, ok := lanes[it.lane]
		if !ok {
			at = uint16(len(lanes))
			lanes[it.lane] = at
			name := x.lanes.all[it.lane].name
			names = binary.LittleEndian.AppendUint16(names, uint16(len(name)))
			names = append(names, name...)
		}
		body = appendItem(body, it, at)
		n++
	}
	b = binary.LittleEndian.AppendUint16(b, uint16(len(lanes)))
	b = binary.LittleEndian.AppendUint16(b, uint16(n))
	return append(append(b, names...), body...)
}

func appendItem(b []byte, it *item, lane uint16) []byte {
	b = append(b, it.id[:]...)
	b = binary.LittleEndian.AppendUint64(b, uint64(it.due))
	for _, n := range []uint32{it.record.segment, it.record.offset, it.content.segment, it.content.offset, it.size, it.whole} {
		b = binary.LittleEndian.AppendUint32(b, n)
	}
	b = binary.LittleEndian.AppendUint16(b, lane)
	return append(b, it.flags)
}

func parseItem(b []byte) (it item, lane int) {
	u32 := func(at int) uint32 { return binary.LittleEndian.Uint32(b[at:]) }
	return item{
		id:      key(b[:16]),
		due:     int64(binary.LittleEndian.Uint64(b[16:])),
		record:  place{u32(24), u32(28)},
		content: place{u32(32), u32(36)},
		size:    u32(40),
		whole:   u32(44),
		flags:   b[50],
	}, int(binary.LittleEndian.Uint16(b[48:]))
}

var errCheckpoint = errors.New("it is damaged")

// readCheckpoint fills the index.
func (s *Store) readCheckpoint() error {
	path := filepath.Join(s.dir, checkpointFile)
	err := s.readIndex(path)
	switch {
	case errors.Is(err, errCheckpoint):
		return fmt.Errorf("%s: %w; restore it, or move %s away to begin with an empty queue", path, err, s.dir)
	case err != nil:
		return fmt.Errorf("%s: %w", path, err)
	}
	return nil
}

func (s *Store) readIndex(path string) error {
	f, err := s.fs.Open(path, os.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	size, err := f.Size()
	if err != nil {
		return err
	}
	head := make([]byte, checkpointHead)
	if n, err := f.ReadAt(head, 0); n < len(head) {
		return ended(err)
	}
	sum := len(head) - 4
	if string(head[:len(checkpointMark)]) != checkpointMark || binary.LittleEndian.Uint32(head[sum:]) != checksum(head[:sum]) {
		return errCheckpoint
	}
	h := head[len(checkpointMark):]
	s.journal.salt = binary.LittleEndian.Uint32(h)
	s.applied = position{place{binary.LittleEndian.Uint32(h[4:]), binary.LittleEndian.Uint32(h[8:])}, binary.LittleEndian.Uint64(h[12:])}
	s.saved = saved{position: s.applied, size: size}
	return s.readBlocks(f, int64(len(head)), size)
}

// ended is what a read that came to the end means.
func ended(err error) error {
	if errors.Is(err, io.EOF) {
		return errCheckpoint
	}
	return err
}

func (s *Store) readBlocks(f disk.File, at, end int64) error {
	head := make([]byte, blockHead)
	var b []byte
	for {
		if n, err := f.ReadAt(head, at); n < len(head) {
			return ended(err)
		}
		size := int64(binary.LittleEndian.Uint32(head))
		at += blockHead
		if size > end-at {
			return errCheckpoint
		}
		b = append(b[:0], make([]byte, size)...)
		if n, err := f.ReadAt(b, at); n < len(b) {
			return ended(err)
		}
		if checksum(b) != binary.LittleEndian.Uint32(head[4:]) {
			return errCheckpoint
		}
		if size == 0 {
			return nil
		}
		if !s.loadItems(b) {
			return errCheckpoint
		}
		at += size
	}
}

// loadItems takes over a block; false if it makes no sense.
func (s *Store) loadItems(b []byte) bool {
	if len(b) < 4 {
		return false
	}
	lanes := make([]uint32, binary.LittleEndian.Uint16(b))
	n := int(binary.LittleEndian.Uint16(b[2:]))
	b = b[4:]
	for i := range lanes {
		if len(b) < 2 || len(b) < 2+int(binary.LittleEndian.Uint16(b)) {
			return false
		}
		end := 2 + int(binary.LittleEndian.Uint16(b))
		lanes[i] = s.index.lanes.named(string(b[2:end]))
		b = b[end:]
	}
	if len(b) != n*itemSize {
		return false
	}
	for ; len(b) > 0; b = b[itemSize:] {
		it, lane := parseItem(b)
		if lane >= len(lanes) {
			return false
		}
		s.loadItem(&it, lanes[lane])
	}
	return true
}

// loadItem takes over an item; the later one of two with the same ID.
func (s *Store) loadItem(it *item, lane uint32) {
	slot := s.index.find(&it.id)
	if slot == none {
		slot = s.index.add(it.id)
	} else {
		s.account(s.index.at(slot), -1)
		s.index.unschedule(slot)
	}
	to := s.index.at(slot)
	held := it.flags&flagHeld != 0
	to.due, to.record, to.content, to.size, to.whole = it.due, it.record, it.content, it.size, it.whole
	to.flags = it.flags&^flagHeld | to.flags&flagHeld
	s.index.setHeld(slot, held)
	s.index.enter(slot, lane)
	s.account(to, 1)
	s.waitAgain(slot)
}
