package toolchain

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

var rust = language{
	name:     "Rust",
	marks:    []string{"plugin.rs", "Cargo.toml", "src/lib.rs", "src/main.rs", "main.rs"},
	program:  "a plugin exports its hooks, as with mta::on_message!, or has main",
	recipe:   func() []string { return slices.Concat(rustFlags, rustReactor, sdkDigest("rust")) },
	manifest: sources,
	build:    rustBuild,
	place:    rustPlace,
}

// The targets of rustc, and the Debian package that has them.
const (
	rustReactorTarget = "wasm32-unknown-unknown"
	rustCommandTarget = "wasm32-wasi"
	rustPackage       = "rustc libstd-rust-dev-wasm32 lld-14"
)

var (
	rustFlags = []string{
		"--edition=2021", "-Copt-level=2", "-Clto=fat", "-Ccodegen-units=1", "-Cpanic=abort", "-Cstrip=symbols", "-Cmetadata=mta", "--color=never",
	}
	// rustReactor: the stack comes first in memory, so that one that overflows
	// traps, and does not write over data.
	rustReactor = []string{"--crate-type=cdylib", "-Clink-arg=--stack-first", "-Clink-arg=-zstack-size=65536"}

	noStd = regexp.MustCompile(`(?m)^#!\[no_std\]`)
)

// rustRoots are the files that a plugin can begin with, the first that is
// there.
var rustRoots = []struct {
	file    string
	command bool // a program with main
}{
	{"plugin.rs", false}, {"src/lib.rs", false}, {"src/main.rs", true}, {"main.rs", true},
}

// rustBuild compiles the SDK's crate and then the plugin's, without cargo: a
// plugin has no other dependencies.
func rustBuild(ctx context.Context, j *job) error {
	for _, root := range rustRoots {
		text, err := os.ReadFile(filepath.Join(j.dir, filepath.FromSlash(root.file)))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		if err := onlySDK(j.dir); err != nil {
			return fmt.Errorf("build plugin %s: %w", j.dir, err)
		}
		target := rustReactorTarget
		if root.command {
			target = rustCommandTarget
		}
		rustc, err := findRustc(ctx, j, target)
		if err != nil {
			return err
		}
		remap := []string{"--target=" + target, "--remap-path-prefix=" + j.tmp + "=", "--remap-path-prefix=" + j.dir + "="}
		flags := slices.Concat(rustFlags, remap)
		if root.command {
			return rustRun(ctx, j, rustc, append(flags, "-o", j.out(), root.file))
		}
		crate, err := rustSDK(ctx, j, rustc, flags, noStd.Match(text))
		if err != nil {
			return err
		}
		flags = append(flags, "--crate-name=plugin", "--extern=mta="+crate)
		return rustRun(ctx, j, rustc, slices.Concat(flags, rustReactor, []string{"-o", j.out(), root.file}))
	}
	return fmt.Errorf("build plugin %s: there is no plugin.rs and no src/lib.rs; a crate of a plugin has one of them", j.dir)
}

// rustRun compiles, and learns what was read.
func rustRun(ctx context.Context, j *job, rustc string, args []string) error {
	list := filepath.Join(j.tmp, "read.d")
	if _, err := j.run(ctx, rustc, append(args, "--emit=link,dep-info="+list)...); err != nil {
		return err
	}
	return j.readDependencies(list)
}

// rustSDK compiles the crate mta: the copy in the plugin's folder, or ours.
func rustSDK(ctx context.Context, j *job, rustc string, flags []string, alone bool) (string, error) {
	root := filepath.Join(j.dir, "mta", "src", "lib.rs")
	if !exists(root) {
		if err := writeSDK(j, "rust", "rust"); err != nil {
			return "", err
		}
		root = filepath.Join(j.tmp, "rust", "src", "lib.rs")
	}
	crate := filepath.Join(j.tmp, "libmta.rlib")
	features := []string{"alloc", "allocator", "std"}
	if alone {
		features = []string{"panic-handler"} // before Rust 1.68, alloc needs std
	}
	args := append(slices.Clone(flags), "--crate-type=rlib", "--crate-name=mta", "-o", crate)
	for _, f := range features {
		args = append(args, "--cfg", `feature="`+f+`"`)
	}
	_, err := j.run(ctx, rustc, append(args, root)...)
	return crate, err
}

// findRustc finds a rustc that has the target's library: the one in PATH often
// is rustup's, without it.
func findRustc(ctx context.Context, j *job, target string) (string, error) {
	return j.need(ctx, tool{
		name: "rustc with the target " + target, programs: []string{"rustc"}, fallback: []string{"/usr/bin/rustc"}, debian: rustPackage,
		usable: func(ctx context.Context, path string) bool {
			out, err := j.run(ctx, path, "--print=target-libdir", "--target="+target)
			return err == nil && exists(strings.TrimSpace(string(out)))
		},
	})
}

var (
	dependencyTable = regexp.MustCompile(`(?ms)^\[dependencies\]\s*$(.*?)(^\[|\z)`)
	dependency      = regexp.MustCompile(`(?m)^\s*"?([A-Za-z0-9_-]+)"?\s*[.=]`)
)

// onlySDK refuses crates that only cargo can get.
func onlySDK(dir string) error {
	b, err := os.ReadFile(filepath.Join(dir, "Cargo.toml"))
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for _, table := range dependencyTable.FindAllSubmatch(b, -1) {
		for _, d := range dependency.FindAllSubmatch(table[1], -1) {
			if string(d[1]) != "mta" {
				return fmt.Errorf("Cargo.toml needs the crate %s, and plugins are built without cargo; build it with `cargo build --release --target %s`, and give the .wasm file instead of the folder", d[1], rustReactorTarget)
			}
		}
	}
	return nil
}

var rustArrow = regexp.MustCompile(`(?m)^\s*--> (\S+:\d+:\d+)$`)

// rustPlace puts the place of the first mistake before its message.
func rustPlace(s string) string {
	if m := rustArrow.FindStringSubmatchIndex(s); m != nil {
		return s[m[2]:m[3]] + ": " + s
	}
	return s
}
