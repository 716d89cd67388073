package wasm

import (
	"context"
	"fmt"
	"io"
	"math/rand/v2"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"
)

// A wasiRule is what a function of WASI costs beside [costCall], and what it
// does to the guest's open files.
type wasiRule struct {
	units int    // place of the parameter that says how much it does; zero: none does
	each  int64  // cost of one of these, in octets copied
	most  uint32 // of these in one call; zero: what the guest has room for
	files fileEffect
}

// The most that one call may ask for. The runtime does such a call in one
// piece, which must not take longer than the guest may go on after its time.
const (
	maxVectors       = 1024 // IOV_MAX of most systems
	maxSubscriptions = 1024 // a guest has a few timers
	maxPath          = 4096 // octets, PATH_MAX of Linux
)

// wasiRules are the functions of WASI that do more than a few nanoseconds'
// work.
var wasiRules = map[string]wasiRule{
	"fd_write": {units: 2, each: octetsAUnit, most: maxVectors},
	"fd_read":  {units: 2, each: octetsAUnit, most: maxVectors, files: moves},
	"fd_pread": {units: 2, each: octetsAUnit, most: maxVectors},

	"fd_close":            {files: closes},
	"fd_renumber":         {files: mixes},
	"fd_seek":             {files: moves},
	"fd_fdstat_set_flags": {files: moves},
	"fd_readdir":          {units: 2, each: 1, files: moves},

	"path_open":         {units: 3, each: octetsAUnit, most: maxPath, files: opens},
	"path_filestat_get": {units: 3, each: octetsAUnit, most: maxPath},
	"path_readlink":     {units: 2, each: octetsAUnit, most: maxPath},

	"poll_oneoff": {units: 2, each: costCall * octetsAUnit, most: maxSubscriptions},
	"random_get":  {units: 1, each: 8},
}

// addWASI builds the module that toolchains expect to import, with a toll on
// each of its functions.
func addWASI(ctx context.Context, rt wazero.Runtime) error {
	_, err := wasi_snapshot_preview1.Instantiate(experimental.WithFunctionListenerFactory(ctx, tolls{}), rt)
	return err
}

// tolls makes a toll for each function of WASI.
type tolls struct{}

// NewFunctionListener implements [experimental.FunctionListenerFactory].
func (tolls) NewFunctionListener(f api.FunctionDefinition) experimental.FunctionListener {
	return &toll{name: f.Name(), wasiRule: wasiRules[f.Name()]}
}

// A toll takes what a function of WASI costs before it runs.
type toll struct {
	name string
	wasiRule
}

// Before implements [experimental.FunctionListener].
func (t *toll) Before(ctx context.Context, _ api.Module, _ api.FunctionDefinition, params []uint64, _ experimental.StackIterator) {
	g := callOf(ctx).guest
	g.gauge.enter(costCall)
	g.files.before(t.files, params)
	if t.units == 0 {
		return
	}
	n := uint32(params[t.units])
	if t.most > 0 && n > t.most {
		panic(fmt.Errorf("%s of %d, %d is the most", t.name, n, t.most))
	}
	g.gauge.charge(int64(n) * t.each / octetsAUnit)
}

// After implements [experimental.FunctionListener].
func (t *toll) After(ctx context.Context, _ api.Module, _ api.FunctionDefinition, results []uint64) {
	if t.files != none && len(results) > 0 && results[0] == 0 {
		callOf(ctx).guest.files.after(t.files)
	}
}

// Abort implements [experimental.FunctionListener].
func (*toll) Abort(context.Context, api.Module, api.FunctionDefinition, error) {}

// maxRead is how many octets are given at once, before the clock is looked at.
const maxRead = 64 << 10

// entropy is where a guest's random octets come from: the real ones, or the
// same ones in each call.
type entropy struct {
	gauge *gauge
	real  io.Reader // nil: not granted
	fixed *rand.ChaCha8
}

// begin starts a call with the real octets, or nil: the fixed ones from their
// beginning.
func (e *entropy) begin(real io.Reader) {
	e.real, e.fixed = real, nil
}

// Read implements [io.Reader].
func (e *entropy) Read(p []byte) (int, error) {
	e.gauge.look()
	p = p[:min(len(p), maxRead)]
	if e.real != nil {
		return e.real.Read(p)
	}
	if e.fixed == nil {
		e.fixed = rand.NewChaCha8([32]byte{})
	}
	return e.fixed.Read(p)
}
