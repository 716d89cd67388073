package faultdisk

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"math/rand/v2"
	"os"
	"slices"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/wasmta/wasmta/mta/internal/disk"
)

func create(t *testing.T, d *Disk, path string) disk.File {
	t.Helper()
	f, err := d.Open(path, os.O_RDWR|os.O_CREATE)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func writeAt(t *testing.T, f disk.File, text string, off int64) {
	t.Helper()
	if _, err := f.WriteAt([]byte(text), off); err != nil {
		t.Fatal(err)
	}
}

// content is what a file has; "-" if it is not there.
func content(d *Disk, path string) string {
	f, err := d.Open(path, os.O_RDONLY)
	if err != nil {
		return "-"
	}
	return string(f.(*file).n.octets)
}

func TestWhatIsLost(t *testing.T) {
	d := New()
	d.Mkdir("/q")
	d.SyncDir("/")
	a, b := create(t, d, "/q/a"), create(t, d, "/q/b")
	writeAt(t, a, "synced", 0)
	a.Sync()
	writeAt(t, b, "no name", 0)
	b.Sync()
	d.Rename("/q/a", "/q/c")
	d.SyncDir("/q")
	writeAt(t, a, "NOT", 0)
	d.Rename("/q/b", "/q/d")
	d.Remove("/q/c")
	for _, tt := range []struct {
		loss       Loss
		b, c, d, a string
	}{
		{Killed, "-", "-", "no name", "-"},
		{Power, "no name", "synced", "-", "-"},
	} {
		after := d.Reopen(tt.loss, nil)
		got := fmt.Sprint(content(after, "/q/b"), content(after, "/q/c"), content(after, "/q/d"), content(after, "/q/a"))
		if want := fmt.Sprint(tt.b, tt.c, tt.d, tt.a); got != want {
			t.Errorf("%s: %s, want %s", tt.loss, got, want)
		}
	}
	if err := d.SyncDir("/q"); !errors.Is(err, ErrStopped) {
		t.Errorf("a disk that was reopened goes on: %v", err)
	}
}

// TestTornIsAnythingBetween holds that each write and each rename is seen whole,
// in part and not at all, and what was synced always.
func TestTornIsAnythingBetween(t *testing.T) {
	seen := map[string]bool{}
	for seed := range uint64(200) {
		d := New()
		f := create(t, d, "/a")
		writeAt(t, f, "safe", 4*sector)
		f.Sync()
		d.SyncDir("/")
		writeAt(t, f, string(bytes.Repeat([]byte("x"), 2*sector)), sector/2)
		d.Rename("/a", "/b")
		after := d.Reopen(Torn, rand.New(rand.NewPCG(seed, 0)))
		got := content(after, "/a")
		seen["renamed "+fmt.Sprint(got == "-")] = true
		if got == "-" {
			got = content(after, "/b")
		}
		if got[4*sector:] != "safe" {
			t.Fatalf("what was synced is %q", got[4*sector:])
		}
		for _, at := range []int{sector / 2, sector, 2 * sector} {
			seen[fmt.Sprint(at, " ", got[at] == 'x')] = true
		}
		if got[sector-1] != got[sector/2] {
			t.Error("a sector was torn")
		}
	}
	if len(seen) != 8 {
		t.Errorf("seen only %v", seen)
	}
}

func TestStopAt(t *testing.T) {
	d := New()
	f := create(t, d, "/a")
	d.StopAt(1)
	writeAt(t, f, "1", 0)
	if _, err := f.WriteAt([]byte("2345"), 1); !errors.Is(err, ErrStopped) {
		t.Errorf("the call at which it stops: %v", err)
	}
	if _, err := f.ReadAt(make([]byte, 1), 0); !errors.Is(err, ErrStopped) {
		t.Errorf("reading after it: %v", err)
	}
	if got := content(d.Reopen(Killed, nil), "/a"); got != "123" {
		t.Errorf("the file has %q", got)
	}
}

func TestFullDisk(t *testing.T) {
	d := New()
	f := create(t, d, "/a")
	d.Fill(6)
	writeAt(t, f, "1234", 0)
	if n, err := f.WriteAt([]byte("5678"), 4); n != 2 || !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("wrote %d, %v", n, err)
	}
	writeAt(t, f, "over", 0) // takes no more room
	if err := f.Reserve(7); !errors.Is(err, syscall.ENOSPC) {
		t.Errorf("reserve: %v", err)
	}
	d.Fill(-1)
	writeAt(t, f, "5678", 4)
	if d.Used() != 8 || content(d, "/a") != "over5678" {
		t.Errorf("%d octets are used, and %q is there", d.Used(), content(d, "/a"))
	}
	d.Remove("/a")
	if d.Used() != 0 {
		t.Errorf("%d octets are used by nothing", d.Used())
	}
}

// TestFailedSync holds that what a failed sync was to make durable is gone, though
// the next sync says nothing.
func TestFailedSync(t *testing.T) {
	d := New()
	f := create(t, d, "/a")
	d.SyncDir("/")
	writeAt(t, f, "gone", 0)
	d.Fail(func(c Call) error {
		if c.Op == Sync {
			return syscall.EIO
		}
		return nil
	})
	if err := f.Sync(); !errors.Is(err, syscall.EIO) {
		t.Errorf("sync: %v", err)
	}
	d.Fail(nil)
	writeAt(t, f, "kept", 4)
	if err := f.Sync(); err != nil {
		t.Error(err)
	}
	if got := content(d, "/a"); got != "gonekept" {
		t.Errorf("before the power loss it reads %q", got)
	}
	if got := content(d.Reopen(Power, nil), "/a"); got != "\x00\x00\x00\x00kept" {
		t.Errorf("after the power loss it reads %q", got)
	}
}

func TestReadOnlyAndSlow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := New()
		f := create(t, d, "/a")
		d.Fail(ReadOnly)
		if _, err := f.WriteAt([]byte("x"), 0); !errors.Is(err, syscall.EROFS) {
			t.Errorf("write: %v", err)
		}
		d.Fail(nil)
		d.Slow(func(c Call) time.Duration { return time.Minute })
		start := time.Now()
		writeAt(t, f, "x", 0)
		if took := time.Since(start); took != time.Minute {
			t.Errorf("it took %v", took)
		}
	})
}

// A file that is closed cannot be used, as the operating system has it, and is
// not counted any more.
func TestClosedFile(t *testing.T) {
	d := New()
	f, g := create(t, d, "/a"), create(t, d, "/a")
	if err := f.Close(); err != nil || d.Handles() != 1 {
		t.Errorf("close: %v, %d files are open", err, d.Handles())
	}
	_, read := f.ReadAt(make([]byte, 1), 0)
	_, write := f.WriteAt([]byte("x"), 0)
	for _, err := range []error{read, write, f.Sync(), f.Truncate(0), f.Reserve(1), f.Close()} {
		if !errors.Is(err, fs.ErrClosed) {
			t.Errorf("used after its end: %v", err)
		}
	}
	d.Stop()
	if err := g.Close(); err != nil || d.Handles() != 0 {
		t.Errorf("close on a disk that has stopped: %v, %d files are open", err, d.Handles())
	}
}

// Who watches sees each call that changes something, also the one at which it ends.
func TestWatch(t *testing.T) {
	d := New()
	var seen []string
	d.Watch(func(c Call) { seen = append(seen, fmt.Sprintf("%d %s %s", c.N, c.Op, c.Path)) })
	d.StopAt(2)
	f := create(t, d, "/a")
	writeAt(t, f, "octets", 0)
	f.Sync()
	d.Remove("/a")
	if want := []string{"1 create /a", "2 write /a", "3 sync /a"}; !slices.Equal(seen, want) {
		t.Errorf("seen %q, want %q", seen, want)
	}
}
