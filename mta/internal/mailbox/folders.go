package mailbox

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// A Use says what a mailbox is for (RFC 6154). Empty: nothing special.
type Use string

// The uses.
const (
	UseArchive Use = `\Archive`
	UseDrafts  Use = `\Drafts`
	UseJunk    Use = `\Junk`
	UseSent    Use = `\Sent`
	UseTrash   Use = `\Trash`
)

// wellKnown are the names by which clients make mailboxes for a use, the best
// one first. Where CREATE gave the use to another mailbox, they mean nothing.
var wellKnown = map[Use][]string{
	UseArchive: {"Archive", "Archives"},
	UseDrafts:  {"Drafts"},
	UseJunk:    {"Junk", "Spam", "Junk E-mail"},
	UseSent:    {"Sent", "Sent Messages", "Sent Items"},
	UseTrash:   {"Trash", "Deleted Messages", "Deleted Items"},
}

// A Folder is a mailbox of an account as LIST shows it.
type Folder struct {
	Name        string
	Exists      bool // false: others have it in their names, or it is subscribed to
	HasChildren bool // one that exists has a name below this one
	Subscribed  bool
	Use         Use
}

// Folders lists the mailboxes of account, INBOX first, then by name. Those
// that do not exist are there too, if there are mailboxes below them or they
// are subscribed to.
func (s *Store) Folders(account string) ([]Folder, error) {
	f, err := s.folder(account, Inbox)
	if err != nil {
		return nil, err
	}
	defer s.accountMu.lock(account)()
	all, err := existing(f.home)
	if err != nil {
		return nil, fmt.Errorf("list mailboxes of %s: %w", account, err)
	}
	for name := range maps.Clone(all) {
		for up := parent(name); up != ""; up = parent(up) {
			p := all[up]
			p.Name, p.HasChildren = up, true
			all[up] = p
		}
	}
	subscribed, err := readSubscriptions(f.home)
	if err != nil {
		return nil, err
	}
	for name := range subscribed {
		p := all[name]
		p.Name, p.Subscribed = name, true
		all[name] = p
	}
	if err := addUses(f.home, all); err != nil {
		return nil, err
	}
	return slices.SortedFunc(maps.Values(all), func(a, b Folder) int {
		switch {
		case a.Name == b.Name:
			return 0
		case a.Name == Inbox:
			return -1
		case b.Name == Inbox:
			return 1
		}
		return strings.Compare(a.Name, b.Name)
	}), nil
}

func parent(name string) string {
	i := strings.LastIndexByte(name, Separator)
	return name[:max(i, 0)]
}

// existing finds the mailboxes of the account at home.
func existing(home string) (map[string]Folder, error) {
	all := map[string]Folder{Inbox: {Name: Inbox, Exists: true}}
	entries, err := os.ReadDir(home)
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	for _, e := range entries {
		name, ok := folderName(e.Name())
		if ok && e.IsDir() && isMaildir(filepath.Join(home, e.Name())) {
			all[name] = Folder{Name: name, Exists: true}
		}
	}
	return all, nil
}

// addUses tells all what they are for.
func addUses(home string, all map[string]Folder) error {
	uses, err := readUses(home)
	if err != nil {
		return err
	}
	given := map[Use]bool{}
	set := func(name string, use Use) {
		if f, ok := all[name]; ok && f.Exists && !given[use] && f.Use == "" {
			f.Use, given[use] = use, true
			all[name] = f
		}
	}
	for _, name := range slices.Sorted(maps.Keys(uses)) {
		set(name, uses[name])
	}
	for use, names := range wellKnown {
		for _, name := range names {
			set(name, use)
		}
	}
	return nil
}

// Create makes a mailbox, for a use or none. A separator at the end of name is
// passed over (RFC 9051 §6.3.4). The error is ErrExists where it is there.
func (s *Store) Create(account, name string, use Use) error {
	name = strings.TrimSuffix(name, string(Separator))
	if _, ok := wellKnown[use]; !ok && use != "" {
		return fmt.Errorf("create mailbox %s: unknown use %s", name, use)
	}
	f, err := s.folder(account, name)
	if err != nil {
		return err
	}
	defer s.accountMu.lock(account)()
	if f.inbox() || isMaildir(f.dir) {
		return fmt.Errorf("create mailbox %s: %w", f.name, ErrExists)
	}
	if err := s.makeMaildir(f); err != nil {
		return fmt.Errorf("create mailbox %s: %w", f.name, err)
	}
	if use == "" {
		return nil
	}
	return s.editUses(f.home, func(uses map[string]Use) { uses[f.name] = use })
}

// ensure makes sure that f exists and is whole. Where it does not exist, it is
// made and subscribed to if create is set, or the error is ErrNoMailbox.
func (s *Store) ensure(f folder, create bool) error {
	if isWhole(f.dir) {
		return nil
	}
	if !create && !isMaildir(f.dir) {
		return fmt.Errorf("mailbox %s of %s: %w", f.name, f.account, ErrNoMailbox)
	}
	defer s.accountMu.lock(f.account)()
	if isWhole(f.dir) {
		return nil
	}
	there := isMaildir(f.dir)
	if err := s.makeMaildir(f); err != nil {
		return fmt.Errorf("make mailbox %s of %s: %w", f.name, f.account, err)
	}
	if f.inbox() || there {
		return nil
	}
	return s.editSubscriptions(f.home, func(names map[string]bool) { names[f.name] = true })
}

// isMaildir tells whether dir is one, to all who look for one.
func isMaildir(dir string) bool {
	info, err := os.Stat(filepath.Join(dir, "cur"))
	return err == nil && info.IsDir()
}

// isWhole tells whether a Maildir can be delivered to. One that is being made,
// or comes from a backup that left out empty folders, is not.
func isWhole(dir string) bool {
	for _, sub := range maildirFolders {
		if info, err := os.Stat(filepath.Join(dir, sub)); err != nil || !info.IsDir() {
			return false
		}
	}
	return true
}

// maildirFolders is in the order in which they are made: a message is in tmp/
// first, and finds the others there.
var maildirFolders = []string{"new", "cur", "tmp"}

// makeMaildir makes the folders of f. The lock of its account is held.
func (s *Store) makeMaildir(f folder) error {
	if err := s.makeDir(f.home); err != nil {
		return err
	}
	if !f.inbox() {
		if err := s.makeDir(f.dir); err != nil {
			return err
		}
		// Maildir++ marks folders by this file, so that a delivery agent that
		// is given one finds the quota of the account above it.
		mark, err := os.OpenFile(filepath.Join(f.dir, "maildirfolder"), os.O_CREATE|os.O_WRONLY, 0o600)
		if err == nil {
			err = mark.Close()
		}
		if err != nil {
			return err
		}
	}
	for _, sub := range maildirFolders {
		if err := s.makeDir(filepath.Join(f.dir, sub)); err != nil {
			return err
		}
	}
	return nil
}

// Delete removes a mailbox with its messages. Those below it stay. Sessions
// that have it open get ErrNoMailbox from now on.
func (s *Store) Delete(account, name string) error {
	f, err := s.folder(account, name)
	if err != nil {
		return err
	}
	if f.inbox() {
		return fmt.Errorf("delete mailbox: %w", ErrInbox)
	}
	defer s.accountMu.lock(account)()
	if !isMaildir(f.dir) {
		return fmt.Errorf("delete mailbox %s: %w", f.name, ErrNoMailbox)
	}
	trash := filepath.Join(f.home, trashPrefix+s.name.next(s.now()))
	if err := os.Rename(f.dir, trash); err != nil {
		return fmt.Errorf("delete mailbox %s: %w", f.name, err)
	}
	s.retire(f.dir)
	if err := s.dirs.sync(f.home); err != nil {
		return fmt.Errorf("delete mailbox %s: %w", f.name, err)
	}
	s.emptyTrash(f.home)
	return s.editUses(f.home, func(uses map[string]Use) { delete(uses, f.name) })
}

// trashPrefix begins the names of folders that are being removed. No mailbox
// has a folder of such a name.
const trashPrefix = "..removed-"

// emptyTrash removes what was deleted, now or before a crash.
func (s *Store) emptyTrash(home string) {
	names, err := readNames(home)
	if err != nil {
		return
	}
	for _, name := range names {
		if !strings.HasPrefix(name, trashPrefix) {
			continue
		}
		if err := os.RemoveAll(filepath.Join(home, name)); err != nil {
			s.log.Warn("deleted mailbox is still on the disk", "folder", filepath.Join(home, name), "err", err)
		}
	}
}

// Rename gives a mailbox and those below it another name; messages keep their
// UIDs. Renaming INBOX moves its messages to a new mailbox, and leaves what is
// below it alone (RFC 9051 §6.3.6).
func (s *Store) Rename(account, from, to string) error {
	src, err := s.folder(account, from)
	if err != nil {
		return err
	}
	to = strings.TrimSuffix(to, string(Separator))
	dst, err := s.folder(account, to)
	if err != nil {
		return err
	}
	if src.inbox() {
		return s.renameInbox(account, dst.name)
	}
	if strings.HasPrefix(dst.name, src.name+string(Separator)) {
		return fmt.Errorf("rename mailbox: %w: %s is below %s", ErrName, dst.name, src.name)
	}
	defer s.accountMu.lock(account)()
	if err := s.rename(src, dst); err != nil {
		return fmt.Errorf("rename mailbox %s to %s: %w", src.name, dst.name, err)
	}
	return nil
}

// rename moves the folder of src and those below it, or none of them if a
// name is taken. The lock of the account is held.
func (s *Store) rename(src, dst folder) error {
	all, err := existing(src.home)
	if err != nil {
		return err
	}
	names := map[string]string{}
	for name := range all {
		if rest, ok := strings.CutPrefix(name, src.name); ok && (rest == "" || rest[0] == Separator) {
			names[name] = dst.name + rest
		}
	}
	switch _, taken := all[dst.name]; {
	case len(names) == 0:
		return ErrNoMailbox
	case taken:
		return ErrExists
	}
	moves := make([][2]string, 0, len(names))
	for from, to := range names {
		if _, taken := all[to]; taken {
			return fmt.Errorf("%w: %s", ErrExists, to)
		}
		a, err := s.folder(src.account, from)
		if err != nil {
			return err
		}
		b, err := s.folder(src.account, to)
		if err != nil {
			return err
		}
		moves = append(moves, [2]string{a.dir, b.dir})
	}
	for _, m := range moves {
		if err := os.Rename(m[0], m[1]); err != nil {
			return err
		}
		s.retire(m[0])
	}
	if err := s.dirs.sync(src.home); err != nil {
		return err
	}
	return s.editUses(src.home, func(uses map[string]Use) {
		for from, to := range names {
			if use, ok := uses[from]; ok {
				delete(uses, from)
				uses[to] = use
			}
		}
	})
}

func (s *Store) renameInbox(account, to string) error {
	if err := s.Create(account, to, ""); err != nil {
		return err
	}
	inbox, err := s.Mailbox(account, Inbox)
	if err != nil {
		return err
	}
	defer inbox.Close()
	v, err := inbox.View()
	if err != nil {
		return err
	}
	uids := make([]UID, len(v.Messages))
	for i := range v.Messages {
		uids[i] = v.Messages[i].UID
	}
	_, err = inbox.Move(uids, to)
	return err
}
