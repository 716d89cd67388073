package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// A box is what the process knows of one mailbox. There is one for each that
// is open, and for some that were lately (idleMessages).
//
// It is new, then loaded (the UID list and the folders were read), and at last
// gone, when the mailbox is deleted or renamed; a box that is gone fails every
// call, and a mailbox of the same name gets another box.
type box struct {
	store    *Store
	folder   folder
	maildrop sync.Mutex   // the lock of POP3
	refs     int          // guarded by store.mu
	count    atomic.Int64 // of messages, at the last view

	mu       sync.Mutex // guards what follows; two boxes are locked in the order of their dirs
	gone     bool
	list     *uidList // nil: not loaded
	keywords keywords
	messages []Message      // by UID
	shared   bool           // a view has messages: copy before a change, appending is free
	index    map[string]UID // of messages, by the unique part of their names
	infos    map[string]Flags
	modSeq   uint64
	current  *View // nil: changed since
	scan     scanState
	full     bool // the last messages got no UIDs

	arrivedMu sync.Mutex // guards arrived; taken with or without mu
	arrived   []Message  // delivered by this process and not in messages yet; without UID

	watchMu  sync.Mutex // guards what follows
	watches  map[*Watch]struct{}
	stopPoll chan struct{} // nil: no poller runs
}

// A scanState is what the folders looked like when they were last read.
type scanState struct {
	at       time.Time // when the reading began
	new, cur stamp
}

// A stamp changes with what it is of: a folder when a name comes or goes.
type stamp struct {
	mtime time.Time
	inode uint64
	size  int64
}

func stampOf(name string) (stamp, error) {
	info, err := os.Stat(name)
	if err != nil {
		return stamp{}, err
	}
	return stamp{info.ModTime(), inodeOf(info), info.Size()}, nil
}

// inodeOf tells one folder from the next one of its name.
func inodeOf(info os.FileInfo) uint64 {
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		return uint64(st.Ino)
	}
	return 0
}

// How carefully view looks at the disk.
type care int

const (
	remember care = iota // not at all
	glance               // if some time went by
	look                 // yes
)

const (
	// glancePause is how often glances read the folders of a mailbox that
	// changes all the time.
	glancePause = time.Second
	// grain is how long a folder must not have changed before its time stamp
	// is believed: two changes within the clock's grain have the same (FAT: 2
	// s; ext4: 4 ms).
	grain = 3 * time.Second
)

// view returns the mailbox as it is.
func (b *box) view(c care) (*View, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(c); err != nil {
		return nil, err
	}
	if b.current == nil {
		names, more := b.keywords.list()
		b.current = &View{
			UIDValidity: b.list.validity, UIDNext: b.list.next, ModSeq: b.modSeq,
			Messages: b.messages[:len(b.messages):len(b.messages)], Keywords: names, MoreKeywords: more,
		}
		b.shared = true
		b.count.Store(int64(len(b.messages)))
	}
	return b.current, nil
}

// refresh brings b up to date. b.mu is held.
func (b *box) refresh(c care) error {
	if b.gone {
		return ErrNoMailbox
	}
	if b.list == nil {
		if err := b.load(); err != nil {
			return err
		}
		c = look
	}
	b.later(b.admit())
	if c == remember || c == glance && b.store.since(b.scan.at) < glancePause {
		return nil
	}
	return b.rescan()
}

// later notes that messages could not be given UIDs, most often because the
// disk is full. Those that have theirs can be read, and removed to make room;
// the others are found again by a later look.
func (b *box) later(err error) {
	if err != nil && !b.full {
		b.store.log.Error("new messages are not listed yet", "account", b.folder.account, "mailbox", b.folder.name, "err", err)
	}
	if err != nil {
		b.scan = scanState{}
	}
	b.full = err != nil
}

// load reads the UID list. What it says is taken for true until the folders
// are read, which follows at once.
func (b *box) load() error {
	s := b.store
	list, records, err := s.readUIDList(b.folder.dir)
	switch {
	case errors.Is(err, os.ErrNotExist) || errors.Is(err, errBadList):
		if records, err = s.startList(b, list, err); err != nil {
			return err
		}
	case err != nil:
		return fmt.Errorf("read UID list: %w", err)
	}
	b.keywords = s.keywords(b.folder.dir)
	if _, err := b.keywords.read(); err != nil {
		return fmt.Errorf("read keywords: %w", err)
	}
	b.messages = make([]Message, len(records))
	b.index = make(map[string]UID, len(records))
	b.infos = map[string]Flags{}
	b.shared, b.current, b.modSeq, b.scan = false, nil, 1, scanState{}
	for i, r := range records {
		b.messages[i] = Message{UID: r.uid, ModSeq: 1, Size: r.size, Date: time.Unix(r.date, 0), base: r.base}
		b.index[unique(r.base)] = r.uid
	}
	b.list = list
	b.store.cleanTmp(b.folder.dir)
	return nil
}

// startList makes the list of a mailbox that has none, or none to be read. It
// begins with the UIDs that Dovecot gave, if that had the mailbox before.
func (s *Store) startList(b *box, list *uidList, why error) ([]record, error) {
	if !isMaildir(b.folder.dir) {
		b.gone = true
		return nil, ErrNoMailbox
	}
	if errors.Is(why, errBadList) {
		s.log.Warn("UID list is void, messages get new UIDs", "account", b.folder.account, "mailbox", b.folder.name, "err", why)
	}
	var messages []Message
	list.validity, list.next = 0, 1
	if errors.Is(why, os.ErrNotExist) {
		messages = b.takeOver(list)
	}
	if list.validity == 0 {
		list.validity = s.newValidity()
	}
	records := make([]record, len(messages))
	for i := range messages {
		records[i] = messages[i].record()
	}
	return records, list.write(messages)
}

// changing tells b that its messages are about to be changed in place.
func (b *box) changing() {
	if b.shared {
		b.messages, b.shared = slices.Clone(b.messages), false
	}
	b.changed()
}

// changed tells b that its messages differ from those of the last view, and
// whoever watches. Until the next view, one time is enough.
func (b *box) changed() {
	if b.current != nil {
		b.current = nil
		b.modSeq++
		b.notify()
	}
}

// flagsOf reads a suffix; the same suffix costs nothing the second time.
func (b *box) flagsOf(info string) Flags {
	f, ok := b.infos[info]
	if !ok {
		f = b.keywords.flags(info)
		b.infos[info] = f
	}
	return f
}

func find(messages []Message, uid UID) (place int, ok bool) {
	return slices.BinarySearchFunc(messages, uid, func(m Message, uid UID) int {
		return int(int64(m.UID) - int64(uid))
	})
}

// path is where the message is.
func (b *box) path(m *Message) string {
	if m.inNew {
		return filepath.Join(b.folder.dir, "new", m.base+m.info)
	}
	return filepath.Join(b.folder.dir, "cur", m.base+m.info)
}

// admit takes in what was delivered through this store, without a look at the
// disk. b.mu is held.
func (b *box) admit() error {
	b.arrivedMu.Lock()
	arrived := b.arrived
	b.arrived = nil
	b.arrivedMu.Unlock()
	fresh := arrived[:0]
	for _, m := range arrived {
		if _, ok := b.index[unique(m.base)]; !ok { // a scan may have seen it
			fresh = append(fresh, m)
		}
	}
	return b.add(fresh)
}

// add gives UIDs to messages that are on the disk. b.mu is held.
func (b *box) add(messages []Message) error {
	if len(messages) == 0 {
		return nil
	}
	records := make([]record, len(messages))
	for i := range messages {
		records[i] = messages[i].record()
	}
	err := b.list.add(records)
	if errors.Is(err, os.ErrNotExist) { // someone removed the folder, and a delivery made it anew
		if err = b.list.write(b.messages); err == nil {
			err = b.list.add(records)
		}
	}
	if err != nil {
		return err
	}
	b.changed()
	for i, m := range messages {
		m.UID, m.ModSeq = records[i].uid, b.modSeq
		m.Flags = b.flagsOf(m.info)
		b.messages = append(b.messages, m)
		b.index[unique(m.base)] = m.UID
	}
	return nil
}

// drop forgets messages that are not on the disk any more. b.mu is held.
func (b *box) drop(gone func(*Message) bool) {
	kept := make([]Message, 0, len(b.messages))
	for i := range b.messages {
		if m := &b.messages[i]; gone(m) {
			if key := unique(m.base); b.index[key] == m.UID { // it may have come back as another message
				delete(b.index, key)
			}
		} else {
			kept = append(kept, *m)
		}
	}
	b.changed()
	b.messages, b.shared = kept, false
	if b.list.lines > len(kept)+max(len(kept), deadLines) {
		if err := b.list.write(kept); err != nil {
			b.store.log.Warn("UID list is not made shorter", "account", b.folder.account, "mailbox", b.folder.name, "err", err)
		}
	}
}
