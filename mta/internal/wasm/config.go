package wasm

import (
	"crypto/rand"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"time"

	"github.com/tetratelabs/wazero"
	wasmsys "github.com/tetratelabs/wazero/sys"

	"github.com/wasmta/wasmta/sdk/abi"
	"github.com/wasmta/wasmta/sdk/bundle"
)

// moduleConfig is what an instance of the plugin sees of the world, whatever it
// is run for.
func (p *Plugin) moduleConfig(inst *instance) wazero.ModuleConfig {
	config := wazero.NewModuleConfig().
		WithName(""). // several of one name would collide
		WithStartFunctions().
		WithStdout(inst.output).WithStderr(inst.output).
		WithWalltime(inst.clock.walltime, wasmsys.ClockResolution(time.Microsecond)).
		WithNanotime(inst.clock.monotonic, wasmsys.ClockResolution(time.Microsecond)).
		WithNanosleep(inst.clock.sleep).
		WithRandSource(&inst.random)
	if p.files != nil {
		config = config.WithFSConfig(p.files)
	}
	if b := p.code.bundle; b != nil {
		config = config.WithArgs(b.Args...)
		for _, name := range slices.Sorted(maps.Keys(b.Env)) {
			config = config.WithEnv(name, b.Env[name])
		}
	}
	return config
}

// mount makes the folders that the guest sees: those of its bundle, and those
// that it was given.
func (p *Plugin) mount(folders []Folder) error {
	if b := p.code.bundle; b != nil && len(b.Files) > 0 {
		p.addMount(b.FS(), bundle.Folder)
	}
	if !p.granted(abi.GrantFolders) {
		return nil
	}
	for _, f := range folders {
		root, err := os.OpenRoot(f.Path)
		if err != nil {
			return fmt.Errorf("folder %s: %w", f.Name, err)
		}
		p.roots = append(p.roots, root)
		p.addMount(root.FS(), "/"+f.Name)
	}
	return nil
}

func (p *Plugin) addMount(files fs.FS, at string) {
	if p.files == nil {
		p.files = wazero.NewFSConfig()
	}
	p.files = p.files.WithFSMount(files, at)
	p.mounts++
}

// entropy is the source of random octets, nil if it is not granted.
func (p *Plugin) entropy() io.Reader {
	switch {
	case !p.granted(abi.GrantRandom):
		return nil
	case p.shared.opts.Random != nil:
		return p.shared.opts.Random
	}
	return rand.Reader
}
