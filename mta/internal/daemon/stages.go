package daemon

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/condition"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/pipeline"
	"github.com/wasmta/wasmta/mta/internal/toolchain"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
)

// compileCondition type-checks a `when:`.
func compileCondition(when string) error {
	_, err := condition.Compile(when)
	return err
}

// loadPipeline builds, loads and configures the plugins of cfg. What is wrong
// with any stage comes back as findings, all of them, each at its place in
// the file. The runtime holds the plugins and is closed after the pipelines'
// last use.
func loadPipeline(ctx context.Context, cfg *config.Config, around surroundings) (*pipelines, *wasm.Runtime, error) {
	runtime, err := wasm.NewRuntime(ctx, wasm.Options{
		CacheDir: filepath.Join(cfg.State, "cache", "wazero"),
		Hostname: cfg.Hostname,
		Log:      around.log,
		Now:      around.now,
		Random:   around.random,
	})
	if err != nil {
		return nil, nil, err
	}
	modules, findings := readPlugins(ctx, cfg, around.log)
	p := newPipelines(cfg.Hostname, around)
	for i := range cfg.Pipeline {
		stage, err := loadStage(ctx, cfg, &cfg.Pipeline[i], modules, runtime, around)
		if err != nil {
			if !errors.Is(err, errNoModule) { // that has its finding already
				findings = append(findings, stageFinding(cfg, i, err))
			}
			continue
		}
		p.add(stage, cfg.Pipeline[i].After == "queue")
	}
	if len(findings) > 0 {
		runtime.Close(ctx)
		return nil, nil, findings
	}
	return p, runtime, nil
}

// errNoModule says that a stage's plugin could not be read.
var errNoModule = errors.New("no module")

// readPlugins returns the modules of the plugins that stages use.
func readPlugins(ctx context.Context, cfg *config.Config, log *slog.Logger) (map[string][]byte, config.Findings) {
	used := map[string]bool{}
	for _, s := range cfg.Pipeline {
		used[s.Plugin] = true
	}
	builder := &toolchain.Builder{CacheDir: filepath.Join(cfg.State, "cache", "plugins"), Log: log}
	modules := map[string][]byte{}
	var findings config.Findings
	for _, p := range cfg.Plugins {
		if !used[p.Name] {
			continue
		}
		module, err := builder.Load(ctx, p.Path)
		if err != nil {
			findings = append(findings, pluginFinding(cfg, p, err))
			continue
		}
		if finding, ok := checkPin(cfg, p, module); !ok {
			findings = append(findings, finding)
			continue
		}
		modules[p.Name] = module
	}
	return modules, findings
}

// checkPin tells whether a module is the one that its plugin pins.
func checkPin(cfg *config.Config, p config.Plugin, module []byte) (config.Finding, bool) {
	if got := hashOf(module); p.SHA256 != "" && p.SHA256 != got {
		return cfg.Finding(config.Key(config.Key("plugins", p.Name), "sha256"), "is not that of the module, which has "+got,
			"find out who changed the plugin; if it is meant to be so, run `mta plugin lock`"), false
	}
	return config.Finding{}, true
}

// pluginFinding is one line for a plugin that cannot be read or built: the
// compiler's first, if it said more.
func pluginFinding(cfg *config.Config, p config.Plugin, err error) config.Finding {
	what, cure := err.Error(), "name a .wasm file or a folder with the source of a plugin"
	if failure, ok := errors.AsType[*toolchain.BuildError](err); ok {
		first, _, _ := strings.Cut(failure.Output, "\n")
		what = "does not build: " + strings.TrimPrefix(first, "./")
		cure = "mend it in " + p.Path + "; `mta plugin build` shows all that the compiler says"
	} else if before, after, ok := strings.Cut(what, "; "); ok {
		what, cure = before, after
	}
	return cfg.Finding(config.Key("plugins", p.Name), what, cure)
}

func loadStage(ctx context.Context, cfg *config.Config, s *config.Stage, modules map[string][]byte, runtime *wasm.Runtime, around surroundings) (*pipeline.Stage, error) {
	module, ok := modules[s.Plugin]
	if !ok {
		return nil, errNoModule
	}
	opts := wasm.LoadOptions{
		Name: s.Name, Wasm: module, Config: s.Config,
		Budget: wasm.Budget{
			Fuel: s.Fuel, HostCalls: s.HostCalls, LogOctets: int(s.LogOctets), Memory: int64(s.Memory), Timeout: s.Timeout,
		},
		Instances: s.Instances, Isolation: wasm.Isolation(s.Isolation),
		Grants:  append([]string{}, s.Grant...), // none is not the default
		Folders: folders(s.Folders),
		Mode:    wasm.Mode(s.Mode), Output: s.Output,
		Resolver: around.resolver,
	}
	if around.kv != nil {
		opts.KV = around.kv(s.Plugin)
	}
	if around.metrics != nil {
		opts.Metrics = around.metrics(s.Name)
	}
	plugin, err := runtime.Load(ctx, opts)
	if err != nil {
		return nil, err
	}
	stage := &pipeline.Stage{
		Name: s.Name, Guest: plugin, Hooks: plugin.Hooks(), Timeout: wasm.MaxWait + s.Timeout, OnError: pipeline.OnError(s.OnError),
		Breaker: pipeline.Breaker{Failures: s.Breaker.Failures, Window: s.Breaker.Window, Pause: s.Breaker.Pause},
	}
	if s.When != "" {
		when, err := condition.Compile(s.When)
		if err != nil {
			return nil, fmt.Errorf("when: %w", err)
		}
		if hooks := plugin.Hooks(); len(hooks) > 0 && !slices.ContainsFunc(hooks, when.Known) {
			return nil, &neverKnown{hooks}
		}
		stage.When = when
	}
	return stage, nil
}

func folders(in []config.Folder) []wasm.Folder {
	out := make([]wasm.Folder, len(in))
	for i, f := range in {
		out[i] = wasm.Folder{Name: f.Name, Path: f.Path}
	}
	return out
}

// neverKnown says that a stage would never be asked.
type neverKnown struct{ hooks []string }

func (e *neverKnown) Error() string {
	return "speaks of what is not known yet at " + strings.Join(e.hooks, " or ") + ", where alone the plugin is asked"
}

// stageFinding puts what a plugin says when it is loaded at the stage's config,
// which it most often speaks of. What it says may bring a cure of its own,
// after a semicolon.
func stageFinding(cfg *config.Config, i int, err error) config.Finding {
	if _, ok := errors.AsType[*neverKnown](err); ok {
		return cfg.Finding(config.Key(config.Index("pipeline", i), "when"), err.Error(), "see the last column of mta/docs/conditions.md")
	}
	what, cure, ok := strings.Cut(err.Error(), "; ")
	if !ok {
		cure = "see the plugin's README"
	}
	key := "config"
	if lacks, ok := errors.AsType[*wasm.GrantError](err); ok {
		key, cure = "grant", grantCure(cfg.Pipeline[i].Grant, lacks.Lacks)
	}
	return cfg.Finding(config.Key(config.Index("pipeline", i), key), what, cure)
}

// grantCure is the grant that a stage would need.
func grantCure(has []string, lacks abi.Grant) string {
	all, err := abi.ParseGrants(has...)
	if err != nil {
		return "add " + lacks.String()
	}
	return "if it is to have that, write grant: [" + (all | lacks).String() + "]"
}
