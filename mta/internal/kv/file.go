package kv

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/bolt"
)

// The file's buckets. A full key is the space's name, a NUL and the key.
var (
	valuesBucket = []byte("values") // full key → expiry in 8 octets, then the value
	expiryBucket = []byte("expiry") // expiry in 8 octets, then the full key → nothing; only of those that expire
	metaBucket   = []byte("meta")   //

	formatKey = []byte("format") // → formatVersion
)

const (
	formatVersion = "1"
	expirySize    = 8 // octets

	// sweepMost is how many keys one sweep takes out.
	sweepMost = 10_000

	// initialMap is how much address space the file has before it must be
	// mapped anew, for which every reader is waited for.
	initialMap = 256 << 20
)

var errFormat = errors.New("it is not a store of plugins, or that of another version of mta; move it away to begin with an empty one")

// Open opens the store in a file, which it creates if there is none. A file that
// is damaged is moved aside and a new one begun, and the log says so: what
// plugins remember is not mail, and a server that does not start is worse. The
// caller must Close it, and has Run run meanwhile.
func Open(path string, o Options) (*Store, error) {
	s := NewMemory(o)
	err := s.openFile(path)
	if errors.Is(err, bolt.ErrDamaged) {
		aside := fmt.Sprintf("%s.damaged-%s", path, s.now().UTC().Format("20060102T150405"))
		if err := os.Rename(path, aside); err != nil {
			return nil, fmt.Errorf("open the plugins' store: %w", err)
		}
		s.log.Error("the plugins' store is damaged, an empty one takes its place", "file", path, "moved_to", aside, "err", err)
		s.spaces = map[string]*Space{}
		err = s.openFile(path)
	}
	switch {
	case errors.Is(err, bolt.ErrInUse):
		return nil, fmt.Errorf("open the plugins' store: another process uses %s; stop it, or give this one a state folder of its own", path)
	case err != nil:
		return nil, fmt.Errorf("open the plugins' store: %s: %w", path, err)
	}
	return s, nil
}

func (s *Store) openFile(path string) error {
	// The freelist is written, unlike the queue's: without it the library looks
	// for free pages in a goroutine of its own, and what panics there on a
	// damaged file ends the process.
	file, err := bolt.Open(path, bbolt.Options{FreelistType: bbolt.FreelistMapType, InitialMmapSize: initialMap})
	if err != nil {
		return err
	}
	if err = file.View(s.load); errors.Is(err, errNew) {
		err = file.Update(prepare)
	}
	if err != nil {
		return errors.Join(err, file.Close())
	}
	s.file = file
	return nil
}

var errNew = errors.New("it is new")

func prepare(tx *bbolt.Tx) error {
	for _, name := range [][]byte{valuesBucket, expiryBucket, metaBucket} {
		if _, err := tx.CreateBucket(name); err != nil {
			return err
		}
	}
	return tx.Bucket(metaBucket).Put(formatKey, []byte(formatVersion))
}

// load counts what each space has.
func (s *Store) load(tx *bbolt.Tx) error {
	if k, _ := tx.Cursor().First(); k == nil {
		return errNew
	}
	meta, values := tx.Bucket(metaBucket), tx.Bucket(valuesBucket)
	if meta == nil || values == nil || tx.Bucket(expiryBucket) == nil || string(meta.Get(formatKey)) != formatVersion {
		return errFormat
	}
	return values.ForEach(func(k, v []byte) error {
		space, key, ok := bytes.Cut(k, []byte{0})
		r, valid := decode(v)
		if !ok || !valid {
			return fmt.Errorf("%w: a record of %q cannot be read", bolt.ErrDamaged, space)
		}
		sp := s.Space(string(space))
		sp.keys++
		sp.octets += r.cost(string(key))
		return nil
	})
}

func fullKey(space, key string) []byte {
	b := make([]byte, 0, len(space)+1+len(key))
	return append(append(append(b, space...), 0), key...)
}

func expiryKey(expires int64, full []byte) []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, expirySize+len(full)), uint64(expires))
	return append(b, full...)
}

func (r record) encode() []byte {
	b := binary.BigEndian.AppendUint64(make([]byte, 0, expirySize+len(r.value)), uint64(r.expires))
	return append(b, r.value...)
}

// decode does not copy the value.
func decode(v []byte) (r record, ok bool) {
	if len(v) < expirySize {
		return record{}, false
	}
	return record{value: v[expirySize:], expires: int64(binary.BigEndian.Uint64(v)), there: true}, true
}

// readFile is what the file has of a key.
func (s *Store) readFile(space, key string) (r record, err error) {
	err = s.file.View(func(tx *bbolt.Tx) error {
		v := tx.Bucket(valuesBucket).Get(fullKey(space, key))
		if v == nil {
			return nil
		}
		var ok bool
		if r, ok = decode(v); !ok {
			return bolt.ErrDamaged
		}
		r.value = bytes.Clone(r.value)
		return nil
	})
	return r, err
}

// expired calls do for up to most keys that the file says have expired.
func (s *Store) expired(now int64, most int, do func(space, key string) error) error {
	type found struct{ space, key string }
	var all []found
	err := s.file.View(func(tx *bbolt.Tx) error {
		c := tx.Bucket(expiryBucket).Cursor()
		for k, _ := c.First(); k != nil && len(all) < most; k, _ = c.Next() {
			if len(k) < expirySize || int64(binary.BigEndian.Uint64(k)) > now {
				break
			}
			space, key, _ := bytes.Cut(k[expirySize:], []byte{0})
			all = append(all, found{string(space), string(key)})
		}
		return nil
	})
	for _, f := range all {
		err = errors.Join(err, do(f.space, f.key))
	}
	return err
}

// Sweep takes out what has expired: some thousand keys of the file, or all that
// is in memory alone.
func (s *Store) Sweep() {
	now := s.now().UnixMilli()
	var err error
	if s.file != nil {
		err = s.expired(now, sweepMost, func(space, key string) error {
			sp := s.Space(space)
			sp.mu.Lock()
			defer sp.mu.Unlock()
			return sp.expire(key, now)
		})
	} else {
		for _, sp := range s.all() {
			sp.mu.Lock()
			err = errors.Join(err, sp.purge())
			sp.mu.Unlock()
		}
	}
	if err != nil {
		s.log.Warn("the plugins' store", "err", err)
	}
}

// makeRoom has whoever writes too much wait for the disk.
func (s *Store) makeRoom() error {
	if s.pending.Load() < maxPending {
		return nil
	}
	return s.Flush()
}

// Flush returns once all that was written before is on stable storage. What
// could not be written stays in memory, to be tried again.
func (s *Store) Flush() error {
	if s.file == nil {
		return nil
	}
	s.flushing.Lock()
	defer s.flushing.Unlock()
	spaces, changes := s.takePending()
	if changes == 0 {
		return nil
	}
	begun := time.Now()
	err := s.file.Update(func(tx *bbolt.Tx) error {
		for _, sp := range spaces {
			if err := sp.commit(tx); err != nil {
				return err
			}
		}
		return nil
	})
	for _, sp := range spaces {
		sp.flushed(err)
	}
	s.logFlush(err, changes, time.Since(begun))
	if err != nil {
		return fmt.Errorf("write the plugins' store: %w", err)
	}
	return nil
}

func (s *Store) logFlush(err error, changes int, took time.Duration) {
	switch {
	case err != nil && !s.failed:
		s.log.Error("the plugins' store cannot be written", "err", err)
	case err == nil && s.failed:
		s.log.Warn("the plugins' store can be written again")
	case err == nil:
		s.log.Debug("plugins' store written", slog.Int("keys", changes), slog.Duration("took", took))
	}
	s.failed = err != nil
}

// takePending makes what is pending what is flushing, in each space.
func (s *Store) takePending() (spaces []*Space, changes int) {
	spaces = s.all()
	s.pending.Store(0)
	for _, sp := range spaces {
		sp.mu.Lock()
		sp.flushing, sp.pending = sp.pending, map[string]record{}
		changes += len(sp.flushing)
		sp.mu.Unlock()
	}
	return spaces, changes
}

// commit writes what is flushing.
func (sp *Space) commit(tx *bbolt.Tx) error {
	values, expiry := tx.Bucket(valuesBucket), tx.Bucket(expiryBucket)
	for key, r := range sp.flushing {
		full := fullKey(sp.name, key)
		if old, ok := decode(values.Get(full)); ok && old.expires != 0 && old.expires != r.expires {
			if err := expiry.Delete(expiryKey(old.expires, full)); err != nil {
				return err
			}
		}
		if !r.there {
			if err := values.Delete(full); err != nil {
				return err
			}
			continue
		}
		if r.expires != 0 {
			if err := expiry.Put(expiryKey(r.expires, full), nil); err != nil {
				return err
			}
		}
		if err := values.Put(full, r.encode()); err != nil {
			return err
		}
	}
	return nil
}

// flushed ends a flush: what it could not write is pending again, unless
// something newer is.
func (sp *Space) flushed(err error) {
	sp.mu.Lock()
	defer sp.mu.Unlock()
	if err != nil {
		for key, r := range sp.flushing {
			if _, newer := sp.pending[key]; !newer {
				sp.pending[key] = r
				sp.store.pending.Add(int64(len(key)+len(r.value)) + recordCost)
			}
		}
	}
	sp.flushing = nil
}
