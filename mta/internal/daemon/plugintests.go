package daemon

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/google/renameio/v2"

	"github.com/wasmta/wasmta/mta/internal/cases"
	"github.com/wasmta/wasmta/mta/internal/offline"
	"github.com/wasmta/wasmta/mta/internal/report"
	"github.com/wasmta/wasmta/mta/internal/toolchain"
	"github.com/wasmta/wasmta/sdk/testcase"
)

// PluginTests says which cases of plugins to run, and how.
type PluginTests struct {
	Module string // runs the cases with this module or folder; empty: the plugin that they lie beside
	Update bool   // writes what came of a case into its file, instead of holding it against it
	Log    *slog.Logger
}

// caseFolder is where a plugin has its case files.
const caseFolder = "testdata"

// readme is the document that has cases too.
const readme = "README.md"

// caseFile is the name of case files.
const caseFile = "*.txtar"

// Run runs the cases at a path, through the plugin's WebAssembly: a plugin's
// folder with the cases that it ships (testdata/*.txtar, and the blocks of
// txtar in its README.md), or one case file.
func (t PluginTests) Run(ctx context.Context, path string) ([]report.Test, error) {
	plugin, found, err := findCases(path)
	if err != nil {
		return nil, err
	}
	if len(found) == 0 {
		return nil, fmt.Errorf("%s has no tests; put case files into %s", path, filepath.Join(path, caseFolder, caseFile))
	}
	if t.Module != "" {
		plugin = t.Module
	}
	cache, err := compiledCache()
	if err != nil {
		return nil, err
	}
	builder := &toolchain.Builder{CacheDir: filepath.Join(filepath.Dir(cache), "plugins"), Log: t.Log}
	module, err := builder.Load(ctx, plugin)
	if err != nil {
		return nil, err
	}
	p := cases.Open(module, cache)
	defer p.Close(ctx)
	tests := make([]report.Test, len(found))
	for i, c := range found {
		if tests[i], err = t.one(ctx, p, c, filepath.Join(path, readme)); err != nil {
			return nil, fmt.Errorf("%s: %w", c.Name, err)
		}
	}
	return tests, nil
}

// findCases reads the cases at a path, and tells which plugin they are for.
func findCases(path string) (plugin string, found []testcase.Case, err error) {
	info, err := os.Stat(path)
	if err != nil {
		return "", nil, err
	}
	if !info.IsDir() {
		if filepath.Ext(path) != filepath.Ext(caseFile) {
			return "", nil, fmt.Errorf("%s is neither a plugin's folder nor a case file (%s); run the cases of a folder with a module by --plugin", path, caseFile)
		}
		c, err := readCase(path)
		return pluginAround(filepath.Dir(path)), []testcase.Case{c}, err
	}
	var files []string
	for _, dir := range []string{path, filepath.Join(path, caseFolder)} {
		more, err := filepath.Glob(filepath.Join(dir, caseFile))
		if err != nil {
			return "", nil, err
		}
		files = append(files, more...)
	}
	var errs []error
	for _, file := range files {
		c, err := readCase(file)
		found, errs = append(found, c), append(errs, err)
	}
	blocks, err := readBlocks(filepath.Join(path, readme))
	return pluginAround(path), append(found, blocks...), errors.Join(append(errs, err)...)
}

// pluginAround is the plugin that a folder with cases belongs to: the folder
// itself, or the one above a testdata.
func pluginAround(dir string) string {
	if abs, err := filepath.Abs(dir); err == nil && filepath.Base(abs) == caseFolder {
		return filepath.Dir(dir)
	}
	return dir
}

func readCase(file string) (testcase.Case, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return testcase.Case{}, err
	}
	c, err := testcase.Parse(b)
	if err != nil {
		return c, fmt.Errorf("%s: %w", file, err)
	}
	c.Name, c.Want.File = strings.TrimSuffix(filepath.Base(file), ".txtar"), file
	return c, nil
}

// readBlocks reads the cases of a document, if there is one.
func readBlocks(file string) (found []testcase.Case, err error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	for i, block := range testcase.Blocks(string(b), "txtar") {
		c, err := testcase.Parse([]byte(block))
		if err != nil {
			return nil, fmt.Errorf("%s: block %d: %w", file, i+1, err)
		}
		c.Name = fmt.Sprintf("block %d", i+1)
		found = append(found, c)
	}
	return found, nil
}

// one runs one case.
func (t PluginTests) one(ctx context.Context, p *cases.Plugin, c testcase.Case, document string) (report.Test, error) {
	out := report.Test{Name: c.Name, Where: cmp.Or(c.Want.File, document)}
	began := time.Now()
	r, err := p.Run(ctx, c)
	if err != nil {
		return out, err
	}
	out.Took = time.Since(began)
	different := c.Compare(r)
	if len(different) > 0 && t.Update && c.Want.File != "" {
		out.Updated = true
		return out, updateCase(c, r)
	}
	for _, d := range different {
		f, err := failureOf(d)
		if err != nil {
			return out, err
		}
		out.Failures = append(out.Failures, f)
	}
	return out, nil
}

func failureOf(d testcase.Difference) (report.Failure, error) {
	if d.What == "result" {
		return report.NewFailure(d.What, lines(d.Want), lines(d.Got)), nil
	}
	return report.MessageFailure(d.What, d.Want, d.Got)
}

func lines(b []byte) []string {
	all := strings.Split(string(b), "\n")
	return slices.DeleteFunc(all, func(s string) bool { return s == "" })
}

func updateCase(c testcase.Case, r testcase.Result) error {
	b, err := os.ReadFile(c.Want.File)
	if err != nil {
		return err
	}
	return renameio.WriteFile(c.Want.File, testcase.Update(b, &c, r), 0o644, renameio.WithExistingPermissions())
}

// TestPipeline runs the tests of a pipeline file, each of which begins with
// plugins that remember nothing, and then the cases that its plugins ship.
func (t PluginTests) TestPipeline(ctx context.Context, file string) ([]report.Test, error) {
	o, err := OpenOffline(ctx, file, offline.Noon, t.Log)
	if err != nil {
		return nil, err
	}
	defer o.Close(ctx)
	var tests []report.Test
	for i := range o.Config.Tests {
		test, err := o.test(ctx, i)
		if err != nil {
			return nil, err
		}
		tests = append(tests, test)
	}
	seen := map[string]bool{}
	for _, p := range o.Config.Plugins {
		if info, err := os.Stat(p.Path); err != nil || !info.IsDir() || seen[p.Path] {
			continue
		}
		seen[p.Path] = true
		if _, found, err := findCases(p.Path); err == nil && len(found) == 0 {
			continue
		}
		more, err := t.Run(ctx, p.Path)
		if err != nil {
			return nil, err
		}
		tests = append(tests, more...)
	}
	return tests, nil
}
