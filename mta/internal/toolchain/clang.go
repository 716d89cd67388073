package toolchain

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
)

var c = language{
	name:     "C",
	marks:    []string{"*.c"},
	program:  "a plugin exports its hooks with MTA_HOOK, or has main",
	recipe:   func() []string { return slices.Concat(clangFlags, cFlags, linkFlags, sdkDigest("c")) },
	manifest: sources,
	build:    func(ctx context.Context, j *job) error { return clangBuild(ctx, j, false) },
}

var cpp = language{
	name:     "C++",
	marks:    []string{"*.cc", "*.cpp", "*.cxx"},
	program:  "a plugin exports its hooks with MTA_HOOK, or has main",
	recipe:   func() []string { return slices.Concat(clangFlags, cppFlags, linkFlags, sdkDigest("c")) },
	manifest: sources,
	build:    func(ctx context.Context, j *job) error { return clangBuild(ctx, j, true) },
}

var (
	clangFlags = []string{"--target=wasm32-wasi", "-O2", "-mbulk-memory", "-fvisibility=hidden", "-fdiagnostics-color=never"}
	cFlags     = []string{"-std=gnu11"}
	cppFlags   = []string{"-std=c++20", "-fno-exceptions", "-fno-rtti"} // wasi-libc's C++ library cannot throw

	// linkFlags: the stack comes first in memory, so that one that overflows
	// traps, and does not write over data.
	linkFlags = []string{"--target=wasm32-wasi", "-s", "-Wl,--stack-first", "-Wl,-z,stack-size=65536"}
)

// heap is how much memory a reactor has beside its data, in octets. Memory that
// grows while a message is handled cannot be reset for the next one.
const heap = 256 << 10

// clangs are the names of clang, newest first. Debian 12 has 14.
var clangs = func() []string {
	names := []string{"clang"}
	for n := 24; n >= 14; n-- {
		names = append(names, "clang-"+strconv.Itoa(n))
	}
	return names
}()

// clangBuild compiles all sources of a folder at once.
func clangBuild(ctx context.Context, j *job, cpp bool) error {
	clang, err := findClang(ctx, j, cpp)
	if err != nil {
		return err
	}
	if err := writeSDK(j, "c", "c"); err != nil {
		return err
	}
	names, err := sourcesBelow(j.dir)
	if err != nil {
		return err
	}
	compile := slices.Concat(clangFlags, []string{
		"-I" + j.dir, "-I" + filepath.Join(j.tmp, "c"), "-ffile-prefix-map=" + j.dir + string(filepath.Separator) + "=",
	})
	link := slices.Concat(linkFlags, []string{"-o", j.out()})
	if cpp {
		link = append(link, "--driver-mode=g++")
	}
	command := false
	for _, name := range names {
		flags, ok := clangLanguages[filepath.Ext(name)]
		if !ok {
			continue
		}
		object, isCommand, err := clangCompile(ctx, j, clang, slices.Concat(compile, flags), name)
		if err != nil {
			return err
		}
		link, command = append(link, object), command || isCommand
	}
	if command {
		_, err = j.run(ctx, clang, link...)
		return err
	}
	return clangLink(ctx, j, clang, append(link, "-mexec-model=reactor"))
}

// clangLanguages are the flags for sources, by their suffix.
var clangLanguages = map[string][]string{".c": cFlags, ".cc": cppFlags, ".cpp": cppFlags, ".cxx": cppFlags}

// mainFunction is that of a WASI command; a plugin without it is a reactor.
var mainFunction = regexp.MustCompile(`(?m)^\s*(int|auto)\s+main\s*\(`)

// clangCompile makes an object of one source, and tells whether it is a
// command's.
func clangCompile(ctx context.Context, j *job, clang string, flags []string, name string) (object string, command bool, err error) {
	rel, err := filepath.Rel(j.dir, name)
	if err != nil {
		return "", false, err
	}
	text, err := os.ReadFile(name)
	if err != nil {
		return "", false, err
	}
	object = filepath.Join(j.tmp, strings.ReplaceAll(rel, string(filepath.Separator), "_")+".o")
	if _, err := j.run(ctx, clang, append(flags, "-MMD", "-MF", object+".d", "-c", "-o", object, rel)...); err != nil {
		return "", false, err
	}
	return object, mainFunction.Match(text), j.readDependencies(object + ".d")
}

var tooSmall = regexp.MustCompile(`initial memory too small, (\d+) bytes needed`)

// clangLink links a reactor, with room for a heap.
func clangLink(ctx context.Context, j *job, clang string, args []string) error {
	const page = 64 << 10
	size := func(n int) string { return "-Wl,--initial-memory=" + strconv.Itoa((n+page-1)/page*page) }
	_, err := j.run(ctx, clang, append(args, size(heap))...)
	if err == nil {
		return nil
	}
	m := tooSmall.FindStringSubmatch(err.Error())
	if m == nil {
		return err
	}
	need, err := strconv.Atoi(m[1])
	if err != nil {
		return err
	}
	_, err = j.run(ctx, clang, append(args, size(need+heap))...)
	return err
}

// findClang finds a clang that has all it needs to make WebAssembly.
func findClang(ctx context.Context, j *job, cpp bool) (string, error) {
	var lacks error // what the first one has not
	clang := tool{name: "clang", programs: clangs, debian: "clang-14", usable: func(ctx context.Context, path string) bool {
		err := clangLacks(ctx, j, path, cpp)
		if lacks == nil {
			lacks = err
		}
		return err == nil
	}}
	for _, p := range clangParts("14", cpp) {
		clang.debian += " " + p.debian
	}
	path, err := j.need(ctx, clang)
	if err != nil && lacks != nil {
		return "", lacks
	}
	return path, err
}

// A clangPart is what clang needs beside itself, and how it is asked where it
// would take it from.
type clangPart struct{ name, debian, query string }

func clangParts(version string, cpp bool) []clangPart {
	parts := []clangPart{
		{"wasm-ld", "lld-" + version, "-print-prog-name=wasm-ld-" + version},
		{"wasi-libc", "wasi-libc", "-print-file-name=crt1-reactor.o"},
		{"compiler-rt for wasm32", "libclang-rt-" + version + "-dev-wasm32", "-print-libgcc-file-name"},
		{"libc++ for wasm32", "libc++-" + version + "-dev-wasm32", "-print-file-name=libc++.a"},
		{"libc++abi for wasm32", "libc++abi-" + version + "-dev-wasm32", "-print-file-name=libc++abi.a"},
	}
	if !cpp {
		parts = parts[:3]
	}
	return parts
}

// clangLacks tells what a clang needs that is not here.
func clangLacks(ctx context.Context, j *job, clang string, cpp bool) error {
	out, err := j.run(ctx, clang, "-dumpversion")
	if err != nil {
		return err
	}
	version, _, _ := strings.Cut(strings.TrimSpace(string(out)), ".")
	var names, packages []string
	for i, p := range clangParts(version, cpp) {
		out, err := j.run(ctx, clang, "--target=wasm32-wasi", p.query)
		if err != nil {
			return err
		}
		if !exists(strings.TrimSpace(string(out))) && !(i == 0 && hasLinker(ctx, j, clang)) {
			names, packages = append(names, p.name), append(packages, p.debian)
		}
	}
	if names == nil {
		return nil
	}
	t := tool{name: strings.Join(names, " and "), debian: strings.Join(packages, " ")}
	return t.missing(j)
}

// hasLinker tells whether clang finds wasm-ld by its name without a version.
func hasLinker(ctx context.Context, j *job, clang string) bool {
	out, err := j.run(ctx, clang, "--target=wasm32-wasi", "-print-prog-name=wasm-ld")
	if err != nil {
		return false
	}
	name := strings.TrimSpace(string(out))
	linker := tool{programs: []string{"wasm-ld"}}
	return exists(name) || linker.find(ctx, j.dir) != ""
}

func exists(path string) bool {
	_, err := os.Stat(path)
	return filepath.IsAbs(path) && err == nil
}

// readDependencies adds the files beyond the folder that a compiler says, in
// the form of make, it has read.
func (j *job) readDependencies(file string) error {
	b, err := os.ReadFile(file)
	if err != nil {
		return fmt.Errorf("read what the compiler read: %w", err)
	}
	_, list, _ := strings.Cut(string(b), ": ")
	list, _, _ = strings.Cut(strings.ReplaceAll(list, "\\\n", " "), "\n")
	for _, name := range strings.Fields(strings.ReplaceAll(list, `\ `, "\x00")) {
		name = strings.ReplaceAll(name, "\x00", " ")
		if !filepath.IsAbs(name) {
			name = filepath.Join(j.dir, name)
		}
		name = filepath.Clean(name)
		if !strings.HasPrefix(name, j.dir+string(filepath.Separator)) && !strings.HasPrefix(name, j.tmp) {
			j.outside = append(j.outside, name)
		}
	}
	return nil
}
