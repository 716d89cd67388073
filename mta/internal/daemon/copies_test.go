package daemon

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
)

// Copies belong to one Redis: another does not get them, nor has them given up.
func TestCopiesAreOfOneRedis(t *testing.T) {
	state := t.TempDir()
	log := slog.New(slog.DiscardHandler)
	use := func(place string) {
		t.Helper()
		if err := changePlace(state, place, log); err != nil {
			t.Fatal(err)
		}
		if err := os.MkdirAll(filepath.Join(state, copiesDir), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(state, marksFile), []byte(`{"redis":"`+place+`"}`), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	has := func(want string) {
		t.Helper()
		names, err := filepath.Glob(filepath.Join(state, copiesDir, "of-*"))
		if err != nil || len(names) > 1 {
			t.Fatalf("copies %q, %v", names, err)
		}
		got := ""
		if len(names) == 1 {
			got = filepath.Base(names[0])
		}
		if got != want {
			t.Errorf("has the copies %q, want %q", got, want)
		}
	}
	fill := func(name string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(state, copiesDir, name), nil, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	use("first")
	fill("of-first")
	use("first")
	has("of-first")
	use("second")
	has("")
	fill("of-second")
	use("first")
	has("of-first")
	use("second")
	has("of-second")
	if err := dropCopies(state, "first"); err != nil {
		t.Fatal(err)
	}
	has("of-second")
	use("first")
	has("")
	if err := dropCopies(state, "first"); err != nil {
		t.Fatal(err)
	}
	if last, err := lastPlace(state); last != "" || err != nil {
		t.Errorf("dropped, and still of %q, %v", last, err)
	}
}
