package bundle

import (
	"bytes"
	"io"
	"io/fs"
	"maps"
	"path"
	"slices"
	"strings"
	"time"
)

// A tree is files in memory as a file system.
type tree struct {
	files   map[string][]byte
	folders map[string][]fs.DirEntry // sorted by name
}

func newTree(files map[string][]byte) *tree {
	t := &tree{files: files, folders: map[string][]fs.DirEntry{".": nil}}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		entry := info{name: path.Base(name), size: int64(len(files[name]))}
		for dir := path.Dir(name); ; dir = path.Dir(dir) {
			_, known := t.folders[dir]
			t.folders[dir] = append(t.folders[dir], entry)
			if known {
				break
			}
			entry = info{name: path.Base(dir), dir: true}
		}
	}
	for _, entries := range t.folders {
		slices.SortFunc(entries, func(a, b fs.DirEntry) int { return strings.Compare(a.Name(), b.Name()) })
	}
	return t
}

// Open implements [fs.FS].
func (t *tree) Open(name string) (fs.File, error) {
	if !fs.ValidPath(name) {
		return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrInvalid}
	}
	if octets, ok := t.files[name]; ok {
		return &file{Reader: bytes.NewReader(octets), info: info{name: path.Base(name), size: int64(len(octets))}}, nil
	}
	if entries, ok := t.folders[name]; ok {
		return &folder{entries: entries, info: info{name: path.Base(name), dir: true}}, nil
	}
	return nil, &fs.PathError{Op: "open", Path: name, Err: fs.ErrNotExist}
}

type file struct {
	*bytes.Reader
	info info
}

func (f *file) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *file) Close() error               { return nil }

type folder struct {
	entries []fs.DirEntry // those that were not read yet
	info    info
}

func (f *folder) Stat() (fs.FileInfo, error) { return f.info, nil }
func (f *folder) Close() error               { return nil }

// Read implements [fs.File].
func (f *folder) Read([]byte) (int, error) {
	return 0, &fs.PathError{Op: "read", Path: f.info.name, Err: fs.ErrInvalid}
}

// ReadDir implements [fs.ReadDirFile].
func (f *folder) ReadDir(n int) ([]fs.DirEntry, error) {
	if n <= 0 {
		n = len(f.entries)
	} else if len(f.entries) == 0 {
		return nil, io.EOF
	}
	n = min(n, len(f.entries))
	got := f.entries[:n:n]
	f.entries = f.entries[n:]
	return got, nil
}

// info is what is known of a file or folder: that it can be read, and no time.
type info struct {
	name string
	size int64
	dir  bool
}

func (i info) Name() string               { return i.name }
func (i info) Size() int64                { return i.size }
func (i info) IsDir() bool                { return i.dir }
func (i info) Type() fs.FileMode          { return i.Mode().Type() }
func (i info) Info() (fs.FileInfo, error) { return i, nil }
func (i info) ModTime() time.Time         { return time.Time{} }
func (i info) Sys() any                   { return nil }

// Mode implements [fs.FileInfo].
func (i info) Mode() fs.FileMode {
	if i.dir {
		return fs.ModeDir | 0o555
	}
	return 0o444
}
