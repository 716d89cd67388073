//go:build !linux

package disk

// Reserve implements [File]: it gives the file its size, and reserves nothing.
func (f osFile) Reserve(size int64) error { return f.Truncate(size) }
