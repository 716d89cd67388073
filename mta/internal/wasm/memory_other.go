//go:build !linux

package wasm

// newSpace takes the heap: elsewhere than on Linux growing copies.
func newSpace(most uint64) space { return newSliceSpace(most) }

// newImage copies the octets.
func newImage(octets []byte) *image { return copiedImage(octets) }

func (*image) unmap() {}
