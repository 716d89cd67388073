package daemon

import (
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/config"
)

// onConnect is a module whose on_connect returns zero.
const onConnect = "\x00asm\x01\x00\x00\x00" +
	"\x01\x05\x01\x60\x00\x01\x7f" + // a function without parameters that returns an i32
	"\x03\x02\x01\x00" +
	"\x07\x0e\x01\x0aon_connect\x00\x00" +
	"\x0a\x06\x01\x04\x00\x41\x00\x0b" // i32.const 0

// TestAStageThatIsNeverAskedIsRefused holds that a condition which no hook of
// the plugin can judge is a mistake in the file, at its place.
func TestAStageThatIsNeverAskedIsRefused(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "p.wasm"), []byte(onConnect), 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pipeline.yaml")
	for when, want := range map[string]string{
		`listener == "smtp"`: "",
		"size > 100": file + ":4:19: pipeline[0].when: speaks of what is not known yet at on_connect, where alone the plugin is asked; " +
			"see the last column of mta/docs/conditions.md",
	} {
		text := fmt.Sprintf("hostname: a.example\nstate: %s\nplugins: {p: p.wasm}\npipeline: [{when: '%s', plugin: p}]\n", filepath.Join(dir, "var"), when)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, findings := config.Load(file, config.Options{})
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		p, runtime, err := loadPipeline(t.Context(), cfg, surroundings{log: slog.New(slog.DiscardHandler)})
		if err == nil {
			if want != "" {
				t.Errorf("%s: %d stages were loaded", when, len(p.session.Stages))
			}
			runtime.Close(t.Context())
			continue
		}
		if found, ok := errors.AsType[config.Findings](err); !ok || len(found) != 1 || found[0].String() != want {
			t.Errorf("%s:\n got %v\nwant %s", when, err, want)
		}
	}
}
