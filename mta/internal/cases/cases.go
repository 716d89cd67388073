// Package cases runs the cases of a plugin (package testcase) through its
// WebAssembly, in the sandbox that the server has. What it was built from does
// not matter.
package cases

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"time"

	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/host"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// A Plugin is a module whose cases are run, one after the other. It is not safe
// for concurrent use.
type Plugin struct {
	module   []byte
	cacheDir string
	runtimes map[string]*wasm.Runtime // by the name that the server has in a case
	log      tap
	now      time.Time // of the case in hand
}

// Open prepares a module. The code that is compiled of it is kept in a folder.
func Open(module []byte, cacheDir string) *Plugin {
	return &Plugin{module: module, cacheDir: cacheDir, runtimes: map[string]*wasm.Runtime{}}
}

// Close gives back what the cases used.
func (p *Plugin) Close(ctx context.Context) error {
	var errs []error
	for _, r := range p.runtimes {
		errs = append(errs, r.Close(ctx))
	}
	return errors.Join(errs...)
}

// runtime is that of a server with a name. To compile the module takes longer
// than all of its cases.
func (p *Plugin) runtime(ctx context.Context, hostname string) (*wasm.Runtime, error) {
	if r := p.runtimes[hostname]; r != nil {
		return r, nil
	}
	r, err := wasm.NewRuntime(ctx, wasm.Options{
		CacheDir: p.cacheDir, Hostname: hostname, Log: slog.New(&p.log),
		Now: func() time.Time { return p.now }, Random: zeros{},
	})
	if err == nil {
		p.runtimes[hostname] = r
	}
	return r, err
}

// Run loads the plugin with a case's configuration and asks its hook. The
// plugin has all grants but that for folders. The error is not that of the
// plugin: the case could not be run.
func (p *Plugin) Run(ctx context.Context, c testcase.Case) (testcase.Result, error) {
	c = c.WithDefaults()
	config, err := testcase.ToJSON(c.Config)
	if err != nil {
		return testcase.Result{}, fmt.Errorf("config.yaml: %w", err)
	}
	runtime, err := p.runtime(ctx, c.Context.Server.Name)
	if err != nil {
		return testcase.Result{}, err
	}
	p.now, p.log.lines = c.Now, nil
	services := c.Services()
	plugin, err := runtime.Load(ctx, wasm.LoadOptions{
		Name: "test", Wasm: p.module, Config: config, Instances: 1, Grants: grants,
		KV: services.KV, Resolver: services.DNS, Metrics: services.Metrics,
	})
	if err != nil {
		_, refusal, ok := strings.Cut(err.Error(), "refused to start: ")
		if !ok {
			return testcase.Result{}, err
		}
		return testcase.Result{LoadError: refusal, Log: p.log.lines}, nil
	}
	defer plugin.Close(context.WithoutCancel(ctx))
	r, err := ask(ctx, plugin, &c)
	r.KV, r.Log = services.KV.Values(), append(p.log.lines, r.Log...)
	if r.Verdict != testcase.Failed {
		r.Metrics = services.Metrics.Lines()
	}
	return r, err
}

// grants are those of a plugin in a test.
var grants = (abi.AllGrants &^ abi.GrantFolders).Words()

// ask asks the plugin. One that fails leaves the message as it was.
func ask(ctx context.Context, plugin *wasm.Plugin, c *testcase.Case) (testcase.Result, error) {
	tx, err := Transaction(c)
	if err != nil {
		return testcase.Result{}, err
	}
	answer, err := plugin.Handle(ctx, c.Hook, tx)
	failure, ok := errors.AsType[*wasm.Error](err)
	if err != nil && !ok {
		return testcase.Result{}, err
	}
	r, readErr := resultOf(c, &answer, tx)
	if failure != nil {
		r.Verdict = testcase.Failed
		if failure.Kind != wasm.KindVerdict { // that it gave none says all
			r.Log = append(r.Log, "error: "+failure.Error())
		}
	}
	return r, readErr
}

// zeros are the random octets of a test.
type zeros struct{}

// Read implements io.Reader.
func (zeros) Read(p []byte) (int, error) {
	clear(p)
	return len(p), nil
}

// A tap keeps what a plugin logs, as a case has it.
type tap struct {
	mu    sync.Mutex // guards lines: guests log from goroutines of their own
	lines []string
}

// Enabled implements [slog.Handler].
func (t *tap) Enabled(_ context.Context, level slog.Level) bool { return level >= slog.LevelInfo }

// Handle implements [slog.Handler].
func (t *tap) Handle(_ context.Context, r slog.Record) error {
	t.mu.Lock()
	defer t.mu.Unlock()
	r.Attrs(func(a slog.Attr) bool {
		if a.Key == "text" {
			first, _, _ := strings.Cut(a.Value.String(), "\n") // as testcase.Result keeps it
			t.lines = append(t.lines, strings.ToLower(r.Level.String())+": "+first)
		}
		return true
	})
	return nil
}

// WithAttrs implements [slog.Handler].
func (t *tap) WithAttrs([]slog.Attr) slog.Handler { return t }

// WithGroup implements [slog.Handler].
func (t *tap) WithGroup(string) slog.Handler { return t }

var (
	_ host.KV       = (*testcase.KV)(nil)
	_ host.Resolver = testcase.DNS(nil)
	_ host.Metrics  = (*testcase.Metrics)(nil)
)
