// Package templates has the folder of a new plugin, in each language: a source
// that adds a header field and reads its configuration, a test, a README, and
// the SDK, so that the folder builds anywhere and without a network.
package templates

import (
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/sdk"
)

//go:embed every go c cpp rust zig assemblyscript javascript python ruby
var files embed.FS

// A Language is one that a new plugin can be written in.
type Language struct {
	Name  string // as in `mta plugin new --lang NAME`
	Title string // "C++"

	sdk map[string]string // files and folders of the SDK, by where a plugin has them
}

// Languages are all languages, in the order of their README.
var Languages = []Language{
	{Name: "go", Title: "Go", sdk: map[string]string{"mta/sdk/go": "go", "mta/sdk/abi": "abi"}},
	{Name: "c", Title: "C", sdk: map[string]string{"mta.h": "c/mta.h"}},
	{Name: "cpp", Title: "C++", sdk: map[string]string{"mta.h": "c/mta.h", "mta.hpp": "c/mta.hpp"}},
	{Name: "rust", Title: "Rust", sdk: map[string]string{"mta": "rust"}},
	{Name: "zig", Title: "Zig", sdk: map[string]string{"mta.zig": "zig/mta.zig"}},
	{Name: "assemblyscript", Title: "AssemblyScript", sdk: map[string]string{"mta": "assemblyscript"}},
	{Name: "javascript", Title: "JavaScript", sdk: map[string]string{"mta.d.ts": "javascript/mta.d.ts"}},
	{Name: "python", Title: "Python", sdk: map[string]string{"mta.py": "python/mta.py"}},
	{Name: "ruby", Title: "Ruby"},
}

// name is what a plugin can be called: it becomes the name of a module of Go, a
// crate of Rust and a package of npm.
var name = regexp.MustCompile(`^[a-z][a-z0-9_-]{0,63}$`)

// placeholder stands for the plugin's name in the files of templates.
const placeholder = "PLUGIN"

// Find gives the language of that name.
func Find(lang string) (Language, bool) {
	for _, l := range Languages {
		if l.Name == lang {
			return l, true
		}
	}
	return Language{}, false
}

// Files are the files of a new plugin's folder, by their path below it (with
// slashes).
func (l Language) Files(plugin string) (map[string][]byte, error) {
	if !name.MatchString(plugin) {
		return nil, fmt.Errorf("a plugin cannot be called %q: use up to 64 of a-z, 0-9, - and _, and begin with a letter", plugin)
	}
	named := func(b []byte) []byte { return []byte(strings.ReplaceAll(string(b), placeholder, plugin)) }
	out := map[string][]byte{}
	err := errors.Join(add(out, files, "every", "", named), add(out, files, l.Name, "", named))
	for to, from := range l.sdk {
		if err == nil {
			err = add(out, sdk.Files, from, to, func(b []byte) []byte { return b }, "mtatest", "testdata")
		}
	}
	return out, err
}

// add adds a file or the files below a folder, without tests of Go and without
// some folders.
func add(out map[string][]byte, fsys fs.FS, from, to string, change func([]byte) []byte, without ...string) error {
	return fs.WalkDir(fsys, from, func(file string, d fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case d.IsDir() && slices.Contains(without, d.Name()):
			return fs.SkipDir
		case d.IsDir() || strings.HasSuffix(file, "_test.go"):
			return nil
		}
		b, err := fs.ReadFile(fsys, file)
		if err != nil {
			return err
		}
		at := path.Join(to, strings.TrimPrefix(strings.TrimPrefix(file, from), "/"))
		out[strings.TrimSuffix(at, ".txt")] = change(b) // go.mod.txt: go.mod would make it another module here
		return nil
	})
}
