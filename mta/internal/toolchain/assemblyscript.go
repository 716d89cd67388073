package toolchain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
)

var assemblyScript = language{
	name:    "AssemblyScript",
	marks:   []string{"plugin.ts", "assembly/index.ts"},
	program: "a plugin exports its hooks as functions",
	recipe: func() []string {
		return slices.Concat(ascFlags, []string{strconv.Itoa(ascPages)}, sdkDigest("assemblyscript"))
	},
	manifest: sources,
	build:    ascBuild,
	place:    ascPlace,
}

var ascFlags = []string{"-O3", "--runtime", "incremental", "--exportStart", "_initialize", "--noColors"}

// ascPages is the memory that a module begins with beside its own data: memory
// that grows while a message is handled cannot be reset for the next one.
const ascPages = 5

var importsSDK = regexp.MustCompile(`(?m)\bfrom\s+["']mta["']`)

func ascBuild(ctx context.Context, j *job) error {
	node, err := j.need(ctx, tool{name: "node", programs: []string{"node", "nodejs"}, debian: "nodejs"})
	if err != nil {
		return err
	}
	asc, err := j.need(ctx, tool{name: "asc", programs: []string{"asc"}, npm: "assemblyscript@0.28.20", file: "assemblyscript/bin/asc.js"})
	if err != nil {
		return err
	}
	entry := "plugin.ts"
	if !exists(filepath.Join(j.dir, entry)) {
		entry = "assembly/index.ts"
	}
	packages := j.dir // with a copy of the SDK in mta
	if !exists(filepath.Join(j.dir, "mta", "package.json")) {
		packages = filepath.Join(j.tmp, "packages")
		if err := writeSDK(j, "assemblyscript", filepath.Join("packages", "mta")); err != nil {
			return err
		}
	}
	uses, err := ascUsesSDK(j.dir)
	if err != nil {
		return err
	}
	abort := "abort=" // a trap
	if uses {
		abort = "abort=~lib/mta/index/abort" // that says where
	}
	args := slices.Concat([]string{asc, entry}, ascFlags, []string{"--use", abort, "--path", packages, "-o", j.out()})
	return ascRun(ctx, j, node, args)
}

var ascNeeds = regexp.MustCompile(`Module requires at least '(\d+)' pages of initial memory`)

// ascRun compiles, with more memory if the data alone need it.
func ascRun(ctx context.Context, j *job, node string, args []string) error {
	_, err := j.run(ctx, node, append(args, "--initialMemory", strconv.Itoa(ascPages))...)
	if err == nil {
		return nil
	}
	m := ascNeeds.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	need, err := strconv.Atoi(m[1])
	if err != nil {
		return err
	}
	_, err = j.run(ctx, node, append(args, "--initialMemory", strconv.Itoa(need+ascPages))...)
	return err
}

// ascUsesSDK tells whether a source imports the package mta.
func ascUsesSDK(dir string) (bool, error) {
	names, err := sourcesBelow(dir)
	if err != nil {
		return false, err
	}
	for _, name := range names {
		if filepath.Ext(name) != ".ts" {
			continue
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return false, err
		}
		if importsSDK.Match(text) {
			return true, nil
		}
	}
	return false, nil
}

var ascArrow = regexp.MustCompile(`(?m)└─ in (\S+)\((\d+),(\d+)\)`)

// ascPlace puts the place of the first mistake before its message.
func ascPlace(s string) string {
	if m := ascArrow.FindStringSubmatch(s); m != nil {
		return fmt.Sprintf("%s:%s:%s: %s", m[1], m[2], m[3], s)
	}
	return s
}
