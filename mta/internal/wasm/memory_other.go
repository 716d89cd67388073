//go:build !linux

package wasm

// newSpace takes the heap: elsewhere than on Linux growing copies.
func newSpace(uint64) space { return new(sliceSpace) }
