package wasm

import (
	"context"
	"errors"

	"github.com/tetratelabs/wazero/api"

	"github.com/wasmta/wasmta/mta/internal/meter"
)

// A state is what a guest was when it was ready for its first message: its
// memory and its mutable globals. What else a guest can change (tables, dropped
// segments, open files) is only noted to be changed.
type state struct {
	image     *image
	size      uint32 // octets of memory
	globals   []uint64
	elapsed   int64 // of the guest's clock
	cloneable bool  // memory and globals are all there is to it
}

// capture keeps the state of an instance that is ready.
func (inst *instance) capture() *state {
	s := &state{elapsed: inst.clock.monotonic(), cloneable: !inst.files.left() && !inst.dirty()}
	inst.files.kept = inst.files.open
	inst.files.changed = false
	inst.clean()
	if mem := inst.mem; mem != nil {
		s.size = mem.Size()
		octets, _ := mem.Read(0, s.size)
		s.image = inst.plugin.shared.newImage(octets)
	}
	for _, name := range inst.plugin.code.globals {
		s.globals = append(s.globals, inst.mod.ExportedGlobal(name).Get())
	}
	return s
}

func (s *state) release() { s.image.release() }

var (
	errLeft   = errors.New("left something that cannot be taken back")
	errShrink = errors.New("memory grew and cannot be made smaller")
)

// restore makes an instance what its state says. first is true if its memory
// does not have the image yet. After an error it is to be discarded.
func (inst *instance) restore(first bool) error {
	if inst.files.left() || inst.dirty() {
		return errLeft
	}
	s := inst.state
	if mem := inst.mem; mem != nil {
		if mem.Size() != s.size && !shrink(mem, s.size) {
			return errShrink
		}
		replace := inst.memory.space.reset
		if first {
			replace = inst.memory.space.adopt
		}
		if err := replace(s.image); err != nil {
			return err
		}
	}
	for i, name := range inst.plugin.code.globals {
		inst.setGlobal(name, s.globals[i])
	}
	return nil
}

func (inst *instance) setGlobal(name string, value uint64) {
	if g := inst.global(name); g != nil {
		g.Set(value)
	}
}

// dirty tells whether the guest changed what is neither memory nor a global
// that can be kept; clean forgets it.
func (inst *instance) dirty() bool {
	g := inst.global(meter.Dirty)
	return g != nil && g.Get() != 0
}

func (inst *instance) clean() { inst.setGlobal(meter.Dirty, 0) }

// clone makes an instance with the state of another one, without running its
// code.
func (p *Plugin) clone(ctx context.Context, s *state) (*instance, error) {
	inst := p.newInstance()
	inst.state = s
	if err := inst.become(ctx); err != nil {
		inst.discard()
		return nil, &Error{Plugin: p.name, Kind: KindMemory, Detail: "clone: " + shorten(err), Err: err}
	}
	return inst, nil
}

func (inst *instance) become(ctx context.Context) error {
	inst.begin(ctx, inst.plugin.loadBudget, nil)
	if err := inst.instantiate(ctx, inst.plugin.moduleConfig(inst), nil); err != nil {
		return err
	}
	if mem := inst.mem; mem != nil {
		if err := growTo(mem, inst.state.size); err != nil {
			return err
		}
	}
	return inst.restore(true)
}

func growTo(mem api.Memory, size uint32) error {
	if size <= mem.Size() {
		return nil
	}
	if _, ok := mem.Grow((size - mem.Size()) / pageSize); !ok {
		return errors.New("memory cannot be had")
	}
	return nil
}
