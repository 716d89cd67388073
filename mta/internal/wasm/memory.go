package wasm

import (
	"sync/atomic"

	"github.com/tetratelabs/wazero/experimental"
)

// pageSize is what a guest's memory grows by.
const pageSize = 64 << 10

// A memory is the linear memory of one instance, within its plugin's limit. It
// is the runtime's allocator for that instance. The runtime's Free does
// nothing: the runtime frees in the middle of a call (proc_exit), while a host
// function may still look at the octets. release, called when the call is
// over, gives them back.
type memory struct {
	limit  uint64
	space  space
	denied atomic.Bool
}

// space is where the octets live: mapped memory on Linux, a slice elsewhere.
type space interface {
	// resize gives size octets that begin with those that were there; nil if
	// the system has no more.
	resize(size uint64) []byte
	release()
}

// Allocate implements [experimental.MemoryAllocator].
func (m *memory) Allocate(_, most uint64) experimental.LinearMemory {
	m.space = newSpace(min(most, m.limit))
	return m
}

// Reallocate implements [experimental.LinearMemory].
func (m *memory) Reallocate(size uint64) []byte {
	if size > m.limit {
		m.denied.Store(true)
		return nil
	}
	b := m.space.resize(size)
	if b == nil {
		m.denied.Store(true)
	}
	return b
}

// Free implements [experimental.LinearMemory].
func (m *memory) Free() {}

// release gives the memory back. No guest and no host function may use it any
// more.
func (m *memory) release() {
	if m.space != nil {
		m.space.release()
		m.space = nil
	}
}

// refused tells whether the guest wanted more than it could have.
func (m *memory) refused() bool { return m.denied.Load() }

// sliceSpace is a space in the heap. Growing copies.
type sliceSpace []byte

func (s *sliceSpace) resize(size uint64) []byte {
	if size > uint64(cap(*s)) {
		b := make([]byte, size)
		copy(b, *s)
		*s = b
	}
	*s = (*s)[:size]
	return *s
}

func (s *sliceSpace) release() { *s = nil }
