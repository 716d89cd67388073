package mailbox

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// SetFlags changes the flags of the messages uids, those that are there, and
// returns them as they are now. New keywords are ErrKeywords where there is no
// room for them, and then nothing changes. Flags reach the disk with the
// system's next write-back: a loss of power may undo those of the last
// seconds.
func (m *Mailbox) SetFlags(uids []UID, change FlagChange, flags Flags) ([]Message, error) {
	b := m.box
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(remember); err != nil {
		return nil, err
	}
	if change != RemoveFlags {
		own, err := b.keywords.have(flags.words())
		if err != nil {
			return nil, err
		}
		if len(own) > 0 {
			clear(b.infos) // a letter that meant nothing may mean something now
			b.changed()
		}
		flags.Keywords = joinKeywords(own)
	}
	result := make([]Message, 0, len(uids))
	for _, uid := range uids {
		msg, err := b.setFlags(uid, change, flags)
		if errors.Is(err, ErrNoMessage) {
			continue
		}
		if err != nil {
			return result, fmt.Errorf("set flags: %w", err)
		}
		result = append(result, msg)
	}
	return result, nil
}

func (b *box) setFlags(uid UID, change FlagChange, flags Flags) (Message, error) {
	for try := 1; ; try++ {
		place, ok := find(b.messages, uid)
		if !ok {
			return Message{}, ErrNoMessage
		}
		m := &b.messages[place]
		wanted := change.apply(m.Flags, flags)
		if wanted == m.Flags {
			return *m, nil
		}
		info := b.keywords.info(wanted, m.info)
		err := os.Rename(b.path(m), filepath.Join(b.folder.dir, "cur", m.base+info))
		if err == nil {
			b.changing()
			m = &b.messages[place]
			m.Flags, m.ModSeq, m.info, m.inNew = wanted, b.modSeq, info, false
			return *m, nil
		}
		if !errors.Is(err, os.ErrNotExist) || try > renameTries {
			return Message{}, err
		}
		if err := b.refresh(look); err != nil { // another program renamed or removed it
			return Message{}, err
		}
	}
}

// Expunge removes messages for good, whatever their flags, and returns the
// UIDs of those that were there.
func (m *Mailbox) Expunge(uids []UID) ([]UID, error) {
	b := m.box
	b.mu.Lock()
	defer b.mu.Unlock()
	if err := b.refresh(remember); err != nil {
		return nil, err
	}
	var removed []UID
	var failed error
	touched := map[string]bool{}
	for _, uid := range slices.Compact(slices.Sorted(slices.Values(uids))) {
		dir, err := b.remove(uid)
		if errors.Is(err, ErrNoMessage) {
			continue
		}
		if err != nil {
			failed = fmt.Errorf("expunge: %w", err)
			break
		}
		touched[dir] = true
		removed = append(removed, uid)
	}
	b.dropUIDs(removed)
	for dir := range touched {
		if err := b.store.dirs.sync(dir); err != nil && failed == nil {
			failed = fmt.Errorf("expunge: %w", err)
		}
	}
	return removed, failed
}

// dropUIDs forgets messages; uids ascend.
func (b *box) dropUIDs(uids []UID) {
	if len(uids) == 0 {
		return
	}
	b.drop(func(m *Message) bool {
		_, gone := slices.BinarySearch(uids, m.UID)
		return gone
	})
}

// remove unlinks the file of a message and returns its folder. One that
// another program removed meanwhile was there a moment ago, and counts.
func (b *box) remove(uid UID) (dir string, err error) {
	for try := 1; ; try++ {
		place, ok := find(b.messages, uid)
		if !ok {
			return "", ErrNoMessage
		}
		path := b.path(&b.messages[place])
		err := os.Remove(path)
		if err == nil {
			return filepath.Dir(path), nil
		}
		if !errors.Is(err, os.ErrNotExist) || try > renameTries {
			return "", err
		}
		if err := b.refresh(look); err != nil {
			return "", err
		}
	}
}

// lockBoth locks two boxes, or one that is both.
func lockBoth(a, b *box) (unlock func()) {
	if a == b {
		a.mu.Lock()
		return a.mu.Unlock
	}
	if strings.Compare(a.folder.dir, b.folder.dir) > 0 {
		a, b = b, a
	}
	a.mu.Lock()
	b.mu.Lock()
	return func() { b.mu.Unlock(); a.mu.Unlock() }
}
