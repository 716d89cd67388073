package faultdisk

import (
	"io"
	"io/fs"
	"slices"
	"syscall"
)

// A file is an open one. It stays what it is when its name goes.
type file struct {
	d    *Disk
	n    *node
	path string
	gone bool // it is closed; guarded by the disk's mu
}

// opened is an open file. Called with mu held.
func (d *Disk) opened(n *node, path string) *file {
	d.open++
	return &file{d: d, n: n, path: path}
}

// call is [Disk.call] for a file, which must be open.
func (f *file) call(op Op, size int) (half bool, err error) {
	half, err = f.d.call(op, f.path, size)
	if (err == nil || half) && f.gone {
		f.d.mu.Unlock()
		return false, fs.ErrClosed
	}
	return half, err
}

// ReadAt implements [io.ReaderAt].
func (f *file) ReadAt(p []byte, off int64) (int, error) {
	if _, err := f.call(Read, len(p)); err != nil {
		return 0, pathError(Read, f.path, err)
	}
	defer f.d.mu.Unlock()
	if off >= int64(len(f.n.octets)) {
		return 0, io.EOF
	}
	n := copy(p, f.n.octets[off:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// WriteAt implements [io.WriterAt]. On a full disk it writes what there is room
// for.
func (f *file) WriteAt(p []byte, off int64) (int, error) {
	half, err := f.call(Write, len(p))
	if err != nil && !half {
		return 0, pathError(Write, f.path, err)
	}
	defer f.d.mu.Unlock()
	if half {
		p = p[:len(p)/2]
	}
	n := min(len(p), int(max(f.d.fit(f.n, off+int64(len(p)))-off, 0)))
	if n > 0 {
		before := len(f.n.octets)
		f.n.write(write{off, slices.Clone(p[:n])})
		f.d.used += int64(len(f.n.octets) - before)
	}
	if !half && n < len(p) {
		err = syscall.ENOSPC
	}
	return n, pathError(Write, f.path, err)
}

// fit is how large a file can be that is to have some size. Called with mu held.
func (d *Disk) fit(n *node, size int64) int64 {
	if d.room < 0 {
		return size
	}
	return min(size, int64(len(n.octets))+max(d.room-d.used, 0))
}

// Close implements [io.Closer]. It is done also on a disk that has stopped.
func (f *file) Close() error {
	f.d.mu.Lock()
	defer f.d.mu.Unlock()
	if f.gone {
		return pathError("close", f.path, fs.ErrClosed)
	}
	f.gone = true
	f.d.open--
	return nil
}

// Size implements [disk.File].
func (f *file) Size() (int64, error) {
	if _, err := f.call(Read, 0); err != nil {
		return 0, pathError(Read, f.path, err)
	}
	defer f.d.mu.Unlock()
	return int64(len(f.n.octets)), nil
}

// Sync implements [disk.File].
func (f *file) Sync() error {
	if _, err := f.call(Sync, 0); err != nil {
		f.d.mu.Lock()
		if !f.d.stopped {
			f.n.forget()
		}
		f.d.mu.Unlock()
		return pathError(Sync, f.path, err)
	}
	defer f.d.mu.Unlock()
	f.n.sync()
	return nil
}

// Truncate implements [disk.File].
func (f *file) Truncate(size int64) error { return f.resize(Truncate, size) }

// Reserve implements [disk.File].
func (f *file) Reserve(size int64) error { return f.resize(Reserve, size) }

func (f *file) resize(op Op, size int64) error {
	if _, err := f.call(op, 0); err != nil {
		return pathError(op, f.path, err)
	}
	defer f.d.mu.Unlock()
	if f.d.fit(f.n, size) < size {
		return pathError(op, f.path, syscall.ENOSPC)
	}
	f.d.used += size - int64(len(f.n.octets))
	f.n.write(write{at: size})
	return nil
}
