// Package wasm runs guests: it loads plugins, asks them in the middle of a
// transaction, and sees to it that whatever a guest does costs its own call
// and nothing else. What the functions of the ABI mean is sdk/host's; how
// verdicts combine is the pipeline's.
package wasm

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// Options are what all plugins of a [Runtime] share.
type Options struct {
	CacheDir string       // compiled code is kept here; empty: not kept
	Hostname string       // the server's name, which plugins may ask for
	Log      *slog.Logger // nil: no log

	// Now and Random are the clock and the random octets of guests; nil means
	// the real ones.
	Now    func() time.Time
	Random io.Reader
}

// A Runtime loads plugins. Safe for concurrent use.
type Runtime struct {
	opts  Options
	cache wazero.CompilationCache

	unmetered bool // fuel is not counted: to measure what counting costs

	// How instances get their memory; tests have the one of other systems.
	newSpace func(most uint64) space
	newImage func(octets []byte) *image

	mu      sync.Mutex
	plugins map[*Plugin]bool
	closed  bool
}

// NewRuntime returns a runtime without plugins. A cache folder that cannot be
// used is an error: without it each start compiles everything anew.
func NewRuntime(ctx context.Context, opts Options) (*Runtime, error) {
	if opts.Log == nil {
		opts.Log = slog.New(slog.DiscardHandler)
	}
	cache, err := newCache(opts.CacheDir)
	if err != nil {
		return nil, fmt.Errorf("compilation cache: %w", err)
	}
	return &Runtime{opts: opts, cache: cache, plugins: map[*Plugin]bool{}, newSpace: newSpace, newImage: newImage}, nil
}

func newCache(dir string) (wazero.CompilationCache, error) {
	if dir == "" {
		return wazero.NewCompilationCache(), nil
	}
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
	}
	return wazero.NewCompilationCacheWithDir(dir)
}

// emptyCache deletes the code that is kept, if err says that it is damaged: a
// cache is no reason not to start. It is true if compiling is worth another try.
func (r *Runtime) emptyCache(err error) bool {
	if r.opts.CacheDir == "" || !strings.Contains(err.Error(), cacheError) {
		return false
	}
	r.opts.Log.Warn("compilation cache is damaged, emptying it", "folder", r.opts.CacheDir, "err", err)
	err = filepath.WalkDir(r.opts.CacheDir, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err // the folders stay: the runtime writes into them
		}
		return os.Remove(path)
	})
	return err == nil || errors.Is(err, fs.ErrNotExist) // another plugin's Load may do the same
}

// cacheError is in all errors of the runtime that are about its cache; it has
// no type of its own for them.
const cacheError = "compilationcache: "

// Close closes all plugins, waiting for the calls that are under way, and then
// the runtime. ctx ends the waiting, not the closing.
func (r *Runtime) Close(ctx context.Context) error {
	r.mu.Lock()
	r.closed = true
	plugins := make([]*Plugin, 0, len(r.plugins))
	for p := range r.plugins {
		plugins = append(plugins, p)
	}
	r.mu.Unlock()
	var errs []error
	for _, p := range plugins {
		errs = append(errs, p.Close(ctx))
	}
	errs = append(errs, r.cache.Close(ctx))
	return errors.Join(errs...)
}

var errClosed = errors.New("runtime is closed")

func (r *Runtime) add(p *Plugin) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		return errClosed
	}
	r.plugins[p] = true
	return nil
}

func (r *Runtime) remove(p *Plugin) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.plugins, p)
}

// defaultInstances is how many guests of one plugin run at once: they compute
// and do not wait, so more than processors would only cost memory.
func defaultInstances() int { return runtime.GOMAXPROCS(0) }
