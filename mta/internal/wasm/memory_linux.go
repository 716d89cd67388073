package wasm

import "syscall"

// mapped is a space of reserved addresses, of which the front is in use.
// Growing costs a system call and copies nothing.
type mapped struct {
	all  []byte
	used uint64
}

// newSpace reserves addresses for most octets; where that fails the heap must
// do.
func newSpace(most uint64) space {
	all, err := syscall.Mmap(-1, 0, int(most), syscall.PROT_NONE,
		syscall.MAP_PRIVATE|syscall.MAP_ANON|syscall.MAP_NORESERVE)
	if err != nil {
		return new(sliceSpace)
	}
	return &mapped{all: all}
}

func (m *mapped) resize(size uint64) []byte {
	if size > uint64(len(m.all)) {
		return nil
	}
	if size > m.used {
		if err := syscall.Mprotect(m.all[:size], syscall.PROT_READ|syscall.PROT_WRITE); err != nil {
			return nil
		}
		m.used = size
	}
	return m.all[:size:size]
}

func (m *mapped) release() {
	if m.all != nil {
		_ = syscall.Munmap(m.all) // fails only for a slice that Mmap did not give
		m.all = nil
	}
}
