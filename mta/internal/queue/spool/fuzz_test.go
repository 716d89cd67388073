package spool

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// FuzzReplay opens a store whose log is any octets at all, behind a checkpoint that
// is sound. It does not panic and does not take more memory than the log has
// octets, but for a little; what it makes of the log it makes of it again when it
// is opened next, and the upkeep changes nothing of it. With mended the octets are
// frames that are put right first and made batches of, so that what they say comes
// through.
func FuzzReplay(f *testing.F) {
	empty := emptyQueue(f)
	log := someLog(f, empty)
	f.Add(log, false, uint16(0))
	f.Add(log[:len(log)-5], false, uint16(0))
	f.Add(append(log[:len(log)/2:len(log)/2], log[len(log)/2+1:]...), false, uint16(0))
	f.Add([]byte{}, false, uint16(0))
	f.Add(frames(op{kind: kindPut, id: toKey("0A"), lane: "x"}, op{kind: kindRemove, id: toKey("0A")}), true, uint16(100))
	f.Add(frames(op{kind: kindPut, id: toKey("0A"), flags: flagFile | flagHeld}, op{kind: kindAside, id: toKey("0A")}), true, uint16(0))
	f.Add(frames(op{kind: kindMove, id: toKey("0A"), from: place{1, 0}}, op{kind: kindOpen, from: place{1, 0}}), true, uint16(0))
	holds(f, withLog(f, empty, log), 4)
	holds(f, withLog(f, empty, mend(frames(op{kind: kindPut, id: toKey("0A")}, op{kind: kindPut, id: toKey("0B")}), 0)), 2)
	endless := frames(op{kind: kindUpdate, id: toKey("0A")})
	binary.LittleEndian.PutUint32(endless[4:], ^uint32(0)) // its octets are more than can be counted
	f.Add(endless, true, uint16(0))
	f.Fuzz(func(t *testing.T, log []byte, mended bool, every uint16) {
		if mended {
			log = mend(log, int(every))
		}
		d := withLog(t, empty, log)
		d.Fail(func(c faultdisk.Call) error {
			if c.Op == faultdisk.Read && c.Size > len(log)+1<<10 {
				t.Errorf("%d octets of %s are read at once; the log has %d", c.Size, c.Path, len(log))
			}
			return nil
		})
		first, err := OpenWith(crashDir, small(d))
		if err != nil {
			return
		}
		before := all(t, first)
		if err := first.Upkeep(); err != nil {
			t.Fatal(err)
		}
		if after := all(t, first); after != before {
			t.Fatalf("the upkeep made\n%sof\n%s", after, before)
		}
		if err := first.Close(); err != nil {
			t.Fatal(err)
		}
		again, err := OpenWith(crashDir, small(d))
		if err != nil {
			t.Fatalf("it was opened, and is not opened again: %v", err)
		}
		if after := all(t, again); after != before {
			t.Fatalf("opened again it has\n%snot\n%s", after, before)
		}
		if _, err := again.Claim(t.Context(), time.Now(), time.Now().Add(time.Minute), 10, nil); err != nil {
			t.Fatal(err)
		}
		if err := again.Close(); err != nil {
			t.Fatal(err)
		}
	})
}

// fuzzSalt is the salt of the stores here: what the fuzzer keeps has to mean the
// same in its next run.
const fuzzSalt = 42

func small(d *faultdisk.Disk) Options {
	return Options{FS: d, SegmentSize: 8 << 10, ManualUpkeep: true}
}

// emptyQueue is a disk with a store in which nothing ever was.
func emptyQueue(f *testing.F) *faultdisk.Disk {
	d := newDisk(f)
	s, err := OpenWith(crashDir, small(d))
	if err != nil {
		f.Fatal(err)
	}
	s.journal.salt = fuzzSalt
	if err := s.Close(); err != nil { // which writes the checkpoint anew
		f.Fatal(err)
	}
	return d
}

// withLog is a copy of a disk that has one segment more.
func withLog(t testing.TB, d *faultdisk.Disk, log []byte) *faultdisk.Disk {
	t.Helper()
	d = d.Reopen(faultdisk.Killed, nil)
	file, err := d.Open(filepath.Join(crashDir, logFolder, segmentName(1)), os.O_RDWR|os.O_CREATE)
	if err == nil {
		_, err = file.WriteAt(log, 0)
	}
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// someLog is the first segment of a store that did some of everything.
func someLog(f *testing.F, empty *faultdisk.Disk) []byte {
	w := newWorld(f)
	if !w.open(empty.Reopen(faultdisk.Killed, nil)) {
		f.Fatal(w.ended)
	}
	a := w.put(3, 300, "")
	w.update(a[0], "wait")
	w.conclude(a[1], 1)
	w.put(1, maxInline+1, "")
	w.replace(a[2], 500, 0)
	if w.ended != nil {
		f.Fatal(w.ended)
	}
	g := w.s.segments[1]
	log := make([]byte, w.s.journal.offset)
	if _, err := g.file.ReadAt(log, 0); err != nil {
		f.Fatal(err)
	}
	return log
}

// holds has the seeds be of some use: they are read as they ought to be.
func holds(f *testing.F, d *faultdisk.Disk, entries int) {
	s, err := OpenWith(crashDir, small(d))
	if err != nil {
		f.Fatal(err)
	}
	if got := all(f, s); strings.Count(got, "\n") != entries || strings.Contains(got, "damaged true") {
		f.Fatalf("of %d entries are read\n%.300s", entries, got)
	}
}

// frames are a batch's, with a record each that says little.
func frames(ops ...op) (b []byte) {
	for i := range ops {
		record, err := encode(&queue.Entry{ID: ops[i].id.id()})
		if err != nil {
			panic(err)
		}
		b = appendFrame(b, &ops[i], record, []byte("content"))
	}
	return b
}

// mend makes a log of the frames in b, with so many octets of them in a batch;
// zero: with all. Before them comes the opening that a log begins with.
func mend(b []byte, every int) (log []byte) {
	b = append(appendFrame(nil, &op{kind: kindOpen}, nil, nil), b...)
	for seq := uint64(1); len(b) > 0; seq++ {
		n := len(b)
		if every > 0 {
			n = min(n, every+frameHead)
		}
		batch := append(make([]byte, batchHead), b[:n]...)
		count, sum := mendFrames(batch[batchHead:])
		putBatchHead(batch, count, 1, fuzzSalt, seq, sum)
		log, b = append(log, batch...), b[n:]
	}
	return log
}

// mendFrames puts right the checksums of frames, and lengths that go beyond the
// end unless they are beyond all measure. It returns what their batch says of them.
func mendFrames(b []byte) (count int, sum uint32) {
	for len(b) >= frameHead {
		prefix := frameHead
		if k := kind(b[0]); k == kindMove || k == kindOpen {
			prefix += placeSize
		}
		if prefix > len(b) {
			break
		}
		lane := min(int(binary.LittleEndian.Uint16(b[2:])), len(b)-prefix)
		binary.LittleEndian.PutUint16(b[2:], uint16(lane))
		prefix += lane
		record := mendLength(b[4:], len(b)-prefix)
		content := mendLength(b[8:], len(b)-prefix-record)
		binary.LittleEndian.PutUint32(b[36:], checksum(cut(b, prefix, prefix+record)))
		binary.LittleEndian.PutUint32(b[40:], checksum(cut(b, prefix+record, prefix+record+content)))
		binary.LittleEndian.PutUint32(b[44:], headSum(b[:prefix]))
		sum = crc32.Update(sum, castagnoli, b[:frameHead])
		count++
		b = b[min(prefix+record+content, len(b)):]
	}
	return count, sum
}

// mendLength cuts a length to what is left.
func mendLength(b []byte, left int) int {
	n := binary.LittleEndian.Uint32(b)
	if n>>31 == 0 {
		n = uint32(min(int(n), max(left, 0)))
		binary.LittleEndian.PutUint32(b, n)
	}
	return int(n)
}

// all is what a store has: a line for each entry, with its content.
func all(t testing.TB, s *Store) string {
	t.Helper()
	entries, err := s.List(t.Context(), time.Now(), queue.Filter{}, "", 1000)
	if err != nil {
		t.Fatal(err)
	}
	var b strings.Builder
	for _, e := range entries {
		content, err := readContent(s, e.ID)
		fmt.Fprintf(&b, "%s due %d held %t lane %q damaged %t: %q, %t\n", e.ID, nanos(e.Due), e.Held != "", e.Lane, e.Damaged, content, err != nil)
	}
	return b.String()
}
