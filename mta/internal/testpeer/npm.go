package testpeer

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// NeedNpm returns the folder that the npm package pkg, "NAME@VERSION", is
// installed in: its files are in node_modules/NAME below, its programs in
// node_modules/.bin. The folder is wasmta/npm/NAME@VERSION in the user's cache
// folder, where `mta plugin build` looks too; what is missing is installed
// there, and stays for the next run. Where that cannot be done (no npm, no
// network) the test is skipped with the reason; with CI set in the environment
// it fails.
func NeedNpm(t testing.TB, pkg string) (dir string) {
	t.Helper()
	dir, err := npmPackage(t, pkg)
	if err != nil {
		give := t.Skipf
		if os.Getenv("CI") != "" {
			give = t.Fatalf
		}
		give("the npm package %s is not installed: %v", pkg, err)
	}
	return dir
}

func npmPackage(t testing.TB, pkg string) (string, error) {
	t.Helper()
	if at := strings.LastIndex(pkg, "@"); at < 1 || at == len(pkg)-1 {
		return "", fmt.Errorf("%q names no version", pkg)
	}
	cache, err := os.UserCacheDir()
	if err != nil {
		return "", err
	}
	dir := filepath.Join(cache, "wasmta", "npm", filepath.FromSlash(pkg))
	if isDir(dir) {
		return dir, nil
	}
	npm, err := exec.LookPath("npm")
	if err != nil {
		return "", fmt.Errorf("there is no npm in PATH (Debian package npm)")
	}
	if err := os.MkdirAll(filepath.Dir(dir), 0o755); err != nil {
		return "", err
	}
	unlock, err := lockFile(dir + ".lock") // not mu: other packages need not wait
	if err != nil {
		return "", err
	}
	defer unlock()
	if isDir(dir) { // another test was first
		return dir, nil
	}
	fmt.Fprintf(os.Stderr, "testpeer: installing the npm package %s for %s\n", pkg, t.Name())
	return dir, npmInstall(npm, pkg, dir)
}

// npmInstall installs pkg into dir, which is there as a whole or not at all.
// Packages run no scripts of theirs.
func npmInstall(npm, pkg, dir string) error {
	tmp, err := os.MkdirTemp(filepath.Dir(dir), ".installing-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(tmp)
	cmd := exec.Command(npm, "install", "--prefix", tmp, "--save-exact", "--ignore-scripts", "--no-audit", "--no-fund", pkg)
	cmd.Dir = tmp
	if out, err := cmd.CombinedOutput(); err != nil {
		line, _, _ := strings.Cut(strings.TrimSpace(string(out)), "\n")
		return fmt.Errorf("npm install %s: %w: %s", pkg, err, line)
	}
	return os.Rename(tmp, dir)
}

func isDir(name string) bool {
	info, err := os.Stat(name)
	return err == nil && info.IsDir()
}
