package fault

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// A loopDisk is a small ext4 filesystem in a file. It can fill up, stop, fail and
// lose its power like a real one, and nothing else of the machine notices. It
// takes Linux, root and a free loop device.
type loopDisk struct {
	image string
	dir   string // where it is mounted
}

// diskSize is of the images, which take only what is written of them: room for
// all that a run writes on the fastest machine.
const diskSize = 2 << 30

// diskNeeds tells why there can be no disk here. Whether there can be is tried.
var diskNeeds = sync.OnceValue(func() error {
	dir, err := os.MkdirTemp("", "mta-fault-disk-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	d, err := newDisk(dir)
	if err != nil {
		return fmt.Errorf("a filesystem of its own takes root, mkfs.ext4 and a loop device: %w", err)
	}
	return d.unmount()
})

// newDisk makes and mounts one below dir.
func newDisk(dir string) (*loopDisk, error) {
	d := &loopDisk{image: filepath.Join(dir, "disk.img"), dir: filepath.Join(dir, "disk")}
	if err := os.MkdirAll(d.dir, 0o700); err != nil {
		return nil, err
	}
	f, err := os.Create(d.image)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(f.Truncate(diskSize), f.Close()); err != nil {
		return nil, err
	}
	if err := sh("mkfs.ext4", "-q", "-F", "-m", "0", d.image); err != nil {
		return nil, err
	}
	return d, d.mount()
}

// sh runs a program of the system's.
func sh(name string, args ...string) error {
	cmd := exec.Command(name, args...)
	cmd.Env = append(os.Environ(), "PATH="+os.Getenv("PATH")+":/usr/sbin:/sbin", "LC_ALL=C")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w: %s", name, err, strings.TrimSpace(string(out)))
	}
	return nil
}

func (d *loopDisk) mount() error {
	return sh("mount", "-o", "loop,errors=remount-ro", d.image, d.dir)
}

func (d *loopDisk) unmount() error { return sh("umount", d.dir) }

// repair mounts it again after it failed or lost its power: the journal is
// replayed, and what was not in it is gone. Nobody may use it meanwhile.
func (d *loopDisk) repair() error {
	if err := d.unmount(); err != nil {
		return err
	}
	var code *exec.ExitError
	if err := sh("e2fsck", "-f", "-y", d.image); err != nil && !(errors.As(err, &code) && code.ExitCode() == 1) { // 1: it has put something right
		return err
	}
	return d.mount()
}

// fill takes all room that is left.
func (d *loopDisk) fill() error {
	f, err := os.Create(filepath.Join(d.dir, "filler"))
	if err != nil {
		return err
	}
	var space unix.Statfs_t
	if err := unix.Fstatfs(int(f.Fd()), &space); err != nil {
		return errors.Join(err, f.Close())
	}
	// Most of it without writing it; what others take meanwhile is not there any more.
	err = unix.Fallocate(int(f.Fd()), 0, 0, int64(space.Bfree)*space.Bsize)
	if err != nil && !errors.Is(err, unix.ENOSPC) {
		return errors.Join(err, f.Close())
	}
	if _, err := f.Seek(0, io.SeekEnd); err != nil {
		return errors.Join(err, f.Close())
	}
	block := make([]byte, 1<<20)
	for size := len(block); size > 0; { // then smaller, down to the last octet
		if _, err := f.Write(block[:size]); err != nil {
			size /= 2
		}
	}
	return f.Close()
}

// empty gives it back.
func (d *loopDisk) empty() error { return os.Remove(filepath.Join(d.dir, "filler")) }

// shutdown is EXT4_IOC_SHUTDOWN: from now on each call fails, and what is not on
// the disk will never be there.
const (
	shutdown   = 0x8004587d
	noLogFlush = 2 // not even the journal
)

// cut takes its power.
func (d *loopDisk) cut() error {
	f, err := os.Open(d.dir)
	if err != nil {
		return err
	}
	defer f.Close()
	return unix.IoctlSetPointerInt(int(f.Fd()), shutdown, noLogFlush)
}

// fail makes the filesystem find an error in itself, upon which it is read-only.
func (d *loopDisk) fail() error {
	device, err := exec.Command("findmnt", "-n", "-o", "SOURCE", d.dir).Output()
	if err != nil {
		return fmt.Errorf("findmnt: %w", err)
	}
	name := filepath.Base(strings.TrimSpace(string(device)))
	return os.WriteFile(filepath.Join("/sys/fs/ext4", name, "trigger_fs_error"), []byte("the fault harness says so"), 0)
}

// freeze has each write wait for a while.
func (d *loopDisk) freeze(t time.Duration) error {
	if err := sh("fsfreeze", "-f", d.dir); err != nil {
		return err
	}
	time.Sleep(t)
	return sh("fsfreeze", "-u", d.dir)
}
