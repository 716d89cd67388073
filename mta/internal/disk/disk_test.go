package disk_test

import (
	"errors"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/disk"
	"github.com/wasmta/wasmta/mta/internal/disk/faultdisk"
)

// TestBothDisksDoTheSame holds that the simulated disk answers as the real one.
func TestBothDisksDoTheSame(t *testing.T) {
	for name, d := range map[string]disk.FS{"the system's": disk.OS{}, "a simulated one": faultdisk.New()} {
		t.Run(name, func(t *testing.T) { testDisk(t, d, filepath.Join(t.TempDir(), "a", "b")) })
	}
}

func testDisk(t *testing.T, d disk.FS, dir string) {
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	one, two := filepath.Join(dir, "one"), filepath.Join(dir, "two")
	if _, err := d.ReadDir(dir); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("reading a folder that is not there: %v", err)
	}
	must(d.Mkdir(dir))
	must(d.Mkdir(dir))
	if _, err := d.Open(one, os.O_RDWR); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("opening a file that is not there: %v", err)
	}
	f, err := d.Open(one, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	must(err)
	must(f.Reserve(100))
	_, err = f.WriteAt([]byte("hello"), 10)
	must(err)
	must(f.Sync())
	must(d.SyncDir(dir))
	got := make([]byte, 6)
	if n, err := f.ReadAt(got, 10); n != 6 || err != nil || string(got) != "hello\x00" {
		t.Errorf("read %q, %v", got[:n], err)
	}
	must(f.Truncate(15))
	if n, err := f.ReadAt(got, 10); n != 5 || err != io.EOF {
		t.Errorf("read at the end: %d, %v", n, err)
	}
	if size, err := f.Size(); size != 15 || err != nil {
		t.Errorf("size %d, %v", size, err)
	}
	_, err = d.Open(one, os.O_RDWR|os.O_CREATE|os.O_EXCL)
	if !errors.Is(err, fs.ErrExist) {
		t.Errorf("creating what is there: %v", err)
	}
	must(d.Rename(one, two))
	if infos, err := d.ReadDir(dir); err != nil || len(infos) != 1 || infos[0] != (disk.Info{Name: "two", Size: 15}) {
		t.Errorf("the folder has %+v, %v", infos, err)
	}
	must(d.Remove(two))
	if err := d.Remove(two); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("removing what is gone: %v", err)
	}
	if there, err := disk.Exists(d, dir, "two"); there || err != nil {
		t.Errorf("it is there: %v, %v", there, err)
	}
	if n, _ := f.ReadAt(got[:5], 10); string(got[:n]) != "hello" {
		t.Errorf("what was open when it was removed has %q", got[:n])
	}
	must(f.Close())
	lock, err := d.Lock(filepath.Join(dir, "lock"))
	must(err)
	if _, err := d.Lock(filepath.Join(dir, "lock")); !errors.Is(err, disk.ErrInUse) {
		t.Errorf("a second lock: %v", err)
	}
	must(lock.Close())
	lock, err = d.Lock(filepath.Join(dir, "lock"))
	must(err)
	must(lock.Close())
}
