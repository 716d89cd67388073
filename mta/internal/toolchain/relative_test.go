package toolchain

import "testing"

// TestBuildIntoARelativeCache has the state folder as pipeline.yaml names it,
// below the folder that the server was started in.
func TestBuildIntoARelativeCache(t *testing.T) {
	dir := source(t, map[string]string{
		"go.mod":     "module example.org/tiny\n\ngo 1.24\n",
		"main.go":    tiny,
		"verdict.go": "package main\n\nconst verdict = 1\n",
	})
	t.Chdir(t.TempDir())
	if _, err := (&Builder{CacheDir: "var/cache"}).Build(t.Context(), dir); err != nil {
		t.Fatal(err)
	}
}
