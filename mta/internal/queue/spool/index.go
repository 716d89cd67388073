package spool

import (
	"encoding/binary"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

// Buckets of the index.
var (
	entriesBucket = []byte("entries") // queue ID → record
	dueBucket     = []byte("due")     // when it is due, then the queue ID → nothing; not of held ones
	contentBucket = []byte("content") // queue ID → content, if it is small
	metaBucket    = []byte("meta")    //

	formatKey = []byte("format") // → formatVersion
	countsKey = []byte("counts") // → entries, then held ones, 8 octets each
)

const formatVersion = "1"

// errNew says of an index that nothing is in it yet.
var errNew = errors.New("it is new")

// check refuses an index of another format.
func check(tx *bbolt.Tx) error {
	meta := tx.Bucket(metaBucket)
	if meta == nil {
		if k, _ := tx.Cursor().First(); k != nil {
			return errors.New("it is not a queue")
		}
		return errNew
	}
	if got := string(meta.Get(formatKey)); got != formatVersion {
		return fmt.Errorf("its format is %q and this mta knows %q; run the mta that wrote it until the queue is empty", got, formatVersion)
	}
	for _, name := range [][]byte{entriesBucket, dueBucket, contentBucket} {
		if tx.Bucket(name) == nil {
			return fmt.Errorf("it has no %q and is damaged", name)
		}
	}
	return nil
}

// prepare fills a new index.
func prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{entriesBucket, dueBucket, contentBucket, metaBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(formatKey, []byte(formatVersion))
}

// A record is what the index keeps of an entry: flags, when it is due, and the
// entry as JSON. What comes before the JSON can be read when that is damaged.
type record []byte

const (
	flagHeld   byte = 1 << iota
	flagFile        // the content is a file
	flagSecond      // and that is not the one that it began with: its name ends in .2

	recordHead = 1 + 8
)

func newRecord(e *queue.Entry, file bool) (record, error) {
	octets, err := json.Marshal(e)
	if err != nil {
		return nil, fmt.Errorf("encode %s: %w", e.ID, err)
	}
	r := make(record, recordHead, recordHead+len(octets))
	if e.Held != "" {
		r[0] |= flagHeld
	}
	if file {
		r[0] |= flagFile
	}
	binary.BigEndian.PutUint64(r[1:], sortable(e.Due))
	return append(r, octets...), nil
}

// sortable is a time as a number that sorts as times do. The zero time is the
// first of all.
func sortable(t time.Time) uint64 {
	if t.IsZero() {
		return 0
	}
	return uint64(t.UnixNano()) ^ 1<<63
}

func fromSortable(n uint64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, int64(n^1<<63))
}

func (r record) valid() bool  { return len(r) > recordHead }
func (r record) held() bool   { return r.valid() && r[0]&flagHeld != 0 }
func (r record) inFile() bool { return r.valid() && r[0]&flagFile != 0 }

// file is the name of the content's file; empty if it is not in one.
func (r record) file(id mail.QueueID) string {
	switch {
	case !r.inFile():
		return ""
	case r[0]&flagSecond != 0:
		return string(id) + second
	}
	return string(id)
}

func (r record) due() time.Time {
	if !r.valid() {
		return time.Time{}
	}
	return fromSortable(binary.BigEndian.Uint64(r[1:]))
}

// entry decodes r. One that cannot be decoded is a damaged entry.
func (r record) entry(id mail.QueueID) *queue.Entry {
	var e queue.Entry
	err := errors.New("it is too short")
	if r.valid() {
		err = json.Unmarshal(r[recordHead:], &e)
	}
	if err == nil && e.ID != id {
		err = fmt.Errorf("it is of %q", e.ID)
	}
	if err != nil {
		return &queue.Entry{ID: id, Held: "its record cannot be read: " + err.Error(), Damaged: true}
	}
	e.Due = r.due() // exact, and without a zone
	return &e
}

func dueKey(due time.Time, id mail.QueueID) []byte {
	k := make([]byte, 8, 8+len(id))
	binary.BigEndian.PutUint64(k, sortable(due))
	return append(k, id...)
}

func parseDueKey(k []byte) (time.Time, mail.QueueID) {
	return fromSortable(binary.BigEndian.Uint64(k)), mail.QueueID(k[8:])
}

// buckets are those of one transaction that writes.
type buckets struct {
	entries, due, content, meta *bbolt.Bucket
	count, held                 int64
}

func openBuckets(tx *bbolt.Tx) *buckets {
	b := &buckets{
		entries: tx.Bucket(entriesBucket),
		due:     tx.Bucket(dueBucket),
		content: tx.Bucket(contentBucket),
		meta:    tx.Bucket(metaBucket),
	}
	b.count, b.held = counts(b.meta)
	return b
}

// loadCounts reads what the last commit of another process left.
func (s *Store) loadCounts(tx *bbolt.Tx) error {
	s.count, s.held = counts(tx.Bucket(metaBucket))
	return nil
}

func counts(meta *bbolt.Bucket) (count, held int64) {
	if v := meta.Get(countsKey); len(v) == 16 {
		return int64(binary.BigEndian.Uint64(v)), int64(binary.BigEndian.Uint64(v[8:]))
	}
	return 0, 0
}

func (b *buckets) writeCounts() error {
	v := binary.BigEndian.AppendUint64(nil, uint64(b.count))
	v = binary.BigEndian.AppendUint64(v, uint64(b.held))
	return b.meta.Put(countsKey, v)
}

// apply makes one change. The error it returns is the whole commit's; what
// concerns c alone is in c.err.
func (b *buckets) apply(c *change) error {
	switch c.kind {
	case putEntry:
		return b.put(c)
	case together:
		return b.together(c)
	case replaceEntry:
		return b.replace(c)
	case updateEntry:
		return b.update(c)
	case removeEntry:
		return b.remove(c)
	case setAside:
		return b.setAside(c)
	}
	return nil
}

func (b *buckets) put(c *change) error {
	key := []byte(c.id)
	if b.entries.Get(key) != nil {
		c.err = queue.ErrExists
		return nil
	}
	b.count++
	if c.content != nil {
		if err := b.content.Put(key, c.content); err != nil {
			return err
		}
	}
	return b.write(key, c)
}

// write puts down the record of c, and when it is due.
func (b *buckets) write(key []byte, c *change) error {
	if c.record.held() {
		b.held++
	} else if err := b.due.Put(dueKey(c.record.due(), c.id), nil); err != nil {
		return err
	}
	return b.entries.Put(key, c.record)
}

// forget undoes write. It does not touch the record.
func (b *buckets) forget(id mail.QueueID, old record) error {
	if old.held() {
		b.held--
		return nil
	}
	return b.due.Delete(dueKey(old.due(), id))
}

func (b *buckets) update(c *change) error {
	key := []byte(c.id)
	old := record(b.entries.Get(key))
	if old == nil {
		c.err = queue.ErrLease
		return nil
	}
	if err := b.forget(c.id, old); err != nil {
		return err
	}
	const place = flagFile | flagSecond
	c.record[0] = c.record[0]&^place | old[0]&place
	return b.write(key, c)
}

// replace is update with another content, in another place.
func (b *buckets) replace(c *change) error {
	key := []byte(c.id)
	old := record(b.entries.Get(key))
	if old == nil {
		c.err = queue.ErrLease
		return nil
	}
	c.file = old.file(c.id)
	if err := b.forget(c.id, old); err != nil {
		return err
	}
	err := b.content.Delete(key)
	if err == nil && c.content != nil {
		err = b.content.Put(key, c.content)
	}
	if err != nil {
		return err
	}
	return b.write(key, c)
}

func (b *buckets) remove(c *change) error {
	key := []byte(c.id)
	old := record(b.entries.Get(key))
	if old == nil {
		return nil
	}
	b.count--
	if err := b.forget(c.id, old); err != nil {
		return err
	}
	if c.file = old.file(c.id); c.file != "" {
		// it is unlinked once this is on the disk
	} else if err := b.content.Delete(key); err != nil {
		return err
	}
	return b.entries.Delete(key)
}

// setAside takes an entry that cannot be read off the schedule. Its record stays
// as it is, for whoever can repair it, but for the flag.
func (b *buckets) setAside(c *change) error {
	key := []byte(c.id)
	old := record(b.entries.Get(key))
	if err := b.due.Delete(c.due); err != nil {
		return err
	}
	if !old.valid() || old.held() {
		return nil
	}
	b.held++
	kept := append(record(nil), old...)
	kept[0] |= flagHeld
	return b.entries.Put(key, kept)
}
