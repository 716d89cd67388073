package spool

import (
	"errors"
	"fmt"
	"hash/crc32"
	"sync"
	"syscall"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

const (
	// segmentSize is how large a file of the log becomes, in octets.
	segmentSize = 64 << 20

	// lazyRoom is what of a segment, in octets, new messages leave to removals:
	// those can be written down on a full disk, and make room.
	lazyRoom = 1 << 20
)

// An appendLog writes batches to segments. Only who leads a commit uses it, but
// for what mu guards.
type appendLog struct {
	fs          disk.FS
	dir         string // where the segments are
	noSync      bool
	segmentSize int64
	salt        uint32 // of the store's batches

	current *segment // nil: the next batch begins one
	size    int64    // of its file
	offset  int64    // where the next batch goes
	last    place    // the end of the last batch that is durable
	number  uint32   // of the last segment that was begun
	seq     uint64   // of the next batch
	buffer  []byte
	begun   func(*segment)        // tells the Store of a new segment
	sealed  func(*segment, int64) // and of the end of one

	mu     sync.Mutex // guards what follows; not held during I/O
	doubt  error      // a sync failed, and what it was of may be there or not; nil: none
	full   bool       // there was no room for a segment
	spares []spare
}

// What a write did: where its first frame is, where the next batch goes, and
// whether it began a segment.
type written struct {
	first  place
	end    position // zero: nothing was written
	octets int64
	begun  bool
}

// write appends the changes of a batch and makes them durable: all of them or, on
// error, none, unless a sync failed and the process dies before the next batch.
func (l *appendLog) write(batch []*change) (w written, err error) {
	size, frames, lazy := 0, 0, true
	for _, c := range batch {
		size += len(c.frames)
		frames += len(c.ops)
		lazy = lazy && (c.lazy || len(c.ops) == 0)
	}
	if frames == 0 && l.inDoubt() == nil {
		return w, nil
	}
	if err := l.makeRoom(int64(size), lazy); err != nil {
		return w, fmt.Errorf("write the log of the queue: %w", err)
	}
	b := append(l.buffer[:0], make([]byte, batchHead)...)
	var sum uint32
	if w.begun = l.offset == 0; w.begun {
		b = appendFrame(b, &op{kind: kindOpen, from: l.last}, nil, nil)
		sum = crc32.Update(sum, castagnoli, b[batchHead:batchHead+frameHead])
		frames++
	}
	w.first = place{l.current.number, uint32(l.offset) + uint32(len(b))}
	for _, c := range batch {
		at := uint32(0)
		for i := range c.ops {
			sum = crc32.Update(sum, castagnoli, c.frames[at:at+frameHead])
			at += c.ops[i].whole
		}
		b = append(b, c.frames...)
	}
	putBatchHead(b, frames, l.current.number, l.salt, l.seq, sum)
	if l.buffer = b; cap(b) > 2*maxBatchSize {
		l.buffer = nil
	}
	err = l.append(b)
	w.end, w.octets = position{l.last, l.seq}, int64(len(b))
	return w, err
}

// append writes a batch, and makes it durable.
func (l *appendLog) append(b []byte) error {
	if _, err := l.current.file.WriteAt(b, l.offset); err != nil {
		return fmt.Errorf("write the log of the queue: %w", err) // the next one is written over it
	}
	if err := l.sync(l.current.file); err != nil {
		err = fmt.Errorf("sync the log of the queue: %w", err)
		l.mu.Lock()
		l.doubt = err
		l.mu.Unlock()
		l.seal()
		return err
	}
	l.mu.Lock()
	l.doubt = nil
	l.mu.Unlock()
	l.offset += int64(len(b))
	l.last = place{l.current.number, uint32(l.offset)}
	l.seq++
	return nil
}

// inDoubt is the error of a sync, as long as it is not known what became of what
// it was of. The next batch settles that: it goes to another segment, which says
// where this one ends.
func (l *appendLog) inDoubt() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.doubt
}

// isFull tells whether there was no room on the disk for a segment.
func (l *appendLog) isFull() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.full
}

// makeRoom sees to it that there is a segment, with room for a batch.
func (l *appendLog) makeRoom(size int64, lazy bool) error {
	size += 2*batchHead + 2*frameHead
	left := l.size - l.offset
	if !lazy {
		left -= l.lazyRoom()
	}
	if l.current != nil && (l.offset == 0 || size <= left) {
		return nil
	}
	f, err := l.create(l.number+1, max(l.segmentSize, size+l.lazyRoom()))
	l.mu.Lock()
	l.full = errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT)
	l.mu.Unlock()
	l.number++ // one that may be there in part is left to the next Open
	if err != nil {
		return err
	}
	l.seal()
	l.size, err = f.Size()
	if err != nil {
		return errors.Join(err, f.Close())
	}
	l.current, l.offset = &segment{number: l.number, file: f}, 0
	l.begun(l.current)
	return nil
}

func (l *appendLog) lazyRoom() int64 { return min(lazyRoom, l.segmentSize/8) }

// seal ends the current segment.
func (l *appendLog) seal() {
	if l.current != nil {
		l.sealed(l.current, l.offset)
		l.current = nil
	}
}

func (l *appendLog) sync(f disk.File) error {
	if l.noSync {
		return nil
	}
	return f.Sync()
}

func (l *appendLog) syncDir() error {
	if l.noSync {
		return nil
	}
	return l.fs.SyncDir(l.dir)
}
