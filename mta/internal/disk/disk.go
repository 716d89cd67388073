// Package disk is the files of a store: what it asks of the operating system,
// and nothing else, so that a test can stand in for the disk and stop it, fill
// it up, or lose what was not synced. Package faultdisk does.
package disk

import (
	"errors"
	"io"
	"io/fs"
)

// An FS is a file system. Its paths are the operating system's; errors wrap
// those of package syscall and [fs.ErrNotExist], as the operating system's do.
// Safe for concurrent use.
//
// What is durable, after a power loss: the octets of a file as of its last Sync,
// and the names in a folder as of its last SyncDir. Whatever was done after may
// be there, or not, or in part, in any order. A process that is killed loses
// nothing that it has written.
type FS interface {
	// Open opens a file. Its flags are those of [os.OpenFile]; what it creates
	// only the owner can read.
	Open(path string, flags int) (File, error)

	// Mkdir creates a folder and those above it, as far as they are not there.
	Mkdir(path string) error

	// Rename gives a file another name in the same folder, in one step. What
	// had that name is gone.
	Rename(from, to string) error

	Remove(path string) error

	// ReadDir returns what is in a folder, in the order of the names.
	ReadDir(path string) ([]Info, error)

	// SyncDir makes durable which names are in a folder, and what files they
	// are of.
	SyncDir(path string) error

	// Lock has the file at path, which it creates if need be, until the Closer
	// is closed or the process ends. [ErrInUse] says that another has it.
	Lock(path string) (io.Closer, error)
}

// A File is an open file. Safe for concurrent use, as far as the octets are
// different ones.
type File interface {
	io.ReaderAt
	io.WriterAt
	io.Closer

	Size() (int64, error)

	// Sync makes durable what was written. After an error nobody knows what
	// is: it may be gone although a later Sync says nothing. Do not call it
	// again and believe it.
	Sync() error

	Truncate(size int64) error

	// Reserve gives the file that size, and the room on the disk where that
	// can be had, so that writing there needs no more. What was not written
	// reads as zeros.
	Reserve(size int64) error
}

// An Info is one file or folder in a folder.
type Info struct {
	Name   string
	Size   int64 // of a file, in octets
	Folder bool
}

// ErrInUse says that another process has a lock.
var ErrInUse = errors.New("another process has it")

// Exists tells whether there is something at a path, which is in folder.
func Exists(f FS, folder, name string) (bool, error) {
	infos, err := f.ReadDir(folder)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	for _, info := range infos {
		if info.Name == name {
			return true, nil
		}
	}
	return false, err
}
