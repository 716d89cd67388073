package toolchain

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// ToolsVariable is the environment variable that lists folders with tools.
const ToolsVariable = "WASMTA_TOOLS"

// A tool is a program, or a file of a package, that builds need.
type tool struct {
	name     string                                      // as people say it
	programs []string                                    // its names in PATH, the best first; none: it is no program
	npm      string                                      // the npm package that has it, NAME@VERSION, if one has
	file     string                                      // where it is below node_modules, in a package of npm
	debian   string                                      // the Debian packages that have it, if there are any
	fallback []string                                    // places beside PATH
	usable   func(ctx context.Context, path string) bool // nil: whatever is found
}

// find gives the tool's path, or nothing. It looks in node_modules of the
// plugin's folder and of those above it, in the folders that WASMTA_TOOLS
// lists, in wasmta/npm of the user's cache folder, and in PATH.
func (t *tool) find(ctx context.Context, dir string) string {
	for _, path := range t.candidates(dir) {
		if info, err := os.Stat(path); err != nil || info.IsDir() {
			continue
		}
		if t.usable == nil || t.usable(ctx, path) {
			return path
		}
	}
	return ""
}

func (t *tool) candidates(dir string) []string {
	var paths []string
	inNode := func(root string) {
		if t.file != "" {
			paths = append(paths, filepath.Join(root, "node_modules", filepath.FromSlash(t.file)))
		}
	}
	for at := dir; ; at = filepath.Dir(at) {
		inNode(at)
		if at == filepath.Dir(at) {
			break
		}
	}
	for _, root := range filepath.SplitList(os.Getenv(ToolsVariable)) {
		root, err := filepath.Abs(root) // compilers run in the plugin's folder
		if err != nil {
			continue
		}
		inNode(root)
		inNode(filepath.Join(root, filepath.FromSlash(t.npm)))
		for _, name := range t.programs {
			paths = append(paths, filepath.Join(root, name), filepath.Join(root, "bin", name))
		}
	}
	if cache, err := os.UserCacheDir(); err == nil && t.npm != "" {
		inNode(filepath.Join(cache, "wasmta", "npm", filepath.FromSlash(t.npm)))
	}
	for _, name := range t.programs {
		for _, folder := range filepath.SplitList(os.Getenv("PATH")) {
			if path, err := exec.LookPath(filepath.Join(folder, name)); err == nil && filepath.IsAbs(path) {
				paths = append(paths, path)
			}
		}
	}
	return append(paths, t.fallback...)
}

// missing says that a job needs the tool, and where it is to be had.
func (t *tool) missing(j *job) error {
	return &MissingError{Folder: j.dir, Language: j.lang.name, Tool: t.name, Package: t.pkg(), Install: t.install()}
}

func (t *tool) pkg() string {
	switch {
	case t.npm != "":
		return "npm package " + t.npm
	case strings.Contains(t.debian, " "):
		return "Debian packages " + t.debian
	}
	return "Debian package " + t.debian
}

func (t *tool) install() string {
	if t.npm != "" {
		return "npm install --no-save " + t.npm
	}
	return "apt-get install " + t.debian
}

// A MissingError says that a plugin is not built because a tool is not here.
type MissingError struct {
	Folder   string
	Language string
	Tool     string // "clang"
	Package  string // "Debian package nodejs"
	Install  string // the command that installs it
}

// Error implements error: what is missing, a semicolon, and the cure.
func (e *MissingError) Error() string {
	where := ""
	if strings.HasPrefix(e.Install, "npm ") {
		where = " in " + e.Folder
	}
	return fmt.Sprintf("build plugin %s: a plugin in %s needs %s, of the %s; run `%s`%s, or give a built .wasm file instead of the folder",
		e.Folder, e.Language, e.Tool, e.Package, e.Install, where)
}
