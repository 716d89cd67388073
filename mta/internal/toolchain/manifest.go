package toolchain

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// A manifest says what went into a module, so that a change is found without
// the Go toolchain: each package folder with the files that the compiler takes
// from it, and the files that say which packages and versions are meant.
// Packages of the module cache are not listed, as their versions never change.
type manifest struct {
	Module    string   `json:"module"` // digest of what was built
	Flags     []string `json:"flags"`
	Toolchain string   `json:"toolchain"` // of go env GOVERSION, for people

	// Files has the digest of each file, empty for one that must not be there.
	Files map[string]string `json:"files"`

	// Folders has the names of the sources in each package folder: a new file
	// is a change.
	Folders map[string][]string `json:"folders"`

	// Embedded has all names below the folders of packages that embed files.
	Embedded map[string][]string `json:"embedded,omitempty"`
}

// sourceSuffixes are those of the files that the go command looks at.
var sourceSuffixes = []string{".go", ".s", ".c", ".h", ".syso"}

func flags() []string { return slices.Concat(buildTarget, buildFlags) }

func readManifest(file string) (*manifest, error) {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil, err
	}
	m := new(manifest)
	return m, json.Unmarshal(b, m)
}

func (m *manifest) write(file string) error {
	b, err := json.MarshalIndent(m, "", "  ")
	if err != nil {
		return err
	}
	if err := renameio.WriteFile(file, b, 0o600); err != nil {
		return fmt.Errorf("keep manifest: %w", err)
	}
	return nil
}

// changed tells what is not as it was; empty if all is.
func (m *manifest) changed() string {
	if !slices.Equal(m.Flags, flags()) {
		return "other build flags"
	}
	for dir, names := range m.Folders {
		if now, err := sources(dir); err != nil || !slices.Equal(now, names) {
			return "other files in " + dir
		}
	}
	for dir, names := range m.Embedded {
		if now, err := below(dir); err != nil || !slices.Equal(now, names) {
			return "other files below " + dir
		}
	}
	for file, sum := range m.Files {
		if now, err := fileDigest(file); err != nil || now != sum {
			return file + " changed"
		}
	}
	return ""
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
	m := &manifest{
		Flags: flags(), Files: map[string]string{}, Folders: map[string][]string{}, Embedded: map[string][]string{},
	}
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
	names, err := sources(p.Dir)
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

func (m *manifest) addFile(file string) error {
	sum, err := fileDigest(file)
	m.Files[file] = sum
	return err
}

// fileDigest is the digest of a file, empty if there is none.
func fileDigest(file string) (string, error) {
	b, err := os.ReadFile(file)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", err
	}
	return digest(b), nil
}

// sources are the names of the files in dir that a build may take.
func sources(dir string) ([]string, error) {
	entries, err := os.ReadDir(dir) // in the order of names
	if err != nil {
		return nil, err
	}
	var names []string
	for _, e := range entries {
		name := e.Name()
		if e.IsDir() || strings.HasSuffix(name, "_test.go") || !slices.Contains(sourceSuffixes, filepath.Ext(name)) {
			continue
		}
		names = append(names, name)
	}
	return names, nil
}

// below are the names of all files below dir.
func below(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err == nil && !d.IsDir() {
			names = append(names, path)
		}
		return err
	})
	return names, err
}
