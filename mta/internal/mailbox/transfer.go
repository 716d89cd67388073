package mailbox

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"time"
)

// Appended says where a message is now (RFC 4315, APPENDUID).
type Appended struct {
	UIDValidity uint32
	UID         UID
}

// Append stores a message in the mailbox name of account, which must exist.
// When it returns, message and UID are on stable storage. A zero date is now.
// Nothing is put on top; a bare LF reads as CRLF later.
func (s *Store) Append(account, name string, content io.Reader, flags Flags, date time.Time) (Appended, error) {
	f, err := s.folder(account, name)
	if err != nil {
		return Appended{}, err
	}
	if err := s.ensure(f, f.inbox()); err != nil {
		return Appended{}, err
	}
	var done Appended
	err = s.use(f, remember, func(b *box) error {
		d, err := s.write(f.dir, "", content, date)
		if err != nil {
			return err
		}
		if done, err = b.append(d, flags); err != nil {
			d.discard()
		}
		return err
	})
	if err != nil {
		return Appended{}, fmt.Errorf("append to %s of %s: %w", f.name, account, err)
	}
	return done, nil
}

func (b *box) append(d *draft, flags Flags) (Appended, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(remember); err != nil {
		return Appended{}, err
	}
	m, err := b.prepare(d.message("", false), flags)
	if err != nil {
		return Appended{}, err
	}
	done, err := b.take([]Message{m}, func(_ int, path string) error {
		return os.Rename(d.tmp, path)
	})
	if err != nil {
		return Appended{}, err
	}
	return Appended{b.list.validity, done[0].UID}, nil
}

// prepare gives m flags in the letters of b.
func (b *box) prepare(m Message, flags Flags) (Message, error) {
	own, err := b.keywords.have(flags.words())
	if err != nil {
		return m, err
	}
	if len(own) > 0 {
		clear(b.infos)
	}
	m.Flags = Flags{flags.System, joinKeywords(own)}
	m.info, m.inNew = b.keywords.info(m.Flags, ""), false
	return m, nil
}

// take brings messages into b: UIDs first, durably, then each file by put,
// then the folder. It returns those that put found. On error, messages that
// were put before are in b. b.mu is held.
func (b *box) take(messages []Message, put func(i int, path string) error) ([]Message, error) {
	records := make([]record, len(messages))
	for i := range messages {
		records[i] = messages[i].record()
	}
	if err := b.list.add(records); err != nil {
		return nil, err
	}
	var done []Message
	var failed error
	for i, m := range messages {
		err := put(i, b.path(&m))
		if errors.Is(err, ErrNoMessage) {
			continue
		}
		if err != nil {
			failed = err
			break
		}
		b.changed()
		m.UID, m.ModSeq = records[i].uid, b.modSeq
		place, _ := find(b.messages, m.UID) // behind all that a view has
		b.messages = slices.Insert(b.messages, place, m)
		b.index[unique(m.base)] = m.UID
		done = append(done, m)
	}
	if len(done) > 0 {
		failed = errors.Join(failed, b.store.dirs.sync(filepath.Join(b.folder.dir, "cur")))
	}
	return done, failed
}

// Copied says which message became which (RFC 4315, COPYUID): From[i] in the
// one mailbox is To[i] in the other.
type Copied struct {
	UIDValidity uint32 // of the mailbox that they are in now
	From, To    []UID
}

// Copy copies messages to the mailbox dest of the same account, with flags and
// date; those that are gone are passed over. The files are shared (hard
// links). When an error comes, some may have been copied: they are in Copied.
func (m *Mailbox) Copy(uids []UID, dest string) (Copied, error) {
	return m.transfer(uids, dest, func(from, to string) error { return os.Link(from, to) }, false)
}

// Move moves messages to the mailbox dest of the same account, each at once:
// it is in one of the two at any time. The rest is as with [Mailbox.Copy].
func (m *Mailbox) Move(uids []UID, dest string) (Copied, error) {
	return m.transfer(uids, dest, os.Rename, true)
}

func (m *Mailbox) transfer(uids []UID, dest string, put func(from, to string) error, move bool) (Copied, error) {
	s, from := m.box.store, m.box
	f, err := s.folder(from.folder.account, dest)
	if err != nil {
		return Copied{}, err
	}
	if err := s.ensure(f, f.inbox()); err != nil {
		return Copied{}, err
	}
	var done Copied
	err = s.use(f, remember, func(to *box) error {
		defer lockBoth(from, to)()
		for _, b := range []*box{from, to} {
			if err := b.refresh(remember); err != nil {
				return err
			}
		}
		var err error
		done, err = from.transfer(uids, to, put, move)
		return err
	})
	if err != nil {
		return done, fmt.Errorf("to mailbox %s: %w", f.name, err)
	}
	return done, nil
}

// transfer brings messages of b into to; both are locked.
func (b *box) transfer(uids []UID, to *box, put func(from, to string) error, move bool) (Copied, error) {
	sources, messages, err := b.copies(uids, to)
	if err != nil {
		return Copied{}, err
	}
	var moved []UID
	taken, err := to.take(messages, func(i int, path string) error {
		err := b.putFrom(sources[i], path, put)
		if err == nil {
			moved = append(moved, sources[i])
		}
		return err
	})
	done := Copied{UIDValidity: to.list.validity, From: moved}
	for i := range taken {
		done.To = append(done.To, taken[i].UID)
	}
	if move && len(moved) > 0 {
		gone := slices.Sorted(slices.Values(moved))
		b.dropUIDs(gone)
		for _, sub := range []string{"new", "cur"} {
			err = errors.Join(err, b.store.dirs.sync(filepath.Join(b.folder.dir, sub)))
		}
	}
	return done, err
}

// copies makes the messages that are to be in to.
func (b *box) copies(uids []UID, to *box) (sources []UID, messages []Message, err error) {
	for _, uid := range uids {
		place, ok := find(b.messages, uid)
		if !ok {
			continue
		}
		m := b.messages[place]
		octets, withCRLF := sizesIn(m.base)
		m.base = b.store.name.next(b.store.now())
		if withCRLF == m.Size {
			m.base = fmt.Sprintf("%s,S=%d,W=%d", m.base, octets, withCRLF)
		}
		if m, err = to.prepare(m, m.Flags); err != nil {
			return nil, nil, err
		}
		sources, messages = append(sources, uid), append(messages, m)
	}
	return sources, messages, nil
}

// putFrom calls put with the file of a message, wherever it is by now.
func (b *box) putFrom(uid UID, to string, put func(from, to string) error) error {
	for try := 1; ; try++ {
		place, ok := find(b.messages, uid)
		if !ok {
			return ErrNoMessage
		}
		err := put(b.path(&b.messages[place]), to)
		if err == nil || !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if try > renameTries {
			return ErrNoMessage
		}
		if err := b.refresh(look); err != nil {
			return err
		}
	}
}
