package bolt

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.etcd.io/bbolt"
)

func TestOpenSaysWhy(t *testing.T) {
	write := func(content string) func(t *testing.T, path string) {
		return func(t *testing.T, path string) {
			if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
	}
	for _, tt := range []struct {
		name           string
		before         func(t *testing.T, path string)
		inUse, damaged bool
		fails          bool
	}{
		{"a new file", func(*testing.T, string) {}, false, false, false},
		{"an empty file", write(""), false, false, false},
		{"a text", write("hello"), false, true, true},
		{"garbage", write(strings.Repeat("garbage ", 4096)), false, true, true},
		{"another process, or another part of this one", func(t *testing.T, path string) {
			f, err := Open(path, bbolt.Options{})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(func() { f.Close() })
		}, true, false, true},
		{"a folder", func(t *testing.T, path string) {
			if err := os.Mkdir(path, 0o700); err != nil {
				t.Fatal(err)
			}
		}, false, false, true},
	} {
		t.Run(tt.name, func(t *testing.T) {
			path := filepath.Join(t.TempDir(), "file.bolt")
			tt.before(t, path)
			f, err := Open(path, bbolt.Options{})
			if err == nil {
				defer f.Close()
			}
			if (err != nil) != tt.fails || errors.Is(err, ErrInUse) != tt.inUse || errors.Is(err, ErrDamaged) != tt.damaged {
				t.Errorf("got %v", err)
			}
		})
	}
}

// TestNothingIsWrittenAfterDamage holds that a transaction which comes on damage
// is an error, undone, and the last one that could have written.
func TestNothingIsWrittenAfterDamage(t *testing.T) {
	f, err := Open(filepath.Join(t.TempDir(), "file.bolt"), bbolt.Options{})
	if err != nil {
		t.Fatal(err)
	}
	create := func(tx *bbolt.Tx) error {
		_, err := tx.CreateBucket([]byte("a"))
		return err
	}
	err = f.Update(func(tx *bbolt.Tx) error {
		if err := create(tx); err != nil {
			return err
		}
		panic("assertion failed: a page is not what it should be")
	})
	if !errors.Is(err, ErrDamaged) || !strings.Contains(err.Error(), "assertion failed") {
		t.Errorf("got %v", err)
	}
	if again := f.Update(create); !errors.Is(again, ErrDamaged) {
		t.Errorf("then got %v", again)
	}
	if err := f.View(func(tx *bbolt.Tx) error {
		if tx.Bucket([]byte("a")) != nil {
			t.Error("it was written")
		}
		return nil
	}); err != nil {
		t.Errorf("it cannot be read: %v", err)
	}
	if err := f.Close(); !errors.Is(err, ErrDamaged) {
		t.Errorf("close says %v", err)
	}
}
