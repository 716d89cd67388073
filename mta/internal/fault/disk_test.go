package fault

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strconv"
	"testing"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

// What a sync said is on the disk is there, whatever becomes of the filesystem at
// that moment. ext4 reports the sync of octets as done whose place in the file it
// could not note any more, its journal having ended.
func TestSyncIsBelieved(t *testing.T) {
	if err := diskNeeds(); err != nil {
		t.Skip(err)
	}
	for ending, end := range map[string]func(*loopDisk) error{"error": (*loopDisk).fail, "power": (*loopDisk).cut} {
		for what, keep := range map[string]func(*testing.T, string) (func(int) error, func() int){"octets": blocks, "names": names} {
			t.Run(what+", "+ending, func(t *testing.T) {
				d, err := newDisk(t.TempDir())
				if err != nil {
					t.Fatal(err)
				}
				t.Cleanup(func() { d.unmount() })
				for i := range 60 {
					dir := filepath.Join(d.dir, strconv.Itoa(i))
					if err := os.Mkdir(dir, 0o700); err != nil {
						t.Fatal(err)
					}
					next, count := keep(t, dir)
					syncUntil(t, d, end, next, count)
					if err := os.RemoveAll(dir); err != nil {
						t.Fatal(err)
					}
				}
			})
		}
	}
}

// syncUntil has next keep one thing after the other until the disk says that it has
// ended, which it is made to somewhere in the middle. Then they are counted.
func syncUntil(t *testing.T, d *loopDisk, end func(*loopDisk) error, next func(int) error, count func() int) {
	ended := make(chan error, 1)
	go func() {
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		ended <- end(d)
	}()
	synced := 0
	for next(synced) == nil {
		synced++
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	if err := d.repair(); err != nil {
		t.Fatal(err)
	}
	if there := count(); there < synced {
		t.Errorf("%d of %d are there that were synced", there, synced)
	}
}

// blocks are kept in one file.
func blocks(t *testing.T, dir string) (next func(int) error, count func() int) {
	path := filepath.Join(dir, "log")
	f, err := disk.OS{}.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { f.Close() })
	if err := errors.Join(f.Reserve(8<<20), f.Sync(), disk.OS{}.SyncDir(dir), disk.OS{}.SyncDir(filepath.Dir(dir))); err != nil {
		t.Fatal(err)
	}
	block := bytes.Repeat([]byte("x"), 4096)
	next = func(i int) error {
		_, err := f.WriteAt(block, int64(i)*4096)
		if err == nil {
			err = f.Sync()
		}
		if err != nil {
			f.Close()
		}
		return err
	}
	return next, func() int {
		there, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return bytes.Count(there, block)
	}
}

// names are those of files that were another's before.
func names(t *testing.T, dir string) (next func(int) error, count func() int) {
	if err := (disk.OS{}).SyncDir(filepath.Dir(dir)); err != nil {
		t.Fatal(err)
	}
	next = func(i int) error {
		path := filepath.Join(dir, strconv.Itoa(i))
		f, err := disk.OS{}.Open(path+".tmp", os.O_RDWR|os.O_CREATE)
		if err != nil {
			return err
		}
		_, err = f.WriteAt([]byte("octets"), 0)
		if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
			return err
		}
		return errors.Join(os.Rename(path+".tmp", path), disk.OS{}.SyncDir(dir))
	}
	return next, func() (n int) {
		files, err := filepath.Glob(filepath.Join(dir, "*[0-9]"))
		if err != nil {
			t.Fatal(err)
		}
		for _, file := range files {
			if octets, err := os.ReadFile(file); err == nil && string(octets) == "octets" {
				n++
			}
		}
		return n
	}
}
