//go:build !linux

package disk

// lives has nothing to say here.
func lives(osFile) error { return nil }

// Reserve implements [File]: it gives the file its size, and reserves nothing.
func (f osFile) Reserve(size int64) error { return f.Truncate(size) }
