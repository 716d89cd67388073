package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/daemon"
)

// PluginCmd builds and inspects plugins.
type PluginCmd struct {
	Build   PluginBuildCmd   `cmd:"" help:"Build a plugin from its folder."`
	Inspect PluginInspectCmd `cmd:"" help:"Show the hooks, size and hash of a plugin."`
	Conform PluginConformCmd `cmd:"" help:"Hold a plugin to the conformance filter of every language."`
}

// Help implements kong's detailed help.
func (PluginCmd) Help() string { return "Example: mta plugin build plugins/stamp" }

// PluginBuildCmd builds a plugin.
type PluginBuildCmd struct {
	Dir    string `arg:"" type:"existingdir" help:"The plugin's folder."`
	Output string `short:"o" placeholder:"FILE" help:"Where the module goes; NAME.wasm in the current folder by default."`
}

// Help implements kong's detailed help.
func (PluginBuildCmd) Help() string { return "Example: mta plugin build plugins/stamp -o stamp.wasm" }

// Run builds the module and writes it.
func (c PluginBuildCmd) Run(g *Globals) error {
	name := filepath.Base(c.Dir)
	module, err := daemon.BuildPlugin(context.Background(), c.Dir, pluginLog(g))
	if err != nil {
		return err
	}
	output := c.Output
	if output == "" {
		output = name + ".wasm"
	}
	if err := os.WriteFile(output, module, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.Stdout, "%s: %d octets, sha256:%x\n", output, len(module), sha256.Sum256(module))
	return err
}

// PluginInspectCmd shows a plugin.
type PluginInspectCmd struct {
	Path string `arg:"" type:"path" help:"A .wasm file, or a plugin's folder."`
	JSON bool   `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (PluginInspectCmd) Help() string { return "Example: mta plugin inspect stamp.wasm" }

// Run shows what the module asks for.
func (c PluginInspectCmd) Run(g *Globals) error {
	info, err := daemon.InspectPlugin(context.Background(), c.Path, pluginLog(g))
	if err != nil {
		return err
	}
	if c.JSON {
		return json.NewEncoder(g.Stdout).Encode(info)
	}
	_, err = fmt.Fprintf(g.Stdout, "size    %d octets\nsha256  %s\nhooks   %s\n", info.Size, info.SHA256, strings.Join(info.Hooks, " "))
	return err
}

func pluginLog(g *Globals) *slog.Logger {
	return slog.New(slog.NewTextHandler(g.Stderr, nil))
}
