package wasm

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"

	"github.com/google/renameio/v2"

	"github.com/wasmta/wasmta/mta/internal/meter"
)

// meteredFolder has the rewritten modules, in the folder of the compiled ones:
// rewriting takes as long as reading what was compiled.
const meteredFolder = "metered"

// meteredHead is the first line of such a file. The rewritten module follows.
type meteredHead struct {
	Sum     string   `json:"sum"` // SHA-256 of what follows
	Start   bool     `json:"start"`
	Globals []string `json:"globals"`
	Shared  bool     `json:"shared"`
}

// metered is a module with the counting of fuel in it, rewritten now or
// before.
func (r *Runtime) metered(wasm []byte) (*meter.Module, error) {
	if r.opts.CacheDir == "" {
		return meter.Rewrite(wasm, meter.Options{})
	}
	file := filepath.Join(r.opts.CacheDir, meteredFolder, digest(wasm)+"-"+meter.Version())
	if m := readMetered(file); m != nil {
		return m, nil
	}
	m, err := meter.Rewrite(wasm, meter.Options{})
	if err != nil {
		return nil, err
	}
	if err := writeMetered(file, m); err != nil {
		r.opts.Log.Warn("rewritten module is not kept", "file", file, "err", err)
	}
	return m, nil
}

func digest(b []byte) string {
	sum := sha256.Sum256(b)
	return hex.EncodeToString(sum[:])
}

// readMetered is nil for a file that is not there, or damaged.
func readMetered(file string) *meter.Module {
	b, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	line, wasm, _ := bytes.Cut(b, []byte("\n"))
	var head meteredHead
	if json.Unmarshal(line, &head) != nil || head.Sum != digest(wasm) {
		return nil
	}
	return &meter.Module{Wasm: wasm, Start: head.Start, Globals: head.Globals, Shared: head.Shared}
}

func writeMetered(file string, m *meter.Module) error {
	head, err := json.Marshal(meteredHead{digest(m.Wasm), m.Start, m.Globals, m.Shared})
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
		return err
	}
	return renameio.WriteFile(file, append(append(head, '\n'), m.Wasm...), 0o600)
}
