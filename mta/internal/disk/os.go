package disk

import (
	"cmp"
	"errors"
	"io"
	"os"
	"slices"
	"syscall"
	"time"
)

// OS is the file system of the operating system.
type OS struct{}

var _ FS = OS{}

// Open implements [FS].
func (OS) Open(path string, flags int) (File, error) {
	f, err := os.OpenFile(path, flags, 0o600)
	if err != nil {
		return nil, err
	}
	return osFile{f}, nil
}

// Mkdir implements [FS].
func (OS) Mkdir(path string) error { return os.MkdirAll(path, 0o700) }

// Rename implements [FS].
func (OS) Rename(from, to string) error { return os.Rename(from, to) }

// Remove implements [FS].
func (OS) Remove(path string) error { return os.Remove(path) }

// ReadDir implements [FS].
func (OS) ReadDir(path string) ([]Info, error) {
	entries, err := os.ReadDir(path)
	if err != nil {
		return nil, err
	}
	infos := make([]Info, 0, len(entries))
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, os.ErrNotExist) {
			continue // removed meanwhile
		}
		if err != nil {
			return nil, err
		}
		infos = append(infos, Info{e.Name(), info.Size(), e.IsDir()})
	}
	slices.SortFunc(infos, func(a, b Info) int { return cmp.Compare(a.Name, b.Name) })
	return infos, nil
}

// SyncDir implements [FS].
func (OS) SyncDir(path string) error {
	d, err := os.Open(path)
	if err != nil {
		return err
	}
	err = d.Sync()
	if err == nil {
		err = lives(osFile{d})
	}
	return errors.Join(err, d.Close())
}

// SyncFile makes durable what was written to a file, and its times. It is to be
// believed as Sync of [File] is, which the operating system's alone is not.
func SyncFile(f *os.File) error {
	if err := f.Sync(); err != nil {
		return err
	}
	return lives(osFile{f})
}

// How long Lock waits for another process to let go, and how often it looks: one
// that was killed may not be gone yet when the next starts.
const (
	lockWait = 500 * time.Millisecond
	lockLook = 20 * time.Millisecond
)

// Lock implements [FS]. The lock is the open file's, and ends with it.
func (OS) Lock(path string) (io.Closer, error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, err
	}
	for end := time.Now().Add(lockWait); ; time.Sleep(lockLook) {
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if !errors.Is(err, syscall.EWOULDBLOCK) || time.Now().After(end) {
			break
		}
	}
	if errors.Is(err, syscall.EWOULDBLOCK) {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

type osFile struct{ *os.File }

// Size implements [File].
func (f osFile) Size() (int64, error) {
	info, err := f.Stat()
	if err != nil {
		return 0, err
	}
	return info.Size(), nil
}
