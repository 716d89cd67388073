package spool

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"hash/crc32"
	"math"
	"time"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// The log is batches, one behind the other. A batch is a head and frames; a
// frame is one change of one entry. All numbers are little-endian.
//
//	batch   magic 4, octets of the frames 4, number of frames 4, segment 4,
//	        sequence 8, checksum of the frames' heads 4, checksum of the above,
//	        and of the store's salt, 4
//	frame   kind 1, flags 1, octets of the lane 2, of the record 4, of the
//	        content 4, queue ID 16, due 8, checksum of the record 4, of the
//	        content 4, of the above with lane and place 4;
//	        lane, place (of a move and of an opening: 8), record, content
//
// The checksum in the batch's head binds it to its frames: a segment file that
// is used again has old frames behind the new, each of them sound in itself. No
// message can have a batch in it that passes for one of the log's: nobody outside
// knows the salt.
const (
	batchMagic = 0x3171746d // "mtq1"
	batchHead  = 32
	frameHead  = 48
	placeSize  = 8
)

// A kind is what a change does.
type kind byte

const (
	kindPut    kind = 1 + iota // a new entry, or another record and another content
	kindUpdate                 // another record
	kindRemove                 //
	kindAside                  // it cannot be read: held from now on
	kindMove                   // the same record and content in another place, if it is still at the one that is named
	kindOpen                   // the first of a segment: where the one before it ends
)

// Flags of an entry, in the log and in memory.
const (
	flagHeld   byte = 1 << iota
	flagFile        // the content is a file
	flagSecond      // and that is not the one that it began with: its name ends in .2
	flagAside       // its record could not be read
	flagGone        // removed for everybody, though not from the log yet; in memory only

	flagsOfContent = flagFile | flagSecond
)

// A key is a queue ID, filled up with zeros: it sorts as the ID does.
type key [16]byte

// validID tells whether an ID can be a key, and the name of a file.
func validID(id mail.QueueID) bool {
	if id == "" || len(id) > len(key{}) {
		return false
	}
	for i := range len(id) {
		c := id[i]
		if (c < '0' || c > '9') && (c < 'A' || c > 'Z') {
			return false
		}
	}
	return true
}

// toKey is the key of an ID. One that is too long is no entry's, and sorts as it
// should all the same.
func toKey(id mail.QueueID) (k key) {
	copy(k[:], id)
	return k
}

func (k *key) id() mail.QueueID {
	n := len(k)
	for n > 0 && k[n-1] == 0 {
		n--
	}
	return mail.QueueID(k[:n])
}

// noDue is the due time of an entry whose own is zero: before all others.
const noDue = math.MinInt64

func nanos(t time.Time) int64 {
	if t.IsZero() {
		return noDue
	}
	return t.UnixNano()
}

func fromNanos(n int64) time.Time {
	if n == noDue {
		return time.Time{}
	}
	return time.Unix(0, n)
}

// A place is where a frame begins.
type place struct {
	segment uint32
	offset  uint32
}

// An op is one change of one entry: what a frame says, and what memory needs to
// know beside it.
type op struct {
	kind  kind
	flags byte
	id    key
	due   int64
	lane  string
	from  place  // of a move: where the entry was; of an opening: the end of the segment before
	size  uint32 // octets of the frame up to the end of the record
	whole uint32 // octets of the frame

	slot      uint32   // of the entry, if it was there when the change was made; not in the log
	leased    *lease   // of a new entry; nil: none; not in the log
	keepLease bool     // the lease goes on; not in the log
	file      string   // the old content's file, to be unlinked once this is durable; not in the log
	bad       badFrame // what of the frame is damaged; only when it is read
}

// badFrame tells what of a frame does not have its checksum.
type badFrame byte

const (
	badRecord badFrame = 1 << iota
	badContent
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(b []byte) uint32 { return crc32.Checksum(b, castagnoli) }

// appendFrame appends the frame of o, and sets its sizes.
func appendFrame(b []byte, o *op, record, content []byte) []byte {
	start := len(b)
	b = append(b, make([]byte, frameHead)...)
	b = append(b, o.lane...)
	if o.kind == kindMove || o.kind == kindOpen {
		b = binary.LittleEndian.AppendUint32(b, o.from.segment)
		b = binary.LittleEndian.AppendUint32(b, o.from.offset)
	}
	prefix := len(b)
	b = append(b, record...)
	o.size = uint32(len(b) - start)
	b = append(b, content...)
	o.whole = uint32(len(b) - start)
	h := b[start:]
	h[0], h[1] = byte(o.kind), o.flags
	binary.LittleEndian.PutUint16(h[2:], uint16(len(o.lane)))
	binary.LittleEndian.PutUint32(h[4:], uint32(len(record)))
	binary.LittleEndian.PutUint32(h[8:], uint32(len(content)))
	copy(h[12:], o.id[:])
	binary.LittleEndian.PutUint64(h[28:], uint64(o.due))
	binary.LittleEndian.PutUint32(h[36:], checksum(record))
	binary.LittleEndian.PutUint32(h[40:], checksum(content))
	binary.LittleEndian.PutUint32(h[44:], headSum(h[:prefix-start]))
	return b
}

// headSum is the checksum of a frame's head and of what is before its record.
func headSum(prefix []byte) uint32 {
	return crc32.Update(checksum(prefix[:frameHead-4]), castagnoli, prefix[frameHead:])
}

// parseFrame reads the frame at the start of b; false if its head is not sound.
// What is behind the head may be cut off.
func parseFrame(b []byte) (o op, record, content []byte, ok bool) {
	if len(b) < frameHead {
		return o, nil, nil, false
	}
	o = op{kind: kind(b[0]), flags: b[1], id: key(b[12:28]), due: int64(binary.LittleEndian.Uint64(b[28:]))}
	prefix := frameHead + int(binary.LittleEndian.Uint16(b[2:]))
	if o.kind == kindMove || o.kind == kindOpen {
		prefix += placeSize
	}
	if len(b) < prefix || headSum(b[:prefix]) != binary.LittleEndian.Uint32(b[44:]) {
		return o, nil, nil, false
	}
	if o.kind == kindMove || o.kind == kindOpen {
		at := b[prefix-placeSize:]
		o.from = place{binary.LittleEndian.Uint32(at), binary.LittleEndian.Uint32(at[4:])}
		o.lane = string(b[frameHead : prefix-placeSize])
	} else {
		o.lane = string(b[frameHead:prefix])
	}
	size := uint64(prefix) + uint64(binary.LittleEndian.Uint32(b[4:]))
	whole := size + uint64(binary.LittleEndian.Uint32(b[8:]))
	if whole > math.MaxUint32 {
		return o, nil, nil, false
	}
	o.size, o.whole = uint32(size), uint32(whole)
	record, content = cut(b, prefix, int(o.size)), cut(b, int(o.size), int(o.whole))
	if checksum(record) != binary.LittleEndian.Uint32(b[36:]) {
		o.bad |= badRecord
	}
	if checksum(content) != binary.LittleEndian.Uint32(b[40:]) {
		o.bad |= badContent
	}
	return o, record, content, true
}

// cut is b[from:to], as far as it is there.
func cut(b []byte, from, to int) []byte {
	return b[min(from, len(b)):min(to, len(b))]
}

// putBatchHead writes the head of a batch into the first octets of b. sum is that
// of the heads of its frames.
func putBatchHead(b []byte, frames int, segment, salt uint32, seq uint64, sum uint32) {
	binary.LittleEndian.PutUint32(b, batchMagic)
	binary.LittleEndian.PutUint32(b[4:], uint32(len(b)-batchHead))
	binary.LittleEndian.PutUint32(b[8:], uint32(frames))
	binary.LittleEndian.PutUint32(b[12:], segment)
	binary.LittleEndian.PutUint64(b[16:], seq)
	binary.LittleEndian.PutUint32(b[24:], sum)
	binary.LittleEndian.PutUint32(b[28:], crc32.Update(salt, castagnoli, b[:28]))
}

// A batchInfo is what the head of a batch says.
type batchInfo struct {
	size   int64 // of the frames, in octets
	frames int
	seq    uint64
	sum    uint32
}

// parseBatchHead is false if b is not the head of a batch of that segment.
func parseBatchHead(b []byte, segment, salt uint32) (info batchInfo, ok bool) {
	if len(b) < batchHead || binary.LittleEndian.Uint32(b) != batchMagic ||
		binary.LittleEndian.Uint32(b[12:]) != segment || binary.LittleEndian.Uint32(b[28:]) != crc32.Update(salt, castagnoli, b[:28]) {
		return info, false
	}
	return batchInfo{
		size:   int64(binary.LittleEndian.Uint32(b[4:])),
		frames: int(binary.LittleEndian.Uint32(b[8:])),
		seq:    binary.LittleEndian.Uint64(b[16:]),
		sum:    binary.LittleEndian.Uint32(b[24:]),
	}, true
}

// encode makes the record of an entry.
func encode(e *queue.Entry) ([]byte, error) {
	if len(e.Lane) > math.MaxUint16 {
		return nil, fmt.Errorf("encode %s: its lane has a name of %d octets", e.ID, len(e.Lane))
	}
	record, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.ID, err)
	}
	return record, nil
}

// decode is the entry of a frame. One that cannot be decoded is a damaged entry.
func decode(o *op, record []byte) *queue.Entry {
	id := o.id.id()
	var e queue.Entry
	err := error(nil)
	if o.bad&badRecord != 0 {
		err = errChecksum
	} else if err = json.Unmarshal(record, &e); err == nil && e.ID != id {
		err = fmt.Errorf("it is of %q", e.ID)
	}
	if err != nil {
		return damaged(id, err)
	}
	e.Due = fromNanos(o.due) // exact, and without a zone
	return &e
}

// damaged is an entry whose record cannot be read.
func damaged(id mail.QueueID, why error) *queue.Entry {
	return &queue.Entry{ID: id, Held: "its record cannot be read: " + why.Error(), Damaged: true}
}
