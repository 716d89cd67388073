package wasm

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The bounds between copying and mapping, measured: a fault and its page cost
// about half a microsecond, and copying a page a tenth of that.
const (
	copiedUpTo = 128 << 10 // octets of an image that is copied as a whole: 4 µs
	keptPages  = 1024      // changed pages that an instance keeps, and gets copied
	clearedUp  = 256 << 10 // octets that are cleared in place, not given back
)

// newImage keeps octets for instances.
func newImage(octets []byte) *image {
	if len(octets) > copiedUpTo {
		if img, err := fileImage(octets); err == nil {
			return img
		}
	}
	return copiedImage(octets)
}

// fileImage puts octets into a file without a name. Pages of zeros are holes.
func fileImage(octets []byte) (*image, error) {
	fd, err := unix.MemfdCreate("wasm image", unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, err
	}
	img := &image{file: os.NewFile(uintptr(fd), "image")}
	if err := img.fill(octets); err != nil {
		img.release()
		return nil, err
	}
	if f, err := os.Open("/proc/self/pagemap"); err == nil {
		img.pagemap = f
	}
	return img, nil
}

func (img *image) fill(octets []byte) error {
	if err := img.file.Truncate(int64(len(octets))); err != nil {
		return err
	}
	page := os.Getpagesize()
	for at := 0; at < len(octets); at += page {
		p := octets[at:min(at+page, len(octets))]
		if isZero(p) {
			continue
		}
		if _, err := img.file.WriteAt(p, int64(at)); err != nil {
			return err
		}
	}
	fd := int(img.file.Fd())
	if _, err := unix.FcntlInt(uintptr(fd), unix.F_ADD_SEALS, unix.F_SEAL_SHRINK|unix.F_SEAL_GROW|unix.F_SEAL_WRITE); err != nil {
		return err
	}
	var err error
	img.octets, err = unix.Mmap(fd, 0, len(octets), unix.PROT_READ, unix.MAP_PRIVATE) // sealed: nobody can write it
	return err
}

func isZero(p []byte) bool {
	for ; len(p) >= 8; p = p[8:] {
		if binary.LittleEndian.Uint64(p) != 0 {
			return false
		}
	}
	for _, b := range p {
		if b != 0 {
			return false
		}
	}
	return true
}

func (img *image) unmap() {
	if img.file != nil && img.octets != nil {
		_ = unix.Munmap(img.octets) // fails only for a slice that Mmap did not give
	}
}

// mapped is a space of reserved addresses, of which the front is in use.
// Growing costs a system call and copies nothing.
type mapped struct {
	all    []byte
	used   uint64
	shares bool   // its front is mapped from an image's file
	pages  []byte // room for what the pagemap says
}

// newSpace reserves addresses for most octets; where that fails the heap must
// do.
func newSpace(most uint64) space {
	all, err := unix.Mmap(-1, 0, int(most), unix.PROT_NONE, unix.MAP_PRIVATE|unix.MAP_ANON|unix.MAP_NORESERVE)
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
		if err := unix.Mprotect(m.all[m.used:size], unix.PROT_READ|unix.PROT_WRITE); err != nil {
			return nil
		}
		m.used = size
	}
	return m.all[:size:size]
}

func (m *mapped) adopt(img *image) error {
	if img.file == nil || len(img.octets) == 0 {
		return m.reset(img)
	}
	_, err := unix.MmapPtr(int(img.file.Fd()), 0, unsafe.Pointer(&m.all[0]), uintptr(len(img.octets)),
		unix.PROT_READ|unix.PROT_WRITE, unix.MAP_PRIVATE|unix.MAP_FIXED)
	if err != nil {
		return fmt.Errorf("map image: %w", err)
	}
	m.shares = true
	return m.clear(len(img.octets))
}

func (m *mapped) reset(img *image) error {
	if !m.shares {
		copy(m.all, img.octets)
		return m.clear(len(img.octets))
	}
	if err := m.undo(img); err != nil {
		if err := unix.Madvise(m.all[:len(img.octets)], unix.MADV_DONTNEED); err != nil {
			return fmt.Errorf("reset memory: %w", err)
		}
	}
	return m.clear(len(img.octets))
}

// clear makes zeros of all that is in use behind an image.
func (m *mapped) clear(from int) error {
	behind := m.all[from:m.used]
	if len(behind) <= clearedUp {
		clear(behind)
		return nil
	}
	return unix.Madvise(behind, unix.MADV_DONTNEED)
}

// The bits of a page in /proc/pid/pagemap (admin-guide/mm/pagemap.rst).
const (
	pagePresent = 1 << 63
	pageSwapped = 1 << 62
	pageShared  = 1 << 61 // with a file: the instance did not change it
)

var errManyPages = errors.New("too many pages were changed")

// undo copies back the pages that the instance has changed since it adopted
// the image. They stay its own, so that the next message need not fault. The
// error says that the pages are not known, or too many to be kept.
func (m *mapped) undo(img *image) error {
	if img.pagemap == nil {
		return errors.ErrUnsupported
	}
	page := os.Getpagesize()
	n := (len(img.octets) + page - 1) / page
	if len(m.pages) != 8*n {
		m.pages = make([]byte, 8*n)
	}
	first := int64(uintptr(unsafe.Pointer(&m.all[0]))) / int64(page)
	if _, err := img.pagemap.ReadAt(m.pages, 8*first); err != nil {
		return err
	}
	changed := 0
	for i := range n {
		bits := binary.NativeEndian.Uint64(m.pages[8*i:])
		if bits&pageSwapped == 0 && (bits&pagePresent == 0 || bits&pageShared != 0) {
			continue
		}
		if changed++; changed > keptPages {
			return errManyPages
		}
		at := i * page
		copy(m.all[at:min(at+page, len(img.octets))], img.octets[at:])
	}
	return nil
}

func (m *mapped) release() {
	if m.all != nil {
		_ = unix.Munmap(m.all) // fails only for a slice that Mmap did not give
		m.all = nil
	}
}
