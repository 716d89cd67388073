package main

import (
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"unicode"

	"github.com/wasmta/wasmta/mta/internal/daemon"
)

// PluginCmd makes, builds, inspects and pins plugins.
type PluginCmd struct {
	New     PluginNewCmd     `cmd:"" help:"Write the folder of a new plugin, in a language."`
	Build   PluginBuildCmd   `cmd:"" help:"Build a plugin from its folder."`
	Inspect PluginInspectCmd `cmd:"" help:"Show the hooks, grants, size and hash of a plugin."`
	Lock    PluginLockCmd    `cmd:"" help:"Write the hashes of all plugins into the pipeline file."`
	Conform PluginConformCmd `cmd:"" help:"Hold a plugin to the conformance filter of every language."`
}

// Help implements kong's detailed help.
func (PluginCmd) Help() string { return "Example: mta plugin build plugins/stamp" }

// PluginBuildCmd builds a plugin.
type PluginBuildCmd struct {
	Dir    string `arg:"" help:"The plugin's folder."`
	Output string `short:"o" placeholder:"FILE" help:"Where the module goes; NAME.wasm in the current folder by default."`
}

// Help implements kong's detailed help.
func (PluginBuildCmd) Help() string { return "Example: mta plugin build plugins/stamp -o stamp.wasm" }

// Run builds the module and writes it.
func (c PluginBuildCmd) Run(g *Globals) error {
	dir, err := filepath.Abs(c.Dir) // "." has no name
	if err != nil {
		return err
	}
	module, err := daemon.BuildPlugin(context.Background(), c.Dir, pluginLog(g))
	if err != nil {
		return err
	}
	output := c.Output
	if output == "" {
		output = filepath.Base(dir) + ".wasm"
	}
	if err := os.WriteFile(output, module, 0o644); err != nil {
		return err
	}
	_, err = fmt.Fprintf(g.Stdout, "%s: %d octets, sha256:%x\n", output, len(module), sha256.Sum256(module))
	return err
}

// PluginInspectCmd shows a plugin.
type PluginInspectCmd struct {
	Path string `arg:"" help:"A .wasm file, or a plugin's folder."`
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
	return printInfo(g.Stdout, info)
}

func printInfo(w io.Writer, info *daemon.PluginInfo) error {
	var b strings.Builder
	line := func(name, text string) { fmt.Fprintf(&b, "%-9s %s\n", name, text) }
	line("size", fmt.Sprintf("%d octets", info.Size))
	line("sha256", info.SHA256)
	line("mode", info.Mode)
	if len(info.Hooks) > 0 {
		line("hooks", strings.Join(info.Hooks, " "))
	}
	line("grants", grantsText(info))
	memory := fmt.Sprintf("%d KiB at the start", info.Memory>>10)
	if info.MaxMem > 0 {
		memory += fmt.Sprintf(", %d KiB at most", info.MaxMem>>10)
	}
	line("memory", memory)
	for i, module := range slices.Sorted(maps.Keys(info.Imports)) {
		name := ""
		if i == 0 {
			name = "imports"
		}
		line(name, plain(module+": "+strings.Join(info.Imports[module], " ")))
	}
	if info.Bundle != nil {
		line("bundle", bundleText(info.Bundle))
	}
	for i, name := range slices.Sorted(maps.Keys(info.Sections)) {
		title := ""
		if i == 0 {
			title = "sections"
		}
		line(title, fmt.Sprintf("%s, %d octets", plain(name), info.Sections[name]))
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// plain is a name that the module's author chose, as a terminal can show it.
func plain(s string) string {
	return strings.Map(func(r rune) rune {
		if unicode.IsPrint(r) {
			return r
		}
		return '?'
	}, s)
}

func grantsText(info *daemon.PluginInfo) string {
	switch {
	case info.Mode == "loop":
		return "a loop can do what its stage grants it"
	case len(info.Grants) == 0:
		return "none are needed"
	case info.Default:
		return strings.Join(info.Grants, " ") + " (as every stage has them)"
	}
	return strings.Join(info.Grants, " ") + " (write grant: [" + strings.Join(info.Grants, ", ") + "] in its stage)"
}

// maxBundled is how many files of a bundle are named.
const maxBundled = 10

func bundleText(b *daemon.PluginBundle) string {
	names, octets := slices.Sorted(maps.Keys(b.Files)), 0
	for _, n := range b.Files {
		octets += n
	}
	text := fmt.Sprintf("%d files, %d octets", len(names), octets)
	if len(b.Args) > 0 {
		text += "; runs " + plain(strings.Join(b.Args, " "))
	}
	for i, name := range names {
		if i == maxBundled {
			text += fmt.Sprintf("\n%-9s and %d more", "", len(names)-maxBundled)
			break
		}
		text += fmt.Sprintf("\n%-9s %s, %d octets", "", plain(name), b.Files[name])
	}
	return text
}

// PluginLockCmd pins the plugins of a file.
type PluginLockCmd struct {
	Check bool `help:"Change nothing; the exit code is 1 if a hash is not that of its plugin, or missing."`
	JSON  bool `help:"Print JSON." name:"json"`
}

// Help implements kong's detailed help.
func (PluginLockCmd) Help() string {
	return `A server refuses a plugin that has another hash than its file says.

Example: mta plugin lock --pipeline pipeline.yaml

Example: mta plugin lock --check`
}

// Run writes the hashes, or looks at them.
func (c PluginLockCmd) Run(g *Globals) error {
	pins, err := daemon.LockPlugins(context.Background(), g.Pipeline, !c.Check, pluginLog(g))
	if err != nil {
		return err
	}
	if c.JSON {
		err = json.NewEncoder(g.Stdout).Encode(pins)
	} else {
		err = c.print(g, pins)
	}
	if err == nil && c.Check && slices.ContainsFunc(pins, daemon.Pin.Changed) {
		return &exitError{code: 1}
	}
	return err
}

func (c PluginLockCmd) print(g *Globals, pins []daemon.Pin) error {
	var b strings.Builder
	for _, p := range pins {
		word := "sha256:" + p.Is
		switch {
		case !p.Changed():
			word += ", as it was"
		case c.Check && p.Was == "":
			word = "has no hash in " + g.Pipeline + "; it is " + word
		case c.Check:
			word = "is not what " + g.Pipeline + " says; it is " + word
		case p.Was != "":
			word += ", was sha256:" + p.Was
		}
		fmt.Fprintf(&b, "%s: %s\n", p.Plugin, word)
	}
	if len(pins) == 0 {
		fmt.Fprintf(&b, "%s has no plugins\n", g.Pipeline)
	}
	_, err := io.WriteString(g.Stdout, b.String())
	return err
}

// pluginLog says what is built on standard error, without the time.
func pluginLog(g *Globals) *slog.Logger {
	return slog.New(slog.NewTextHandler(g.Stderr, &slog.HandlerOptions{ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
		if len(groups) == 0 && (a.Key == slog.TimeKey || a.Key == slog.LevelKey && a.Value.Any() == slog.LevelInfo) {
			return slog.Attr{}
		}
		return a
	}}))
}
