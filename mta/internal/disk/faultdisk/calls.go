package faultdisk

import (
	"cmp"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// find returns the node at a path; nil if there is none. Called with mu held.
func (d *Disk) find(path string) *node {
	n := d.root
	for part := range strings.SplitSeq(filepath.Clean(path), string(filepath.Separator)) {
		if part == "" || n == nil {
			continue
		}
		n = n.names[part]
	}
	return n
}

func pathError(op Op, path string, err error) error {
	if err == nil {
		return nil
	}
	return &fs.PathError{Op: string(op), Path: path, Err: err}
}

// Open implements [disk.FS].
func (d *Disk) Open(path string, flags int) (disk.File, error) {
	if flags&(os.O_CREATE|os.O_TRUNC) == 0 {
		return d.openOld(path)
	}
	if _, err := d.call(Create, path, 0); err != nil {
		return nil, pathError(Create, path, err)
	}
	defer d.mu.Unlock()
	folder, n := d.find(filepath.Dir(path)), d.find(path)
	switch {
	case folder == nil || n == nil && flags&os.O_CREATE == 0:
		return nil, pathError(Create, path, fs.ErrNotExist)
	case n != nil && flags&os.O_EXCL != 0:
		return nil, pathError(Create, path, fs.ErrExist)
	case n == nil:
		n = &node{}
		folder.name(change{filepath.Base(path): n})
	}
	if flags&os.O_TRUNC != 0 {
		d.used -= int64(len(n.octets))
		n.write(write{})
	}
	return d.opened(n, path), nil
}

func (d *Disk) openOld(path string) (disk.File, error) {
	if _, err := d.call(Read, path, 0); err != nil {
		return nil, pathError(Read, path, err)
	}
	defer d.mu.Unlock()
	n := d.find(path)
	if n == nil {
		return nil, pathError(Read, path, fs.ErrNotExist)
	}
	return d.opened(n, path), nil
}

// Mkdir implements [disk.FS].
func (d *Disk) Mkdir(path string) error {
	if _, err := d.call(Mkdir, path, 0); err != nil {
		return pathError(Mkdir, path, err)
	}
	defer d.mu.Unlock()
	n := d.root
	for part := range strings.SplitSeq(filepath.Clean(path), string(filepath.Separator)) {
		if part == "" {
			continue
		}
		if n.names[part] == nil {
			n.name(change{part: newFolder()})
		}
		if n = n.names[part]; !n.folder() {
			return pathError(Mkdir, path, syscall.ENOTDIR)
		}
	}
	return nil
}

// Rename implements [disk.FS].
func (d *Disk) Rename(from, to string) error {
	if filepath.Dir(from) != filepath.Dir(to) {
		return fmt.Errorf("rename %s to another folder: %w", from, syscall.EXDEV)
	}
	if _, err := d.call(Rename, from, 0); err != nil {
		return pathError(Rename, from, err)
	}
	defer d.mu.Unlock()
	n := d.find(from)
	if n == nil {
		return pathError(Rename, from, fs.ErrNotExist)
	}
	d.drop(d.find(to))
	d.find(filepath.Dir(from)).name(change{filepath.Base(from): nil, filepath.Base(to): n})
	return nil
}

// drop counts what a file that is gone had. Called with mu held.
func (d *Disk) drop(n *node) {
	if n != nil {
		d.used -= n.size()
	}
}

// Remove implements [disk.FS].
func (d *Disk) Remove(path string) error {
	if _, err := d.call(Remove, path, 0); err != nil {
		return pathError(Remove, path, err)
	}
	defer d.mu.Unlock()
	n := d.find(path)
	if n == nil {
		return pathError(Remove, path, fs.ErrNotExist)
	}
	d.drop(n)
	d.find(filepath.Dir(path)).name(change{filepath.Base(path): nil})
	return nil
}

// ReadDir implements [disk.FS].
func (d *Disk) ReadDir(path string) ([]disk.Info, error) {
	if _, err := d.call(Read, path, 0); err != nil {
		return nil, pathError(Read, path, err)
	}
	defer d.mu.Unlock()
	n := d.find(path)
	if n == nil {
		return nil, pathError(Read, path, fs.ErrNotExist)
	}
	infos := make([]disk.Info, 0, len(n.names))
	for name, in := range n.names {
		infos = append(infos, disk.Info{Name: name, Size: int64(len(in.octets)), Folder: in.folder()})
	}
	slices.SortFunc(infos, func(a, b disk.Info) int { return cmp.Compare(a.Name, b.Name) })
	return infos, nil
}

// SyncDir implements [disk.FS].
func (d *Disk) SyncDir(path string) error {
	if _, err := d.call(SyncDir, path, 0); err != nil {
		return pathError(SyncDir, path, err)
	}
	defer d.mu.Unlock()
	n := d.find(path)
	if n == nil {
		return pathError(SyncDir, path, fs.ErrNotExist)
	}
	n.syncNames()
	return nil
}

// Lock implements [disk.FS]. The file is not one that can be seen.
func (d *Disk) Lock(path string) (io.Closer, error) {
	if _, err := d.call(Read, path, 0); err != nil {
		return nil, pathError(Read, path, err)
	}
	defer d.mu.Unlock()
	if d.locked[path] {
		return nil, disk.ErrInUse
	}
	d.locked[path] = true
	return lock{d, path}, nil
}

type lock struct {
	d    *Disk
	path string
}

func (l lock) Close() error {
	l.d.mu.Lock()
	defer l.d.mu.Unlock()
	delete(l.d.locked, l.path)
	return nil
}
