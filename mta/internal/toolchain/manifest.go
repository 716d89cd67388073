package toolchain

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/google/renameio/v2"
)

// A manifest says what went into a module, so that a change is found without
// a compiler: the folder with its sources, other files that the compiler read,
// and how it was called.
type manifest struct {
	Module    string   `json:"module"` // digest of what was built
	Recipe    []string `json:"recipe"`
	Toolchain string   `json:"toolchain"` // for people

	// Files has the digest of each file, empty for one that must not be there.
	Files map[string]string `json:"files"`

	// Trees has the names of the sources below each folder: a new file is a
	// change.
	Trees map[string][]string `json:"trees,omitempty"`

	// Folders has the names of the sources in each package folder of Go.
	Folders map[string][]string `json:"folders,omitempty"`

	// Embedded has all names below the folders of packages that embed files.
	Embedded map[string][]string `json:"embedded,omitempty"`
}

func newManifest(l *language) *manifest {
	return &manifest{
		Recipe: l.fullRecipe(), Files: map[string]string{}, Trees: map[string][]string{},
		Folders: map[string][]string{}, Embedded: map[string][]string{},
	}
}

func (l *language) fullRecipe() []string { return append([]string{l.name}, l.recipe()...) }

// sources is the manifest of most languages: the folder with all that is in it.
func sources(_ context.Context, j *job) (*manifest, error) {
	m := newManifest(j.lang)
	names, err := sourcesBelow(j.dir)
	if err != nil {
		return nil, err
	}
	m.Trees[j.dir] = names
	for _, name := range names {
		if err := m.addFile(name); err != nil {
			return nil, err
		}
	}
	return m, nil
}

// addOutside adds what is known only once the compiler ran.
func (m *manifest) addOutside(j *job) error {
	if m.Toolchain == "" {
		m.Toolchain = strings.Join(j.tools, " ")
	}
	for _, file := range j.outside {
		if _, known := m.Files[file]; known {
			continue
		}
		if err := m.addFile(file); err != nil {
			return err
		}
	}
	return nil
}

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
func (m *manifest) changed(l *language) string {
	if !slices.Equal(m.Recipe, l.fullRecipe()) {
		return "it is built in another way now"
	}
	for dir, names := range m.Trees {
		if now, err := sourcesBelow(dir); err != nil || !slices.Equal(now, names) {
			return "other files in " + dir
		}
	}
	for dir, names := range m.Folders {
		if now, err := goSources(dir); err != nil || !slices.Equal(now, names) {
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

// notSource are patterns of what a folder holds beside the source: tests, words
// for people, and what tools leave behind.
var notSource = []string{".*", "*.md", "*.txtar", "*.wasm", "testdata", "node_modules", "target", "zig-out"}

// sourcesBelow are the names of the files below dir that may be source.
func sourcesBelow(dir string) ([]string, error) {
	var names []string
	err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		skip := path != dir && slices.ContainsFunc(notSource, func(pattern string) bool {
			ok, _ := filepath.Match(pattern, filepath.Base(path)) // the patterns are sound
			return ok
		})
		switch {
		case err != nil:
			return err
		case skip && d.IsDir():
			return filepath.SkipDir
		case !skip && !d.IsDir():
			names = append(names, path)
		}
		return nil
	})
	return names, err
}
