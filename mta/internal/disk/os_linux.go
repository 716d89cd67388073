package disk

import (
	"errors"
	"os"

	"golang.org/x/sys/unix"
)

// Sync implements [File]. It leaves out what reading does not need: the times.
func (f osFile) Sync() error {
	if err := f.control("fdatasync", unix.Fdatasync); err != nil {
		return err
	}
	return f.lives()
}

// lives tells whether the file system still takes changes.
//
// ext4 notes that octets are at their place in a file once they have been written.
// If its journal has ended by then, by an error or by a loss of power, the note is
// lost, and with it the octets, but fdatasync says nothing of that: it looks at
// changes before this one. Whatever needs the journal fails from then on, so after
// each sync room is asked for that the file has. Other file systems have no such
// gap; there, and if it is full, this says nothing.
func (f osFile) lives() error {
	err := f.control("fallocate", func(fd int) error { return unix.Fallocate(fd, unix.FALLOC_FL_KEEP_SIZE, 0, 1) })
	if errors.Is(err, unix.EROFS) || errors.Is(err, unix.EIO) {
		return err
	}
	return nil
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
