package wasm

import (
	"reflect"
	"sync/atomic"

	"github.com/tetratelabs/wazero/api"
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
	limit    uint64
	newSpace func(most uint64) space
	space    space
	denied   atomic.Bool
}

// space is where the octets live: mapped memory on Linux, a slice elsewhere.
type space interface {
	// resize gives size octets that begin with those that were there; nil if
	// the system has no more. It never moves what is not larger.
	resize(size uint64) []byte

	// adopt makes the front of the octets those of an image, and reset does so
	// again. All octets behind are zero then.
	adopt(*image) error
	reset(*image) error

	release()
}

// Allocate implements [experimental.MemoryAllocator].
func (m *memory) Allocate(_, most uint64) experimental.LinearMemory {
	m.space = m.newSpace(min(most, m.limit))
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

// memoryOf is a module's memory, nil if it has none: the runtime gives a pointer
// that is nil then, in an interface that is not.
func memoryOf(mod api.Module) api.Memory {
	mem := mod.Memory()
	if mem == nil || reflect.ValueOf(mem).IsNil() {
		return nil
	}
	return mem
}

// shrink takes back what a guest's memory grew by. The runtime has no function
// for that: its memory is made too small by a page, so that growing by one,
// which tells all parts of the runtime, makes it what it was. false says that
// it cannot be done, and the instance is of no further use.
func shrink(mem api.Memory, size uint32) bool {
	v := reflect.ValueOf(mem)
	if size < pageSize || v.Kind() != reflect.Pointer || v.Elem().Kind() != reflect.Struct {
		return false
	}
	buffer := v.Elem().FieldByName("Buffer")
	if !buffer.IsValid() || !buffer.CanSet() || buffer.Type() != reflect.TypeFor[[]byte]() {
		return false
	}
	buffer.SetBytes(buffer.Bytes()[:size-pageSize])
	_, ok := mem.Grow(1)
	return ok && mem.Size() == size
}

// sliceSpace is a space in the heap. Growing copies.
type sliceSpace []byte

func newSliceSpace(uint64) space { return new(sliceSpace) }

func (s *sliceSpace) resize(size uint64) []byte {
	if size > uint64(cap(*s)) {
		b := make([]byte, size)
		copy(b, *s)
		*s = b
	}
	if size > uint64(len(*s)) {
		*s = (*s)[:size]
	}
	return (*s)[:size:size]
}

func (s *sliceSpace) adopt(img *image) error { return s.reset(img) }

func (s *sliceSpace) reset(img *image) error {
	clear((*s)[copy(*s, img.octets):])
	return nil
}

func (s *sliceSpace) release() { *s = nil }
