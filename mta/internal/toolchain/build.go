// Package toolchain makes a module of a plugin that is given as source: it finds
// the compiler, runs it, and keeps what it made until a source changes. What
// the module does when it runs is package wasm's business.
package toolchain

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/google/renameio/v2"
)

// buildFlags are how a plugin is built: without paths of this machine and
// without symbols, as a reactor.
var buildFlags = []string{"-trimpath", "-ldflags=-s -w", "-buildmode=c-shared"}

// buildTarget is what a plugin is built for.
var buildTarget = []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}

// maxModule is what package wasm takes, in octets.
const maxModule = 100 << 20

// maxBuildLines is how many of the compiler's lines an error repeats.
const maxBuildLines = 20

// A Builder makes modules of plugins that are given as source: folders with a
// Go program. What it made is kept, with a manifest of all that went into it,
// so that nothing is built, and no Go toolchain is needed, until a file
// changes. Safe for concurrent use, also by several processes.
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

// Build gives the module of the Go program in folder. It is built if it never
// was or if something changed since; that takes some seconds. A mistake in the
// program is a [*BuildError].
func (b *Builder) Build(ctx context.Context, folder string) ([]byte, error) {
	dir, err := filepath.Abs(folder)
	if err != nil {
		return nil, err
	}
	if dir, err = filepath.EvalSymlinks(dir); err != nil {
		return nil, err
	}
	lock := b.lock(dir)
	lock.Lock()
	defer lock.Unlock()
	entry := b.entry(dir)
	module, why := entry.read()
	if why == "" {
		return module, nil
	}
	began := time.Now()
	b.logger().Info("building plugin", "folder", folder, "why", why)
	if module, err = b.build(ctx, dir, entry); err != nil {
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

// build runs the Go toolchain and keeps what it made. The inputs are looked at
// before the compiler does: a file that changes in between is found changed at
// the next start.
func (b *Builder) build(ctx context.Context, dir string, entry cacheEntry) ([]byte, error) {
	tool, err := b.tool(dir)
	if err != nil {
		return nil, err
	}
	m, err := tool.manifest(ctx)
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
	out, err := filepath.Abs(filepath.Join(tmp, "plugin.wasm")) // the go command runs in dir
	if err != nil {
		return nil, err
	}
	if _, err := tool.run(ctx, append(append([]string{"build"}, buildFlags...), "-o", out, ".")...); err != nil {
		return nil, err
	}
	module, err := os.ReadFile(out)
	if err != nil {
		return nil, fmt.Errorf("build plugin %s: the go command made no module; is it package main?", dir)
	}
	if !bytes.HasPrefix(module, []byte("\x00asm")) {
		return nil, fmt.Errorf("build plugin %s: the go command made no WebAssembly module; a plugin is package main", dir)
	}
	m.Module = digest(module)
	return module, entry.write(module, m)
}

// tool finds the go command.
func (b *Builder) tool(dir string) (goTool, error) {
	name := b.Go
	if name == "" {
		name = "go"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return goTool{}, fmt.Errorf("build plugin %s: no Go toolchain in PATH; install Go (https://go.dev/dl), or give a built .wasm file instead of the folder", dir)
	}
	return goTool{path: path, dir: dir}, nil
}

// goTool is the go command at work on one plugin's folder.
type goTool struct {
	path string
	dir  string
}

// A BuildError is what the Go toolchain says of a plugin's source.
type BuildError struct {
	Folder string
	Output string // the lines of the toolchain, at most maxBuildLines
}

// Error implements error. It has several lines: the compiler's own.
func (e *BuildError) Error() string {
	return "build plugin " + e.Folder + ":\n" + e.Output
}

// run runs the go command for the target, and gives its output.
func (g goTool) run(ctx context.Context, args ...string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, g.path, args...)
	cmd.Dir = g.dir
	cmd.Env = append(os.Environ(), buildTarget...)
	cmd.Env = append(cmd.Env, "PWD="+g.dir)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	switch _, exited := errors.AsType[*exec.ExitError](err); {
	case err == nil:
		return stdout.Bytes(), nil
	case ctx.Err() != nil:
		return nil, fmt.Errorf("build plugin %s: %w", g.dir, ctx.Err())
	case exited:
		return nil, &BuildError{Folder: g.dir, Output: compilerLines(stderr.String())}
	}
	return nil, fmt.Errorf("build plugin %s: %w", g.dir, err)
}

// compilerLines are the lines that say what is wrong.
func compilerLines(s string) string {
	lines := strings.Split(strings.TrimSpace(s), "\n")
	lines = slices.DeleteFunc(lines, func(l string) bool {
		return strings.HasPrefix(l, "# ") || strings.HasPrefix(l, "go: downloading ")
	})
	if more := len(lines) - maxBuildLines; more > 0 {
		lines = append(lines[:maxBuildLines], fmt.Sprintf("and %d more lines", more))
	}
	return strings.Join(lines, "\n")
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
func (e cacheEntry) read() (module []byte, why string) {
	m, err := readManifest(e.manifest)
	if err != nil {
		return nil, "first use"
	}
	if why := m.changed(); why != "" {
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
