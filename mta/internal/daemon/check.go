package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"runtime/debug"
	"slices"

	"github.com/wasmta/wasmta/mta/internal/account"
	"github.com/wasmta/wasmta/mta/internal/admin"
	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/toolchain"
	"github.com/wasmta/wasmta/mta/internal/wasm"
)

// Check returns all that a start with that file would refuse, without
// starting: plugins are built, loaded and configured, certificates read and
// addresses bound for a moment. While a server runs on the file, the addresses
// are its own and not looked at.
func Check(ctx context.Context, file string, log *slog.Logger) (config.Findings, error) {
	cfg, findings := LoadConfig(file)
	if len(findings) > 0 {
		return findings, nil
	}
	if err := makeFolders(cfg.State); err != nil {
		return nil, err
	}
	collect := func(err error) error {
		if f, ok := errors.AsType[config.Findings](err); ok {
			findings = append(findings, f...)
			return nil
		}
		return err
	}
	_, runtime, err := loadPipeline(ctx, cfg, surroundings{log: log})
	if err := collect(err); err != nil {
		return nil, err
	}
	if runtime != nil {
		defer runtime.Close(ctx)
	}
	if err := collect(new(certificate).load(cfg)); err != nil {
		return nil, err
	}
	dir, err := account.New(accountConfig(cfg), account.OpenFile(filepath.Join(cfg.State, accountsFile), log), account.NewGuard(), log)
	if err != nil {
		return nil, err
	}
	if err := collect(refuseDemo(ctx, cfg, dir)); err != nil {
		return nil, err
	}
	client := admin.Connect(cfg.State, "")
	defer client.Close()
	if _, err := client.About(ctx); err != nil {
		findings = append(findings, cfg.CheckListen(ctx)...)
	}
	return findings, nil
}

// BuildPlugin returns the module at path: that of a folder with a plugin's
// source is built.
func BuildPlugin(ctx context.Context, path string, log *slog.Logger) ([]byte, error) {
	cache, err := os.MkdirTemp("", "mta-plugin-")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(cache)
	return (&toolchain.Builder{CacheDir: cache, Log: log}).Load(ctx, path)
}

// A PluginInfo is what `mta plugin inspect` shows.
type PluginInfo struct {
	Size    int      `json:"size"`
	SHA256  string   `json:"sha256"`
	Hooks   []string `json:"hooks"`
	Imports []string `json:"imports"` // functions of the plugin ABI
}

// InspectPlugin looks into the module at path, a file or a plugin's folder. It
// runs nothing of it.
func InspectPlugin(ctx context.Context, path string, log *slog.Logger) (*PluginInfo, error) {
	module, err := BuildPlugin(ctx, path, log)
	if err != nil {
		return nil, err
	}
	hooks, imports, err := wasm.Inspect(ctx, module)
	if err != nil {
		return nil, fmt.Errorf("%s is no WebAssembly module: %w", path, err)
	}
	sum := sha256.Sum256(module)
	slices.Sort(imports)
	return &PluginInfo{Size: len(module), SHA256: hex.EncodeToString(sum[:]), Hooks: hooks, Imports: imports}, nil
}

// Version is that of the module this binary was built from.
func Version() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" && info.Main.Version != "(devel)" {
		return info.Main.Version
	}
	return "devel"
}
