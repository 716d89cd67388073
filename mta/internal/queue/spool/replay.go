package spool

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"slices"
)

// A link is a segment that is to be read, from where to where.
type link struct {
	*segment
	from  int64
	limit int64  // where it ends; -1: where nothing follows
	seq   uint64 // of the first batch
}

// replay reads the log from the checkpoint on.
func (s *Store) replay() error {
	chain, err := s.chain()
	if err != nil {
		return err
	}
	for _, l := range chain {
		end, seq, err := s.replaySegment(l)
		if err != nil {
			return fmt.Errorf("%s: %w", s.journal.path(segmentName(l.number)), err)
		}
		s.applied = position{place{l.number, uint32(end)}, seq}
		s.logged += end - l.from
		s.trim(l.segment, end)
	}
	s.journal.last, s.journal.seq = s.applied.place, s.applied.seq
	return s.checkSegments()
}

// trim cuts off what is behind the end of a segment.
func (s *Store) trim(g *segment, end int64) {
	if g.end > end {
		if err := g.file.Truncate(end); err != nil {
			s.log.Warn("queue store", "err", err) // it is not looked at
		}
	}
	g.end = end
}

// chain returns the segments from the checkpoint to the end of the log, in their
// order. Each says where the one before it ends. One that nothing leads to has
// nothing in it that anybody was answered for.
func (s *Store) chain() ([]link, error) {
	start := s.applied
	openings := map[uint32]opening{}
	last := start.segment
	for n, g := range s.segments {
		if n <= start.segment || g.file == nil {
			continue
		}
		o, ok, err := g.opening(s.journal.salt)
		if ok {
			openings[n] = o
		} else if err == nil { // nothing is in it, unless the first batch is damaged
			_, _, ok, err = s.findBatch(link{segment: g, limit: -1}, 0, 0)
		}
		if err != nil {
			return nil, err
		}
		if ok {
			last = max(last, n)
		}
	}
	var chain []link
	limit := int64(-1)
	for n := last; n != start.segment; {
		g := s.segments[n]
		if g == nil || g.file == nil || n < start.segment {
			return nil, fmt.Errorf("%s is missing, and the log goes on after it; restore the file, or move %s away to begin with an empty queue", s.journal.path(segmentName(n)), s.dir)
		}
		o, ok := openings[n]
		chain = append(chain, link{segment: g, limit: limit, seq: o.seq})
		if ok {
			n, limit = o.from.segment, int64(o.from.offset)
		} else { // its first batch is damaged
			n, limit = s.before(n), -1
		}
	}
	if start.segment != 0 {
		g := s.segments[start.segment]
		if g == nil || g.file == nil {
			return nil, fmt.Errorf("%s is missing, and the log goes on in it; restore the file, or move %s away to begin with an empty queue", s.journal.path(segmentName(start.segment)), s.dir)
		}
		chain = append(chain, link{segment: g, from: int64(start.offset), limit: limit, seq: start.seq})
	}
	slices.Reverse(chain)
	return chain, nil
}

// before is the segment before one, as far as there are files.
func (s *Store) before(n uint32) uint32 {
	before := s.applied.segment
	for m, g := range s.segments {
		if m < n && g.file != nil {
			before = max(before, m)
		}
	}
	return before
}

// An opening is what the first batch of a segment says.
type opening struct {
	from place
	seq  uint64
}

// opening is false if the first batch is not whole.
func (g *segment) opening(salt uint32) (opening, bool, error) {
	info, body, ok, err := g.batch(0, salt)
	if !ok || !sound(body, info) {
		return opening{}, false, err
	}
	o, _, _, _ := parseFrame(body)
	return opening{o.from, info.seq}, o.kind == kindOpen && o.from.segment < g.number, nil
}

// batch reads what is at a place. ok is false if that is no batch's head; the
// body is nil if it is not all there.
func (g *segment) batch(at int64, salt uint32) (info batchInfo, body []byte, ok bool, err error) {
	head := make([]byte, batchHead)
	if whole, err := g.read(head, at); !whole {
		return info, nil, false, err
	}
	info, ok = parseBatchHead(head, g.number, salt)
	if !ok || at+batchHead+info.size > g.end {
		return info, nil, ok, nil
	}
	body = make([]byte, info.size)
	if whole, err := g.read(body, at+batchHead); !whole {
		return info, nil, true, err
	}
	return info, body, true, nil
}

// read fills b. That the file ends before is no error.
func (g *segment) read(b []byte, at int64) (whole bool, err error) {
	n, err := g.file.ReadAt(b, at)
	if n == len(b) {
		return true, nil
	}
	if errors.Is(err, io.EOF) {
		err = nil
	}
	return false, err
}

// sound tells whether all of a batch is as it was written.
func sound(body []byte, info batchInfo) bool {
	sum, n := uint32(0), 0
	for ; len(body) > 0; n++ {
		o, _, _, ok := parseFrame(body)
		if !ok || o.bad != 0 || int(o.whole) > len(body) {
			return false
		}
		sum = crc32.Update(sum, castagnoli, body[:frameHead])
		body = body[o.whole:]
	}
	return n == info.frames && sum == info.sum
}

// replaySegment applies the batches of one segment, and returns where they end
// and the number of the next. A batch that is not whole is damaged if another
// comes after it; else it was never answered for, and is the end.
func (s *Store) replaySegment(l link) (end int64, seq uint64, err error) {
	at, seq := l.from, l.seq
	for l.limit < 0 || at < l.limit {
		info, body, ok, err := l.batch(at, s.journal.salt)
		if err != nil {
			return 0, 0, err
		}
		if ok = ok && (info.seq == seq || seq == 0); !ok {
			info, body = batchInfo{size: 1 - batchHead, seq: seq}, nil // the next may be anywhere
		}
		behind := at + batchHead + info.size
		if body != nil && sound(body, info) {
			s.applyBatch(body, place{l.number, uint32(at) + batchHead})
			at, seq = behind, info.seq+1
			continue
		}
		next, after, more, err := s.findBatch(l, behind, info.seq)
		if err != nil {
			return 0, 0, err
		}
		if !more {
			if l.limit < 0 {
				break
			}
			next, after = l.limit, info.seq
		}
		if err := s.salvage(l.segment, at, next, body, info); err != nil {
			return 0, 0, err
		}
		at, seq = next, after
	}
	return at, seq, nil
}

// applyBatch applies the frames of a batch, as far as they can be told from each
// other; it returns how many octets and frames that were.
func (s *Store) applyBatch(body []byte, at place) (done int64, frames int) {
	for len(body) > 0 {
		o, _, _, ok := parseFrame(body)
		if !ok || int(o.whole) > len(body) {
			break
		}
		if o.bad != 0 {
			s.log.Error("queue log damaged", "queue_id", o.id.id(), "segment", segmentName(at.segment), "offset", at.offset)
		}
		o.slot = none
		s.apply(&o, at)
		at.offset += o.whole
		body = body[o.whole:]
		done, frames = done+int64(o.whole), frames+1
	}
	return done, frames
}

// findBatch looks from a place on for a batch that comes later than one.
func (s *Store) findBatch(l link, from int64, seq uint64) (next int64, number uint64, ok bool, err error) {
	mark := binary.LittleEndian.AppendUint32(nil, batchMagic)
	end := l.end
	if l.limit >= 0 {
		end = min(end, l.limit)
	}
	const step = 1 << 20
	b := make([]byte, max(0, min(step+batchHead, end-from)))
	for ; from < end; from += step {
		b := b[:min(int64(len(b)), end-from)]
		n, err := l.file.ReadAt(b, from)
		if n < len(b) && !errors.Is(err, io.EOF) {
			return 0, 0, false, err
		}
		for i := 0; i < min(n, step); i++ {
			found := bytes.Index(b[i:n], mark)
			if found < 0 {
				break
			}
			i += found
			if info, ok := parseBatchHead(b[i:n], l.number, s.journal.salt); ok && info.seq > seq {
				return from + int64(i), info.seq, true, nil
			}
		}
	}
	return 0, 0, false, nil
}

// salvage deals with a part of the log that is damaged: what of it can be told is
// applied, and all of it is kept beside the log.
func (s *Store) salvage(g *segment, from, to int64, body []byte, info batchInfo) error {
	done, frames := int64(0), 0
	if body != nil { // its head says which frames there ought to be
		done, frames = s.applyBatch(body, place{g.number, uint32(from) + batchHead})
	}
	if body != nil && done == info.size && frames == info.frames && from+batchHead+done == to {
		return nil // it has been said of which entries
	}
	octets := make([]byte, to-from)
	if n, err := g.file.ReadAt(octets, from); n < len(octets) {
		s.log.Error("queue log damaged", "segment", segmentName(g.number), "offset", from, "err", err)
	}
	path := filepath.Join(s.dir, damagedFolder, fmt.Sprintf("%s.%d", segmentName(g.number), from))
	s.log.Error("queue log damaged: changes are lost", "segment", segmentName(g.number), "offset", from,
		"octets", to-from, "read", frames, "kept", path)
	if err := s.fs.Mkdir(filepath.Dir(path)); err != nil {
		return err
	}
	f, err := s.fs.Open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		return err
	}
	_, err = f.WriteAt(octets, 0)
	if err == nil {
		err = f.Sync()
	}
	if err = errors.Join(err, f.Close()); err != nil {
		return err
	}
	return errors.Join(s.syncDir(filepath.Dir(path)), s.syncDir(s.dir))
}
