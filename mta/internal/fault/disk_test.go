package fault

import (
	"bytes"
	"math/rand/v2"
	"os"
	"path/filepath"
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
	for name, end := range map[string]func(*loopDisk) error{"error": (*loopDisk).fail, "power": (*loopDisk).cut} {
		t.Run(name, func(t *testing.T) {
			d, err := newDisk(t.TempDir())
			if err != nil {
				t.Fatal(err)
			}
			defer d.unmount()
			for range 60 {
				syncUntil(t, d, end)
			}
		})
	}
}

// syncUntil writes blocks and syncs each until the disk says that it has ended,
// which it is made to somewhere in the middle. Then it looks for them.
func syncUntil(t *testing.T, d *loopDisk, end func(*loopDisk) error) {
	path := filepath.Join(d.dir, "log")
	f, err := disk.OS{}.Open(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := f.Reserve(8 << 20); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() {
		time.Sleep(time.Duration(rand.IntN(5000)) * time.Microsecond)
		ended <- end(d)
	}()
	block := bytes.Repeat([]byte("x"), 4096)
	synced := 0
	for {
		if _, err := f.WriteAt(block, int64(synced)*4096); err != nil {
			break
		}
		if err := f.Sync(); err != nil {
			break
		}
		synced++
	}
	if err := <-ended; err != nil {
		t.Fatal(err)
	}
	f.Close()
	if err := d.repair(); err != nil {
		t.Fatal(err)
	}
	there, err := os.ReadFile(path)
	if err != nil && synced > 0 {
		t.Fatal(err)
	}
	if there := bytes.Count(there, block); there < synced {
		t.Errorf("%d of %d blocks are there that were synced", there, synced)
	}
}
