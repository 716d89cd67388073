package daemon

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"

	"github.com/google/renameio/v2"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/mta/internal/toolchain"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
)

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
	Size     int                 `json:"size"`
	SHA256   string              `json:"sha256"`
	Mode     string              `json:"mode"`    // native, command or loop
	Hooks    []string            `json:"hooks"`   // none of a command or a loop, which are asked on_message
	Grants   []string            `json:"grants"`  // what a stage has to grant it
	Default  bool                `json:"default"` // a stage grants that without saying so
	Memory   int64               `json:"memory"`  // octets at the start
	MaxMem   int64               `json:"max_memory,omitempty"`
	Imports  map[string][]string `json:"imports"`
	Bundle   *PluginBundle       `json:"bundle,omitempty"`
	Sections map[string]int      `json:"sections,omitempty"` // octets of each custom section
}

// A PluginBundle is what a script language's module brings along.
type PluginBundle struct {
	Args  []string       `json:"args,omitempty"`
	Files map[string]int `json:"files"` // octets of each
}

// InspectPlugin looks into the module at path, a file or a plugin's folder. It
// runs nothing of it.
func InspectPlugin(ctx context.Context, path string, log *slog.Logger) (*PluginInfo, error) {
	module, err := BuildPlugin(ctx, path, log)
	if err != nil {
		return nil, err
	}
	d, err := wasm.Inspect(ctx, module)
	if err != nil {
		return nil, fmt.Errorf("%s is no plugin: %w", path, err)
	}
	info := &PluginInfo{
		Size: len(module), SHA256: hashOf(module), Mode: string(d.Mode), Hooks: d.Hooks, Imports: d.Imports,
		Grants: d.Grants.Words(), Default: abi.DefaultGrants.Lacks(d.Grants) == 0,
		Memory: d.Memory.Min, MaxMem: d.Memory.Max,
	}
	for _, s := range d.Sections {
		if info.Sections == nil {
			info.Sections = map[string]int{}
		}
		info.Sections[s.Name] += s.Size
	}
	if b := d.Bundle; b != nil {
		info.Bundle = &PluginBundle{Args: b.Args, Files: map[string]int{}}
		for name, octets := range b.Files {
			info.Bundle.Files[name] = len(octets)
		}
	}
	return info, nil
}

func hashOf(module []byte) string {
	sum := sha256.Sum256(module)
	return hex.EncodeToString(sum[:])
}

// A Pin is the hash of one plugin in a file.
type Pin struct {
	Plugin string `json:"plugin"`
	Was    string `json:"was,omitempty"` // empty: it had none
	Is     string `json:"sha256"`
}

// Changed tells whether the file has, or had, another hash or none.
func (p Pin) Changed() bool { return p.Was != p.Is }

// LockPlugins builds all plugins of a file and returns their hashes. With write
// they are in the file when it returns; nothing else in it is changed.
func LockPlugins(ctx context.Context, file string, write bool, log *slog.Logger) ([]Pin, error) {
	cfg, findings := config.Load(file, deskOptions())
	if len(findings) > 0 {
		return nil, findings
	}
	builder := &toolchain.Builder{CacheDir: filepath.Join(cfg.State, "cache", "plugins"), Log: log}
	pins := make([]Pin, 0, len(cfg.Plugins))
	hashes := map[string]string{}
	for _, p := range cfg.Plugins {
		module, err := builder.Load(ctx, p.Path)
		if err != nil {
			findings = append(findings, pluginFinding(cfg, p, err))
			continue
		}
		hashes[p.Name] = hashOf(module)
		pins = append(pins, Pin{Plugin: p.Name, Was: p.SHA256, Is: hashes[p.Name]})
	}
	if len(findings) > 0 {
		return nil, findings
	}
	if !write || !slices.ContainsFunc(pins, Pin.Changed) {
		return pins, nil
	}
	return pins, writePins(file, hashes)
}

func writePins(file string, hashes map[string]string) error {
	target, err := filepath.EvalSymlinks(file)
	if err != nil {
		return err
	}
	text, err := os.ReadFile(target)
	if err != nil {
		return err
	}
	edited, findings := config.Pin(file, text, deskOptions(), hashes)
	if len(findings) > 0 {
		return findings
	}
	return renameio.WriteFile(target, edited, 0o644, renameio.WithExistingPermissions())
}
