package account

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"syscall"
	"time"
)

// Errors of changes to a [File].
var (
	ErrExists   = errors.New("account exists")
	ErrNotFound = errors.New("no such account")
)

// maxFile is the largest file of accounts that is read: some 300,000 accounts.
const maxFile = 64 << 20

// A File is the accounts that `mta account` keeps. The command and the server
// may have it open at the same time: changes replace the file at once, and
// readers look for a new one at each call. Make it with [OpenFile]. Safe for
// concurrent use.
type File struct {
	path string
	log  *slog.Logger

	mu       sync.Mutex // guards what follows
	stamp    stamp      // of the file that was read last, good or bad
	accounts map[string]Account
	broken   error // why nothing could be read yet
}

// A stamp tells one file from the next one of its name.
type stamp struct {
	mtime time.Time
	size  int64
	inode uint64
}

// OpenFile returns the accounts in the file at path, which need not be there.
// log may be nil.
func OpenFile(path string, log *slog.Logger) *File {
	if log == nil {
		log = slog.New(slog.DiscardHandler)
	}
	return &File{path: path, log: log}
}

// find returns the account of that clean name.
func (f *File) find(name string) (Account, bool, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return Account{}, false, err
	}
	a, ok := f.accounts[name]
	return a, ok, nil
}

// List returns the names of all accounts in the file, sorted.
func (f *File) List() ([]string, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if err := f.refresh(); err != nil {
		return nil, err
	}
	return slices.Sorted(maps.Keys(f.accounts)), nil
}

// refresh reads the file if it is another one than last time. While a new one
// cannot be read, the accounts of the old one stay: a slip of an editor locks
// nobody out. f.mu is held.
func (f *File) refresh() error {
	now, err := stampOf(f.path)
	if err == nil && now == f.stamp {
		return f.broken
	}
	if errors.Is(err, fs.ErrNotExist) {
		f.accounts, f.stamp, f.broken = nil, stamp{}, nil
		return nil
	}
	var accounts map[string]Account
	if err == nil {
		accounts, err = readAccounts(f.path)
	}
	switch {
	case err == nil:
		f.accounts, f.stamp, f.broken = accounts, now, nil
	case f.accounts != nil:
		if now != f.stamp {
			f.log.Error("accounts cannot be read, those of before stay", "file", f.path, "err", err)
		}
		f.stamp = now
	default:
		f.stamp, f.broken = now, fmt.Errorf("read accounts: %w", err)
		return f.broken
	}
	return nil
}

func stampOf(path string) (stamp, error) {
	info, err := os.Stat(path)
	if err != nil {
		return stamp{}, err
	}
	s := stamp{mtime: info.ModTime(), size: info.Size()}
	if st, ok := info.Sys().(*syscall.Stat_t); ok {
		s.inode = uint64(st.Ino)
	}
	return s, nil
}

// A fileFormat is what the JSON has.
type fileFormat struct {
	Accounts []fileAccount `json:"accounts"`
}

type fileAccount struct {
	Name     string `json:"name"`
	Password string `json:"password"` // the hash
}

func readAccounts(path string) (map[string]Account, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return map[string]Account{}, nil
	case err != nil:
		return nil, err
	case info.Size() > maxFile:
		return nil, fmt.Errorf("%s is over %d octets", path, maxFile)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		return nil, err
	}
	return parseAccounts(data)
}

func parseAccounts(data []byte) (map[string]Account, error) {
	var format fileFormat
	if err := json.Unmarshal(data, &format); err != nil {
		return nil, err
	}
	accounts := make(map[string]Account, len(format.Accounts))
	for _, a := range format.Accounts {
		name, err := CleanName(a.Name)
		if err == nil {
			err = CheckHash(a.Password)
		}
		if err != nil {
			return nil, fmt.Errorf("account %q: %w", a.Name, err)
		}
		if _, twice := accounts[name]; twice {
			return nil, fmt.Errorf("account %q is there twice", name)
		}
		accounts[name] = Account{name, a.Password}
	}
	return accounts, nil
}

// Add puts an account in. The error is ErrExists where it is there.
func (f *File) Add(name, password string) error {
	hash, err := Hash(password)
	if err != nil {
		return err
	}
	return f.change(name, func(all map[string]Account, name string) error {
		if _, ok := all[name]; ok {
			return ErrExists
		}
		all[name] = Account{name, hash}
		return nil
	})
}

// SetPassword gives an account another password. The error is ErrNotFound
// where there is no such account in the file.
func (f *File) SetPassword(name, password string) error {
	hash, err := Hash(password)
	if err != nil {
		return err
	}
	return f.change(name, func(all map[string]Account, name string) error {
		if _, ok := all[name]; !ok {
			return ErrNotFound
		}
		all[name] = Account{name, hash}
		return nil
	})
}

// Remove takes an account out; its mail stays. The error is ErrNotFound where
// there is no such account in the file.
func (f *File) Remove(name string) error {
	return f.change(name, func(all map[string]Account, name string) error {
		if _, ok := all[name]; !ok {
			return ErrNotFound
		}
		delete(all, name)
		return nil
	})
}

// change replaces the file by an edited one, durably. Two that change it at
// the same time, in one process or two, wait for each other.
func (f *File) change(name string, edit func(all map[string]Account, name string) error) error {
	clean, err := CleanName(name)
	if err != nil {
		return err
	}
	unlock, err := lockFile(f.path + ".lock")
	if err != nil {
		return fmt.Errorf("lock accounts: %w", err)
	}
	defer unlock()
	all, err := readAccounts(f.path)
	if err != nil {
		return fmt.Errorf("read accounts: %w", err)
	}
	if err := edit(all, clean); err != nil {
		return fmt.Errorf("%s: %w", clean, err)
	}
	if err := writeAccounts(f.path, all); err != nil {
		return fmt.Errorf("write accounts: %w", err)
	}
	return nil
}

// lockFile waits for the lock of a file that is there for nothing else.
func lockFile(path string) (unlock func(), err error) {
	lock, err := os.OpenFile(path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		lock.Close()
		return nil, err
	}
	return func() { lock.Close() }, nil
}

func writeAccounts(path string, all map[string]Account) error {
	format := fileFormat{Accounts: []fileAccount{}}
	for _, a := range slices.SortedFunc(maps.Values(all), compareNames) {
		format.Accounts = append(format.Accounts, fileAccount{a.Name, a.Hash})
	}
	data, err := json.MarshalIndent(format, "", "  ")
	if err != nil {
		return err
	}
	dir := filepath.Dir(path)
	tmp, err := os.CreateTemp(dir, filepath.Base(path)+".tmp-") // its mode is 0600
	if err != nil {
		return err
	}
	_, err = tmp.Write(append(data, '\n'))
	err = errors.Join(err, tmp.Sync(), tmp.Close())
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		os.Remove(tmp.Name())
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
