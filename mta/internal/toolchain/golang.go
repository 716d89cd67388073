package toolchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
)

var golang = language{
	name:     "Go",
	marks:    []string{"*.go", "go.mod"},
	program:  "a plugin is package main",
	recipe:   func() []string { return slices.Concat(goTarget, goFlags) },
	manifest: goManifest,
	build:    goBuild,
}

// goFlags are how a plugin is built: without paths of this machine and without
// symbols, as a reactor.
var goFlags = []string{"-trimpath", "-ldflags=-s -w", "-buildmode=c-shared"}

// goTarget is what a plugin is built for.
var goTarget = []string{"GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0"}

// goTool is the go command at work on one plugin's folder.
type goTool struct {
	path string
	*job
}

// findGo finds the go command.
func findGo(j *job) (goTool, error) {
	name := j.goCommand
	if name == "" {
		name = "go"
	}
	path, err := exec.LookPath(name)
	if err != nil {
		return goTool{}, fmt.Errorf("build plugin %s: no Go toolchain in PATH; install Go (https://go.dev/dl), or give a built .wasm file instead of the folder", j.dir)
	}
	j.env = goTarget
	return goTool{path: path, job: j}, nil
}

func goManifest(ctx context.Context, j *job) (*manifest, error) {
	g, err := findGo(j)
	if err != nil {
		return nil, err
	}
	return g.manifest(ctx)
}

func goBuild(ctx context.Context, j *job) error {
	g, err := findGo(j)
	if err != nil {
		return err
	}
	_, err = g.run(ctx, append(append([]string{"build"}, goFlags...), "-o", j.out(), ".")...)
	return err
}

func (g goTool) run(ctx context.Context, args ...string) ([]byte, error) {
	return g.job.run(ctx, g.path, args...)
}

// goPackage is what go list tells of a package.
type goPackage struct {
	Dir      string
	Standard bool
	Module   *struct {
		Version string
		Dir     string
		GoMod   string
		Replace *struct{ Version string }
	}
	EmbedFiles []string
}

// cached tells whether the package is one of the module cache.
func (p *goPackage) cached() bool {
	if p.Module == nil || p.Module.Version == "" {
		return false
	}
	return p.Module.Replace == nil || p.Module.Replace.Version != ""
}

// manifest asks the go command what goes into the module.
func (g goTool) manifest(ctx context.Context) (*manifest, error) {
	out, err := g.run(ctx, "list", "-deps", "-json=Dir,Standard,Module,EmbedFiles", ".")
	if err != nil {
		return nil, err
	}
	m := newManifest(g.lang)
	for dec := json.NewDecoder(bytes.NewReader(out)); ; {
		var p goPackage
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return nil, fmt.Errorf("read the answer of go list: %w", err)
		}
		if err := m.addPackage(&p); err != nil {
			return nil, err
		}
	}
	return m, m.addEnvironment(ctx, g)
}

func (m *manifest) addPackage(p *goPackage) error {
	if p.Standard || p.cached() {
		return nil
	}
	names, err := goSources(p.Dir)
	if err != nil {
		return err
	}
	m.Folders[p.Dir] = names
	if len(p.EmbedFiles) > 0 {
		if m.Embedded[p.Dir], err = below(p.Dir); err != nil {
			return err
		}
	}
	for _, name := range slices.Concat(names, p.EmbedFiles) {
		if err := m.addFile(filepath.Join(p.Dir, name)); err != nil {
			return err
		}
	}
	if p.Module == nil || p.Module.GoMod == "" {
		return nil
	}
	return errors.Join(m.addFile(p.Module.GoMod), m.addFile(filepath.Join(filepath.Dir(p.Module.GoMod), "go.sum")))
}

// addEnvironment adds the files that say which modules are meant.
func (m *manifest) addEnvironment(ctx context.Context, g goTool) error {
	out, err := g.run(ctx, "env", "GOVERSION", "GOMOD", "GOWORK")
	if err != nil {
		return err
	}
	lines := strings.Split(strings.TrimRight(string(out), "\r\n")+"\n\n\n", "\n")
	m.Toolchain = strings.TrimSpace(lines[0])
	var errs []error
	for _, file := range lines[1:3] {
		file = strings.TrimSpace(file)
		if file == "" || file == os.DevNull || file == "off" {
			continue
		}
		dir := filepath.Dir(file)
		sum := strings.TrimSuffix(file, filepath.Ext(file)) + ".sum" // go.work.sum has both
		if filepath.Base(file) == "go.work" {
			sum = file + ".sum"
		}
		errs = append(errs, m.addFile(file), m.addFile(sum), m.addFile(filepath.Join(dir, "vendor", "modules.txt")))
	}
	return errors.Join(errs...)
}

// goSuffixes are those of the files that the go command looks at.
var goSuffixes = []string{".go", ".s", ".c", ".h", ".syso"}

// goSources are the names of the files in dir that a build may take.
func goSources(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // in the order of names
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasSuffix(name, "_test.go") || !slices.Contains(goSuffixes, filepath.Ext(name)) {
			continue
		}
		names = append(names, name)
	}
	return names, nil
}
