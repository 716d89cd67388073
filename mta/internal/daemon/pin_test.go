package daemon

import (
	"crypto/sha256"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/wasmta/wasmta/mta/internal/config"
)

func TestAModuleThatIsNotThePinnedOneIsRefusedAtItsPlace(t *testing.T) {
	dir := t.TempDir()
	module := []byte("\x00asm\x01\x00\x00\x00")
	if err := os.WriteFile(filepath.Join(dir, "p.wasm"), module, 0o600); err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "pipeline.yaml")
	read := func(pin string) (map[string][]byte, config.Findings) {
		text := fmt.Sprintf("hostname: a.example\nplugins:\n  p: {path: p.wasm, sha256: %s}\npipeline: [{plugin: p}]\n", pin)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		cfg, findings := config.Load(file, config.Options{})
		if len(findings) > 0 {
			t.Fatal(findings)
		}
		return readPlugins(t.Context(), cfg, slog.New(slog.DiscardHandler))
	}
	sum := fmt.Sprintf("%X", sha256.Sum256(module))
	if modules, findings := read(sum); len(findings) > 0 || string(modules["p"]) != string(module) {
		t.Errorf("the right pin: %q, %v", modules, findings)
	}
	modules, findings := read(strings.Repeat("0", 64))
	want := file + ":3:29: plugins.p.sha256: is not that of the module, which has " + strings.ToLower(sum) +
		"; find out who changed the plugin; if it is meant to be so, run `mta plugin lock`"
	if len(modules) != 0 || len(findings) != 1 || findings[0].String() != want {
		t.Errorf("another pin: %q\n got %v\nwant %s", modules, findings, want)
	}
}
