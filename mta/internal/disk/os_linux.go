package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Sync implements [File]. It leaves out what reading does not need: the times.
func (f osFile) Sync() error {
	return f.control("fdatasync", unix.Fdatasync)
}

// Reserve implements [File]. A file system that cannot reserve room gives the
// file its size alone.
func (f osFile) Reserve(size int64) error {
	err := f.control("fallocate", func(fd int) error { return unix.Fallocate(fd, 0, 0, size) })
	if errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.ENOSYS) {
		err = nil
	}
	if err != nil {
		return err
	}
	now, err := f.Size()
	if err != nil || now == size {
		return err
	}
	return f.Truncate(size)
}

// control calls do with the descriptor, again while a signal interrupts it.
func (f osFile) control(what string, do func(fd int) error) error {
	raw, err := f.SyscallConn()
	if err != nil {
		return err
	}
	var done error
	err = raw.Control(func(fd uintptr) {
		for done = do(int(fd)); done == unix.EINTR; {
			done = do(int(fd))
		}
	})
	if err == nil && done != nil {
		err = &os.PathError{Op: what, Path: f.Name(), Err: done}
	}
	return err
}
