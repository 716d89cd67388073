// Package toolchain makes a module of a plugin that is given as source, in any
// of the languages of its table: it finds the compiler, runs it without a
// network, and keeps what it made until a source changes. What the module does
// when it runs is package wasm's business.
package toolchain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/google/renameio/v2"
)

// maxModule is what package wasm takes, in octets.
const maxModule = 100 << 20

// A Builder makes modules of plugins that are given as source: folders with a
// program in one of the languages. What it made is kept, with a manifest of all
// that went into it, so that nothing is built, and no compiler is needed, until
// a file changes. Safe for concurrent use, also by several processes.
type Builder struct {
	CacheDir string
	Log      *slog.Logger // nil: no log
	Go       string       // the go command; empty: the one in PATH

	mu    sync.Mutex
	locks map[string]*sync.Mutex // by folder: one build at a time
}

// Load gives the module at path: a file as it is, a folder by what is built
// from it.
func (b *Builder) Load(ctx context.Context, path string) ([]byte, error) {
	info, err := os.Stat(path)
	if err != nil {
		return nil, err
	}
	if info.IsDir() {
		return b.Build(ctx, path)
	}
	if info.Size() > maxModule {
		return nil, fmt.Errorf("%s: %d octets, the limit is %d", path, info.Size(), maxModule)
	}
	return os.ReadFile(path)
}

// Build gives the module of the program in folder. It is built if it never was
// or if something changed since; that takes some seconds. A mistake in the
// program is a [*BuildError], a compiler that is not there a [*MissingError].
func (b *Builder) Build(ctx context.Context, folder string) ([]byte, error) {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	lang, err := detect(dir)
	if err != nil {
		return nil, fmt.Errorf("build plugin %s: %w", dir, err)
	}
	lock := b.lock(dir)
	lock.Lock()
	defer lock.Unlock()
	entry := b.entry(dir)
	module, why := entry.read(lang)
	if why == "" {
		return module, nil
	}
	began := time.Now()
	b.logger().Info("building plugin", "folder", folder, "language", lang.name, "why", why)
	if module, err = b.build(ctx, lang, dir, entry); err != nil {
		return nil, err
	}
	b.logger().Info("built plugin", "folder", folder, "octets", len(module), "took", time.Since(began).Round(time.Millisecond))
	return module, nil
}

func (b *Builder) lock(dir string) *sync.Mutex {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.locks == nil {
		b.locks = map[string]*sync.Mutex{}
	}
	if b.locks[dir] == nil {
		b.locks[dir] = new(sync.Mutex)
	}
	return b.locks[dir]
}

func (b *Builder) logger() *slog.Logger {
	if b.Log == nil {
		return slog.New(slog.DiscardHandler)
	}
	return b.Log
}

// build runs the compiler and keeps what it made. The inputs are looked at
// before the compiler does: a file that changes in between is found changed at
// the next start.
func (b *Builder) build(ctx context.Context, lang *language, dir string, entry cacheEntry) ([]byte, error) {
	j := &job{lang: lang, dir: dir, goCommand: b.Go}
	m, err := lang.manifest(ctx, j)
	if err != nil {
		return nil, err
	}
	if err := os.MkdirAll(b.CacheDir, 0o700); err != nil {
		return nil, err
	}
	tmp, err := os.MkdirTemp(b.CacheDir, "build-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(tmp)
	if j.tmp, err = filepath.Abs(tmp); err != nil { // compilers run in dir
		return nil, err
	}
	if err := lang.build(ctx, j); err != nil {
		return nil, err
	}
	module, err := os.ReadFile(j.out())
	if err != nil || !bytes.HasPrefix(module, []byte("\x00asm")) {
		return nil, fmt.Errorf("build plugin %s: the compiler made no WebAssembly module; %s", dir, lang.program)
	}
	if err := m.addOutside(j); err != nil {
		return nil, err
	}
	m.Module = digest(module)
	return module, entry.write(module, m)
}

// A cacheEntry is one plugin's place in the cache: the module, and the manifest
// beside it.
type cacheEntry struct{ module, manifest string }

func (b *Builder) entry(dir string) cacheEntry {
	sum := sha256.Sum256([]byte(dir))
	name := filepath.Join(b.CacheDir, filepath.Base(dir)+"-"+hex.EncodeToString(sum[:6]))
	return cacheEntry{module: name + ".wasm", manifest: name + ".json"}
}

// read gives the kept module, or why there is none to use.
func (e cacheEntry) read(lang *language) (module []byte, why string) {
	m, err := readManifest(e.manifest)
	if err != nil {
		return nil, "first use"
	}
	if why := m.changed(lang); why != "" {
		return nil, why
	}
	module, err = os.ReadFile(e.module)
	if err != nil || digest(module) != m.Module {
		return nil, "the cached module is damaged"
	}
	return module, ""
}

// write keeps a module. Whoever reads meanwhile finds the old pair, the new
// pair, or two that do not fit and builds.
func (e cacheEntry) write(module []byte, m *manifest) error {
	if err := renameio.WriteFile(e.module, module, 0o600); err != nil {
		return fmt.Errorf("keep module: %w", err)
	}
	return m.write(e.manifest)
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}
