package spool

import (
	"context"
	"errors"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"go.etcd.io/bbolt"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/queue"
)

var ctx = context.Background()

func put(t *testing.T, s *Store, size int) *queue.Entry {
	t.Helper()
	e := benchEntry(time.Now())
	if err := s.Put(ctx, e, mail.Bytes(make([]byte, size)), time.Time{}); err != nil {
		t.Fatal(err)
	}
	return e
}

func TestSecondProcessIsRefused(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	defer s.Close()
	_, err := Open(dir, discard)
	if err == nil || !strings.Contains(err.Error(), "another process uses "+dir) {
		t.Errorf("got %v", err)
	}
}

func TestDamagedIndexIsAnErrorAndLeftAsItIs(t *testing.T) {
	for name, damage := range map[string]func(index []byte) []byte{
		"empty":              func([]byte) []byte { return nil },
		"garbage":            func(index []byte) []byte { return []byte(strings.Repeat("garbage ", len(index)/8)) },
		"cut after the head": func(index []byte) []byte { return index[:4096] },
		"cut in the middle":  func(index []byte) []byte { return index[:64<<10] },
		"first pages zero":   func(index []byte) []byte { clear(index[:8192]); return index },
		"a text":             func([]byte) []byte { return []byte("hello") },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			s := mustOpen(t, dir)
			for range 50 {
				put(t, s, 4096)
			}
			s.Close()
			index := filepath.Join(dir, indexFile)
			octets, err := os.ReadFile(index)
			if err != nil {
				t.Fatal(err)
			}
			damaged := damage(octets)
			if err := os.WriteFile(index, damaged, 0o600); err != nil {
				t.Fatal(err)
			}
			s, err = Open(dir, discard)
			if err == nil {
				s.Close()
				t.Fatal("it was opened")
			}
			if !strings.Contains(err.Error(), index) || !strings.Contains(err.Error(), "restore") {
				t.Errorf("no place or no cure in: %v", err)
			}
			if after, _ := os.ReadFile(index); string(after) != string(damaged) {
				t.Error("the file was changed")
			}
		})
	}
	t.Run("missing", func(t *testing.T) {
		dir := t.TempDir()
		mustOpen(t, dir).Close()
		if err := os.Remove(filepath.Join(dir, indexFile)); err != nil {
			t.Fatal(err)
		}
		if s, err := Open(dir, discard); err == nil {
			s.Close()
			t.Error("it was created anew")
		}
	})
}

// TestDamageAnywhereNeverHangs flips octets all over the index, then has another
// process do with it what a server does. That ends, mostly with an error; where
// the library panics in a goroutine of its own, with a panic.
func TestDamageAnywhereNeverHangs(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	for i := range 100 {
		put(t, s, i*40)
	}
	var used int64
	s.db.View(func(tx *bbolt.Tx) error {
		used = tx.Size()
		return nil
	})
	s.Close()
	index := filepath.Join(dir, indexFile)
	octets, err := os.ReadFile(index)
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 30 {
		damaged := append([]byte(nil), octets[:used]...)
		for range 1 + r.IntN(100) {
			damaged[r.IntN(len(damaged))] ^= byte(1 + r.IntN(255))
		}
		if err := os.WriteFile(index, damaged, 0o600); err != nil {
			t.Fatal(err)
		}
		before, cancel := context.WithTimeout(ctx, time.Minute)
		cmd := exec.CommandContext(before, os.Args[0])
		cmd.Env = append(os.Environ(), childEnv+"=use "+dir)
		cmd.Env = append(cmd.Env, "GORACE=exitcode=0 log_path="+os.DevNull) // the library leaves a goroutine behind
		out, err := cmd.CombinedOutput()
		if err != nil && (before.Err() != nil || !strings.Contains(string(out), "bbolt.(*DB).freepages")) {
			t.Errorf("%v: %.3000s", err, out)
		}
		cancel()
	}
}

// use does with a store what a server does, errors or not.
func use(dir string) {
	s, err := Open(dir, discard)
	if err != nil {
		return
	}
	now := time.Now().Add(time.Hour)
	entries, _ := s.Claim(ctx, now, now.Add(time.Hour), 1000, nil)
	for _, e := range entries {
		s.Content(ctx, e.ID)
		s.Update(ctx, e)
	}
	s.List(ctx, now, queue.Filter{}, "", 1000)
	s.Stats(ctx, now)
	s.Put(ctx, benchEntry(now), benchContent, time.Time{})
	s.Close()
}

func TestDamagedRecordIsHeldAndCanBeDropped(t *testing.T) {
	s := mustOpen(t, t.TempDir())
	defer s.Close()
	bad, good := put(t, s, 100), put(t, s, 100)
	err := s.db.Update(func(tx *bbolt.Tx) error {
		b := tx.Bucket(entriesBucket)
		r := append([]byte(nil), b.Get([]byte(bad.ID))...)
		copy(r[recordHead:], "!!!!")
		return b.Put([]byte(bad.ID), r)
	})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now().Add(time.Hour)
	for range 2 {
		entries, err := s.Claim(ctx, now, now.Add(time.Minute), 10, nil)
		if err != nil || len(entries) != 1 || entries[0].ID != good.ID {
			t.Errorf("claimed %v, %v", entries, err)
		}
		now = now.Add(time.Hour)
		s.commit(&change{kind: nothing}) // what is lazy goes along
	}
	if due, ok, err := s.NextDue(ctx, now); err != nil || !ok || !due.Equal(good.Due) {
		t.Errorf("next due %v %v %v", due, ok, err)
	}
	if stats, err := s.Stats(ctx, now); err != nil || stats.Held != 1 || stats.Waiting != 1 {
		t.Errorf("stats %+v, %v", stats, err)
	}
	held, err := s.List(ctx, now, queue.Filter{State: queue.Held}, "", 10)
	if err != nil || len(held) != 1 || !held[0].Damaged || held[0].ID != bad.ID {
		t.Fatalf("held: %v, %v", held, err)
	}
	if c, err := s.Content(ctx, bad.ID); err != nil || c.Size() != 100 {
		t.Errorf("its content: %v, %v", c, err)
	}
	e, err := s.Take(ctx, bad.ID, now, now.Add(time.Minute))
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Update(ctx, e); !errors.Is(err, queue.ErrDamaged) {
		t.Errorf("update: %v", err)
	}
	if err := s.Remove(ctx, e); err != nil {
		t.Errorf("remove: %v", err)
	}
	if stats, err := s.Stats(ctx, now); err != nil || stats.Held != 0 || stats.Waiting != 1 {
		t.Errorf("stats %+v, %v", stats, err)
	}
}

func TestWhatACrashLeftIsRemoved(t *testing.T) {
	dir := t.TempDir()
	s := mustOpen(t, dir)
	large := put(t, s, 2*maxInline)
	s.Close()
	for _, name := range []string{"0ORPHAN000000000", string(large.ID) + temporary} {
		if err := os.WriteFile(filepath.Join(dir, contentFolder, name), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	s = mustOpen(t, dir)
	defer s.Close()
	names, err := s.files.names(s.path(""))
	if err != nil || len(names) != 1 || names[0] != string(large.ID) {
		t.Errorf("left are %v, %v", names, err)
	}
}

// TestRemovalIsWrittenWithoutAnotherChange: nobody waits for it, so nothing else
// would bring it to the disk.
func TestRemovalIsWrittenWithoutAnotherChange(t *testing.T) {
	dir := t.TempDir()
	synctest.Test(t, func(t *testing.T) {
		s := mustOpen(t, dir)
		defer s.Close()
		for _, size := range []int{100, 2 * maxInline} {
			put(t, s, size)
		}
		now := time.Now()
		entries, err := s.Claim(ctx, now, now.Add(time.Minute), 10, nil)
		if err != nil || len(entries) != 2 {
			t.Fatal(entries, err)
		}
		for _, e := range entries {
			if err := s.Remove(ctx, e); err != nil {
				t.Fatal(err)
			}
		}
		time.Sleep(time.Second)
		synctest.Wait()
		s.db.View(func(tx *bbolt.Tx) error {
			for _, name := range [][]byte{entriesBucket, dueBucket, contentBucket} {
				if k, _ := tx.Bucket(name).Cursor().First(); k != nil {
					t.Errorf("%s has %q", name, k)
				}
			}
			return nil
		})
		if names, err := s.files.names(s.path("")); err != nil || len(names) != 0 {
			t.Errorf("files %v, %v", names, err)
		}
	})
}

// faultyFiles fails at the nth operation and after.
type faultyFiles struct {
	osFiles
	left int
}

func (f *faultyFiles) fault() error {
	if f.left--; f.left < 0 {
		return errFault
	}
	return nil
}

var errFault = errors.New("broken on purpose")

func (f *faultyFiles) create(path string) (file, error) {
	if err := f.fault(); err != nil {
		return nil, err
	}
	file, err := f.osFiles.create(path)
	return &faultyFile{file, f}, err
}

func (f *faultyFiles) rename(from, to string) error {
	return errors.Join(f.fault(), ignoreAfter(f, func() error { return f.osFiles.rename(from, to) }))
}

func (f *faultyFiles) syncDir(path string) error {
	return errors.Join(f.fault(), ignoreAfter(f, func() error { return f.osFiles.syncDir(path) }))
}

// ignoreAfter does a thing unless the fault has come.
func ignoreAfter(f *faultyFiles, do func() error) error {
	if f.left < 0 {
		return nil
	}
	return do()
}

type faultyFile struct {
	file
	f *faultyFiles
}

func (f *faultyFile) Write(p []byte) (int, error) {
	if err := f.f.fault(); err != nil {
		return 0, err
	}
	return f.file.Write(p)
}

func (f *faultyFile) Sync() error  { return errors.Join(f.f.fault(), f.file.Sync()) }
func (f *faultyFile) Close() error { return errors.Join(f.f.fault(), f.file.Close()) }

func TestFailingFileOperationsLeaveNothingBehind(t *testing.T) {
	dir := t.TempDir()
	mustOpen(t, dir).Close()
	for n := 0; ; n++ {
		files := &faultyFiles{left: n}
		s, err := open(dir, discard, files)
		if err != nil {
			t.Fatal(err)
		}
		e := benchEntry(time.Now())
		err = s.Put(ctx, e, mail.Bytes(make([]byte, 2*maxInline)), time.Now().Add(time.Hour))
		failed := files.left < 0
		if failed != (err != nil) || failed && !errors.Is(err, errFault) {
			t.Errorf("the fault at operation %d: put says %v", n, err)
		}
		if failed {
			if _, err := s.Get(ctx, e.ID); !errors.Is(err, queue.ErrNotFound) {
				t.Errorf("the fault at operation %d: get says %v", n, err)
			}
			if names, _ := s.files.names(s.path("")); len(names) != 0 {
				t.Errorf("the fault at operation %d leaves %v", n, names)
			}
			files.left = 1000
			if err := s.Put(ctx, e, benchContent, time.Time{}); err != nil {
				t.Errorf("the fault at operation %d: put again: %v", n, err)
			}
		}
		s.Close()
		if !failed {
			if n < 5 {
				t.Errorf("only %d operations were made to fail", n)
			}
			return
		}
	}
}
