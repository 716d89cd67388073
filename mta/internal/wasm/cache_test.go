package wasm

import (
	"bytes"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/sdk/abi"
)

// A damaged compilation cache costs a compilation, and no start.
func TestDamagedCache(t *testing.T) {
	code := (&module{}).accepting()
	for _, tt := range []struct {
		name   string
		damage func([]byte) []byte
	}{
		{"empty", func([]byte) []byte { return nil }},
		{"cut off", func(b []byte) []byte { return b[:len(b)/2] }},
		{"an octet changed", func(b []byte) []byte { b[len(b)/2] ^= 1; return b }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			dir := t.TempDir()
			load(t, newRuntime(t, Options{CacheDir: dir}), code)
			for _, file := range filesIn(t, dir) {
				b, err := os.ReadFile(file)
				if err == nil {
					err = os.WriteFile(file, tt.damage(b), 0o600)
				}
				if err != nil {
					t.Fatal(err)
				}
			}
			for starts, want := range []string{"damaged", ""} {
				var log bytes.Buffer
				p := load(t, newRuntime(t, Options{CacheDir: dir, Log: slog.New(slog.NewTextHandler(&log, nil))}), code)
				if a, err := p.Handle(t.Context(), abi.HookMessage, transaction()); err != nil || a.Verdict != mail.Accept {
					t.Errorf("start %d: got %v, %v", starts, a, err)
				}
				if got := log.String(); !strings.Contains(got, want) || want == "" && got != "" {
					t.Errorf("start %d: logged %q, want %q", starts, got, want)
				}
			}
		})
	}
}

// accepting is a module that accepts each message.
func (m *module) accepting() []byte {
	m.fn(abi.HookMessage, i32(int32(abi.Accept)))
	return m.bytes()
}

func filesIn(t *testing.T, dir string) (files []string) {
	t.Helper()
	err := filepath.WalkDir(dir, func(path string, d fs.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil || len(files) == 0 {
		t.Fatalf("%d files kept, %v", len(files), err)
	}
	return files
}

// What was rewritten is kept, and made again if it is damaged.
func TestRewrittenIsKept(t *testing.T) {
	code := (&module{}).accepting()
	dir := t.TempDir()
	rt := newRuntime(t, Options{CacheDir: dir})
	load(t, rt, code)
	kept := filesIn(t, filepath.Join(dir, meteredFolder))
	if len(kept) != 1 {
		t.Fatalf("%q are kept", kept)
	}
	good, err := os.ReadFile(kept[0])
	if err != nil {
		t.Fatal(err)
	}
	for name, b := range map[string][]byte{
		"good": good, "empty": nil, "cut off": good[:len(good)-1], "of another sum": append(bytes.Clone(good), 0),
	} {
		if err := os.WriteFile(kept[0], b, 0o600); err != nil {
			t.Fatal(err)
		}
		if got := readMetered(kept[0]) != nil; got != (name == "good") {
			t.Errorf("%s: it is read: %t", name, got)
		}
		a, err := load(t, rt, code).Handle(t.Context(), abi.HookMessage, transaction())
		if err != nil || a.Verdict != mail.Accept || a.Used.Fuel == 0 {
			t.Errorf("%s: %v, %v, used %+v", name, a.Verdict, err, a.Used)
		}
		if again, err := os.ReadFile(kept[0]); err != nil || !bytes.Equal(again, good) {
			t.Errorf("%s: it is not mended: %v", name, err)
		}
	}
}

// BenchmarkLoad loads a Go plugin that was compiled before.
func BenchmarkLoad(b *testing.B) {
	code, dir := goGuest(b), b.TempDir()
	once := func() { loadWith(b, newRuntime(b, Options{CacheDir: dir}), LoadOptions{Wasm: code}) }
	once()
	for b.Loop() {
		once()
	}
}
