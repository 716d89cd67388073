package main

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/wasmta/wasmta/mta/internal/config"
	"github.com/wasmta/wasmta/sdk/templates"
)

// PluginNewCmd writes the folder of a new plugin.
type PluginNewCmd struct {
	Lang string `required:"" placeholder:"LANG" help:"The language."`
	Dir  string `arg:"" name:"name" help:"The plugin's name, or the path of its folder, which must not be there yet."`
}

// Help implements kong's detailed help.
func (PluginNewCmd) Help() string {
	return "The folder has a source, a test, a README, and all of the SDK that it needs: it builds without a network.\nLanguages: " +
		strings.Join(languageNames(), ", ") + "\n\nExample: mta plugin new --lang go greeting"
}

func languageNames() (names []string) {
	for _, l := range templates.Languages {
		names = append(names, l.Name)
	}
	return names
}

// Run writes the folder and says what comes next.
func (c PluginNewCmd) Run(g *Globals) error {
	lang, ok := templates.Find(c.Lang)
	if !ok {
		cure := "languages are " + strings.Join(languageNames(), ", ")
		if near := config.Nearest(c.Lang, languageNames()); near != "" {
			cure = fmt.Sprintf("write %q, or one of %s", near, strings.Join(languageNames(), ", "))
		}
		return &exitError{code: 2, err: fmt.Errorf("--lang: %q is not known; %s", c.Lang, cure)}
	}
	dir := filepath.Clean(c.Dir)
	name := filepath.Base(dir)
	files, err := lang.Files(name)
	if err != nil {
		return &exitError{code: 2, err: err}
	}
	if err := writeFolder(dir, files); err != nil {
		return err
	}
	return c.print(g.Stdout, lang, name, dir, files)
}

// writeFolder writes files below a folder that is not there yet. What it wrote
// is gone if it fails.
func writeFolder(dir string, files map[string][]byte) (err error) {
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return err
	}
	switch err := os.Mkdir(dir, 0o755); {
	case errors.Is(err, fs.ErrExist):
		return fmt.Errorf("%s is there already; choose another name, or remove it", dir)
	case err != nil:
		return err
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, os.RemoveAll(dir))
		}
	}()
	for _, name := range slices.Sorted(maps.Keys(files)) {
		file := filepath.Join(dir, filepath.FromSlash(name))
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(file, files[name], 0o644); err != nil {
			return err
		}
	}
	return nil
}

// maxFiles is how many files of one folder are named.
const maxFiles = 6

func (c PluginNewCmd) print(w io.Writer, lang templates.Language, name, dir string, files map[string][]byte) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s is a plugin in %s that adds a header field:\n\n", dir, lang.Title)
	for _, line := range listing(files) {
		fmt.Fprintf(&b, "  %s\n", line)
	}
	fmt.Fprintf(&b, `
Build it and run its test:

  mta test %[1]s

Put it into a pipeline file:

  plugins:
    %[2]s: %[1]s
  pipeline:
    - plugin: %[2]s

and see what it does to a message:

  mta run MESSAGE.eml
`, dir, name)
	_, err := io.WriteString(w, b.String())
	return err
}

// listing names the files, and only the folder where there are many.
func listing(files map[string][]byte) (lines []string) {
	count := map[string]int{}
	top := func(name string) string {
		if first, _, ok := strings.Cut(name, "/"); ok {
			return first
		}
		return ""
	}
	for name := range files {
		count[top(name)]++
	}
	named := map[string]bool{}
	for _, name := range slices.Sorted(maps.Keys(files)) {
		folder := top(name)
		if folder == "" || count[folder] <= maxFiles && strings.Count(name, "/") < 2 {
			lines = append(lines, name)
			continue
		}
		if !named[folder] {
			named[folder] = true
			lines = append(lines, fmt.Sprintf("%s/ (%d files of the SDK)", folder, count[folder]))
		}
	}
	return lines
}
