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
	return lives(f)
}

// lives tells whether the file system of a file or folder that was synced still
// takes changes; if not, the sync is not to be believed.
//
// ext4 notes that octets are at their place in a file once they have been written,
// and a sync waits for the part of the journal that has this. If the journal ends
// at that moment, by an error or by a loss of power, the note is lost, and with it
// the octets, or the names of a folder, but there is nothing left to wait for, and
// the sync is no error. Whatever needs the journal fails from then on. So an
// attribute is removed which the file has not: that changes nothing. A file system
// that has no attributes says nothing by this.
func lives(f osFile) error {
	err := f.control("fremovexattr", func(fd int) error { return unix.Fremovexattr(fd, "user.mta.none") })
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
