package toolchain

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// source writes a plugin's folder in a module of its own.
func source(t *testing.T, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

const tiny = `package main

//go:wasmexport on_message
func onMessage() int32 { return verdict }

func main() {}
`

func TestBuild(t *testing.T) {
	dir := source(t, map[string]string{
		"go.mod":     "module example.org/tiny\n\ngo 1.24\n",
		"main.go":    tiny,
		"verdict.go": "package main\n\nconst verdict = 1\n",
	})
	var log bytes.Buffer
	cache := t.TempDir()
	b := &Builder{CacheDir: cache, Log: slog.New(slog.NewTextHandler(&log, nil))}
	build := func(wantBuilds int) []byte {
		t.Helper()
		log.Reset()
		module, err := b.Build(t.Context(), dir)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(log.String(), "building plugin"); got != wantBuilds {
			t.Errorf("built %d times, want %d: %s", got, wantBuilds, log.String())
		}
		return module
	}
	first := build(1)
	if !bytes.Contains(first, []byte("on_message")) {
		t.Error("the module has no hook")
	}

	// Nothing changed: no Go toolchain is needed.
	b = &Builder{CacheDir: cache, Log: b.Log, Go: "/no/such/go"}
	if again := build(0); !bytes.Equal(first, again) {
		t.Error("the kept module is another one")
	}
	b.Go = ""

	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("verdict.go", "package main\n\nconst verdict = 2\n")
	if bytes.Equal(first, build(1)) {
		t.Error("a change made no difference")
	}
	write("new.go", "package main\n\nfunc init() {}\n")
	build(1)
	write("notes_test.go", "package main\n")
	build(0)
	write("go.mod", "module example.org/tiny\n\ngo 1.25\n")
	build(1)
	modules, err := filepath.Glob(filepath.Join(cache, "*.wasm"))
	if err != nil || len(modules) != 1 {
		t.Fatalf("got %q, %v", modules, err)
	}
	if err := os.WriteFile(modules[0], []byte("\x00asm"), 0o600); err != nil {
		t.Fatal(err)
	}
	build(1)
	if left, _ := filepath.Glob(filepath.Join(cache, "build-*")); len(left) != 0 {
		t.Errorf("left behind: %q", left)
	}
}

func TestBuildRefuses(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files map[string]string
		goCmd string
		want  string
	}{
		{"mistake in the source", map[string]string{"go.mod": "module example.org/m\n\ngo 1.24\n", "main.go": tiny}, "",
			"main.go:4:33: undefined: verdict"},
		{"no source", map[string]string{"go.mod": "module example.org/m\n\ngo 1.24\n"}, "", "no Go files"},
		{"nothing", map[string]string{"README.md": "Soon."}, "", "it holds no source of a plugin; that is one of *.go"},
		{"no toolchain", map[string]string{"main.go": tiny}, "/no/such/go", "no Go toolchain in PATH; install Go"},
		{"no program", map[string]string{"go.mod": "module example.org/m\n\ngo 1.24\n", "lib.go": "package lib\n"}, "", "main package"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			cache := t.TempDir()
			b := &Builder{CacheDir: cache, Go: tt.goCmd}
			_, err := b.Build(t.Context(), source(t, tt.files))
			if err == nil || !strings.Contains(err.Error(), tt.want) {
				t.Errorf("got %v, want %q", err, tt.want)
			}
			if left, _ := filepath.Glob(filepath.Join(cache, "*")); len(left) != 0 {
				t.Errorf("left behind: %q", left)
			}
		})
	}
}

func TestBuildIsCancelled(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	b := &Builder{CacheDir: t.TempDir()}
	dir := source(t, map[string]string{"go.mod": "module example.org/m\n\ngo 1.24\n", "main.go": tiny})
	if _, err := b.Build(ctx, dir); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
}

func TestBuildAtTheSameTime(t *testing.T) {
	dir := source(t, map[string]string{
		"go.mod": "module example.org/tiny\n\ngo 1.24\n", "main.go": tiny + "const verdict = 0\n",
	})
	cache := t.TempDir()
	one, two := &Builder{CacheDir: cache}, &Builder{CacheDir: cache} // as two processes
	var wg sync.WaitGroup
	for _, b := range []*Builder{one, one, two} {
		wg.Go(func() {
			if module, err := b.Load(t.Context(), dir); err != nil || len(module) == 0 {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestLoadOfFile(t *testing.T) {
	file := filepath.Join(t.TempDir(), "p.wasm")
	if err := os.WriteFile(file, []byte("\x00asm"), 0o600); err != nil {
		t.Fatal(err)
	}
	b := &Builder{}
	if got, err := b.Load(t.Context(), file); err != nil || string(got) != "\x00asm" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := b.Load(t.Context(), file+".none"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("got %v", err)
	}
}
